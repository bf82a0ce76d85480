package intent

import "math"

// factorize turns a symmetric positive definite matrix, of which it reads the lower
// half, into its Cholesky factor in place. It gives nil if the matrix is none.
func factorize(a []float64, n int) []float64 {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			other := a[j*n:][:j]
			for k, v := range a[i*n:][:j] {
				sum -= v * other[k]
			}
			switch {
			case i != j:
				a[i*n+j] = sum / a[j*n+j]
			case sum > 0:
				a[i*n+i] = math.Sqrt(sum)
			default:
				return nil
			}
		}
	}
	return a
}

// substitute turns b into the solution x of A x = b, of which factor is that of A.
func substitute(factor, b []float64) {
	n := len(b)
	for i := range n {
		x := b[i]
		for k, f := range factor[i*n:][:i] {
			x -= f * b[k]
		}
		b[i] = x / factor[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		b[i] /= factor[i*n+i]
		for k, f := range factor[i*n:][:i] {
			b[k] -= f * b[i]
		}
	}
}

// substituteFour does the same for four vectors, which do not have to wait for each other:
// x has the four numbers of each place.
func substituteFour(factor []float64, x [][4]float64) {
	n := len(x)
	for i := range n {
		a, b, c, d := x[i][0], x[i][1], x[i][2], x[i][3]
		for k, f := range factor[i*n:][:i] {
			y := &x[k]
			a, b, c, d = a-f*y[0], b-f*y[1], c-f*y[2], d-f*y[3]
		}
		f := factor[i*n+i]
		x[i] = [4]float64{a / f, b / f, c / f, d / f}
	}
	for i := n - 1; i >= 0; i-- {
		f := factor[i*n+i]
		a, b, c, d := x[i][0]/f, x[i][1]/f, x[i][2]/f, x[i][3]/f
		x[i] = [4]float64{a, b, c, d}
		for k, f := range factor[i*n:][:i] {
			y := &x[k]
			y[0], y[1], y[2], y[3] = y[0]-f*a, y[1]-f*b, y[2]-f*c, y[3]-f*d
		}
	}
}
