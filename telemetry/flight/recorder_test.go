package flight_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

func one(id conversation.TraceID) map[conversation.TraceID]bool {
	return map[conversation.TraceID]bool{id: true}
}

func TestSpansAreFoundByTheirTrace(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 64})
	began := time.Unix(1_700_000_000, 5)
	id := conversation.ConversationID{1, 2, 3}
	root := r.Start(flight.Turn, conversation.Trace{}, began)
	child := r.Start(flight.Intent, root.At(), began.Add(time.Millisecond))
	other := r.Start(flight.Turn, conversation.Trace{}, began)
	r.End(&child, began.Add(3*time.Millisecond), flight.Facts{
		Conversation: id, Channel: conversation.ChannelWeb, Seq: 7, Value: 970_000, Label: "order_status", Failed: true,
	})
	trace := root.At().ID
	r.End(&root, began.Add(5*time.Millisecond), flight.Facts{Conversation: id, Label: "answered"})
	r.End(&root, began.Add(9*time.Millisecond), flight.Facts{}) // once is enough
	r.End(&other, began.Add(time.Second), flight.Facts{})

	got := map[string]flight.Record{}
	for _, rec := range r.Find(one(trace)) {
		if got[rec.Name].Name != "" {
			t.Errorf("%s is there twice", rec.Name)
		}
		got[rec.Name] = rec
	}
	if len(got) != 2 {
		t.Fatalf("Find gives %v, want the two spans of the trace", got)
	}
	c := got["intent"]
	want := flight.Record{
		Trace: trace, Span: c.Span, Parent: got["turn"].Span, Name: "intent", Start: began.Add(time.Millisecond).UTC(), Took: 2 * time.Millisecond,
		Failed: true, Conversation: id, Channel: "web", Seq: 7, Value: 970_000, Label: "order_status",
	}
	if c != want || c.Span == c.Parent {
		t.Errorf("the intent's span is %+v, want %+v", c, want)
	}
	if p := got["turn"].Parent; p != (conversation.SpanID{}) {
		t.Errorf("the first span has the parent %v, want none", p)
	}
}

func TestForeignTraceIsContinued(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8})
	from := conversation.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	s := r.Start(flight.GatewayIn, from, time.Now())
	if at := s.At(); at.ID != from.ID || at.Span == from.Span || !at.Sampled {
		t.Errorf("a span below %v is at %v", from, at)
	}
	r.End(&s, time.Now(), flight.Facts{})
	if got := r.Find(one(from.ID)); len(got) != 1 || got[0].Parent != from.Span {
		t.Errorf("Find = %+v, want one span below %v", got, from.Span)
	}
}

func TestNewestSpansStay(t *testing.T) {
	t.Parallel()
	const room = 16
	r := flight.New(flight.Options{Spans: room - 3}) // rounded up
	var traces []conversation.TraceID
	for range 3 * room {
		s := r.Start(flight.Turn, conversation.Trace{}, time.Now())
		traces = append(traces, s.At().ID)
		r.End(&s, time.Now(), flight.Facts{})
	}
	for i, id := range traces {
		if got, want := len(r.Find(one(id))) == 1, i >= 2*room; got != want {
			t.Errorf("span %d of %d is there: %v, want %v", i, len(traces), got, want)
		}
	}
	if c := r.Counts(); c.Recorded != 3*room || c.Evicted != 2*room || c.Lost != 0 {
		t.Errorf("Counts() = %+v", c)
	}
}

