package chaos

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	tests := []struct {
		sorted []time.Duration
		q      float64
		want   int64
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.99, 1},
		{hundred[:2], 0.5, 1},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred[:10], 0.99, 10},
	}
	for _, tt := range tests {
		if got := quantileMS(tt.sorted, tt.q); got != tt.want {
			t.Errorf("quantile %v of %d values = %d, want %d", tt.q, len(tt.sorted), got, tt.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	op := func(as role, due, acked float64) *operation {
		return &operation{author: author{as, 1}, due: s(due), acked: s(acked)}
	}
	events := []event{
		{kind: Kill, node: 1, leader: true, began: s(10), ended: s(14)},
		{kind: Kill, node: 2, began: s(30), ended: s(31)},
		{kind: Pause, node: 2, began: s(50), ended: s(60)},
	}
	operations := []*operation{
		op(visitorRole, 5, 5.01),     // before
		op(visitorRole, 9.9, 10.7),   // on its way when the first fault came
		op(visitorRole, 12, 12.3),    // during it
		op(visitorRole, 14.5, 14.9),  // in its afterglow
		op(visitorRole, 20, 20.02),   // away from faults
		op(visitorRole, 30.5, 30.75), // during the second
		op(agentRole, 30.5, 39),      // not a visitor
		op(visitorRole, 51, 57),      // during the third
		op(visitorRole, 58, 0),       // never
	}
	a := measure(events, operations)
	kill, pauses := a.byKind[Kill], a.byKind[Pause]
	if kill.Count != 2 || kill.OfLeaders != 1 || kill.GapP50MS != 250 || kill.GapP99MS != 800 || kill.GapMaxMS != 800 || kill.ReadyP50 != 1000 || kill.ReadyMax != 4000 {
		t.Errorf("kills %+v", kill)
	}
	if pauses.Count != 1 || pauses.OfLeaders != 0 || pauses.GapMaxMS != 6000 {
		t.Errorf("pauses %+v", pauses)
	}
	if len(a.failover) != 2 || quantileMS(a.failover, 0.99) != 800 || a.longest != s(6) {
		t.Errorf("failover %v, longest %v", a.failover, a.longest)
	}
	if len(a.unremarked) != 2 || quantileMS(a.unremarked, 1) != 20 {
		t.Errorf("away from faults %v", a.unremarked)
	}
}

// A wait is booked to the fault that it was longest in, also where the next one
// comes in the afterglow of the one before.
func TestCauses(t *testing.T) {
	t.Parallel()
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	events := []event{
		{kind: Kill, began: s(10), ended: s(12)},
		{kind: Partition, began: s(12.8), ended: s(20)},
		{kind: Kill, began: s(40), ended: s(44)},
		{kind: Oneway, began: s(44.5), ended: s(50)},
	}
	tests := map[string]struct {
		due, acked float64
		want       int
	}{
		"before all":                                  {8, 9.9, -1},
		"until the fault began":                       {8, 10, -1},
		"shorter than the fault":                      {11, 11.2, 0},
		"in the afterglow":                            {12.1, 12.3, 0},
		"from the afterglow through the next":         {12.3, 17, 1},
		"from the end of the fault through the next":  {11.9, 17, 1},
		"through the fault, a little into the next":   {40.1, 45, 2},
		"in the next, within the afterglow before it": {44.6, 44.9, 3},
		"in the afterglow of the last":                {50.9, 51.5, 3},
		"behind the afterglow":                        {51, 60, -1},
		"through two faults":                          {9, 19, 1},
		"never acknowledged":                          {45, 0, -1},
	}
	for name, tt := range tests {
		if got := causes(events, []*operation{{due: s(tt.due), acked: s(tt.acked)}}); got[0] != tt.want {
			t.Errorf("%s: fault %d, want %d", name, got[0], tt.want)
		}
	}
}
