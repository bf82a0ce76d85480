package flight

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Reason says why a trace is kept.
type Reason string

// The reasons, the first that holds counts.
const (
	ReasonNone    Reason = ""
	ReasonError   Reason = "error"   // something in the turn failed
	ReasonAnomaly Reason = "anomaly" // something about the conversation is strange
	ReasonWatched Reason = "watched" // the session is watched
	ReasonSampled Reason = "sampled" // whoever began the trace, or tracing.ratio, wants it
	ReasonSlow    Reason = "slow"    // slower than 99 of 100 turns of its channel
)

// Reasons lists them.
func Reasons() []Reason {
	return []Reason{ReasonError, ReasonAnomaly, ReasonWatched, ReasonSampled, ReasonSlow}
}

// queuedWants is how many wanted traces may wait to be fetched.
const queuedWants = 256

// Verdict is what is known of a turn at its end.
type Verdict struct {
	Inbox   conversation.InboxID
	Failed  bool
	Strange bool   // an anomaly was found
	Watched bool   // the session is watched
	From    string // the node that the message came by; empty = this one
}

// Want asks for a trace to be kept.
type Want struct {
	Trace        conversation.TraceID
	Conversation conversation.ConversationID
	Inbox        conversation.InboxID
	Channel      conversation.ChannelKind
	Began        time.Time
	Took         time.Duration // of the turn
	Failed       bool
	Reason       Reason
	Nodes        []string // others that have spans of it
}

// Judge ends the span of a turn, or of what stands for one, and decides whether
// its trace is kept. It must be called once for each turn, since it also learns
// from it how long turns take.
func (r *Recorder) Judge(s *Span, at time.Time, f Facts, v Verdict) Reason {
	if r == nil || s.IsZero() {
		return ReasonNone
	}
	took, trace, began, sampled := s.Took(at), s.trace, time.Unix(0, s.start).UTC(), s.sampled
	slow := s.name == Turn && r.paces.slow(r.labels.of(string(f.Channel)), took)
	f.Failed = f.Failed || v.Failed
	r.End(s, at, f)
	var reason Reason
	switch {
	case f.Failed:
		reason = ReasonError
	case v.Strange:
		reason = ReasonAnomaly
	case v.Watched:
		reason = ReasonWatched
	case sampled:
		reason = ReasonSampled
	case slow:
		reason = ReasonSlow
	default:
		return ReasonNone
	}
	w := Want{
		Trace: trace.id(), Conversation: f.Conversation, Inbox: v.Inbox, Channel: f.Channel, Began: began, Took: took, Failed: f.Failed, Reason: reason,
	}
	if v.From != "" {
		w.Nodes = []string{v.From}
	}
	return r.want(w, at)
}

// Keep asks for a trace to be kept that nobody judges, such as one whose reply
// could not be sent.
func (r *Recorder) Keep(w Want, at time.Time) {
	if r != nil && w.Trace != (conversation.TraceID{}) {
		r.want(w, at)
	}
}

// want puts a trace before whoever fetches them. It does not wait.
func (r *Recorder) want(w Want, at time.Time) Reason {
	if r.allowed.take(at) {
		select {
		case r.wants <- w:
			return w.Reason
		default:
		}
	}
	r.refused.Add(1)
	return ReasonNone
}

// Wants gives the traces to keep, soon after their turns have ended. For nil it
// gives a channel that never does.
func (r *Recorder) Wants() <-chan Want {
	if r == nil {
		return nil
	}
	return r.wants
}
