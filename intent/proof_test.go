package intent

import (
	"encoding/json"
	goflag "flag"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

var rewriteEvaluations = goflag.Bool("rewrite", false, "measure the built-in packs anew and write calibrators.json")

// TestShippedEvaluationsAreFresh: a node without a calibrator of its own takes
// the shipped one, so it must be that of exactly these packs and this trainer.
func TestShippedEvaluationsAreFresh(t *testing.T) {
	l, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"common", "ecommerce", "education"}
	if *rewriteEvaluations {
		out := map[string]*storedCalibrator{}
		for _, name := range names {
			m, err := l.model(t.Context(), []string{name})
			if err != nil {
				t.Fatal(err)
			}
			held, err := m.crossFit(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			e := m.evaluate(held)
			out[m.hash] = m.stored(m.learn(held), &e)
		}
		raw, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("calibrators.json", append(raw, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(shipped()) != len(names) {
		t.Errorf("calibrators.json holds %d packs, want %d", len(shipped()), len(names))
	}
	for _, name := range names {
		b := l.bundle([]string{name})
		s := shipped()[b.hash]
		if s == nil || !s.usable() {
			t.Errorf("the evaluation of pack %s is stale: run go test ./intent -run ShippedEvaluations -rewrite", name)
			continue
		}
		if a, stated := s.Evaluation.answers(0); !a.proven(stated) {
			t.Errorf("pack %s is not proven: %+v at %.3f", name, a, stated)
		}
	}
}

func TestProven(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers Answers
		want    bool
	}{
		"good":                       {Answers{N: 3012, Right: 2916, Mixed: 0.93}, true},
		"nothing":                    {Answers{}, false},
		"less than promised":         {Answers{N: 3012, Right: 2700, Mixed: 0.93}, false},
		"few, all right":             {Answers{N: 26, Right: 26, Mixed: 0.95}, true},
		"too few, all right":         {Answers{N: 25, Right: 25, Mixed: 0.95}, false},
		"good, but not with unknown": {Answers{N: 3012, Right: 2916, Mixed: 0.86}, false},
		"just so":                    {Answers{N: 2000, Right: 1800, Mixed: 0.9}, true},
	} {
		if got := tc.answers.proven(0.9); got != tc.want {
			t.Errorf("%s: proven = %v", name, got)
		}
	}
	if lower, upper := wilson(90, 100); math.Abs(lower-0.826) > 0.001 || math.Abs(upper-0.945) > 0.001 {
		t.Errorf("wilson(90, 100) = %.4f, %.4f", lower, upper)
	}
	if lower, upper := wilson(0, 0); lower != 0 || upper != 1 {
		t.Errorf("wilson(0, 0) = %v, %v", lower, upper)
	}
}

func TestThresholdOfAnInbox(t *testing.T) {
	t.Parallel()
	e := Evaluation{Own: Answers{N: 7}, Stated: 0.9}
	for i := range proofSteps {
		e.At = append(e.At, Answers{N: 100 + i})
	}
	for auto, want := range map[float32]int{0: 7, 0.5: 100, 0.9: 140, 0.905: 141, 0.95: 145, 0.99: 149, 1: 149, 0.2: 100} {
		if a, _ := e.answers(auto); a.N != want {
			t.Errorf("answers(%v) are those of row %d, want %d", auto, a.N-100, want-100)
		}
	}
}

func TestStandingSaysWhy(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	packs := []string{"shop"}
	says := func(auto float32, proven bool, word string) {
		t.Helper()
		s := l.Standing("a", packs, auto)
		if s.Proven != proven || !strings.Contains(s.Reason, word) {
			t.Errorf("Standing = %+v, want proven %v for %q", s, proven, word)
		}
		var p conversation.Prediction
		if err := l.Predict(t.Context(), &conversation.Utterance{Inbox: "a", Text: "x y z", Packs: packs, Auto: auto}, &p); err != nil {
			t.Fatal(err)
		}
		if p.Unproven == proven {
			t.Errorf("the prediction says unproven %v, Standing says proven %v", p.Unproven, proven)
		}
	}
	says(0, false, "being measured")
	m, err := l.model(t.Context(), packs)
	if err != nil {
		t.Fatal(err)
	}
	set := func(a Answers) {
		e := Evaluation{N: 1000, Stated: 0.9, Own: a}
		for range proofSteps {
			e.At = append(e.At, Answers{N: 10, Right: 4, Mixed: 0.3})
		}
		m.proof.Store(&proof{evaluation: e})
	}
	set(Answers{N: 800, Right: 776, Mixed: 0.95})
	says(0, true, "97.0 % of 800 answers to 1000 held-out questions")
	says(0.7, false, "70.0 % is promised")
	set(Answers{N: 800, Right: 700, Mixed: 0.95})
	says(0, false, "90.0 % is promised")
	set(Answers{N: 20, Right: 20, Mixed: 0.95})
	says(0, false, "too few")
	set(Answers{N: 800, Right: 776, Mixed: 0.8})
	says(0, false, "unknown")
	set(Answers{})
	says(0, false, "none of 1000")
	m.proof.Store(&proof{evaluation: Evaluation{N: 12}})
	says(0, false, "too few to be measured")

	// Judged answers that are wrong however sure the bot was: no correction helps.
	set(Answers{N: 800, Right: 776, Mixed: 0.95})
	var tally Tally
	for i := range 400 {
		tally.Add(Outcome{Confidence: 0.999, Right: i%3 == 0, Weight: 1})
		tally.Add(Outcome{Confidence: 0.6, Right: true, Weight: 1})
	}
	l.Learn("a", packs, tally)
	says(0, false, "judged answers")
	l.Learn("a", packs, Tally{})
	says(0, true, "97.0 %")
}

// TestProofOfAnEarlierRunHolds: changed packs answer by what was measured of
// them before, until they are measured again.
func TestProofOfAnEarlierRunHolds(t *testing.T) {
	t.Parallel()
	cache, packs := t.TempDir(), []string{"shop"}
	l := openSmall(t, Options{Cache: cache})
	if err := l.Prepare(t.Context(), packs); err != nil {
		t.Fatal(err)
	}
	first := l.Standing("", packs, 0)
	if !first.Measured || first.Earlier {
		t.Fatalf("Standing = %+v after calibration", first)
	}
	m := l.now.Load().model(packs)
	b := *m.bundle
	b.hash = "another"
	changed, err := l.train(t.Context(), &b, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := changed.proof.Load()
	if p == nil || !p.earlier || p.evaluation.Own != m.proof.Load().evaluation.Own {
		t.Errorf("the changed packs stand on %+v", p)
	}
	b.packs = []string{"shop", "other"}
	if other, err := l.train(t.Context(), &b, nil); err != nil || other.proof.Load() != nil {
		t.Errorf("other packs stand on %+v, %v", other.proof.Load(), err)
	}
}
