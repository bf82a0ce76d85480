package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// shadowLook is how many of the newest turns are looked at one by one: what the
// API gives at once.
const shadowLook = 200

// intentShadowCmd is `colloquy intent shadow`.
type intentShadowCmd struct {
	apiFlags

	Inbox    string `help:"Only this inbox." placeholder:"ID"`
	Examples int    `help:"How many turns to show that the two took differently." default:"10"`
}

// shadowReport is what the shadow would have said, next to what was said.
type shadowReport struct {
	Totals   gateway.ShadowTotals `json:"totals"` // of all turns that the node remembers
	Models   []shadowModel        `json:"models"` // of the newest turns
	Judged   shadowJudged         `json:"judged"` // of the newest turns
	Examples []gateway.ShadowTurn `json:"examples"`
}

// shadowModel is how one version of the shadow compares.
type shadowModel struct {
	Model        string `json:"model"`
	Turns        int    `json:"turns"`
	Same         int    `json:"same"`
	OwnAnswers   int    `json:"own_answers"`
	OtherAnswers int    `json:"other_answers"`
}

// shadowJudged holds both engines against what conversations have shown since.
type shadowJudged struct {
	Turns int         `json:"turns"` // with a sign
	Known int         `json:"known"` // of these: what was really asked is known
	Own   shadowScore `json:"own"`   // of those that are known
	Other shadowScore `json:"other"`
}

// shadowScore is one engine among turns whose right intent is known.
type shadowScore struct {
	Understood  int `json:"understood"`   // its first intent was the right one
	Answers     int `json:"answers"`      // it answered, or would have
	RightAnswer int `json:"right_answer"` // and rightly
}

// Run implements the subcommand.
func (c *intentShadowCmd) Run(t *tool) error {
	r := shadowReport{Examples: []gateway.ShadowTurn{}}
	newest, totals, err := c.turns(t, shadowLook, url.Values{"outcomes": {"true"}})
	if err != nil {
		return err
	}
	r.Totals = totals
	r.compare(newest)
	if c.Examples > 0 {
		if r.Examples, _, err = c.turns(t, min(c.Examples, shadowLook), url.Values{"outcomes": {"true"}, "differs": {"true"}}); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	return r.print(t)
}

func (c *intentShadowCmd) turns(t *tool, limit int, q url.Values) ([]gateway.ShadowTurn, gateway.ShadowTotals, error) {
	q.Set("limit", strconv.Itoa(limit))
	if c.Inbox != "" {
		q.Set("inbox_id", c.Inbox)
	}
	var got struct {
		Data   []gateway.ShadowTurn `json:"data"`
		Totals gateway.ShadowTotals `json:"totals"`
	}
	err := c.call(t, apiCall{method: "GET", path: "/v1/intent/shadow?" + q.Encode(), answer: &got})
	return got.Data, got.Totals, err
}

// compare fills in what is counted turn by turn.
func (r *shadowReport) compare(newest []gateway.ShadowTurn) {
	byModel := map[string]*shadowModel{}
	for i := range newest {
		turn := &newest[i]
		if turn.Other == nil {
			continue
		}
		m := byModel[turn.Other.Model]
		if m == nil {
			m = &shadowModel{Model: turn.Other.Model}
			byModel[m.Model] = m
		}
		m.Turns++
		m.Same += one(turn.Same)
		m.OwnAnswers += one(turn.Own.Action == conversation.ActionAnswer)
		m.OtherAnswers += one(turn.Other.Action == conversation.ActionAnswer)
		r.Judged.add(turn)
	}
	r.Models = []shadowModel{}
	for _, name := range slices.Sorted(maps.Keys(byModel)) {
		r.Models = append(r.Models, *byModel[name])
	}
	slices.SortStableFunc(r.Models, func(a, b shadowModel) int { return cmp.Compare(b.Turns, a.Turns) })
}

func (j *shadowJudged) add(turn *gateway.ShadowTurn) {
	if turn.Outcome == nil {
		return
	}
	j.Turns++
	if turn.Outcome.Intent == "" {
		return
	}
	j.Known++
	j.Own.add(&turn.Own, turn.Outcome.Intent)
	j.Other.add(turn.Other, turn.Outcome.Intent)
}

func (s *shadowScore) add(v *gateway.ShadowVerdict, intent string) {
	right, answers := v.Intent == intent, v.Action == conversation.ActionAnswer
	s.Understood += one(right)
	s.Answers += one(answers)
	s.RightAnswer += one(right && answers)
}

func one(yes bool) int { //nolint:revive // it is what is counted
	if yes {
		return 1
	}
	return 0
}

// share writes a part of a whole with both numbers.
func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %% (%d of %d)", 100*float64(n)/float64(of), n, of)
}

