//go:build !amd64

package intent

func dotWhole(a, b []float32) float32 { return dotPlain(a, b) }

func axpyWhole(a, b []float32, step float32) { axpyPlain(a, b, step) }

func addFourWhole(out []float32, rows *[4][]float32, times *[4]float32) {
	addFourPlain(out, 0, rows, times)
}
