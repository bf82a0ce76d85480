package intent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Numbers of what a report lists.
const (
	maxWorst        = 10
	maxClashes      = 12
	maxTwins        = 20
	maxMissedTests  = 20
	maxPointers     = 50
	twinAlike       = 0.80 // cosine from which two questions nearly say the same
	sameAlike       = 0.92 // and from which they do
	minPrecisionOf  = 20   // answers that a statement about precision rests on
	statedPrecision = 0.95
)

// TestOptions say how packs are tested.
type TestOptions struct {
	Packs        []string
	MinQuestions int // below which an intent has too few in a language; zero means 10
}

// PackReport says how well packs tell their own questions apart, and what
// stands in the way.
type PackReport struct {
	Packs     []string       `json:"packs"`
	Model     string         `json:"model"`
	Intents   int            `json:"intents"`
	Questions map[string]int `json:"questions"` // by language
	Folds     EvalReport     `json:"folds"`     // every question, predicted by models that have not seen it
	Tests     EvalReport     `json:"tests"`     // the test lines, predicted by the whole model
	At95      Target         `json:"at_95"`
	Targets   []Target       `json:"targets"`
	Worst     []IntentScore  `json:"worst"`
	Clashes   []Clash        `json:"clashes"` // pairs of intents that are mixed up, worst first
	Twins     []Twin         `json:"near_duplicates"`
	Pointers  []Pointer      `json:"contradictions"`
	Thin      []ThinIntent   `json:"too_few_questions"`
	Missed    []MissedTest   `json:"missed_tests"`
}

// Target says what a wanted precision costs: with the threshold at which it is
// kept on the packs' own questions, how many of them would be answered.
type Target struct {
	Precision float64 `json:"precision"`
	Reached   bool    `json:"reached"`
	Threshold float64 `json:"threshold"`
	Answered  Rate    `json:"answered"` // of the questions in scope
	Kept      Rate    `json:"kept"`     // the precision on these questions
	Unknown   Rate    `json:"unknown"`  // answered, and wrongly, of questions about what the packs do not know
}

// Clash is a pair of intents that is mixed up, with what to look at.
type Clash struct {
	A        string   `json:"a"`
	B        string   `json:"b"`
	AAsB     int      `json:"a_as_b"` // questions of a that were taken for b
	BAsA     int      `json:"b_as_a"`
	Alike    *Twin    `json:"alike,omitempty"` // the two questions that are most alike
	Examples []string `json:"examples"`        // questions that were mixed up
}

// Twin is a pair of questions of different intents that are spelled alike.
type Twin struct {
	A         string  `json:"a"`
	B         string  `json:"b"`
	QuestionA string  `json:"question_a"`
	QuestionB string  `json:"question_b"`
	AtA       string  `json:"at_a"` // file and line
	AtB       string  `json:"at_b"`
	Alike     float64 `json:"alike"` // 0 to 1
}

// Pointer is something in the packs that contradicts itself.
type Pointer struct {
	At   string `json:"at"`
	What string `json:"what"`
	Why  string `json:"why"`
}

// ThinIntent is an intent with too few questions in a language.
type ThinIntent struct {
	Intent    string `json:"intent"`
	Lang      string `json:"lang"`
	Questions int    `json:"questions"`
}

// MissedTest is a test line that was not understood as it should be.
type MissedTest struct {
	Want       string  `json:"want"`
	Got        string  `json:"got"`
	Confidence float64 `json:"confidence"`
	Question   string  `json:"question"`
}

