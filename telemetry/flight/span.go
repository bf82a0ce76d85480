package flight

import (
	"encoding/binary"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Name says what a span measures. The names are fixed, so that a record is too.
type Name uint8

// The spans of a turn.
const (
	GatewayIn   Name = iota + 1 // from an entrance handing the message in until it has the receipt
	RemoteCall                  // the way to the conversation on another node and back
	Turn                        // from the message reaching its conversation until the bot's part is durable
	Grain                       // the conversation's own work: loading its state, deciding on the message
	Intent                      // from asking for a prediction until it is there
	Policy                      // choosing what to do with the prediction, and composing the answer
	Behavior                    // a behavior or look-up off the mailbox
	StoreAppend                 // until the append was durable
	ChannelSend                 // one attempt to bring a reply to its provider
	SocketFlush                 // from a reply being queued for a visitor's socket until it was written
)

// names are in the order of the constants.
func names() []string {
	return []string{
		"", "gateway.in", "remote.call", "turn", "grain", "intent", "policy", "behavior", "store.append", "channel.send", "ws.flush",
	}
}

// String gives the name as traces show it.
func (n Name) String() string {
	if all := names(); int(n) < len(all) {
		return all[n]
	}
	return ""
}

// Span is a piece of work that has begun. The zero value records nothing.
//
// Concurrency: it belongs to whoever holds it.
type Span struct {
	trace        traceNumbers
	span, parent uint64
	start        int64  // Unix ns
	steps        uint32 // that were begun below it by [Recorder.Step]
	name         Name
	sampled      bool
}

// At gives the place in the trace that work below this span belongs to.
func (s *Span) At() conversation.Trace {
	return conversation.Trace{ID: s.trace.id(), Span: spanID(s.span), Sampled: s.sampled}
}

// IsZero reports whether the span records nothing, or has ended.
func (s *Span) IsZero() bool { return s.name == 0 }

// Took gives how long the span lasts at a time.
func (s *Span) Took(at time.Time) time.Duration { return time.Duration(at.UnixNano() - s.start) }

// Start begins a span below parent, or a new trace if there is none.
func (r *Recorder) Start(n Name, parent conversation.Trace, at time.Time) Span {
	if r == nil {
		return Span{}
	}
	if parent.IsZero() {
		t := r.ids.trace()
		return Span{trace: t, span: r.ids.span(), start: at.UnixNano(), name: n, sampled: r.samples(t)}
	}
	return Span{
		trace: numbersOf(&parent.ID), span: r.ids.span(), parent: binary.BigEndian.Uint64(parent.Span[:]),
		start: at.UnixNano(), name: n, sampled: parent.Sampled,
	}
}

// Below begins a span if there is one to be below of: work that belongs to no
// turn is not recorded.
func (r *Recorder) Below(n Name, parent conversation.Trace, at time.Time) Span {
	if parent.IsZero() {
		return Span{}
	}
	return r.Start(n, parent, at)
}

// Step is Below for whoever holds the span above. Its id comes from that one and
// asks no counter which all processors share.
func (r *Recorder) Step(n Name, above *Span, at time.Time) Span {
	if r == nil || above.name == 0 {
		return Span{}
	}
	above.steps++
	return Span{
		trace: above.trace, span: mix(above.span+uint64(above.steps)*step) | 1, parent: above.span,
		start: at.UnixNano(), name: n, sampled: above.sampled,
	}
}

// Facts are what a span says besides its times. What Value and Label mean
// depends on its name; see [Record].
type Facts struct {
	Conversation conversation.ConversationID
	Channel      conversation.ChannelKind
	Seq          conversation.Seq
	Value        int64
	Label        string
	Failed       bool
}

// End records a span; ending it once more does nothing.
func (r *Recorder) End(s *Span, at time.Time, f Facts) {
	if r == nil || s.name == 0 {
		return
	}
	r.ring.put(&record{
		trace: s.trace, span: s.span, parent: s.parent, conversation: f.Conversation, start: s.start, took: max(at.UnixNano()-s.start, 0),
		seq: uint64(f.Seq), value: f.Value, label: r.labels.of(f.Label), channel: r.labels.of(string(f.Channel)), name: s.name, failed: f.Failed,
	})
	s.name = 0
}