func (r *shadowReport) print(t *tool) error {
	all := &r.Totals
	if all.Shadow == "" && all.Silent == 0 {
		_, err := fmt.Fprintln(t.stdout, "The node compares no intent engines; the setting intent.shadow names one.")
		return err
	}
	since := "nothing seen yet"
	if !all.Since.IsZero() {
		since = "since " + all.Since.UTC().Format(time.DateTime)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "shadow\t%s, %s\n", cmp.Or(all.Shadow, "none"), since)
	_, _ = fmt.Fprintf(w, "turns\t%d, compared %d, shadow gave nothing %d, bot was silent %d\n", all.Turns, all.Compared, all.Failed, all.Silent)
	_, _ = fmt.Fprintf(w, "agreement\t%s\n", share(all.Same, all.Compared))
	_, _ = fmt.Fprintf(w, "answers by itself\town %s\n\tshadow %s\n", share(all.OwnAnswers, all.Compared), share(all.OtherAnswers, all.Compared))
	if len(r.Models) > 0 {
		_, _ = fmt.Fprintf(w, "\nSHADOW'S MODEL\tTURNS\tTHE SAME\tOWN ANSWERS\tSHADOW ANSWERS\n")
	}
	for _, m := range r.Models {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", m.Model, m.Turns, share(m.Same, m.Turns), share(m.OwnAnswers, m.Turns), share(m.OtherAnswers, m.Turns))
	}
	r.printJudged(w)
	if err := w.Flush(); err != nil {
		return err
	}
	return r.printExamples(t)
}

func (r *shadowReport) printJudged(w *tabwriter.Writer) {
	j := &r.Judged
	_, _ = fmt.Fprintf(w, "\nJUDGED SINCE\t%d of the newest %d turns, what was asked is known of %d\n", j.Turns, shadowLook, j.Known)
	if j.Known == 0 {
		return
	}
	for _, row := range []struct {
		name string
		s    shadowScore
	}{{"own", j.Own}, {"shadow", j.Other}} {
		_, _ = fmt.Fprintf(w, "%s\tunderstood %s\tanswers %s\tof these right %s\n", row.name,
			share(row.s.Understood, j.Known), share(row.s.Answers, j.Known), share(row.s.RightAnswer, row.s.Answers))
	}
}

func (r *shadowReport) printExamples(t *tool) error {
	if len(r.Examples) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(t.stdout, "\nWhere they differ, newest first:\n")
	for i := range r.Examples {
		x := &r.Examples[i]
		_, _ = fmt.Fprintf(t.stdout, "%s  %s, seq %d: «%s»\n  own     %s\n  shadow  %s\n", x.Inbox, x.Conversation, x.Seq,
			oneLine(string(x.Text)), verdictLine(&x.Own), verdictLine(x.Other))
		if o := x.Outcome; o != nil {
			said := "own was wrong"
			if o.Right {
				said = "own was right"
			}
			_, _ = fmt.Fprintf(t.stdout, "  since   %s\n", strings.Join(nonEmpty(said, o.Intent), ", it was "))
		}
	}
	return err
}

func verdictLine(v *gateway.ShadowVerdict) string {
	out := strings.Join(nonEmpty(string(v.Action), v.Intent, string(v.Reason)), " ")
	if v.Confidence > 0 {
		out += fmt.Sprintf(" %.2f", v.Confidence)
	}
	return out
}
