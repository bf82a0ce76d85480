package actors

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// trail is a message's way through its conversation, as the flight recorder has
// it: the turn, and in it one step after the other.
type trail struct {
	turn    flight.Span
	step    flight.Span
	via     string // the node that the message came by; empty = this one
	failed  bool   // a part of the turn failed, whatever became of the rest
	strange bool   // something about the conversation is
}

// below gives the place of work within the turn; zero for a nil trail, which is
// of work that belongs to no turn.
func (tr *trail) below() conversation.Trace {
	if tr == nil {
		return conversation.Trace{}
	}
	return tr.turn.At()
}

// traced gives a context for log records about the present work.
func (g *grain) traced() context.Context {
	return conversation.WithTrace(context.Background(), g.trail.below())
}

// arrived begins the trail of a message that has just come.
func (g *grain) arrived(v *visit) *visit {
	r := g.e.o.Flights
	v.trail.via = v.deliver.via
	v.trail.turn = r.Start(flight.Turn, v.deliver.in.Trace, v.came)
	v.trail.step = r.Step(flight.Grain, &v.trail.turn, v.came)
	return v
}

// step ends the present step of a trail with what it came to, and begins the
// next; a zero name begins none.
func (g *grain) step(tr *trail, next flight.Name, f flight.Facts) {
	if tr == nil || tr.turn.IsZero() {
		return
	}
	now := g.e.o.Flights.Now()
	f.Conversation = g.id
	g.e.o.Flights.End(&tr.step, now, f)
	if next != 0 {
		tr.step = g.e.o.Flights.Step(next, &tr.turn, now)
	}
}

// understood ends the step of asking for a prediction.
func (g *grain) understood(t *turn, pred *conversation.Prediction) {
	var f flight.Facts
	if pred == nil {
		f.Failed, t.trail.failed = true, true
	} else if best := pred.Best(); best.Intent != "" {
		f.Label, f.Value = best.Intent, int64(best.Confidence*1e6)
	}
	g.step(t.trail, flight.Policy, f)
}

// leave ends a trail, with what became of its message, and gives the reason why
// the trace is kept, if it is. Ending it again does nothing.
func (g *grain) leave(tr *trail, at time.Time, f flight.Facts) flight.Reason {
	if tr == nil || tr.turn.IsZero() {
		return flight.ReasonNone
	}
	r := g.e.o.Flights
	r.End(&tr.step, at, flight.Facts{Conversation: g.id, Failed: f.Failed})
	v := flight.Verdict{Failed: tr.failed, Strange: tr.strange, Watched: g.meter.Watched(at), From: tr.via}
	f.Conversation = g.id
	if g.state != nil && g.state.Started() {
		f.Channel, v.Inbox = g.state.Channel, g.state.Inbox
	}
	return r.Judge(&tr.turn, at, f, v)
}

// dismiss is leave for a message that opens no turn of the bot, or whose turn is
// given up.
func (g *grain) dismiss(tr *trail, outcome string) {
	if tr != nil && !tr.turn.IsZero() {
		g.leave(tr, g.e.o.Flights.Now(), flight.Facts{Label: outcome})
	}
}

// findStrange has the trace of the present turn kept, because something about the
// conversation is out of the ordinary. The turn may have ended just now.
func (g *grain) findStrange() {
	tr := g.trail
	switch {
	case tr == nil || tr.below().IsZero():
	case !tr.turn.IsZero():
		tr.strange = true
	default:
		now := time.Now()
		took := tr.turn.Took(now)
		w := flight.Want{Trace: tr.below().ID, Conversation: g.id, Began: now.Add(-took), Took: took, Reason: flight.ReasonAnomaly}
		if g.state != nil {
			w.Inbox, w.Channel = g.state.Inbox, g.state.Channel
		}
		if tr.via != "" {
			w.Nodes = []string{tr.via}
		}
		g.e.o.Flights.Keep(w, now)
	}
}

// turnAway refuses a visitor's message.
func (g *grain) turnAway(v *visit, err error) {
	g.refuse(v.sender, err)
	if !v.trail.turn.IsZero() {
		g.leave(&v.trail, g.e.o.Flights.Now(), flight.Facts{Channel: v.deliver.in.Channel, Label: string(conversation.CodeOf(err)), Failed: isFault(err)})
	}
}

