package intent

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// EvalReport says how well labelled utterances were understood.
type EvalReport struct {
	Packs    []string `json:"packs"`
	Model    string   `json:"model"`
	N        int      `json:"n"`
	InScope  int      `json:"in_scope"`
	Accuracy float64  `json:"accuracy"` // best candidate right, of the lines in scope
	MacroF1  float64  `json:"macro_f1"` // mean over the intents that occur

	// At the decision to answer by itself: confidence at or above auto.
	Coverage    float64 `json:"coverage"`     // answered, of the lines in scope
	Precision   float64 `json:"precision"`    // right, of all answered; an answered line out of scope is wrong
	OOSRejected float64 `json:"oos_rejected"` // not answered, of the lines out of scope
	OOSSilent   float64 `json:"oos_silent"`   // not even suggested

	MicrosPerUtterance float64 `json:"us_per_utterance"`

	Langs      []LangScore   `json:"langs"`
	Intents    []IntentScore `json:"intents"`
	Confusions []Confusion   `json:"confusions"` // worst first
	Curve      []CurvePoint  `json:"curve"`
}

// LangScore is the accuracy for one language.
type LangScore struct {
	Lang      string  `json:"lang"`
	N         int     `json:"n"`
	Accuracy  float64 `json:"accuracy"`
	Coverage  float64 `json:"coverage"`
	Precision float64 `json:"precision"`
}

