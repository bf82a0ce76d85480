package intent

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWideIsNarrow: processors that take eight numbers at a time give the same bits as
// those that take four.
func TestWideIsNarrow(t *testing.T) {
	t.Parallel()
	if !wide {
		t.Skip("this processor takes four at a time")
	}
	random := rand.New(rand.NewPCG(41, 43))
	for blocks := 1; blocks < 12; blocks++ {
		n := blocks * vectorBlock
		a, b, c, d := randomVector(random, n), randomVector(random, n), randomVector(random, n), randomVector(random, n)
		step, times := float32(random.NormFloat64()), [4]float32(randomVector(random, 4))
		if got, want := dotBlocksWide(&a[0], &b[0], blocks), dotBlocks(&a[0], &b[0], blocks); got != want {
			t.Errorf("%d blocks: dot = %v, want %v", blocks, got, want)
		}
		got, want := slices.Clone(c), slices.Clone(c)
		axpyBlocksWide(&got[0], &b[0], blocks, step)
		axpyBlocks(&want[0], &b[0], blocks, step)
		if !slices.Equal(got, want) {
			t.Errorf("%d blocks: axpy gives %v, want %v", blocks, got, want)
		}
		rows := [4][]float32{a, b, c, d}
		got = randomVector(random, blocks*sumBlock)
		want = slices.Clone(got)
		addFourBlocksWide(&got[0], blocks, &rows, &times)
		addFourBlocks(&want[0], blocks, &rows, &times)
		if !slices.Equal(got, want) {
			t.Errorf("%d blocks: four vectors give %v, want %v", blocks, got, want)
		}
	}
}
