package flight

import (
	"reflect"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The ring's memory is what the documentation says, and holds no pointers that
// the garbage collector would follow.
func TestRecordIsSmall(t *testing.T) {
	t.Parallel()
	if got := reflect.TypeFor[record]().Size(); got != 88 {
		t.Errorf("a record has %d bytes, want 88", got)
	}
	for field := range reflect.TypeFor[record]().Fields() {
		if k := field.Type.Kind(); k == reflect.Pointer || k == reflect.String || k == reflect.Slice || k == reflect.Map {
			t.Errorf("%s is a %v", field.Name, k)
		}
	}
}

// A writer whose lane is taken goes to another one, a reader finds it there, and
// only when all are taken is anything lost.
func TestNobodyWaitsForALane(t *testing.T) {
	t.Parallel()
	r := New(Options{Spans: oneLaneBelow})
	s := r.Start(Turn, conversation.Trace{}, time.Now())
	trace, first := s.At().ID, r.ring.laneOf(s.trace)
	taken := func(i int) *lane { return &r.ring.lanes[(first+i)%ringLanes] }
	for i := range ringTries - 1 {
		taken(i).Lock()
	}
	r.End(&s, time.Now(), Facts{})
	taken(ringTries - 1).Lock()
	s = r.Start(Turn, conversation.Trace{ID: trace}, time.Now())
	r.End(&s, time.Now(), Facts{})
	for i := range ringTries {
		taken(i).Unlock()
	}
	if got := r.Find(map[conversation.TraceID]bool{trace: true}); len(got) != 1 {
		t.Errorf("%d spans are found, want 1", len(got))
	}
	if c := r.Counts(); c.Recorded != 1 || c.Lost != 1 {
		t.Errorf("Counts() = %+v, want one recorded and one lost", c)
	}
}

func TestClockIsTheTime(t *testing.T) {
	t.Parallel()
	r := New(Options{Spans: 8})
	r.Now() // sets the base that the next ones go on from
	before := time.Now()
	got := r.Now()
	if after := time.Now(); got.Before(before) || got.After(after) {
		t.Errorf("the time is %v, between %v and %v", got, before, after)
	}
	if gap := got.Round(0).Sub(before.Round(0)).Abs(); gap > time.Minute {
		t.Errorf("the clock on the wall is off by %v", gap)
	}
	old := before.Add(-time.Hour) // as if it had been set, or nobody had asked for long
	r.clock.base.Store(&old)
	if got = r.Now(); got.Before(before) || r.clock.base.Load().Equal(old) {
		t.Errorf("an hour later the time is %v, not after %v", got, before)
	}
}

func TestStepsOfThePace(t *testing.T) {
	t.Parallel()
	for ns := int64(1); ns < 1<<50; ns += ns/7 + 1 {
		b := paceBucket(ns)
		if edge := paceEdge(b); edge < ns || ns > 16 && float64(edge) > 1.13*float64(ns)+1 {
			t.Errorf("%d ns is on step %d, which ends at %d", ns, b, edge)
		}
		if edge := paceEdge(b); edge >= paceFine && paceBucket(edge) != b {
			t.Errorf("step %d ends at %d, which is on step %d", b, edge, paceBucket(edge))
		}
	}
}
