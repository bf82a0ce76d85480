package gateway

import (
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

const headerTraceparent = "traceparent"

// traced has what a request sets in motion go on with its sender's trace.
func traced(r *http.Request, a access) *http.Request {
	lines := r.Header.Values(headerTraceparent)
	if len(lines) != 1 {
		return r
	}
	at := conversation.ParseTraceparent(lines[0])
	if a != accessIngress {
		at.Sampled = false // anybody can be a visitor, and the traces that are kept are few
	}
	return r.WithContext(conversation.WithTrace(r.Context(), at))
}

// tracedIngress is traced for the providers' entrances: nothing of a delivery is
// handed in before its driver has found out that it is the provider's.
func tracedIngress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, traced(r, accessIngress)) })
}

// flushing is a reply of a traced turn on its way to a visitor's socket. A queue
// follows one at a time.
type flushing struct {
	span   flight.Span
	facts  flight.Facts
	frames int // from the first of the backlog to the last of the reply
}

// startFlush begins the span of what a publication shows a visitor.
func (p *publication) startFlush() flushing {
	r := p.hub.gw.outRules.flights
	if r == nil {
		return flushing{}
	}
	at, _ := r.Shown(p.commit.ID, p.last())
	if at.IsZero() {
		return flushing{}
	}
	return flushing{
		span:  r.Start(flight.SocketFlush, at, r.Now()),
		facts: flight.Facts{Conversation: p.commit.ID, Channel: conversation.ChannelWeb, Seq: p.last()},
	}
}

// follow ends the span of f once everything that waits by now has been written.
func (q *outQueue) follow(f flushing, r *outRules) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.mu.backlog
	switch {
	case q.mu.closed:
	case b == nil || len(b.frames) == 0:
		r.flights.End(&f.span, r.flights.Now(), f.facts)
	case b.flush.span.IsZero():
		b.flush = f
		b.flush.frames = len(b.frames)
	}
}

// flushed ends the span that the backlog follows if its frames are gone.
func (b *backlog) flushed(r *outRules) {
	if !b.flush.span.IsZero() && b.flush.frames <= 0 {
		r.flights.End(&b.flush.span, r.flights.Now(), b.flush.facts)
	}
}
