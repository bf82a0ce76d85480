package chaos

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// One in so many acknowledged messages is followed by something else.
const (
	readEvery     = 8
	handoverEvery = 24
)

// visitor writes through the widget's socket. Like the widget it has one message
// on its way at a time, keeps what is not acknowledged, sends it again after
// each reconnect with the same id, and resumes from the newest event it has
// seen. It goes on writing while it is not connected.
type visitor struct {
	client

	token   string
	waiting []*operation // written and not acknowledged, oldest first
	flying  time.Time    // when the oldest one was sent; zero = it is not on its way
	epoch   string
	view    *view            // nil = no conversation yet
	views   []*view          // of before resets
	newest  conversation.Seq // acknowledged, of the view's conversation
	settled []*operation     // the last ones that were acknowledged
	resets  int
	moveAt  time.Time // the server wants the connection gone by then; zero = it does not
	ready   bool      // what was missed has been shown, messages may go out
}

// run writes until quiet is closed, and then goes on until everything is
// acknowledged and everything stored has been shown.
func (v *visitor) run(ctx context.Context, quiet <-chan struct{}) {
	v.nextDue = time.Now().Add(v.pauseForThought())
	for ctx.Err() == nil {
		if v.session(ctx, quiet) {
			return
		}
		v.reconnects++
		v.backOff(ctx)
	}
}

// session is one connection. It reports true when the visitor is done.
func (v *visitor) session(ctx context.Context, quiet <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v.flying, v.moveAt, v.ready = time.Time{}, time.Time{}, false
	l, frames, err := v.connect(ctx, lab.Hello{Path: lab.VisitorPath, Token: v.token, Resume: v.resume()})
	if err != nil {
		v.compose(quiet)
		return false
	}
	defer l.Close()
	heard := time.Now()
	tick := time.NewTicker(idleLook)
	defer tick.Stop()
	for {
		v.compose(quiet)
		if !v.flush(l) || v.mustMove(heard) {
			return false
		}
		if closed(quiet) && v.caughtUp() {
			return true
		}
		due := time.NewTimer(time.Until(v.nextDue))
		select {
		case <-ctx.Done():
			return true
		case <-l.Lost():
			v.drain(frames)
			return false
		case f := <-frames:
			heard = f.Arrived
			v.take(l, f)
		case <-due.C:
		case <-tick.C:
		}
		due.Stop()
	}
}

// resume names the newest event seen.
func (v *visitor) resume() any {
	cursors := map[string]conversation.Seq{}
	if v.view != nil {
		cursors[v.view.id.String()] = v.view.cursor
	}
	return map[string]any{"epoch": v.epoch, "cursors": cursors}
}

// compose writes the messages whose time has come. What came due while nothing
// could be sent counts from then.
func (v *visitor) compose(quiet <-chan struct{}) {
	now := time.Now()
	for !closed(quiet) && !now.Before(v.nextDue) {
		if len(v.waiting) < maxWaiting {
			v.waiting = append(v.waiting, v.write(v.nextDue, v.view))
		}
		v.nextDue = v.nextDue.Add(v.pauseForThought())
	}
	if closed(quiet) {
		v.nextDue = now.Add(time.Hour)
	}
}

// flush sends the oldest message that waits, unless one is on its way or the
// connection is to be left.
func (v *visitor) flush(l *lab.Link) bool {
	if !v.ready || !v.moveAt.IsZero() || len(v.waiting) == 0 || !v.flying.IsZero() {
		return true
	}
	o := v.waiting[0]
	v.flying = time.Now()
	v.ledger.sent(o, v.at)
	return l.Send(map[string]any{"t": "message.send", "client_id": o.ref(), "text": o.text}) == nil
}

// mustMove reports whether another connection is needed: an answer does not
// come, or the server goes down.
func (v *visitor) mustMove(heard time.Time) bool {
	now := time.Now()
	switch {
	case !v.moveAt.IsZero() && v.flying.IsZero() && (len(v.waiting) > 0 || now.After(v.moveAt)):
		return true
	case !v.flying.IsZero():
		return now.Sub(v.flying) > patience
	case !v.ready || !v.caughtUp():
		return now.Sub(heard) > patience
	}
	return false
}

