package intent

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomVector(random *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(random.NormFloat64())
	}
	return out
}

// TestVectorsAddUp: what the processor does in its own way is what the plain way gives,
// to the bit, beside whatever else lies in memory; and both are right.
func TestVectorsAddUp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(23, 29))
	for n := range 100 {
		whole := n - n%vectorBlock
		from := n % 3 // vectors begin anywhere
		a, b, c, d := randomVector(random, n+from)[from:], randomVector(random, n), randomVector(random, n), randomVector(random, n)
		out := randomVector(random, n+1)
		step, times := float32(random.NormFloat64()), [4]float32(randomVector(random, 4))
		if whole > 0 {
			if got, want := dotWhole(a[:whole], b[:whole]), dotPlain(a[:whole], b[:whole]); got != want {
				t.Errorf("%d numbers: dot = %v, want %v", whole, got, want)
			}
		}
		sum := 0.0
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		if got := dot(a, b); math.Abs(float64(got)-sum) > 1e-4 {
			t.Errorf("%d numbers: dot = %v, want about %v", n, got, sum)
		}
		got, want := slices.Clone(out), slices.Clone(out)
		axpy(got[:n], b, step)
		axpyPlain(want[:n], b, step)
		if !slices.Equal(got, want) {
			t.Errorf("%d numbers: axpy gives %v, want %v", n, got, want)
		}
		addFour(got[:n], &[4][]float32{a, b, c, d}, &times)
		addFourPlain(want[:n], 0, &[4][]float32{a, b, c, d}, &times)
		if !slices.Equal(got, want) {
			t.Errorf("%d numbers: four vectors give %v, want %v", n, got, want)
		}
		if n > 0 {
			exact := float64(out[0]) + float64(step*b[0]) + float64(times[0]*a[0]) + float64(times[1]*b[0]) + float64(times[2]*c[0]) + float64(times[3]*d[0])
			if math.Abs(float64(got[0])-exact) > 1e-5 {
				t.Errorf("%d numbers: the first is %v, want about %v", n, got[0], exact)
			}
		}
	}
}

// TestSparseVectorsAddUp: the same for vectors of which few numbers are there, and for
// the rows of a stripe.
func TestSparseVectorsAddUp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(31, 37))
	const features = 64
	for n := range 40 {
		index := make([]int32, n)
		for i, f := range random.Perm(features)[:n] {
			index[i] = int32(f)
		}
		value, step := randomVector(random, n), float32(random.NormFloat64())
		weights := randomVector(random, features)
		if got, want := dotSparse(weights, index, value), dotSparsePlain(weights, index, value); got != want {
			t.Errorf("%d numbers: the inner product is %v, want %v", n, got, want)
		}
		exact, added := 0.0, slices.Clone(weights)
		for i, f := range index {
			exact += float64(weights[f]) * float64(value[i])
			added[f] += float32(step * value[i])
		}
		if got := dotSparse(weights, index, value); math.Abs(float64(got)-exact) > 1e-4 {
			t.Errorf("%d numbers: the inner product is %v, want about %v", n, got, exact)
		}
		got, want := slices.Clone(weights), slices.Clone(weights)
		addSparse(got, index, value, step)
		addSparsePlain(want, index, value, step)
		if !slices.Equal(got, want) || !slices.Equal(got, added) {
			t.Errorf("%d numbers: adding gives %v, want %v, want %v", n, got, want, added)
		}
		testStripe(t, random, index, value)
	}
}

func testStripe(t *testing.T, random *rand.Rand, index []int32, value []float32) {
	t.Helper()
	weights := randomVector(random, 64*stripeClasses)
	began := [stripeClasses]float32(randomVector(random, stripeClasses))
	got, want := began, began
	addStripe(&got, weights, index, value)
	addStripePlain(&want, weights, index, value)
	if got != want {
		t.Errorf("%d rows: the stripe is %v, want %v", len(index), got, want)
	}
	for k := range began {
		exact := float64(began[k])
		for i, f := range index {
			exact += float64(weights[int(f)*stripeClasses+k]) * float64(value[i])
		}
		if math.Abs(float64(got[k])-exact) > 1e-4 {
			t.Errorf("%d rows: class %d is %v, want about %v", len(index), k, got[k], exact)
		}
	}
}
