package appends

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	var a, b histogram
	if got := a.quantile(0.5); got != 0 {
		t.Errorf("an empty one gives %v", got)
	}
	for i := range 100 {
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	a.merge(&b)
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 1: 100 * time.Millisecond} {
		if got := a.quantile(q); got < want || got > want*11/10 {
			t.Errorf("quantile %v = %v, want about %v", q, got, want)
		}
	}
	a.add(0)
	a.add(time.Hour) // beyond the last bucket
	if got := a.quantile(1); got < 20*time.Second {
		t.Errorf("the longest is %v", got)
	}
}

func TestOptionsValidate(t *testing.T) {
	t.Parallel()
	good := Options{Nodes: 3, Writers: 1, Bytes: 300, Duration: time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]Options{
		"no nodes": {Writers: 1, Bytes: 1, Duration: 1}, "no writers": {Nodes: 1, Bytes: 1, Duration: 1},
		"no bytes": {Nodes: 1, Writers: 1, Duration: 1}, "no time": {Nodes: 1, Writers: 1, Bytes: 1},
	} {
		if bad.Validate() == nil {
			t.Errorf("%s: nothing is wrong with that", name)
		}
	}
}