// drain takes what came before the connection was lost.
func (v *visitor) drain(frames <-chan *lab.Frame) {
	for {
		select {
		case f := <-frames:
			v.take(nil, f)
		default:
			return
		}
	}
}

// take enters a frame into the ledger.
func (v *visitor) take(l *lab.Link, f *lab.Frame) {
	switch f.T {
	case "welcome":
		v.epoch = f.Epoch
		if v.view == nil {
			if id, version := f.Current(); !id.IsZero() {
				v.view = newView(id, version)
			}
		}
	case "resumed":
		v.ready, v.attempts = true, 0
	case "reset":
		v.onReset()
	case "reconnect":
		v.moveAt = f.Arrived.Add(time.Duration(f.AfterMS) * time.Millisecond)
	case "ack":
		v.onAck(l, f)
	case "error":
		v.onError(f)
	case "event":
		if id, err := conversation.ParseConversationID(f.ID); err == nil {
			v.follow(id).take(f)
		}
	}
}

// follow gives the view of a conversation; the first one begins with it.
func (v *visitor) follow(id conversation.ConversationID) *view {
	switch {
	case v.view == nil:
		v.view = newView(id, 0)
	case v.view.id != id: // a successor
		v.views = append(v.views, v.view)
		v.view, v.newest = newView(id, 0), 0
	}
	return v.view
}

// onReset begins a new view: the server cannot continue the old one. The page
// would load the conversation again.
func (v *visitor) onReset() {
	v.resets++
	if v.view != nil {
		v.views = append(v.views, v.view)
	}
	v.view, v.newest, v.ready = nil, 0, false
	v.moveAt = time.Now()
}

func (v *visitor) onAck(l *lab.Link, f *lab.Frame) {
	id, err := conversation.ParseConversationID(f.ID)
	if err != nil {
		return
	}
	if len(v.waiting) == 0 || v.waiting[0].ref() != f.ClientID {
		v.onLateAck(f, place{id, f.Seq})
		return
	}
	o := v.waiting[0]
	v.ledger.acknowledge(o, f.Arrived, place{id, f.Seq})
	v.waiting, v.flying = v.waiting[1:], time.Time{}
	if v.settled = append(v.settled, o); len(v.settled) > maxWaiting {
		v.settled = v.settled[1:]
	}
	v.follow(id)
	v.newest = f.Seq
	if l == nil {
		return
	}
	switch {
	case v.random.IntN(handoverEvery) == 0:
		_ = l.Send(map[string]any{"t": "handover"})
	case v.random.IntN(readEvery) == 0:
		_ = l.Send(map[string]any{"t": "read", "conversation_id": f.ID, "seq": f.Seq})
		_ = l.Send(map[string]any{"t": "typing", "on": true})
	}
}

// onLateAck takes another answer to a message that was acknowledged before: it
// must say the same.
func (v *visitor) onLateAck(f *lab.Frame, p place) {
	for _, o := range v.settled {
		if o.ref() == f.ClientID {
			v.ledger.acknowledge(o, f.Arrived, p)
		}
	}
}

// onError repeats what was refused for the moment, on another node; what was
// refused for good is given up.
func (v *visitor) onError(f *lab.Frame) {
	if len(v.waiting) == 0 || f.Ref != v.waiting[0].ref() {
		return
	}
	v.flying = time.Time{}
	if passing(f) {
		v.moveAt = time.Now()
		v.attempts++
		return
	}
	v.refused(f.Problem.Code)
	v.ledger.giveUp(v.waiting[0])
	v.waiting = v.waiting[1:]
}

// passing reports whether the same frame may be taken later.
func passing(f *lab.Frame) bool {
	return f.Problem.Retry || f.Problem.Status == 0 || f.Problem.Status == 429 || f.Problem.Status >= 500
}

// caughtUp reports whether everything is acknowledged and shown.
func (v *visitor) caughtUp() bool {
	return len(v.waiting) == 0 && (v.view == nil || v.view.covers(v.newest))
}
