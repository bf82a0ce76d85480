package load

import (
	"testing"
	"time"
)

func TestHistogramBoundsItsError(t *testing.T) {
	t.Parallel()
	for d := time.Microsecond; d < 2*time.Minute; d += d/7 + time.Microsecond {
		upper := upperBound(bucketOf(d))
		if upper < d || float64(upper) > float64(d)*(1+1.0/perPower)+float64(2*time.Microsecond) {
			t.Fatalf("%v is counted in a bucket that ends at %v", d, upper)
		}
	}
}

func TestHistogramQuantiles(t *testing.T) {
	t.Parallel()
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Fatalf("an empty histogram has the median %v", got)
	}
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		got := h.Quantile(q)
		if got < want || float64(got) > 1.05*float64(want) {
			t.Errorf("Quantile(%v) = %v, want about %v", q, got, want)
		}
	}
	if h.Max() != time.Second {
		t.Errorf("Max = %v", h.Max())
	}
	h.Add(-time.Second)
	h.Add(24 * time.Hour)
	if h.Quantile(1) != 24*time.Hour {
		t.Errorf("what is beyond the last bucket counts as %v", h.Quantile(1))
	}
}
