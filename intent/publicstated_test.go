package intent

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// shareOf writes a share in percent, with its 95 % interval.
func shareOf(k, n int) string {
	r := rateOf(k, n)
	return fmt.Sprintf("%.1f (%.1f–%.1f)", 100*r.Value, 100*r.Low, 100*r.High)
}

// answersAt writes how much of what is in scope is answered at a threshold, and how
// much of all answers is right.
func answersAt(lines []judged, at float32, inScope int) string {
	covered, right, all := atThreshold(lines, func(j *judged) bool { return j.got != "" && j.confidence >= at })
	return "answers " + shareOf(covered, inScope) + ", right " + shareOf(right, all)
}

// promisedMore gives the stated confidences from which more than three points are
// missing, where at least one in twenty of what is in scope is answered.
func promisedMore(r *EvalReport) []CurvePoint {
	var out []CurvePoint
	for _, c := range r.Curve {
		if c.Threshold >= 0.8 && c.Coverage > 0.05 && c.Precision < c.Threshold-0.03 {
			out = append(out, c)
		}
	}
	return out
}

// logChosen reports what is answered at thresholds that were chosen without the lines: on
// the training questions in folds. What the model does not know takes part as questions of
// intents that were left out. They count for as much as the calibrator takes for unknown,
// for the share that the lines have, or for nothing, as in plain cross-validation.
func logChosen(t *testing.T, m *model, lines []judged, inScope int) {
	t.Helper()
	held, err := m.crossFit(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := m.judgeHeld(held), m.judgeUnknown(held)
	for _, share := range []float64{unknownShare, 1 - ratio(inScope, len(lines)), 0} {
		weight := share / (1 - share) * ratio(len(known), len(unknown))
		for _, precision := range []float64{0.9, 0.95} {
			at := weightedThreshold(known, unknown, weight, precision)
			t.Logf("  threshold of the folds with %.2f unknown, for %.2f (%.3f): %s", share, precision, at, answersAt(lines, at, inScope))
		}
	}
}

// TestMultiDoGOTurns takes the conversations apart into turns, of which at least three
// quarters are out of scope, and holds what was stated against what was right. A bot may
// promise too much only where it would not answer by itself: where the pack's own
// questions do not prove the threshold.
func TestMultiDoGOTurns(t *testing.T) {
	dir := publicData(t)
	for _, each := range []int{5, 20, 0} {
		for _, domain := range []string{"insurance", "finance", "software", "media", "airline", "fastfood"} {
			t.Run(fmt.Sprintf("%s, %d each", domain, each), func(t *testing.T) {
				train := readDialogues(t, dir, domain, "train")
				lines := mostOf(train)
				if each > 0 {
					lines = fewOf(train, each)
				}
				m := trained(t, bundleOf(lines, smallTalk...))
				r := logTurns(t, m, slices.Concat(readDialogues(t, dir, domain, "test")...))
				evaluation := &m.proof.Load().evaluation
				for _, c := range promisedMore(&r) {
					a, stated := evaluation.answers(float32(c.Threshold))
					if a.proven(stated) {
						t.Errorf("a stated confidence of %.2f is right in %.3f only", c.Threshold, c.Precision)
						continue
					}
					t.Logf("  a stated confidence of %.2f is right in %.3f only, but the %d answers to %d questions in folds do not prove it",
						c.Threshold, c.Precision, a.N, evaluation.N)
				}
			})
		}
	}
}

// logTurns reports how turns were understood. Small talk is out of scope.
func logTurns(t *testing.T, m *model, turns []labelled) EvalReport {
	t.Helper()
	began := time.Now()
	lines := judgeAll(m, turns)
	took := time.Since(began)
	for i := range lines {
		if slices.Contains(smallTalk, lines[i].want) {
			lines[i].want = OutOfScope
		}
	}
	return logSet(t, "turns", lines, took)
}