// IntentScore is how well one intent was told from the others.
type IntentScore struct {
	Intent    string  `json:"intent"`
	N         int     `json:"n"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Confusion is a pair of intents that was mixed up, with one example.
type Confusion struct {
	Want    string `json:"want"`
	Got     string `json:"got"`
	N       int    `json:"n"`
	Example string `json:"example"`
}

// CurvePoint is what one threshold would give.
type CurvePoint struct {
	Threshold float64 `json:"threshold"`
	Coverage  float64 `json:"coverage"`
	Precision float64 `json:"precision"`
}

// maxConfusions is how many pairs a report lists.
const maxConfusions = 25

func newEvalReport(lines []judged) EvalReport {
	r := EvalReport{N: len(lines)}
	r.totals(lines)
	r.perLang(lines)
	r.perIntent(lines)
	r.confusions(lines)
	for _, th := range []float32{0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98} {
		covered, right, all := atThreshold(lines, func(j *judged) bool { return j.got != "" && j.confidence >= th })
		r.Curve = append(r.Curve, CurvePoint{
			Threshold: float64(th), Coverage: ratio(covered, r.InScope), Precision: ratio(right, all),
		})
	}
	return r
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// atThreshold counts the lines that would be answered: those in scope, those
// right, and all.
func atThreshold(lines []judged, answered func(*judged) bool) (covered, right, all int) {
	for i := range lines {
		j := &lines[i]
		if !answered(j) {
			continue
		}
		all++
		if j.want != OutOfScope {
			covered++
		}
		if j.got == j.want {
			right++
		}
	}
	return covered, right, all
}

func (r *EvalReport) totals(lines []judged) {
	right, outside, rejected, silent := 0, 0, 0, 0
	for i := range lines {
		j := &lines[i]
		if j.want == OutOfScope {
			outside++
			if !j.answered() {
				rejected++
			}
			if j.got == "" || j.confidence < j.suggest {
				silent++
			}
			continue
		}
		r.InScope++
		if j.got == j.want {
			right++
		}
	}
	covered, correct, all := atThreshold(lines, (*judged).answered)
	r.Accuracy = ratio(right, r.InScope)
	r.Coverage, r.Precision = ratio(covered, r.InScope), ratio(correct, all)
	r.OOSRejected, r.OOSSilent = ratio(rejected, outside), ratio(silent, outside)
}

func (r *EvalReport) perLang(lines []judged) {
	byLang := map[string][]judged{}
	for _, j := range lines {
		byLang[j.lang] = append(byLang[j.lang], j)
	}
	for _, lang := range langs(byLang) {
		part := EvalReport{}
		part.totals(byLang[lang])
		r.Langs = append(r.Langs, LangScore{
			Lang: lang, N: len(byLang[lang]), Accuracy: part.Accuracy, Coverage: part.Coverage, Precision: part.Precision,
		})
	}
}

// perIntent counts over the lines in scope, by the best candidate.
func (r *EvalReport) perIntent(lines []judged) {
	type count struct{ want, got, both int }
	counts := map[string]*count{}
	at := func(id string) *count {
		if counts[id] == nil {
			counts[id] = &count{}
		}
		return counts[id]
	}
	for i := range lines {
		j := &lines[i]
		if j.want == OutOfScope {
			continue
		}
		at(j.want).want++
		at(j.got).got++
		if j.want == j.got {
			at(j.want).both++
		}
	}
	sum, n := 0.0, 0
	for _, id := range langs(counts) {
		c := counts[id]
		if c.want == 0 {
			continue
		}
		s := IntentScore{Intent: id, N: c.want, Precision: ratio(c.both, c.got), Recall: ratio(c.both, c.want)}
		if s.Precision+s.Recall > 0 {
			s.F1 = 2 * s.Precision * s.Recall / (s.Precision + s.Recall)
		}
		sum, n = sum+s.F1, n+1
		r.Intents = append(r.Intents, s)
	}
	if n > 0 {
		r.MacroF1 = sum / float64(n)
	}
}

// confusions lists the pairs that were mixed up: wrong candidates in scope,
// and answers to what is out of scope.
func (r *EvalReport) confusions(lines []judged) {
	pairs := map[[2]string]*Confusion{}
	for i := range lines {
		j := &lines[i]
		if j.got == j.want || j.want == OutOfScope && !j.answered() {
			continue
		}
		key := [2]string{j.want, j.got}
		if pairs[key] == nil {
			pairs[key] = &Confusion{Want: j.want, Got: j.got, Example: j.text}
		}
		pairs[key].N++
	}
	for _, c := range pairs {
		r.Confusions = append(r.Confusions, *c)
	}
	slices.SortFunc(r.Confusions, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Want, b.Want), cmp.Compare(a.Got, b.Got))
	})
	r.Confusions = r.Confusions[:min(len(r.Confusions), maxConfusions)]
}

// Print writes the report for people.
func (r *EvalReport) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "packs %s  model %s\n", strings.Join(r.Packs, ","), r.Model)
	fmt.Fprintf(&b, "n %d  in_scope %d\n", r.N, r.InScope)
	fmt.Fprintf(&b, "accuracy %.4f\nmacro_f1 %.4f\n", r.Accuracy, r.MacroF1)
	fmt.Fprintf(&b, "coverage %.4f\nprecision %.4f\n", r.Coverage, r.Precision)
	if r.N > r.InScope {
		fmt.Fprintf(&b, "oos_rejected %.4f\noos_silent %.4f\n", r.OOSRejected, r.OOSSilent)
	}
	fmt.Fprintf(&b, "us_per_utterance %.1f\n", r.MicrosPerUtterance)
	b.WriteString("\nlang        n  accuracy  coverage  precision\n")
	for _, l := range r.Langs {
		fmt.Fprintf(&b, "%-6s %6d    %6.4f    %6.4f     %6.4f\n", l.Lang, l.N, l.Accuracy, l.Coverage, l.Precision)
	}
	b.WriteString("\nthreshold  coverage  precision\n")
	for _, c := range r.Curve {
		fmt.Fprintf(&b, "     %.2f    %6.4f     %6.4f\n", c.Threshold, c.Coverage, c.Precision)
	}
	b.WriteString("\nintent                       n  precision  recall      f1\n")
	for _, s := range r.Intents {
		fmt.Fprintf(&b, "%-24s %5d     %6.4f  %6.4f  %6.4f\n", s.Intent, s.N, s.Precision, s.Recall, s.F1)
	}
	if len(r.Confusions) > 0 {
		b.WriteString("\nmixed up (wanted → got)\n")
	}
	for _, c := range r.Confusions {
		fmt.Fprintf(&b, "%4d  %s → %s: %s\n", c.N, c.Want, c.Got, strings.Join(strings.Fields(c.Example), " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
