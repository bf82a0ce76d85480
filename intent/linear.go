package intent

import "math"

// factorize turns a symmetric positive definite matrix, of which it reads the lower
// half, into its Cholesky factor in place. It gives nil if the matrix is none.
func factorize(a []float64, n int) []float64 {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= a[i*n+k] * a[j*n+k]
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
		for k := range i {
			b[i] -= factor[i*n+k] * b[k]
		}
		b[i] /= factor[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= factor[k*n+i] * b[k]
		}
		b[i] /= factor[i*n+i]
	}
}
