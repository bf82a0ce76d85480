package intent

import (
	"math"
	"slices"
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
	four := make([][4]float64, 3)
	for i := range four {
		four[i] = [4]float64{x[i], 0, -x[i], 2 * x[i]} // of which x is the first solution now
	}
	one := slices.Clone(x)
	substitute(factor, one)
	substituteFour(factor, four)
	for i := range four {
		if four[i] != [4]float64{one[i], 0, -one[i], 2 * one[i]} {
			t.Errorf("number %d of four is %v, want %v", i, four[i], one[i])
		}
	}
	if factorize([]float64{1, 0, 2, 1}, 2) != nil {
		t.Error("a matrix that is not positive definite has a factor")
	}
}
