package anomaly

import (
	"math"
	"math/rand/v2"
	"testing"
)

func fed(u *Usual, n int, next func() float64) {
	for range n {
		u.Observe(next(), 1)
	}
}

func level(t *testing.T, u *Usual) Level {
	t.Helper()
	l, known := u.Observe(0, 0)
	if !known {
		t.Fatal("nothing is known yet")
	}
	return l
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s = %.3f, want %.3f ± %.2f", what, got, want, within)
	}
}

func TestUsualIsMedianAndSpread(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for name, tc := range map[string]struct{ mean, spread float64 }{
		"milliseconds": {math.Log(0.12), 0.5}, "microseconds": {math.Log(30e-6), 0.8}, "minutes": {math.Log(300), 1.5},
	} {
		u := &Usual{}
		fed(u, 4000, func() float64 { return tc.mean + tc.spread*r.NormFloat64() })
		l := level(t, u)
		near(t, name+": median", l.Median, tc.mean, 0.1)
		near(t, name+": spread", l.Spread, tc.spread, 0.1)
	}
}

// TestUsualBearsOddValues: a tenth that is far off moves it little.
func TestUsualBearsOddValues(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	u := &Usual{}
	fed(u, 4000, func() float64 {
		x := -2 + 0.5*r.NormFloat64()
		if r.IntN(10) == 0 {
			x += 4
		}
		return x
	})
	l := level(t, u)
	near(t, "median", l.Median, -2, 0.15)
	near(t, "spread", l.Spread, 0.5, 0.15)
}

// TestUsualFollows: what everybody does from now on becomes usual.
func TestUsualFollows(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	u := &Usual{}
	fed(u, 10_000, func() float64 { return -2 + 0.5*r.NormFloat64() })
	fed(u, 10_000, func() float64 { return 1 + 0.5*r.NormFloat64() })
	near(t, "median", level(t, u).Median, 1, 0.2)
}

func TestUsualOfTheExtremes(t *testing.T) {
	t.Parallel()
	u := &Usual{}
	if _, known := u.Observe(0, 1); known {
		t.Error("one value is enough to judge by")
	}
	fed(u, enough, func() float64 { return -2 })
	l := level(t, u)
	near(t, "median of the same", l.Median, -2, bucketWidth)
	near(t, "spread of the same", l.Spread, narrow, 0)
	for _, x := range []float64{math.Inf(-1), math.Inf(1), -1e9, 1e9} {
		fed(u, 50, func() float64 { return x })
	}
	if l := level(t, u); math.IsNaN(l.Median) || math.IsInf(l.Spread, 0) {
		t.Errorf("out of bounds: %+v", l)
	}
}
