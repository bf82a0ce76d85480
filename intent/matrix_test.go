package intent

import (
	"slices"
	"testing"
)

// matrixOf makes the training of a model over all its questions again.
func matrixOf(t *testing.T, lines []labelled) *training {
	t.Helper()
	m, err := newModel(t.Context(), bundleOf(lines), openSmall(t, Options{}).base, 1)
	if err != nil {
		t.Fatal(err)
	}
	all := m.corpus.rows(func(int, *example) bool { return true })
	tr, err := newTraining(t.Context(), m.head, m.corpus, all, defaultHeadOptions())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestMatrixIsWhole: every feature of a question is in its row or alone, rows are of
// length one, and what most rows have comes first.
func TestMatrixIsWhole(t *testing.T) {
	t.Parallel()
	tr := matrixOf(t, []labelled{
		{"where is my parcel", "track"},
		{"when does my parcel come", "track"},
		{"give me my money back", "refund"},
		{"I want to be reimbursed", "refund"},
		{"zzqx", "nothing"},
	})
	held := make([]int, len(tr.own))
	for row := range tr.rows {
		index, value, _ := tr.matrix.row(int32(row))
		sum := tr.matrix.lone[row]
		got := []int32{}
		for k, f := range index {
			held[f]++
			sum += value[k] * value[k]
			got = append(got, tr.own[f])
		}
		for _, s := range tr.singles {
			if s.at == int32(row) {
				got = append(got, s.feature)
			}
		}
		want := slices.Clone(tr.corpus.features[row].ids)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || sum < 0.999 || sum > 1.001 {
			t.Errorf("row %d has the features %v of length %v, want %v of length 1", row, got, sum, want)
		}
	}
	for f, n := range held {
		if n < 2 || f > 0 && n > held[f-1] {
			t.Errorf("feature %d is in %d rows, the one before in %v", f, n, held[max(f-1, 0)])
		}
	}
}

// TestNothingToTrainOn: packs may hold no question, or only one.
func TestNothingToTrainOn(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]labelled{nil, {{"where is my parcel", "track"}}} {
		if tr := matrixOf(t, lines); len(tr.own) != 0 || len(tr.matrix.index) != 0 {
			t.Errorf("%d questions have %d features in common", len(lines), len(tr.own))
		}
	}
}
