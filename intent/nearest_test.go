package intent

import (
	"math/rand/v2"
	"testing"
)

// The best row is the first with the highest similarity, wherever it stands.
func TestBestRow(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 5))
	for _, rows := range []int{1, 3, similarBlock - 1, similarBlock, similarBlock + 1, 5*similarBlock + 7} {
		for range 200 {
			s := &scratch{similar: make([]float32, rows)}
			for i := range s.similar {
				s.similar[i] = float32(random.IntN(4)) / 8 // many are alike, and many zero
			}
			if random.IntN(20) == 0 {
				clear(s.similar)
			}
			from := random.IntN(rows)
			to := from + random.IntN(rows-from+1)
			wantRow, want, wantSame := -1, float32(0), float32(0)
			for i, v := range s.similar {
				if v > want {
					wantRow, want = i, v
				}
				if i >= from && i < to {
					wantSame = max(wantSame, v)
				}
			}
			row, overall, same := (&nearest{rows: rows}).best(s, int32(from), int32(to))
			if row != wantRow || overall != want || same != wantSame {
				t.Fatalf("best of %d rows = %d %v %v, want %d %v %v", rows, row, overall, same, wantRow, want, wantSame)
			}
		}
	}
}
