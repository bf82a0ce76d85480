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
// confidence promises, on questions the models have not seen.
func TestBuiltinPacksAreHonest(t *testing.T) {
	if testing.Short() {
		t.Skip("trains every built-in pack several times")
	}
	t.Parallel()
	l := openBuiltin(t)
	for _, tc := range []struct {
		pack               string
		accuracy, coverage float64 // of the folds, somewhat below what is measured
	}{
		{"ecommerce", 0.82, 0.50},
		{"education", 0.83, 0.50},
	} {
		r, err := CrossValidate(t.Context(), l, []string{tc.pack})
		if err != nil {
			t.Fatal(err)
		}
		for name, part := range map[string]*EvalReport{"folds": &r.Folds, "test lines": &r.Test} {
			t.Logf("%s, %s: n %d, accuracy %.3f, macro F1 %.3f, coverage %.3f, precision %.3f, out of scope rejected %.3f",
				tc.pack, name, part.N, part.Accuracy, part.MacroF1, part.Coverage, part.Precision, part.OOSRejected)
			if part.Precision < 0.90 {
				t.Errorf("%s, %s: of the answers given by itself only %.3f are right", tc.pack, name, part.Precision)
			}
			for _, c := range part.Curve {
				if c.Threshold >= 0.8 && c.Coverage > 0.05 && c.Precision < c.Threshold-0.02 {
					t.Errorf("%s, %s: a stated confidence of %.2f is right in %.3f only", tc.pack, name, c.Threshold, c.Precision)
				}
			}
			if part.OOSRejected < 0.85 {
				t.Errorf("%s, %s: only %.3f of what is out of scope is not answered", tc.pack, name, part.OOSRejected)
			}
		}
		s := shipped()[r.Folds.Model]
		if s == nil {
			t.Fatalf("%s: nothing is shipped; see TestShippedEvaluationsAreFresh", tc.pack)
		}
		if e := s.Evaluation; !r.Standing.Proven || e.N != r.Standing.Questions || math.Abs(float64(e.Own.N-r.Standing.Answered)) > 50 {
			t.Errorf("%s: shipped are %d answers to %d questions, measured %+v; see TestShippedEvaluationsAreFresh", tc.pack, e.Own.N, e.N, r.Standing)
		}
		if r.Folds.Accuracy < tc.accuracy || r.Folds.Coverage < tc.coverage {
			t.Errorf("%s: accuracy %.3f and coverage %.3f, want at least %.2f and %.2f",
				tc.pack, r.Folds.Accuracy, r.Folds.Coverage, tc.accuracy, tc.coverage)
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
