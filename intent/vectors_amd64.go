package intent

import "golang.org/x/sys/cpu"

// wide says that the processor takes eight numbers at a time instead of four.
//
//nolint:gochecknoglobals // constant
var wide = cpu.X86.HasAVX2

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

// dotSparseEach gives the inner product of n numbers with the weights at their places.
//
//go:noescape
func dotSparseEach(weights *float32, index *int32, value *float32, n int) float32

// addSparseEach adds step times n numbers to the weights at their places, which are all
// different.
//
//go:noescape
func addSparseEach(weights *float32, index *int32, value *float32, n int, step float32)

// The same for wide processors.
//
//go:noescape
func dotBlocksWide(a, b *float32, blocks int) float32

//go:noescape
func axpyBlocksWide(a, b *float32, blocks int, step float32)

//go:noescape
func addFourBlocksWide(out *float32, blocks int, rows *[4][]float32, times *[4]float32)

// addStripeEach adds n rows of a stripe of weights, each times its value, to the margins.
//
//go:noescape
func addStripeEach(margins *[stripeClasses]float32, weights *float32, index *int32, value *float32, n int)

// largestEach gives the largest of so many words of numbers, whatever their sign.
//
//go:noescape
func largestEach(row *float32, words int) float32

// roundEach rounds so many words of numbers, as roundPlain does.
//
//go:noescape
func roundEach(cells *uint64, row *float32, words int, steps float32)

func dotWhole(a, b []float32) float32 {
	if wide {
		return dotBlocksWide(&a[0], &b[0], len(a)/vectorBlock)
	}
	return dotBlocks(&a[0], &b[0], len(a)/vectorBlock)
}

func axpyWhole(a, b []float32, step float32) {
	if wide {
		axpyBlocksWide(&a[0], &b[0], len(a)/vectorBlock, step)
		return
	}
	axpyBlocks(&a[0], &b[0], len(a)/vectorBlock, step)
}

func addFourWhole(out []float32, rows *[4][]float32, times *[4]float32) {
	if wide {
		addFourBlocksWide(&out[0], len(out)/sumBlock, rows, times)
		return
	}
	addFourBlocks(&out[0], len(out)/sumBlock, rows, times)
}

func addStripeWhole(margins *[stripeClasses]float32, weights []float32, ids []int32, values []float32) {
	if wide {
		addStripeEach(margins, &weights[0], &ids[0], &values[0], len(ids))
		return
	}
	addStripePlain(margins, weights, ids, values)
}

func dotSparseWhole(weights []float32, index []int32, value []float32) float32 {
	return dotSparseEach(&weights[0], &index[0], &value[0], len(index))
}

func addSparseWhole(weights []float32, index []int32, value []float32, step float32) {
	addSparseEach(&weights[0], &index[0], &value[0], len(index), step)
}

func largestWhole(row []float32) float32 {
	if wide {
		return largestEach(&row[0], len(row)/cellsPerWord)
	}
	return largestOf(row)
}

func roundWhole(cells []uint64, row []float32, steps float32) {
	if wide {
		roundEach(&cells[0], &row[0], len(cells), steps)
		return
	}
	roundPlain(cells, row, steps)
}
