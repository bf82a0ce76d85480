package intent

import (
	"cmp"
	"fmt"
	"io"
	"math"
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

	Decisions  []DecisionScore `json:"decisions"`
	Langs      []GroupScore    `json:"langs"`
	Domains    []GroupScore    `json:"domains,omitempty"` // where lines name any
	Intents    []IntentScore   `json:"intents"`
	Confusions []Confusion     `json:"confusions"` // worst first
	Curve      []CurvePoint    `json:"curve"`

	right int // of the lines in scope
}

// Rate is a share with its 95 % interval.
type Rate struct {
	Of    int     `json:"of"` // how many there were
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// rateOf gives the share k of n with Wilson's interval, which also holds for
// small n and for shares near 0 and 1. Of nothing the share is 0 and the
// interval everything.
// Source: Wilson 1927; Brown, Cai and DasGupta 2001, §3.1.1.
func rateOf(k, n int) Rate {
	if n == 0 {
		return Rate{High: 1}
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Rate{Of: n, Value: p, Low: min(max(middle-half, 0), p), High: max(min(middle+half, 1), p)}
}

// The decisions, by the thresholds of the intent that is thought of first.
const (
	DecisionAnswer   = "answer"    // confidence at or above auto; talk_to_human hands over, as it was asked to
	DecisionAskBack  = "ask_back"  // at or above suggest: which of these did you mean
	DecisionHandOver = "hand_over" // below: not understood, and a human before long
)

// DecisionScore says how often one decision is taken and how often it is right:
// an answer, when it is to what was asked; asking back, when what was asked is
// among what is offered; handing over, when nothing was lost by it, because the
// first thought was wrong or the line out of scope.
type DecisionScore struct {
	Decision  string `json:"decision"`
	N         int    `json:"n"`
	Coverage  Rate   `json:"coverage"` // of the lines in scope
	Precision Rate   `json:"precision"`
}

// GroupScore is how well the lines of one language or domain were understood.
type GroupScore struct {
	Lang      string          `json:"lang,omitempty"`
	Domain    string          `json:"domain,omitempty"`
	N         int             `json:"n"`
	InScope   int             `json:"in_scope"`
	Accuracy  float64         `json:"accuracy"`
	Interval  Rate            `json:"accuracy_interval"`
	Coverage  float64         `json:"coverage"`
	Precision float64         `json:"precision"`
	Decisions []DecisionScore `json:"decisions"`
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
	r.Decisions = decisionsOf(lines)
	r.Langs = groupsOf(lines, func(j *judged) string { return j.lang }, func(g *GroupScore, name string) { g.Lang = name })
	r.Domains = groupsOf(lines, func(j *judged) string { return j.domain }, func(g *GroupScore, name string) { g.Domain = name })
	if len(r.Domains) == 1 && r.Domains[0].Domain == "" {
		r.Domains = nil
	}
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
	r.Accuracy, r.right = ratio(right, r.InScope), right
	r.Coverage, r.Precision = ratio(covered, r.InScope), ratio(correct, all)
	r.OOSRejected, r.OOSSilent = ratio(rejected, outside), ratio(silent, outside)
}

// groupsOf scores the lines of each group apart.
func groupsOf(lines []judged, of func(*judged) string, name func(g *GroupScore, name string)) []GroupScore {
	by := map[string][]judged{}
	for _, j := range lines {
		by[of(&j)] = append(by[of(&j)], j)
	}
	var out []GroupScore
	for _, key := range langs(by) {
		part := EvalReport{}
		part.totals(by[key])
		g := GroupScore{
			N: len(by[key]), InScope: part.InScope, Accuracy: part.Accuracy, Interval: rateOf(part.right, part.InScope),
			Coverage: part.Coverage, Precision: part.Precision, Decisions: decisionsOf(by[key]),
		}
		name(&g, key)
		out = append(out, g)
	}
	return out
}

// decision gives what would be done about a line.
func (j *judged) decision() string {
	switch {
	case j.answered():
		return DecisionAnswer
	case j.got != "" && j.confidence >= j.suggest:
		return DecisionAskBack
	}
	return DecisionHandOver
}

func decisionsOf(lines []judged) []DecisionScore {
	inScope := 0
	all, covered, right := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range lines {
		j := &lines[i]
		d := j.decision()
		all[d]++
		if j.want != OutOfScope {
			inScope++
			covered[d]++
		}
		good := j.got == j.want
		switch d {
		case DecisionAskBack:
			good = good || j.offered
		case DecisionHandOver:
			good = !good
		}
		if good {
			right[d]++
		}
	}
	var out []DecisionScore
	for _, d := range []string{DecisionAnswer, DecisionAskBack, DecisionHandOver} {
		out = append(out, DecisionScore{Decision: d, N: all[d], Coverage: rateOf(covered[d], inScope), Precision: rateOf(right[d], all[d])})
	}
	return out
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
	b.WriteString("\ndecision        n  coverage (of what is in scope)  precision\n")
	for _, d := range r.Decisions {
		fmt.Fprintf(&b, "%-10s %6d    %s        %s\n", strings.ReplaceAll(d.Decision, "_", " "), d.N, d.Coverage, d.Precision)
	}
	printGroups(&b, "lang", r.Langs)
	printGroups(&b, "domain", r.Domains)
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

// String writes the share with its interval.
func (r Rate) String() string { return fmt.Sprintf("%.4f (%.4f–%.4f)", r.Value, r.Low, r.High) }

// printGroups writes a table of groups.
func printGroups(b *strings.Builder, title string, groups []GroupScore) {
	if len(groups) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%-8s      n  accuracy                 coverage  precision  ask back  hand over\n", title)
	for i := range groups {
		g := &groups[i]
		fmt.Fprintf(b, "%-8s %6d  %s    %6.4f     %6.4f    %6.4f     %6.4f\n",
			cmp.Or(g.Lang, g.Domain, "–"), g.N, g.Interval, g.Coverage, g.Precision, g.Decisions[1].Coverage.Value, g.Decisions[2].Coverage.Value)
	}
}
