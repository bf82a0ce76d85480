package gateway

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

const (
	// What a read or a write costs without its bytes is worth so many bytes: a system
	// call and a frame cost about as much as taking in as many kilobytes.
	workWeight = 4 << 10
	// What is known of the meters is forgotten after a minute, long before
	// a meter is that nothing was charged to.
	metersFor  = time.Minute
	metersMost = 8192
)

// ledger charges what a turn of an event loop cost to the conversations that the
// visitors' connections are in. What is shared out is measured; by what is not: a
// reading of the clock for each connection would cost a tenth of what it measures.
//
// Concurrency: none; one goroutine has it at a time.
type ledger struct {
	meters *cpu.Meters
	batch  cpu.Batch
	known  map[conversation.ConversationID]*cpu.Meter
	since  time.Time // when known was empty
}

// newLedger makes the ledger of a loop, or of what has none; nil when nobody measures.
func (g *Gateway) newLedger(int) loop.Ledger {
	if g.opts.Meters == nil {
		return nil
	}
	return &ledger{meters: g.opts.Meters, known: make(map[conversation.ConversationID]*cpu.Meter)}
}

// Begin implements [loop.Ledger].
func (l *ledger) Begin() bool { return l.batch.Begin(l.meters) }

// End implements [loop.Ledger].
func (l *ledger) End(done []loop.Work) {
	ns := l.batch.End()
	total := int64(0)
	for i := range done {
		total += weigh(&done[i])
	}
	if total == 0 || ns == 0 {
		return
	}
	l.refresh(time.Now())
	for i := range done {
		c, ok := done[i].Handler.(*conn)
		if !ok || c.side != visitorSide {
			continue // what an agent's connection does is for many conversations
		}
		if id := c.current(); !id.IsZero() {
			l.meter(id).Share(ns * weigh(&done[i]) / total)
		}
	}
}

func weigh(w *loop.Work) int64 { return workWeight + int64(w.Bytes) }

// refresh forgets the meters when it is time to.
func (l *ledger) refresh(now time.Time) {
	if len(l.known) >= metersMost || now.Sub(l.since) > metersFor {
		clear(l.known)
		l.since = now
	}
}

func (l *ledger) meter(id conversation.ConversationID) *cpu.Meter {
	m, ok := l.known[id]
	if !ok {
		m = l.meters.Of(id.String())
		l.known[id] = m
	}
	return m
}