// TestPacks cross-validates packs and looks for what an operator can mend.
// Errors: class [conversation.ErrNotFound] for a pack that is not loaded.
func TestPacks(ctx context.Context, l *Library, o TestOptions) (*PackReport, error) {
	m, held, err := l.holdOut(ctx, o.Packs)
	if err != nil {
		return nil, err
	}
	lines, tests := m.judgeHeld(held), m.judgeTests()
	r := &PackReport{
		Packs: o.Packs, Model: m.hash, Questions: map[string]int{}, Folds: newEvalReport(lines), Tests: newEvalReport(tests),
		Missed: missedTests(tests), Thin: m.bundle.thin(cmp.Or(o.MinQuestions, 10)),
	}
	r.Folds.Packs, r.Folds.Model, r.Tests.Packs, r.Tests.Model = o.Packs, m.hash, o.Packs, m.hash
	for _, t := range m.bundle.topics {
		if !t.background {
			r.Intents++
		}
		for _, q := range t.ask {
			r.Questions[q.lang]++
		}
	}
	unknown := m.judgeUnknown(held)
	for _, p := range []float64{0.80, 0.85, 0.90, statedPrecision, 0.97, 0.98, 0.99} {
		t := targetOf(p, lines, unknown)
		if r.Targets = append(r.Targets, t); p == statedPrecision {
			r.At95 = t
		}
	}
	r.Worst = worst(r.Folds.Intents)
	x := newSpellings(m)
	r.Clashes = x.clashes(lines)
	r.Twins = x.twins()
	r.Pointers = slices.Concat(m.bundle.contested, x.leaks(), m.bundle.sameAnswers())
	r.Pointers = r.Pointers[:min(len(r.Pointers), maxPointers)]
	return r, ctx.Err()
}

func worst(scores []IntentScore) []IntentScore {
	out := slices.Clone(scores)
	slices.SortStableFunc(out, func(a, b IntentScore) int { return cmp.Compare(a.F1, b.F1) })
	return out[:min(len(out), maxWorst)]
}

// targetOf finds the lowest threshold above which the answers are right as
// often as wanted.
func targetOf(precision float64, lines, unknown []judged) Target {
	t := Target{Precision: precision, Kept: rateOf(0, 0)}
	inScope := 0
	var sorted []*judged
	for i := range lines {
		if lines[i].want != OutOfScope {
			inScope++
		}
		if lines[i].got != "" {
			sorted = append(sorted, &lines[i])
		}
	}
	slices.SortStableFunc(sorted, func(a, b *judged) int { return cmp.Compare(b.confidence, a.confidence) })
	right, covered, bestCovered := 0, 0, 0
	for i, j := range sorted {
		if j.want != OutOfScope {
			covered++
		}
		if j.got == j.want {
			right++
		}
		last := i+1 == len(sorted) || sorted[i+1].confidence < j.confidence
		if last && i+1 >= minPrecisionOf && float64(right) >= precision*float64(i+1) {
			t.Reached, t.Threshold, t.Kept, bestCovered = true, float64(j.confidence), rateOf(right, i+1), covered
		}
	}
	t.Answered = rateOf(bestCovered, inScope)
	wrongly := 0
	for i := range unknown {
		if t.Reached && unknown[i].got != "" && float64(unknown[i].confidence) >= t.Threshold {
			wrongly++
		}
	}
	t.Unknown = rateOf(wrongly, len(unknown))
	return t
}

func missedTests(tests []judged) []MissedTest {
	var out []MissedTest
	for i := range tests {
		j := &tests[i]
		if j.got == j.want || j.want == OutOfScope && !j.answered() {
			continue
		}
		out = append(out, MissedTest{Want: j.want, Got: j.got, Confidence: float64(j.confidence), Question: j.text})
	}
	slices.SortStableFunc(out, func(a, b MissedTest) int { return cmp.Compare(b.Confidence, a.Confidence) })
	return out[:min(len(out), maxMissedTests)]
}

// thin lists intents with fewer questions than wanted in a language that the
// packs have.
func (b *bundle) thin(want int) []ThinIntent {
	var out []ThinIntent
	for _, t := range b.topics {
		if t.background {
			continue
		}
		n := map[string]int{}
		for _, q := range t.ask {
			n[q.lang]++
		}
		for _, lang := range b.langs {
			if n[lang] < want {
				out = append(out, ThinIntent{Intent: t.id, Lang: lang, Questions: n[lang]})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b ThinIntent) int { return cmp.Compare(a.Questions, b.Questions) })
	return out
}

// sameAnswers finds intents that are told apart for nothing.
func (b *bundle) sameAnswers() []Pointer {
	first := map[string]*topic{}
	var out []Pointer
	for _, t := range b.topics {
		for _, lang := range langs(t.answer) {
			key := lang + "\x00" + strings.TrimSpace(t.answer[lang])
			if one := first[key]; one != nil {
				out = append(out, Pointer{
					At: t.at.describe(), What: t.answer[lang],
					Why: fmt.Sprintf("intents %s and %s have the same answer (%s): can they be one?", one.id, t.id, lang),
				})
				continue
			}
			first[key] = t
		}
	}
	return out
}
