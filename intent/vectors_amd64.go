package intent

// dotBlocks gives the inner product of two vectors of so many blocks of
// [vectorBlock] numbers.
//
//go:noescape
func dotBlocks(a, b *float32, blocks int) float32

// axpyBlocks adds step times b to a, of which there are so many blocks of
// [vectorBlock] numbers.
//
//go:noescape
func axpyBlocks(a, b *float32, blocks int, step float32)

// addFourBlocks adds four vectors, each times its number, to out, of which there are so
// many blocks of [sumBlock] numbers.
//
//go:noescape
func addFourBlocks(out *float32, blocks int, rows *[4][]float32, times *[4]float32)

func dotWhole(a, b []float32) float32 { return dotBlocks(&a[0], &b[0], len(a)/vectorBlock) }

func axpyWhole(a, b []float32, step float32) { axpyBlocks(&a[0], &b[0], len(a)/vectorBlock, step) }

func addFourWhole(out []float32, rows *[4][]float32, times *[4]float32) {
	addFourBlocks(&out[0], len(out)/sumBlock, rows, times)
}
