package intent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent/emotion"
)

// ToneAlarm is the anger from which on a message is called angry.
const ToneAlarm = 0.5

// maxMistakes bounds how many wrong lines of each sort a report lists.
const maxMistakes = 20

// toneLine is one line of the input. Fields that are not listed are ignored.
type toneLine struct {
	Text  *string `json:"text"`
	Angry *bool   `json:"angry"`
	Lang  string  `json:"lang"`
	Kind  string  `json:"kind"` // what sort of line it is, such as polite; rows are made of it
}

// heard is a labelled line with its score.
type heard struct {
	toneLine
	anger float32
}

// ToneReport says how well anger is heard.
type ToneReport struct {
	Rows   []ToneRow     `json:"rows"`             // all lines, then by language, then by kind
	Missed []ToneMistake `json:"missed,omitempty"` // angry lines below the alarm, lowest first
	False  []ToneMistake `json:"false,omitempty"`  // other lines at or above it, highest first
}

// ToneRow is a part of the lines.
//
// Units: shares 0 to 1; AUROC is one half for guessing, and absent where all
// lines are alike.
type ToneRow struct {
	Of          string  `json:"of"` // "all", a language or a kind
	Lines       int     `json:"lines"`
	Angry       int     `json:"angry"`
	AUROC       float64 `json:"auroc,omitempty"`
	Found       float64 `json:"found"`        // of the angry lines, at the alarm
	FalseAlarms float64 `json:"false_alarms"` // of the others, at the alarm
	Precision   float64 `json:"precision"`    // of the alarms
}

// ToneMistake is a line that was heard wrong.
type ToneMistake struct {
	Anger float32 `json:"anger"`
	Text  string  `json:"text"`
}

// EvaluateTone scores the labelled lines of r (JSON objects with text and angry,
// one a line) and reports how well that went.
//
// Errors: class [conversation.ErrInvalid] naming the numbers of lines that
// cannot be read.
func EvaluateTone(e *Ear, r io.Reader) (ToneReport, error) {
	lines, err := readToneLines(r)
	if err != nil {
		return ToneReport{}, err
	}
	var t tokens
	for i := range lines {
		l := &lines[i]
		l.anger = e.Tone(conversation.Text(*l.Text)).Anger
		if l.Lang == "" {
			t.split([]byte(*l.Text), nil, nil)
			l.Lang = t.detect("")
		}
	}
	return newToneReport(lines), nil
}

func readToneLines(r io.Reader) ([]heard, error) {
	return readLabelled(r, func(raw []byte) (h heard, keep bool, err error) {
		err = json.Unmarshal(raw, &h.toneLine)
		if err == nil && (h.Text == nil || h.Angry == nil) {
			err = errors.New("text or angry is missing")
		}
		if err != nil {
			return h, false, &conversation.Error{Code: conversation.CodeInvalid, Detail: "not a JSON object with text and angry", Err: err}
		}
		return h, true, nil
	})
}

func newToneReport(lines []heard) ToneReport {
	r := ToneReport{Rows: []ToneRow{newToneRow("all", lines)}}
	for _, part := range []func(*heard) string{
		func(h *heard) string { return h.Lang },
		func(h *heard) string { return h.Kind },
	} {
		groups := map[string][]heard{}
		for i := range lines {
			if name := part(&lines[i]); name != "" {
				groups[name] = append(groups[name], lines[i])
			}
		}
		for _, name := range langs(groups) {
			r.Rows = append(r.Rows, newToneRow(name, groups[name]))
		}
	}
	for i := range lines {
		switch l := &lines[i]; {
		case *l.Angry && l.anger < ToneAlarm:
			r.Missed = append(r.Missed, ToneMistake{l.anger, *l.Text})
		case !*l.Angry && l.anger >= ToneAlarm:
			r.False = append(r.False, ToneMistake{l.anger, *l.Text})
		}
	}
	slices.SortStableFunc(r.Missed, func(a, b ToneMistake) int { return cmp.Compare(a.Anger, b.Anger) })
	slices.SortStableFunc(r.False, func(a, b ToneMistake) int { return cmp.Compare(b.Anger, a.Anger) })
	r.Missed, r.False = r.Missed[:min(len(r.Missed), maxMistakes)], r.False[:min(len(r.False), maxMistakes)]
	return r
}

func newToneRow(of string, lines []heard) ToneRow {
	row := ToneRow{Of: of, Lines: len(lines)}
	var yes, no []float32
	found, alarms := 0, 0
	for i := range lines {
		alarm := lines[i].anger >= ToneAlarm
		if alarm {
			alarms++
		}
		if !*lines[i].Angry {
			no = append(no, lines[i].anger)
			continue
		}
		yes = append(yes, lines[i].anger)
		if alarm {
			found++
		}
	}
	row.Angry, row.AUROC = len(yes), emotion.AUROC(yes, no)
	row.Found, row.FalseAlarms, row.Precision = ratio(found, len(yes)), ratio(alarms-found, len(no)), ratio(found, alarms)
	return row
}

// Print writes the report for people.
func (r *ToneReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, err := fmt.Fprintln(t, "of\tlines\tangry\tAUROC\tfound\tfalse alarms\tprecision\t")
	for _, row := range r.Rows {
		auroc := "–"
		if row.Angry > 0 && row.Angry < row.Lines {
			auroc = fmt.Sprintf("%.3f", row.AUROC)
		}
		_, e := fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%.1f %%\t%.1f %%\t%.1f %%\t\n",
			row.Of, row.Lines, row.Angry, auroc, 100*row.Found, 100*row.FalseAlarms, 100*row.Precision)
		err = cmp.Or(err, e)
	}
	err = cmp.Or(err, t.Flush())
	for _, list := range []struct {
		title string
		lines []ToneMistake
	}{{"angry, and not heard:", r.Missed}, {"not angry, and heard so:", r.False}} {
		if len(list.lines) == 0 {
			continue
		}
		_, e := fmt.Fprintln(w, "\n"+list.title)
		err = cmp.Or(err, e)
		for _, m := range list.lines {
			_, e = fmt.Fprintf(w, "  %.2f  %s\n", m.Anger, m.Text)
			err = cmp.Or(err, e)
		}
	}
	return err
}
