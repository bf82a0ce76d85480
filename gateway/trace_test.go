package gateway

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

const tracedBySender = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestSendersTrace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		access access
		lines  []string
		want   conversation.Trace
	}{
		{"of an ingress", accessIngress, []string{tracedBySender}, conversation.ParseTraceparent(tracedBySender)},
		{"of a visitor, who cannot have it kept", accessVisitor, []string{tracedBySender}, conversation.ParseTraceparent(tracedBySender[:53] + "00")},
		{"none", accessIngress, nil, conversation.Trace{}},
		{"two", accessIngress, []string{tracedBySender, tracedBySender}, conversation.Trace{}},
		{"broken", accessIngress, []string{"00-1-1-01"}, conversation.Trace{}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/webhook", nil)
		r.Header["Traceparent"] = c.lines
		if got := conversation.TraceOf(traced(r, c.access).Context()); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// flown gives the spans of the sender's trace.
func flown(r *flight.Recorder) []flight.Record {
	return r.Find(map[conversation.TraceID]bool{conversation.ParseTraceparent(tracedBySender).ID: true})
}

func TestFlushEndsWithTheLastByte(t *testing.T) {
	t.Parallel()
	r := flight.New(flight.Options{Spans: 64})
	typing := topic{kind: topicTyping}
	begin := func() flushing {
		return flushing{span: r.Start(flight.SocketFlush, conversation.ParseTraceparent(tracedBySender), time.Now())}
	}
	var q outQueue
	rules := &outRules{soft: 10, hard: 1000, flights: r}
	push := func(f outFrame) { q.push(f, rules) }
	write := func(n int) {
		q.take(nil)
		q.wrote(n, rules)
	}
	for _, step := range []struct {
		what string
		do   func()
		want int // spans so far
	}{
		{"nothing waits any more", func() { q.follow(begin(), rules) }, 1},
		{"it waits", func() {
			push(outFrame{bytes: []byte("typing"), topic: typing})
			push(outFrame{bytes: []byte("reply")})
			q.follow(begin(), rules)
		}, 1},
		{"newer typing takes the older one's place", func() { push(outFrame{bytes: []byte("typing again"), topic: typing}) }, 1},
		{"a second reply is not followed", func() {
			push(outFrame{bytes: []byte("2")})
			q.follow(begin(), rules)
		}, 1},
		{"a part is written", func() { write(4) }, 1},
		{"the rest of it", func() { write(1) }, 2},
		{"everything", func() { write(len("typing again2")) }, 2},
		{"another is dropped with its socket", func() {
			push(outFrame{bytes: []byte("reply")})
			q.follow(begin(), rules)
			q.dropThenClose(outFrame{bytes: []byte("!")}, rules)
			write(1)
		}, 2},
	} {
		step.do()
		if got := len(flown(r)); got != step.want {
			t.Errorf("%s: %d spans, want %d", step.what, got, step.want)
		}
	}
}

// The reply to a traced message is followed until it is written to the visitor's
// socket, and not to those of agents who look on.
func TestReplyOnItsWayToTheSocketIsTraced(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		r := flight.New(flight.Options{Spans: 64})
		h := start(t, mode, func(o *Options) { o.Flights = r })
		contact := conversation.ContactID{7}
		c := h.visitor(contact, hello)
		c.expect("welcome")
		id := h.store.start("shop", contact)
		c.expect("event") // that it has begun
		agent := h.agent("mei")
		agent.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
		agent.expect("done")
		r.Entered(id, conversation.ParseTraceparent(tracedBySender))
		h.store.append(id, conversation.ReplyComposed{Text: "hello"})
		c.expect("event")
		agent.expect("event")
		eventually(t, "a span of the flush", func() bool { return len(flown(r)) == 1 })
		s := flown(r)[0]
		if s.Name != "ws.flush" || s.Conversation != id || s.Value == 0 || s.Channel != "web" {
			t.Errorf("the span is %+v", s)
		}
		if !slices.Equal(flown(r), []flight.Record{s}) {
			t.Errorf("the spans are %+v, want one", flown(r))
		}
	})
}
