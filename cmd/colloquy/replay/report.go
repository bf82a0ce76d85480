package replay

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Interval is where a share lies with 95 % confidence.
// Source: Wilson 1927, the score interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// share gives k of n with its interval; 0 and the whole range for none of none.
func share(k, n int) (float64, Interval) {
	if n == 0 {
		return 0, Interval{0, 1}
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	// At the ends the interval touches them; rounding must not move it off.
	low, high := max(middle-half, 0), min(middle+half, 1)
	if k == 0 {
		low = 0
	}
	if k == n {
		high = 1
	}
	return p, Interval{low, high}
}

// Shares are the figures of a group of dialogues. All but the counts are shares
// of 0 to 1.
type Shares struct {
	Dialogues   int `json:"dialogues"`
	Automatable int `json:"automatable"`
	Turns       int `json:"turns"`
	Chosen      int `json:"chosen_otherwise"` // turns that chose something else among what was offered than had been expected; neither right nor wrong
	Actionable  int `json:"actionable_turns"` // that want something the packs know, while the bot had the conversation

	AutoResolved        float64 `json:"auto_resolved"`        // of all dialogues
	WronglyResolved     float64 `json:"wrongly_resolved"`     // of all dialogues
	HandedOver          float64 `json:"handed_over"`          // of all dialogues: the rest
	AutomatableResolved float64 `json:"automatable_resolved"` // of those a bot could settle
	ToHuman             float64 `json:"to_human"`             // of all dialogues: a human was called
	AsExpected          float64 `json:"as_expected"`          // of all dialogues: resolved, or called a human without a wrong answer, as the file says

	IntentAccuracy float64 `json:"intent_accuracy"` // of actionable turns, answered with the right intent and slots
	Precision      float64 `json:"precision"`       // of answers, right ones; answers of small talk are not counted
	SlotAccuracy   float64 `json:"slot_accuracy"`   // of expected values, taken for what they are

	Intervals map[string]Interval `json:"intervals"` // 95 %, by the name of the share
}

// Group is a language or a domain with its figures.
type Group struct {
	Name string `json:"name"`
	Shares
}

// Report says what became of the dialogues.
type Report struct {
	Packs   []string `json:"packs"`
	Seconds float64  `json:"seconds"` // of the replay, without training
	Shares

	Langs   []Group   `json:"langs"`
	Domains []Group   `json:"domains"`
	Results []Outcome `json:"results"` // every dialogue, in the order of the file
}

func newReport(outcomes []Outcome) *Report {
	r := &Report{Shares: count(outcomes), Results: outcomes}
	r.Langs = groups(outcomes, func(o *Outcome) string { return o.Lang })
	r.Domains = groups(outcomes, func(o *Outcome) string { return o.Domain })
	return r
}

func groups(outcomes []Outcome, of func(*Outcome) string) []Group {
	by := map[string][]Outcome{}
	for i := range outcomes {
		name := cmp.Or(of(&outcomes[i]), "-")
		by[name] = append(by[name], outcomes[i])
	}
	out := make([]Group, 0, len(by))
	for name, list := range by {
		out = append(out, Group{Name: name, Shares: count(list)})
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// counts are what shares are made of.
type counts struct {
	auto, wrong, rest, automatable, resolved, human, expected int
	turns, actionable, right, answers, rightAnswers, chosen   int
	slots, slotsRight                                         int
}

func count(outcomes []Outcome) Shares {
	var c counts
	for i := range outcomes {
		c.dialogue(&outcomes[i])
		for k := range outcomes[i].Turns {
			c.turn(&outcomes[i].Turns[k])
		}
	}
	return c.shares(len(outcomes))
}

func (c *counts) dialogue(o *Outcome) {
	switch o.Result {
	case AutoResolved:
		c.auto++
	case WronglyResolved:
		c.wrong++
	case LeftToHumans:
		c.rest++
	}
	if o.Automatable {
		c.automatable++
		if o.Result == AutoResolved {
			c.resolved++
		}
	}
	if o.ToHuman {
		c.human++
	}
	if o.Result == AutoResolved || o.Expected == EndsHandoff && o.ToHuman && o.Result != WronglyResolved {
		c.expected++
	}
}

func (c *counts) turn(j *Judged) {
	c.turns++
	c.slots += j.slots
	c.slotsRight += j.slotsRight
	if j.Action == WithHuman {
		return
	}
	if j.wanted {
		c.actionable++
	}
	if j.Chosen {
		c.chosen++
	}
	switch j.Verdict {
	case Right:
		c.right++
		c.answers++
		c.rightAnswers++
	case Wrong:
		c.answers++
	case Missed, Nothing:
	}
}

func (c *counts) shares(n int) Shares {
	s := Shares{
		Dialogues: n, Automatable: c.automatable, Turns: c.turns, Actionable: c.actionable, Chosen: c.chosen, Intervals: map[string]Interval{},
	}
	for _, x := range []struct {
		name string
		to   *float64
		k, n int
	}{
		{"auto_resolved", &s.AutoResolved, c.auto, n},
		{"wrongly_resolved", &s.WronglyResolved, c.wrong, n},
		{"handed_over", &s.HandedOver, c.rest, n},
		{"automatable_resolved", &s.AutomatableResolved, c.resolved, c.automatable},
		{"to_human", &s.ToHuman, c.human, n},
		{"as_expected", &s.AsExpected, c.expected, n},
		{"intent_accuracy", &s.IntentAccuracy, c.right, c.actionable},
		{"precision", &s.Precision, c.rightAnswers, c.answers},
		{"slot_accuracy", &s.SlotAccuracy, c.slotsRight, c.slots},
	} {
		var in Interval
		*x.to, in = share(x.k, x.n)
		s.Intervals[x.name] = in
	}
	return s
}

// Print writes the report for people: the figures, then every dialogue that was
// not resolved as it should have been, the wrong ones first.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "packs %s: %d dialogues, %d turns, in %.1f s\n\n", strings.Join(r.Packs, ","), r.Dialogues, r.Turns, r.Seconds)
	fmt.Fprintf(&b, "                                          95 %% interval\n")
	r.printShares(&b)
	if r.Chosen > 0 {
		fmt.Fprintf(&b, "%d turns chose something else among what was offered than had been expected; they count as neither\n", r.Chosen)
	}
	r.printGroups(&b, "language", r.Langs)
	r.printGroups(&b, "domain", r.Domains)
	r.printList(&b, "answered wrongly", func(o *Outcome) bool { return o.Result == WronglyResolved })
	r.printList(&b, "left to humans, though a bot could settle it", func(o *Outcome) bool { return o.Automatable && o.Result == LeftToHumans })
	r.printList(&b, "no human was called, though one is needed", func(o *Outcome) bool {
		return o.Expected == EndsHandoff && o.Result == LeftToHumans && !o.ToHuman
	})
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Shares) printShares(b *strings.Builder) {
	for _, x := range []struct {
		name, of string
		p        float64
	}{
		{"auto_resolved", "dialogues", s.AutoResolved},
		{"wrongly_resolved", "dialogues", s.WronglyResolved},
		{"handed_over", "dialogues", s.HandedOver},
		{"automatable_resolved", fmt.Sprintf("%d automatable dialogues", s.Automatable), s.AutomatableResolved},
		{"to_human", "dialogues", s.ToHuman},
		{"as_expected", "dialogues", s.AsExpected},
		{"intent_accuracy", fmt.Sprintf("%d actionable turns", s.Actionable), s.IntentAccuracy},
		{"precision", "answers", s.Precision},
		{"slot_accuracy", "expected values", s.SlotAccuracy},
	} {
		in := s.Intervals[x.name]
		fmt.Fprintf(b, "%-22s %6.1f %%    %5.1f to %5.1f %%   of %s\n", x.name, 100*x.p, 100*in.Low, 100*in.High, x.of)
	}
}

func (r *Report) printGroups(b *strings.Builder, what string, list []Group) {
	fmt.Fprintf(b, "\n%-14s dialogues  auto  wrong  handed over  automatable resolved  intents  slots\n", what)
	for _, g := range list {
		fmt.Fprintf(b, "%-14s %9d %5.1f  %5.1f  %11.1f  %20.1f  %7.1f  %5.1f\n", g.Name, g.Dialogues, 100*g.AutoResolved, 100*g.WronglyResolved,
			100*g.HandedOver, 100*g.AutomatableResolved, 100*g.IntentAccuracy, 100*g.SlotAccuracy)
	}
}

func (r *Report) printList(b *strings.Builder, title string, listed func(*Outcome) bool) {
	first := true
	for i := range r.Results {
		o := &r.Results[i]
		if !listed(o) {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n%s\n", title)
			first = false
		}
		fmt.Fprintf(b, "  line %d, %s\n", o.Line, o.ID)
		for k := range o.Turns {
			o.Turns[k].print(b, k+1)
		}
	}
}

func (j *Judged) print(b *strings.Builder, number int) {
	mark := " "
	switch j.Verdict {
	case Wrong:
		mark = "✗"
	case Missed:
		mark = "?"
	case Right, Nothing:
	}
	fmt.Fprintf(b, "   %s %d  %s\n", mark, number, oneLine(j.Visitor))
	switch {
	case j.Reason != "":
		fmt.Fprintf(b, "        %s (%.2f)\n", j.Reason, j.Confidence)
	case j.Action == HandedOver:
		fmt.Fprintf(b, "        %s: %s\n", j.Action, j.Handover)
	}
	if j.Verdict == Wrong || len(j.Buttons) > 0 && j.Verdict == Missed {
		fmt.Fprintf(b, "        said: %s", oneLine(j.Reply))
		if len(j.Buttons) > 0 {
			fmt.Fprintf(b, " [%s]", strings.Join(j.Buttons, " | "))
		}
		b.WriteByte('\n')
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
