package intent

import (
	"math"
	"testing"
)

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
		tr, err := newTraining(t.Context(), m.head, m.corpus, all, o)
		if err != nil {
			t.Fatal(err)
		}
		clear(tr.weights)
		if err := tr.addDiscriminant(t.Context()); err != nil {
			t.Fatal(err)
		}
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
