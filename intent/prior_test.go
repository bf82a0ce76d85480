package intent

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// traffic makes predictions of a bot: a share of the questions is unknown, and
// looks less convincing on average than what the bot gets right.
type traffic struct {
	rng     *rand.Rand
	unknown float64
}

func (w *traffic) next() sample {
	s := sample{weight: 1, fold: w.rng.IntN(ordinaryFolds), right: w.rng.Float64() >= w.unknown}
	mean := -0.4
	if s.right {
		mean = 1.3
	}
	s.evidence[evMargin] = mean + w.rng.NormFloat64()
	s.evidence[evGap] = 0.5*s.evidence[evMargin] + 0.5*w.rng.NormFloat64()
	s.evidence[evConstant] = 1
	return s
}

// realised gives the precision of what a bot with a shift would answer by
// itself, and how much that is of all.
func realised(k *calibrator, w *traffic, shift float64) (precision, coverage float64) {
	const n = 40_000
	right, answered := 0, 0
	for range n {
		s := w.next()
		if k.corrected(&s.evidence, shift) < 0.9 {
			continue
		}
		answered++
		if s.right {
			right++
		}
	}
	return float64(right) / float64(answered), float64(answered) / n
}

// TestShiftMeetsWhatTheInboxGets: the calibrator was trained for one quarter of
// unknown questions and the inbox gets seven in ten. What it states as 0.9 is far
// less at first, and after some hundreds of judgements it is 0.9 again.
func TestShiftMeetsWhatTheInboxGets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		train := &traffic{rng: rand.New(rand.NewPCG(seed, 1)), unknown: unknownShare}
		var samples []sample
		for range 4000 {
			samples = append(samples, train.next())
		}
		k := trainCalibrator(samples)
		if p, _ := realised(k, train, 0); p < 0.89 {
			t.Fatalf("seed %d: 0.9 is %.3f on what the calibrator was trained for", seed, p)
		}
		live := &traffic{rng: rand.New(rand.NewPCG(seed, 2)), unknown: 0.7}
		before, _ := realised(k, live, 0)
		if before > 0.8 {
			t.Fatalf("seed %d: 0.9 is %.3f before anything is learned: the test shows nothing", seed, before)
		}
		var tally Tally
		shift, judged := 0.0, 0
		for came := 0; judged < 600; came++ {
			if came > 300_000 {
				t.Fatalf("seed %d: silent after %d judgements, with a shift of %.2f", seed, judged, shift)
			}
			s := live.next()
			plain, stated := k.probability(&s.evidence), k.corrected(&s.evidence, shift)
			// Some of what the bot answers by itself is judged. Where it asks back,
			// some visitors press a button, which says whether it was right.
			o := Outcome{Confidence: plain, Right: s.right, Weight: 1}
			switch told := live.rng.Float64(); {
			case stated >= 0.9 && told < 0.4:
			case stated >= 0.5 && told < 0.2:
				o.Weight = 0.5
			default:
				continue
			}
			tally.Add(o)
			shift = tally.Shift()
			judged++
		}
		after, coverage := realised(k, live, tally.Shift())
		t.Logf("seed %d: stated 0.9 is %.3f before, %.3f after 600 judgements (shift %.2f, %.1f %% answered)",
			seed, before, after, tally.Shift(), 100*coverage)
		if after < 0.9 {
			t.Errorf("seed %d: stated 0.9 is %.3f after 600 judgements", seed, after)
		}
		if coverage < 0.02 {
			t.Errorf("seed %d: only %.3f is answered: the bot has fallen silent", seed, coverage)
		}
	}
}

// TestShiftLeavesAGoodCalibratorAlone: where stated and real precision agree
// already, judgements hardly move it.
func TestShiftLeavesAGoodCalibratorAlone(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var tally Tally
	for range 800 {
		p := 0.7 + 0.29*rng.Float64()
		tally.Add(Outcome{Confidence: float32(p), Right: rng.Float64() < p, Weight: 1})
	}
	if s := tally.Shift(); math.Abs(s) > 0.25 {
		t.Errorf("Shift() = %.2f with judgements that agree", s)
	}
}

func TestFewJudgementsMoveLittle(t *testing.T) {
	t.Parallel()
	if s := (&Tally{}).Shift(); s != 0 {
		t.Errorf("Shift() = %v of nothing", s)
	}
	shift := func(right, wrong int, weight float64) float64 {
		var tally Tally
		for range right {
			tally.Add(Outcome{Confidence: 0.95, Right: true, Weight: weight})
		}
		for range wrong {
			tally.Add(Outcome{Confidence: 0.95, Weight: weight})
		}
		return tally.Shift()
	}
	if s := shift(0, 1, 1); s > -0.2 || s < -0.6 {
		t.Errorf("one wrong answer shifts by %.2f", s)
	}
	if a, b := shift(0, 1, 0.5), shift(0, 1, 1); a <= b {
		t.Errorf("a weak sign shifts by %.2f, a strong one by %.2f", a, b)
	}
	if s := shift(3, 0, 1); s != 0 {
		t.Errorf("three right answers lift by %.2f", s)
	}
	if s := shift(100_000, 0, 1); s > shiftUp {
		t.Errorf("praise lifts by %.2f, over the bound", s)
	}
	if s := shift(0, 100_000, 1); s > -3 || s < shiftDown || math.IsNaN(s) {
		t.Errorf("nothing but wrong answers shifts by %.2f", s)
	}
}

func TestTallyLeavesOut(t *testing.T) {
	t.Parallel()
	var tally Tally
	for _, o := range []Outcome{
		{Confidence: 0.49, Right: true, Weight: 1},
		{Confidence: float32(math.NaN()), Weight: 1},
		{Confidence: 0.9, Weight: 0},
		{Confidence: 0.9, Weight: -1},
		{Confidence: 0.9, Weight: math.NaN()},
	} {
		tally.Add(o)
	}
	if tally != (Tally{}) {
		t.Errorf("counted what says nothing: %+v", tally)
	}
	tally.Add(Outcome{Confidence: 1, Right: true, Weight: 1})
	tally.Add(Outcome{Confidence: 7, Weight: 1}) // cut, not a crash
	if right, wrong := tally.total(); right != 1 || wrong != 1 {
		t.Errorf("total() = %v, %v", right, wrong)
	}
}

// TestPredictionsFollowWhatIsLearned: the correction belongs to one inbox and one
// combination of packs, keeps the order of the candidates, and names the
// confidence as it was.
func TestPredictionsFollowWhatIsLearned(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	packs := []string{"shop"}
	ask := func(inbox conversation.InboxID) conversation.Prediction {
		t.Helper()
		var p conversation.Prediction
		u := conversation.Utterance{Inbox: inbox, Text: "什么时候发货", Packs: packs}
		if err := l.Predict(t.Context(), &u, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := ask("a")
	if before.Raw <= 0.5 {
		t.Fatalf("Raw = %v", before.Raw)
	}
	var tally Tally
	for range 200 {
		tally.Add(Outcome{Confidence: 0.9, Weight: 1})
	}
	l.Learn("a", packs, tally)
	after := ask("a")
	if after.Best().Intent != before.Best().Intent || after.Best().Confidence >= before.Best().Confidence || after.Raw != before.Raw {
		t.Errorf("after 200 wrong answers: %+v raw %v, before %+v", after.Best(), after.Raw, before.Best())
	}
	if other := ask("b"); other.Best() != before.Best() {
		t.Errorf("inbox b follows the judgements of inbox a: %+v", other.Best())
	}
	if l.Shift("a", []string{"others"}) != 0 {
		t.Error("judgements hold for packs that the inbox had not")
	}
}
