package remote

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// engine is a built-in engine that always understands the same.
type engine struct {
	labels

	p   conversation.Prediction
	err error
}

func (e *engine) Predict(_ context.Context, _ *conversation.Utterance, p *conversation.Prediction) error {
	*p = e.p
	p.Candidates, p.Entities = slices.Clone(e.p.Candidates), slices.Clone(e.p.Entities)
	return e.err
}

func (e *engine) Thresholds(_ []string, intent string) (Thresholds, bool) {
	return Thresholds{Auto: 0.8, Suggest: 0.4, Margin: 0.1}, e.HasIntent(nil, intent)
}

func builtin() *engine {
	return &engine{labels: labels{"a", "b", "c", "d", "e", "f", "g", conversation.IntentTalkToHuman}, p: conversation.Prediction{
		Candidates: []conversation.Candidate{{Intent: "a", Confidence: 0.6}}, Lang: "en", Auto: 0.9, Suggest: 0.5, Model: "own", Nearest: "a?",
		Entities: []conversation.Entity{{Name: "order_no", Value: "4711", Start: 6, End: 10}},
	}}
}

func classify(t *testing.T, e *engine, k Calibration, result string) conversation.Prediction {
	t.Helper()
	b := serve(t, one(result))
	c, _ := client(t, b.URL, func(o *Options) { o.Labels, o.Foreign = e, ForeignDrop })
	var p conversation.Prediction
	u := conversation.Utterance{Text: "order 4711 or 22", Packs: []string{"shop"}}
	if err := NewClassifier(c, e, k).Predict(t.Context(), &u, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheBackendsAnswerCounts(t *testing.T) {
	t.Parallel()
	got := classify(t, builtin(), nil, `{"candidates":[
		{"intent":"zz","confidence":0.99},{"intent":"b","confidence":0.7},{"intent":"c","confidence":0.5},{"intent":"d","confidence":0.4},
		{"intent":"e","confidence":0.3},{"intent":"f","confidence":0.2},{"intent":"g","confidence":0.1}],
		"entities":[{"name":"order_no","value":"11","start":8,"end":10},{"name":"order_no","value":"22","start":14,"end":16},{"name":"mood","value":"x","start":0,"end":1}],
		"lang":"zh","anger":0.4,"new_field":1}`)
	want := conversation.Prediction{
		Candidates: []conversation.Candidate{{Intent: "b", Confidence: 0.7}, {Intent: "c", Confidence: 0.5}, {Intent: "d", Confidence: 0.4}, {Intent: "e", Confidence: 0.3}, {Intent: "f", Confidence: 0.2}},
		Entities:   []conversation.Entity{{Name: "order_no", Value: "4711", Start: 6, End: 10}, {Name: "order_no", Value: "22", Start: 14, End: 16}},
		Lang:       "zh", Auto: 0.8, Suggest: 0.4, Model: "http:m", Anger: 0.4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prediction (- want, + got)\n%s", diff)
	}
}

// The margin of the packs holds for the backend's confidences too.
func TestTheMarginHolds(t *testing.T) {
	t.Parallel()
	got := classify(t, builtin(), nil, `{"candidates":[{"intent":"b","confidence":0.95},{"intent":"c","confidence":0.9}]}`)
	if best := got.Best(); best.Confidence >= got.Auto+0.1 || best.Confidence < got.Candidates[1].Confidence {
		t.Errorf("best = %+v beside %+v, want it held back, not below the next", best, got.Candidates[1])
	}
	got = classify(t, builtin(), nil, `{"candidates":[{"intent":"b","confidence":0.85},{"intent":"c","confidence":0.77}]}`)
	if best := got.Best(); best.Confidence >= got.Auto {
		t.Errorf("best = %+v, want it below %v: the next is too near", best, got.Auto)
	}
}

// A visitor who asks for a human gets one, whatever the backend was taught.
func TestAHumanIsNeverOutvoted(t *testing.T) {
	t.Parallel()
	e := builtin()
	e.p.Candidates = []conversation.Candidate{{Intent: conversation.IntentTalkToHuman, Confidence: 0.7}}
	got := classify(t, e, nil, `{"candidates":[{"intent":"b","confidence":1}]}`)
	if got.Best().Intent != conversation.IntentTalkToHuman || got.Model != "own" {
		t.Errorf("prediction = %+v, want the built-in engine's", got)
	}
}

func TestFallingBack(t *testing.T) {
	t.Parallel()
	e := builtin()
	b := serve(t, func(w http.ResponseWriter, _ *http.Request, _ Request) { w.WriteHeader(http.StatusInternalServerError) })
	c, _ := client(t, b.URL)
	k := NewClassifier(c, e, nil)
	var p conversation.Prediction
	if err := k.Predict(t.Context(), &conversation.Utterance{Text: "x"}, &p); err != nil {
		t.Fatalf("Predict = %v, want the built-in engine's answer", err)
	}
	if diff := cmp.Diff(e.p, p); diff != "" {
		t.Errorf("prediction (- built-in, + got)\n%s", diff)
	}
	got := make(chan error, 1)
	k.ShadowAsync(t.Context(), &conversation.Utterance{Text: "x"}, func(_ *conversation.Prediction, err error) { got <- err })
	if err := <-got; !errors.Is(err, ErrFailed) {
		t.Errorf("ShadowAsync = %v, want the failure and no one else's answer", err)
	}
	e.err = conversation.ErrNotFound
	if err := k.Predict(t.Context(), &conversation.Utterance{Text: "x"}, &p); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("Predict with packs that are not loaded = %v", err)
	}
}

func TestNothingUnderstoodIsAnAnswer(t *testing.T) {
	t.Parallel()
	got := classify(t, builtin(), nil, `{"candidates":[]}`)
	if len(got.Candidates) != 0 || got.Model != "http:m" || len(got.Entities) != 1 {
		t.Errorf("prediction = %+v, want the backend's silence with the packs' entities", got)
	}
}

func TestCalibrationIsApplied(t *testing.T) {
	t.Parallel()
	k, err := ParseCalibration([]string{"0.5:0.2", "0.9:0.6"})
	if err != nil {
		t.Fatal(err)
	}
	got := classify(t, builtin(), k, `{"candidates":[{"intent":"b","confidence":0.9},{"intent":"c","confidence":0.7}]}`)
	if c := got.Candidates; c[0].Confidence != 0.6 || math.Abs(float64(c[1].Confidence)-0.4) > 1e-6 {
		t.Errorf("candidates = %+v, want 0.6 and 0.4", c)
	}
}

func TestParseCalibration(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]string{{"x"}, {"0.5"}, {"0.5:2"}, {"-1:0"}, {"NaN:0.1"}, {"0.5:0.5", "0.5:0.6"}, {"0.5:0.5", "0.6:0.4"}, make([]string, 33)} {
		if k, err := ParseCalibration(bad); err == nil {
			t.Errorf("ParseCalibration(%q) = %v, want an error", bad, k)
		}
	}
	k, err := ParseCalibration([]string{"0.1:0", "0.5:0.5"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseCalibration(k.Strings())
	if diff := cmp.Diff(k, again); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
}

// An overconfident backend is brought down to what it gets right, in a line that
// never falls and stays between 0 and 1.
func TestFitLearnsTheRealShares(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var samples []Sample
	for range 4000 {
		x := r.Float64()
		samples = append(samples, Sample{Stated: float32(x), Right: r.Float64() < x*x})
	}
	k := Fit(samples)
	if _, err := ParseCalibration(k.Strings()); err != nil {
		t.Fatalf("the fitted points are no calibration: %v", err)
	}
	last := float32(0)
	for x := float32(0); x <= 1; x += 0.01 {
		y := k.Apply(x)
		if y < last || y > 1 {
			t.Fatalf("Apply(%v) = %v after %v", x, y, last)
		}
		last = y
		if x > 0.1 && x < 0.95 && math.Abs(float64(y-x*x)) > 0.12 {
			t.Errorf("Apply(%v) = %v, the real share is %v", x, y, x*x)
		}
	}
	if Fit(samples[:39]) != nil {
		t.Error("a calibration from 39 samples, want none")
	}
	var perfect []Sample
	for range 50 {
		perfect = append(perfect, Sample{Stated: 1, Right: true})
	}
	if got := Fit(perfect).Apply(1); got < 0.9 || got >= 1 {
		t.Errorf("50 right answers out of 50 state %v, want nearly 1 and not all of it", got)
	}
}
