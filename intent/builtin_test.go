package intent

import (
	"math"
	"sync"
	"testing"
)

// builtin is a library of the built-in packs that the tests share, because
// training takes its time.
var builtin = sync.OnceValues(func() (*Library, error) { return Open(Options{}) })

func openBuiltin(t testing.TB) *Library {
	t.Helper()
	if raceDetector {
		t.Skip("training the built-in packs takes too long with the race detector")
	}
	l, err := builtin()
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l
}

// TestBuiltinPacksAreHonest holds the built-in packs to what a stated
// confidence promises, on questions the models have not seen, and to what
// docs/intent.md commits them to on their test lines.
func TestBuiltinPacksAreHonest(t *testing.T) {
	if testing.Short() {
		t.Skip("trains every built-in pack several times")
	}
	t.Parallel()
	l := openBuiltin(t)
	for _, tc := range []struct {
		pack               string
		accuracy, coverage float64 // of the folds, somewhat below what is measured; test lines are answered no less
	}{
		{"ecommerce", 0.82, 0.50},
		{"education", 0.83, 0.50},
	} {
		r, err := CrossValidate(t.Context(), l, []string{tc.pack})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name                string
			report              *EvalReport
			accuracy, precision float64 // at least
		}{
			{"folds", &r.Folds, tc.accuracy, 0.96},
			{"test lines", &r.Test, 0.90, 0.97}, // what the packs promise for visitors' own words
		} {
			part := c.report
			t.Logf("%s, %s: n %d, accuracy %.3f, macro F1 %.3f, coverage %.3f, precision %.3f, out of scope rejected %.3f",
				tc.pack, c.name, part.N, part.Accuracy, part.MacroF1, part.Coverage, part.Precision, part.OOSRejected)
			if part.Accuracy < c.accuracy {
				t.Errorf("%s, %s: accuracy %.3f, want at least %.2f", tc.pack, c.name, part.Accuracy, c.accuracy)
			}
			if part.Coverage < tc.coverage {
				t.Errorf("%s, %s: only %.3f are answered, want at least %.2f", tc.pack, c.name, part.Coverage, tc.coverage)
			}
			if part.Precision < c.precision {
				t.Errorf("%s, %s: of the answers given by itself only %.3f are right, want at least %.2f", tc.pack, c.name, part.Precision, c.precision)
			}
			for _, at := range part.Curve {
				if at.Threshold >= 0.8 && at.Coverage > 0.05 && at.Precision < at.Threshold-0.02 {
					t.Errorf("%s, %s: a stated confidence of %.2f is right in %.3f only", tc.pack, c.name, at.Threshold, at.Precision)
				}
			}
			if part.OOSRejected < 0.85 {
				t.Errorf("%s, %s: only %.3f of what is out of scope is not answered", tc.pack, c.name, part.OOSRejected)
			}
		}
		s := shipped()[r.Folds.Model]
		if s == nil {
			t.Fatalf("%s: nothing is shipped; see TestShippedEvaluationsAreFresh", tc.pack)
		}
		if e := s.Evaluation; !r.Standing.Proven || e.N != r.Standing.Questions || math.Abs(float64(e.Own.N-r.Standing.Answered)) > 50 {
			t.Errorf("%s: shipped are %d answers to %d questions, measured %+v; see TestShippedEvaluationsAreFresh", tc.pack, e.Own.N, e.N, r.Standing)
		}
	}
}

// TestBuiltinPacksDoNotClaimEachOthersQuestions looks for a question that an
// upper pack takes away from a lower one: among packs of one house that is a
// mistake.
func TestBuiltinPacksDoNotClaimEachOthersQuestions(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	c := l.now.Load().catalog
	for _, name := range []string{"ecommerce", "education"} {
		owner := map[string]string{}
		for _, k := range []*pack{c.builtin["common"], c.builtin[name]} {
			for _, in := range k.intents {
				for _, lang := range langs(in.ask) {
					for _, q := range in.ask[lang] {
						key := l.base.norm.canonical(q.text)
						if first := owner[key]; first != "" && first != in.id {
							t.Errorf("%s: the question of %s in %s also stands under %s", name, in.id, q.at.describe(), first)
						}
						owner[key] = in.id
					}
				}
			}
		}
	}
}

func TestBuiltinTitlesAreUnderstood(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	for _, name := range []string{"ecommerce", "education"} {
		b := l.bundle([]string{name})
		for _, topic := range b.topics {
			for _, lang := range langs(topic.title) {
				if topic.background {
					continue
				}
				if p := predict(t, l, []string{name}, topic.title[lang]); p.Best().Intent != topic.id {
					t.Errorf("%s: the title %q of %s is understood as %v", name, topic.title[lang], topic.id, p.Candidates)
				}
			}
		}
	}
}

func TestBuiltinPhrasesAreComplete(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	for _, name := range PhraseNames() {
		for _, lang := range []string{"zh", "en"} {
			if l.Phrase([]string{"education"}, name, lang) == "" {
				t.Errorf("phrase %s has no text in %s", name, lang)
			}
		}
	}
}

// TestFreshNodeIsSure: the built-in packs need no calibration at the first start.
func TestFreshNodeIsSure(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	for _, name := range []string{"ecommerce", "education"} {
		m, err := l.model(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		if _, hash := m.speaking(); hash != m.hash {
			t.Errorf("%s: a fresh node speaks as %s, want %s", name, hash, m.hash)
		}
	}
}
