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
