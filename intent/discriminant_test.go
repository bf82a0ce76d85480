package intent

import (
	"math"
	"testing"
)

func TestSubstituteSolves(t *testing.T) {
	t.Parallel()
	// Of symmetric matrices only the lower half is read.
	a := []float64{4, 99, 99, 2, 5, 99, -1, 3, 6}
	want := []float32{1, -2, 3}
	b := []float32{4*1 + 2*-2 + -1*3, 2*1 + 5*-2 + 3*3, -1*1 + 3*-2 + 6*3}
	factor := factorize(a, 3)
	if factor == nil {
		t.Fatal("no factor")
	}
	x := make([]float32, 3)
	substitute(factor, b, x)
	for i := range want {
		if math.Abs(float64(x[i]-want[i])) > 1e-5 {
			t.Errorf("x = %v, want %v", x, want)
		}
	}
	if factorize([]float64{1, 0, 2, 1}, 2) != nil {
		t.Error("a matrix that is not positive definite has a factor")
	}
}

// TestDiscriminantHelpsTheFew: it moves the weights of packs with few questions an
// intent, and leaves those with many alone.
func TestDiscriminantHelpsTheFew(t *testing.T) {
	t.Parallel()
	lines := []labelled{
		{"where is my parcel", "track"},
		{"has the package left yet", "track"},
		{"when does the delivery come", "track"},
		{"give me my money back", "refund"},
		{"I want to be reimbursed", "refund"},
		{"refund the purchase", "refund"},
	}
	many := lines
	for range 60 {
		many = append(many, lines...)
	}
	for _, tc := range []struct {
		name  string
		lines []labelled
		moved bool
	}{{"few", lines, true}, {"many", many, false}} {
		m, err := newModel(t.Context(), bundleOf(tc.lines), openSmall(t, Options{}).base, 1)
		if err != nil {
			t.Fatal(err)
		}
		o := defaultHeadOptions()
		all := m.corpus.rows(func(int, *example) bool { return true })
		tr := newTraining(m.head, m.corpus, all, m.head.matrix(m.corpus, all), o)
		tr.addDiscriminant()
		moved := false
		for _, w := range tr.weights {
			moved = moved || w != 0
		}
		if moved != tc.moved {
			t.Errorf("%s: the weights have moved: %v", tc.name, moved)
		}
	}
}

// TestUnknownWordsLeanNowhere: an utterance of unknown words gets no confidence from
// the discriminant.
func TestUnknownWordsLeanNowhere(t *testing.T) {
	t.Parallel()
	m, err := newModel(t.Context(), bundleOf([]labelled{
		{"where is my parcel", "track"},
		{"when does the delivery come", "track"},
		{"give me my money back", "refund"},
		{"I want to be reimbursed", "refund"},
	}), openSmall(t, Options{}).base, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &scratch{}
	m.analyze(s, "zzqx")
	m.weigh(s)
	m.head.score(s)
	for k, v := range s.margins {
		if math.Abs(float64(v-m.head.bias[k])) > 0.2 {
			t.Errorf("class %d: margin %.3f, bias %.3f", k, v, m.head.bias[k])
		}
	}
}