// isFault reports whether an error is ours, rather than the sender's mistake.
func isFault(err error) bool {
	return errors.Is(err, conversation.ErrUnavailable) || errors.Is(err, conversation.ErrUnknown) ||
		errors.Is(err, conversation.ErrOverloaded) || errors.Is(err, conversation.ErrInternal)
}

// observe counts a turn, with the trace as an example if it is kept: whoever sees
// the figure finds the turn behind it. Examples take memory, so others have none.
func observe(o prometheus.Observer, value float64, t *turn, id conversation.ConversationID) {
	if with, ok := o.(prometheus.ExemplarObserver); ok && t.kept != flight.ReasonNone {
		with.ObserveWithExemplar(value, prometheus.Labels{"trace_id": t.trail.turn.At().ID.String(), "conversation_id": id.String()})
		return
	}
	o.Observe(value)
}

// enter begins the trace of a request, or goes on with its sender's.
func (r *request) enter(rec *flight.Recorder, now time.Time) {
	if r.root = rec.Start(flight.GatewayIn, r.in.Trace, now); !r.root.IsZero() {
		r.msg.in.Trace = r.root.At()
	}
}

// crosses begins the span of a message that goes to another node, and says where
// it is to be found.
func (e *Engine) crosses(r *request, m *deliver) {
	if r.root.IsZero() {
		return
	}
	view := e.gate.View()
	if len(view.Members()) < 2 {
		return
	}
	owner, ok := view.Owner(conversationID(r.id))
	if !ok || owner.ID == view.Self() {
		return
	}
	r.owner = string(owner.ID)
	r.away = e.o.Flights.Step(flight.RemoteCall, &r.root, e.o.Flights.Now())
	m.via, m.in.Trace = string(view.Self()), r.away.At()
	e.o.Flights.Entered(r.id, r.root.At())
}

// back ends the span that crosses began.
func (s *shards) back(r *request, err error) {
	if !r.away.IsZero() {
		s.flights.End(&r.away, s.flights.Now(), flight.Facts{Conversation: r.id, Channel: r.in.Channel, Label: r.owner, Failed: err != nil && isFault(err)})
	}
}

// exit ends the trace of a request here. One that failed is kept whatever the
// conversation makes of it, which may never have heard of the message.
func (s *shards) exit(r *request, receipt conversation.Receipt, err error) {
	if r.root.IsZero() {
		return
	}
	f := flight.Facts{Conversation: r.id, Channel: r.in.Channel, Seq: receipt.Seq}
	now := s.flights.Now()
	if err == nil || !isFault(err) {
		if err != nil {
			f.Label = string(conversation.CodeOf(err))
		}
		s.flights.End(&r.root, now, f)
		return
	}
	f.Label, f.Failed = string(conversation.CodeOf(err)), true
	s.flights.Judge(&r.root, now, f, flight.Verdict{Inbox: r.in.Inbox, From: r.owner})
}

// sent ends the span of an attempt to send a reply. A trace whose reply did not
// get through is kept.
func (c *courier) sent(s *flight.Span, row conversation.Outbound, attempt int, a Attempt) {
	if s.IsZero() {
		return
	}
	now, trace := c.e.o.Flights.Now(), s.At().ID
	took := s.Took(now)
	failed := a.Result != conversation.DeliverySent
	c.e.o.Flights.End(s, now, flight.Facts{
		Conversation: row.Conversation, Channel: row.Channel, Seq: row.Message, Value: int64(attempt), Label: a.Detail, Failed: failed,
	})
	if !failed {
		return
	}
	w := flight.Want{
		Trace: trace, Conversation: row.Conversation, Inbox: row.Inbox, Channel: row.Channel, Began: now.Add(-took), Took: took,
		Failed: true, Reason: flight.ReasonError,
	}
	if _, from := c.e.o.Flights.Shown(row.Conversation, row.Message); from != "" {
		w.Nodes = []string{from}
	}
	c.e.o.Flights.Keep(w, now)
}
