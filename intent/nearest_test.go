package intent

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomRows makes rows of some features each. Many rows are alike, and some are the
// same.
func randomRows(random *rand.Rand, rows, features int) *sparse {
	x := &sparse{start: []int32{0}}
	for range rows {
		for f := range features {
			if random.IntN(3) == 0 {
				x.index, x.value = append(x.index, int32(f)), append(x.value, float32(1+random.IntN(2))/4)
			}
		}
		x.start = append(x.start, int32(len(x.index)))
	}
	return x
}

// TestNearestRow: similarities are inner products, counterexamples are like nothing,
// and the best row is the first with the highest similarity, wherever it stands.
func TestNearestRow(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 5))
	const features = 6
	for _, rows := range []int{1, 2, 7, 20} {
		for range 300 {
			x := randomRows(random, rows, features)
			counters := make([]bool, rows)
			for i := range counters {
				counters[i] = random.IntN(8) == 0
			}
			n := newNearest(x, features, func(row int) bool { return counters[row] })
			s := &scratch{}
			only := weighed{at: random.Int32N(int32(rows)), value: float32(random.IntN(3)) / 8}
			s.singles = append(s.singles, only)
			for f := range int32(features) {
				if random.IntN(2) == 0 {
					s.rows, s.weighed = append(s.rows, f), append(s.weighed, float32(random.IntN(5))/8)
				}
			}
			s.rows, s.weighed = append(s.rows, features), append(s.weighed, 1) // the dense part
			got := n.compare(s)
			for row := range rows {
				want := 0.0
				if !counters[row] {
					want = product(x, s, int32(row))
					if int32(row) == only.at {
						want += float64(only.value)
					}
				}
				if math.Abs(float64(s.similar[row])-want) > 1e-4 {
					t.Fatalf("row %d is similar by %v, want %v", row, s.similar[row], want)
				}
			}
			want := likeness{row: -1, value: slices.Max(s.similar)}
			if want.value > 0 {
				want.row = slices.Index(s.similar, want.value)
			}
			if got != want {
				t.Fatalf("the best of %v is %v, want %v", s.similar, got, want)
			}
		}
	}
}

func product(x *sparse, s *scratch, row int32) (sum float64) {
	from, to := x.start[row], x.start[row+1]
	for i, f := range s.rows {
		if at := slices.Index(x.index[from:to], f); at >= 0 {
			sum += float64(s.weighed[i]) * float64(x.value[int(from)+at])
		}
	}
	return sum
}

// TestHighest: of any number of similarities.
func TestHighest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 11))
	for n := range 30 {
		list, want := make([]float32, n), float32(0)
		for i := range list {
			list[i] = random.Float32()
			want = max(want, list[i])
		}
		if got := highest(list); got != want {
			t.Errorf("highest(%v) = %v, want %v", list, got, want)
		}
	}
}
