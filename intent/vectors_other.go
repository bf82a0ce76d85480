//go:build !amd64

package intent

func dotWhole(a, b []float32) float32 { return dotPlain(a, b) }

func axpyWhole(a, b []float32, step float32) { axpyPlain(a, b, step) }

func addFourWhole(out []float32, rows *[4][]float32, times *[4]float32) {
	addFourPlain(out, 0, rows, times)
}

func addStripeWhole(margins *[stripeClasses]float32, weights []float32, ids []int32, values []float32) {
	addStripePlain(margins, weights, ids, values)
}

func dotSparseWhole(weights []float32, index []int32, value []float32) float32 {
	return dotSparsePlain(weights, index, value)
}

func addSparseWhole(weights []float32, index []int32, value []float32, step float32) {
	addSparsePlain(weights, index, value, step)
}

func largestWhole(row []float32) float32 { return largestOf(row) }

func roundWhole(cells []uint64, row []float32, steps float32) { roundPlain(cells, row, steps) }
