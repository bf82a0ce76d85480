package flight_test

import (
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// judge ends a turn of the given length.
func judge(r *flight.Recorder, began time.Time, took time.Duration, f flight.Facts, v flight.Verdict) flight.Reason {
	s := r.Start(flight.Turn, conversation.Trace{}, began)
	return r.Judge(&s, began.Add(took), f, v)
}

func TestReasonsToKeep(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name string
		f    flight.Facts
		v    flight.Verdict
		want flight.Reason
	}{
		{"nothing", flight.Facts{}, flight.Verdict{}, flight.ReasonNone},
		{"a part failed", flight.Facts{}, flight.Verdict{Failed: true}, flight.ReasonError},
		{"it failed itself", flight.Facts{Failed: true}, flight.Verdict{Watched: true}, flight.ReasonError},
		{"strange", flight.Facts{}, flight.Verdict{Strange: true, Watched: true}, flight.ReasonAnomaly},
		{"watched", flight.Facts{}, flight.Verdict{Watched: true}, flight.ReasonWatched},
	} {
		r := flight.New(flight.Options{Spans: 8})
		if got := judge(r, now, time.Millisecond, c.f, c.v); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := len(r.Wants()) == 1; got != (c.want != flight.ReasonNone) {
			t.Errorf("%s: wanted %v", c.name, got)
		}
	}
}

func TestWantSaysWhatItIs(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8})
	began, id := time.Now().UTC(), conversation.ConversationID{4}
	s := r.Start(flight.Turn, conversation.Trace{}, began)
	trace := s.At().ID
	r.Judge(&s, began.Add(time.Second), flight.Facts{Conversation: id, Channel: conversation.ChannelWeb, Failed: true}, flight.Verdict{Inbox: "shop", From: "node-b"})
	w := <-r.Wants()
	if w.Trace != trace || w.Conversation != id || w.Inbox != "shop" || w.Channel != conversation.ChannelWeb || !w.Failed ||
		w.Took != time.Second || !w.Began.Equal(began) || len(w.Nodes) != 1 || w.Nodes[0] != "node-b" {
		t.Errorf("the want is %+v", w)
	}
}

func TestSampledTracesAreKept(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8})
	s := r.Start(flight.Turn, conversation.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), time.Now())
	if got := r.Judge(&s, time.Now(), flight.Facts{}, flight.Verdict{}); got != flight.ReasonSampled {
		t.Errorf("the sender has sampled it, and Judge says %q", got)
	}
}

func TestRatioIsAShareOfAll(t *testing.T) {
	t.Parallel()
	const turns = 20_000
	for ratio, within := range map[float64][2]int{0: {0, 0}, 0.1: {1_700, 2_300}, 1: {turns, turns}} {
		r := flight.New(flight.Options{Spans: 8, Ratio: ratio})
		n := 0
		for range turns {
			if s := r.Start(flight.Turn, conversation.Trace{}, time.Now()); s.At().Sampled {
				n++
			}
		}
		if n < within[0] || n > within[1] {
			t.Errorf("ratio %v: %d of %d are sampled, want %v", ratio, n, turns, within)
		}
	}
}

// Turns of each channel are compared with their own: what is slow on one is
// usual on the other.
func TestSlowTurnsOfAChannelAreKept(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8, PerSecond: 1_000_000})
	at, kept := time.Now(), 0
	turn := func(kind conversation.ChannelKind, took time.Duration) flight.Reason {
		at = at.Add(time.Second)
		for len(r.Wants()) > 0 {
			<-r.Wants()
		}
		return judge(r, at, took, flight.Facts{Channel: kind}, flight.Verdict{})
	}
	if got := turn(conversation.ChannelWeb, time.Hour); got != flight.ReasonNone {
		t.Errorf("the first turn is %q, want none: nobody knows yet how long they take", got)
	}
	for i := range 4000 {
		usual := time.Duration(1+i%100) * time.Millisecond // 1 to 100 ms, as often
		if turn(conversation.ChannelWeb, usual) == flight.ReasonSlow {
			kept++
		}
		turn(conversation.ChannelWebhook, 10*usual)
	}
	if kept > 80 {
		t.Errorf("%d of 4000 usual turns are called slow, want at most 2 in 100", kept)
	}
	for _, c := range []struct {
		kind conversation.ChannelKind
		took time.Duration
		want flight.Reason
	}{
		{conversation.ChannelWeb, 50 * time.Millisecond, flight.ReasonNone},
		{conversation.ChannelWeb, 300 * time.Millisecond, flight.ReasonSlow},
		{conversation.ChannelWebhook, 300 * time.Millisecond, flight.ReasonNone},
		{conversation.ChannelWebhook, 3 * time.Second, flight.ReasonSlow},
	} {
		if got := turn(c.kind, c.took); got != c.want {
			t.Errorf("%v on %s is %q, want %q", c.took, c.kind, got, c.want)
		}
	}
	for range 20_000 { // it becomes the usual
		turn(conversation.ChannelWeb, 300*time.Millisecond)
	}
	if got := turn(conversation.ChannelWeb, 300*time.Millisecond); got != flight.ReasonNone {
		t.Errorf("what has become usual is %q, want none", got)
	}
}

func TestKeptTracesAreFewASecond(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8, PerSecond: 5})
	now := time.Now()
	for range 100 {
		judge(r, now, 0, flight.Facts{Failed: true}, flight.Verdict{})
	}
	if n := len(r.Wants()); n != 5 {
		t.Errorf("%d traces are wanted at once, want 5", n)
	}
	if c := r.Counts(); c.Refused != 95 {
		t.Errorf("Counts().Refused = %d, want 95", c.Refused)
	}
	if got := judge(r, now, time.Second, flight.Facts{Failed: true}, flight.Verdict{}); got != flight.ReasonError {
		t.Errorf("a second later Judge says %q, want error", got)
	}
}

func TestNobodyFetches(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8, PerSecond: 10_000})
	for range 1000 {
		r.Keep(flight.Want{Trace: conversation.TraceID{1}, Reason: flight.ReasonError}, time.Now())
	}
	if got := uint64(len(r.Wants())) + r.Counts().Refused; got != 1000 || len(r.Wants()) > 256 {
		t.Errorf("%d wait and %d are refused, want 1000 in all and a bound", len(r.Wants()), r.Counts().Refused)
	}
}
