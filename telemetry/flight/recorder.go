package flight

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Options configure [New]. Zero means the default.
type Options struct {
	Spans     int     // records in the ring, rounded up to a power of two; default 65,536
	Ratio     float64 // share of all traces that is kept whatever happens, 0 to 1
	PerSecond int     // traces that are kept in a second at most, beyond a burst of as many; default 20
}

// The limits of [Options].
const (
	defaultSpans     = 64 << 10
	defaultPerSecond = 20
)

// Recorder is the flight recorder of a node. A nil one records nothing.
//
// bound: Options.Spans records, the newest ones; queuedWants traces that nobody
// has fetched yet.
//
// Concurrency: all methods may run together.
type Recorder struct {
	ring    ring
	ids     ids
	clock   clock
	labels  labels
	ongoing ongoing
	paces   paces
	allowed allowance
	ratio   uint64 // traces whose first eight bytes are below are sampled
	wants   chan Want
	refused atomic.Uint64
}

// New makes a recorder. Negative Spans mean none: it gives nil, which records
// nothing.
func New(o Options) *Recorder {
	if o.Spans < 0 {
		return nil
	}
	if o.Spans == 0 {
		o.Spans = defaultSpans
	}
	if o.PerSecond == 0 {
		o.PerSecond = defaultPerSecond
	}
	r := &Recorder{wants: make(chan Want, queuedWants)}
	r.ring.start(o.Spans)
	r.ratio = uint64(min(max(o.Ratio, 0), 1) * float64(math.MaxUint64>>1)) // compared with 63 bits
	r.ids.start()
	r.labels.start()
	r.allowed.start(o.PerSecond)
	return r
}

// Record is a span that has ended.
type Record struct {
	Trace        conversation.TraceID        `json:"trace"`
	Span         conversation.SpanID         `json:"span"`
	Parent       conversation.SpanID         `json:"parent"` // zero begins the trace
	Name         string                      `json:"name"`
	Node         string                      `json:"node,omitempty"` // where it was recorded; whoever gathers spans fills it in
	Start        time.Time                   `json:"start"`
	Took         time.Duration               `json:"took_ns"`
	Failed       bool                        `json:"failed,omitempty"`
	Conversation conversation.ConversationID `json:"conversation,omitzero"`
	Channel      string                      `json:"channel,omitempty"`
	Seq          conversation.Seq            `json:"seq,omitempty"` // of the message; zero = not known
	// Value is, by name: turn, the processor time in ns; intent, the confidence in
	// millionths; store.append, the entries; channel.send, the attempt; ws.flush,
	// the bytes.
	Value int64 `json:"value,omitempty"`
	// Label is, by name: turn, the outcome; intent, the best intent; policy, the
	// action; behavior, its name; gateway.in, store.append and channel.send, the
	// class of the error; remote.call, the node.
	Label string `json:"label,omitempty"`
}

// Find gives the spans of some traces that are still in the ring, in no
// particular order, in one pass over it.
func (r *Recorder) Find(of map[conversation.TraceID]bool) []Record {
	if r == nil || len(of) == 0 {
		return nil
	}
	found := r.ring.find(newWanted(of))
	var out []Record
	for i := range found {
		out = append(out, r.shown(&found[i]))
	}
	return out
}

func (r *Recorder) shown(rec *record) Record {
	return Record{
		Trace: rec.trace.id(), Span: spanID(rec.span), Parent: spanID(rec.parent), Name: rec.name.String(), Start: time.Unix(0, rec.start).UTC(),
		Took: time.Duration(rec.took), Failed: rec.failed, Conversation: rec.conversation, Channel: r.labels.text(rec.channel),
		Seq: conversation.Seq(rec.seq), Value: rec.value, Label: r.labels.text(rec.label),
	}
}

// Counts are what the recorder has done so far.
type Counts struct {
	Recorded, Evicted uint64 // spans; evicted ones made room for newer ones
	Lost              uint64 // spans that found every place taken
	Refused           uint64 // wanted traces beyond Options.PerSecond, or that nobody fetched
}

// Counts gives them; zero for nil.
func (r *Recorder) Counts() Counts {
	if r == nil {
		return Counts{}
	}
	recorded, evicted := r.ring.counts()
	return Counts{Recorded: recorded, Evicted: evicted, Lost: r.ring.lost.Load(), Refused: r.refused.Load()}
}
