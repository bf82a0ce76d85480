package intent

import (
	"math"
	"testing"
)

func TestSubstituteSolves(t *testing.T) {
	t.Parallel()
	// Of symmetric matrices only the lower half is read.
	a := []float64{4, 99, 99, 2, 5, 99, -1, 3, 6}
	want := []float64{1, -2, 3}
	x := []float64{4*1 + 2*-2 + -1*3, 2*1 + 5*-2 + 3*3, -1*1 + 3*-2 + 6*3}
	factor := factorize(a, 3)
	if factor == nil {
		t.Fatal("no factor")
	}
	substitute(factor, x)
	for i := range want {
		if math.Abs(x[i]-want[i]) > 1e-5 {
			t.Errorf("x = %v, want %v", x, want)
		}
	}
	if factorize([]float64{1, 0, 2, 1}, 2) != nil {
		t.Error("a matrix that is not positive definite has a factor")
	}
}
