package intent

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSurerIsStatedSurer: also where the surest predictions are wrong more often than
// their probabilities say.
func TestSurerIsStatedSurer(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(31, 37))
	var samples []sample
	for i := range 4000 {
		s := sample{weight: 1, fold: i % ordinaryFolds}
		s.evidence[evConstant] = 1
		s.evidence[evMargin] = random.NormFloat64() * 4
		s.right = random.Float64() < min(logistic(s.evidence[evMargin]), 0.93)
		samples = append(samples, s)
	}
	k := trainCalibrator(samples)
	before := float32(-1)
	for z := -12.0; z <= 14; z += 0.01 {
		p := float32(logistic(z))
		got := k.bend(p)
		if got < 0 || got > 1 || got < before || p > 0.5 && p < 0.999 && got == before {
			t.Fatalf("at a probability of %v %v is stated, below it %v", p, got, before)
		}
		before = got
	}
	if math.Abs(float64(before)-0.93) > 0.05 {
		t.Errorf("at most %v is stated; 0.93 are right", before)
	}
	if few := trainCalibrator(samples[:minAbove-1]); few.bend(0.9) != 0.9 {
		t.Errorf("a calibrator of few samples states %v for 0.9", few.bend(0.9))
	}
}

// TestUnknownQuestionsHaveTheirShare: questions of left-out intents stand in for what
// the background does not show.
func TestUnknownQuestionsHaveTheirShare(t *testing.T) {
	t.Parallel()
	share := unknownShare / (1 - unknownShare)
	for name, tc := range map[string]struct {
		background int
		leftOut    float64 // weight of all together
	}{
		"no background":   {0, share * 1000},
		"some background": {100, share*1000 - 100},
		"much background": {5000, share * 1000 / 2},
	} {
		c := &corpus{classes: []string{"known", "background"}, background: []bool{false, true}, examples: []example{{label: 0}, {label: 1}}}
		var held []heldOut
		for range 1000 {
			held = append(held, heldOut{row: 0}, heldOut{row: 0, leftOut: true})
		}
		for range tc.background {
			held = append(held, heldOut{row: 1})
		}
		known, background, leftOut := 0.0, 0.0, 0.0
		for i, s := range c.samples(held) {
			switch {
			case held[i].leftOut:
				leftOut += s.weight
			case held[i].row == 1:
				background += s.weight
			default:
				known += s.weight
			}
			if want := held[i].row == 0 && !held[i].leftOut; s.right != want {
				t.Fatalf("%s: %+v counts as right: %v", name, held[i], s.right)
			}
		}
		if known != 1000 || background != float64(tc.background) || math.Abs(leftOut-tc.leftOut) > 1e-6 {
			t.Errorf("%s: weights %v, %v, %v; want those left out to weigh %v", name, known, background, leftOut, tc.leftOut)
		}
	}
}