// Writers lap each other in a tiny ring while readers look. Every record carries
// the same number in all of its fields, so a torn one would show.
func TestNoRecordIsTorn(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 3000
	r := flight.New(flight.Options{Spans: 4})
	var all, readers sync.WaitGroup
	done := make(chan struct{})
	at := func(n int64) conversation.Trace {
		return conversation.Trace{ID: conversation.TraceID{1}, Span: conversation.SpanID{byte(n), byte(n >> 8), byte(n >> 16)}}
	}
	for range 2 {
		readers.Go(func() {
			for {
				for _, rec := range r.Find(one(conversation.TraceID{1})) {
					n := rec.Value
					if rec.Parent != at(n).Span || rec.Seq != conversation.Seq(n) || rec.Took != time.Duration(n) || rec.Start.UnixNano() != n {
						t.Errorf("a torn record: %+v", rec)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for w := range int64(writers) {
		all.Go(func() {
			for i := range int64(each) {
				n := w*each + i
				s := r.Start(flight.Turn, at(n), time.Unix(0, n))
				r.End(&s, time.Unix(0, 2*n), flight.Facts{Value: n, Seq: conversation.Seq(n)})
			}
		})
	}
	all.Wait()
	close(done)
	readers.Wait()
	if c := r.Counts(); c.Recorded+c.Lost != writers*each {
		t.Errorf("Counts() = %+v, want %d in all", c, writers*each)
	}
}

func TestNobodyRecords(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: -1})
	s := r.Start(flight.Turn, conversation.Trace{}, time.Now())
	r.End(&s, time.Now(), flight.Facts{})
	r.Entered(conversation.ConversationID{1}, conversation.Trace{ID: conversation.TraceID{1}})
	if got := r.Judge(&s, time.Now(), flight.Facts{Failed: true}, flight.Verdict{}); got != flight.ReasonNone {
		t.Errorf("Judge = %q, want none", got)
	}
	if r.Find(one(conversation.TraceID{})) != nil || r.Counts() != (flight.Counts{}) || !s.At().IsZero() {
		t.Error("a nil recorder has recorded something")
	}
}

func TestWorkOfNoTurnIsNotRecorded(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8})
	s := r.Below(flight.StoreAppend, conversation.Trace{}, time.Now())
	r.End(&s, time.Now(), flight.Facts{})
	if c := r.Counts(); c.Recorded != 0 {
		t.Errorf("Counts() = %+v, want nothing", c)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8192})
	root := r.Start(flight.Turn, conversation.Trace{}, time.Now())
	const words = 5000
	for i := range words {
		s := r.Start(flight.Intent, root.At(), time.Now())
		r.End(&s, time.Now(), flight.Facts{Label: fmt.Sprintf("intent-%d", i), Value: int64(i)})
	}
	others := 0
	for _, rec := range r.Find(one(root.At().ID)) {
		switch rec.Label {
		case fmt.Sprintf("intent-%d", rec.Value):
		case "(other)":
			others++
		default:
			t.Fatalf("span %d says %q", rec.Value, rec.Label)
		}
	}
	if others == 0 || others > words-4000 {
		t.Errorf("%d of %d words had no place, want some and not most", others, words)
	}
}

func TestReplyFindsItsTurn(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 8})
	id := conversation.ConversationID{15: 9}
	first, second := conversation.Trace{ID: conversation.TraceID{1}}, conversation.Trace{ID: conversation.TraceID{2}}
	r.Entered(id, first)
	if at, _ := r.Shown(id, 99); at != first {
		t.Errorf("Shown = %v where only the message is known, want %v", at, first)
	}
	r.Stored(id, first, 4, 4, "node-b")
	r.Stored(id, first, 5, 7, "node-b")
	for seq, want := range map[conversation.Seq]conversation.Trace{3: {}, 4: first, 6: first, 7: first, 8: {}} {
		if at, _ := r.Shown(id, seq); at != want {
			t.Errorf("Shown(%d) = %v, want %v", seq, at, want)
		}
	}
	if _, from := r.Shown(id, 5); from != "node-b" {
		t.Errorf("Shown tells of node %q, want node-b", from)
	}
	r.Stored(id, second, 8, 9, "")
	if at, _ := r.Shown(id, 5); !at.IsZero() {
		t.Errorf("Shown(5) = %v after the next turn, want nothing", at)
	}
	if at, _ := r.Shown(conversation.ConversationID{1}, 5); !at.IsZero() {
		t.Errorf("Shown of another conversation = %v", at)
	}
}

// turnOf records what a turn of the bot does, with the five spans and three facts
// of each that the other tracers were measured with. The clock is read as often
// as a conversation reads it for the recorder: each step begins when the one
// before it ends.
func turnOf(r *flight.Recorder, id conversation.ConversationID, came time.Time) {
	in := r.Start(flight.GatewayIn, conversation.Trace{}, came)
	turn := r.Start(flight.Turn, in.At(), came)
	now := came
	for _, n := range [...]flight.Name{flight.Intent, flight.Policy, flight.StoreAppend} {
		s := r.Step(n, &turn, now)
		if !s.IsZero() {
			now = r.Now()
		}
		r.End(&s, now, flight.Facts{Conversation: id, Seq: 12, Value: 3, Label: "order_status"})
	}
	r.Judge(&turn, now, flight.Facts{Conversation: id, Channel: conversation.ChannelWeb, Seq: 12, Value: 3, Label: "answered"}, flight.Verdict{})
	if !in.IsZero() {
		now = r.Now()
	}
	r.End(&in, now, flight.Facts{Conversation: id, Seq: 12, Value: 3})
}

func TestRecordingAllocatesNothing(t *testing.T) {
	r := flight.New(flight.Options{Spans: 1024})
	id, now := conversation.ConversationID{1}, time.Now()
	turnOf(r, id, now) // learns the labels
	if n := testing.AllocsPerRun(1000, func() { turnOf(r, id, now) }); n != 0 {
		t.Errorf("a turn takes %v allocations, want none", n)
	}
}

// The benchmark's two rows differ by what recording a turn costs.
func BenchmarkTurn(b *testing.B) {
	for _, c := range []struct {
		name string
		r    *flight.Recorder
	}{{"recorder=off", nil}, {"recorder=on", flight.New(flight.Options{})}} {
		b.Run(c.name, func(b *testing.B) {
			id, now := conversation.ConversationID{1}, time.Now()
			b.ReportAllocs()
			for b.Loop() {
				turnOf(c.r, id, now)
			}
		})
	}
}
