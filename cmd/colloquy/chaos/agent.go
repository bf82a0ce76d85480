package chaos

import (
	"context"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxDesks   = 4 // conversations that one agent has at a time
	maxReplies = 4 // to one conversation, before it is resolved
	noteEvery  = 6 // one in so many replies is an internal note
)

// desk is a conversation in the hands of an agent.
type desk struct {
	id      conversation.ConversationID
	phase   deskPhase
	asked   time.Time // when the command or message on its way was sent; zero = none is
	next    time.Time // when the agent does the next thing
	replies int       // still to come
	note    bool      // what is on its way is a note
	reply   *operation
	view    *view
}

type deskPhase int

const (
	claiming deskPhase = iota
	opening
	talking
	resolving
)

// agent claims conversations that were handed over, replies and resolves them,
// through the console's socket. What it wrote is sent again after each
// reconnect with the same id.
type agent struct {
	client

	id     conversation.AgentID
	token  string
	epoch  string
	desks  map[conversation.ConversationID]*desk
	views  []*view // of desks that were left
	resets int
	ready  bool
	moveAt time.Time
}

// run works until quiet is closed, and then until every reply has its answer.
func (a *agent) run(ctx context.Context, quiet <-chan struct{}) {
	a.desks = map[conversation.ConversationID]*desk{}
	for ctx.Err() == nil {
		if a.session(ctx, quiet) {
			break
		}
		a.reconnects++
		a.backOff(ctx)
	}
	for _, d := range a.desks {
		a.leave(nil, d)
	}
}

// session is one connection. It reports true when the agent is done.
func (a *agent) session(ctx context.Context, quiet <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.ready, a.moveAt = false, time.Time{}
	cursors := map[string]conversation.Seq{}
	for _, d := range a.desks {
		d.asked = time.Time{}
		if d.view != nil {
			cursors[d.id.String()] = d.view.cursor
		}
	}
	l, frames, err := a.connect(ctx, lab.Hello{
		Path: lab.AgentPath, Token: a.token, Resume: map[string]any{"epoch": a.epoch, "cursors": cursors},
	})
	if err != nil {
		return false
	}
	defer l.Close()
	began := time.Now()
	tick := time.NewTicker(idleLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-l.Lost():
			return false
		case f := <-frames:
			a.take(l, f, quiet)
		case <-tick.C:
			if closed(quiet) && a.idle() {
				return true
			}
			if !a.work(l, quiet) || a.mustMove(began) {
				return false
			}
		}
	}
}

func (a *agent) idle() bool {
	for _, d := range a.desks {
		if d.reply != nil {
			return false
		}
	}
	return true
}

// mustMove reports whether another connection is needed.
func (a *agent) mustMove(began time.Time) bool {
	now := time.Now()
	if !a.ready {
		return now.Sub(began) > patience
	}
	if !a.moveAt.IsZero() && now.After(a.moveAt) {
		return true
	}
	for _, d := range a.desks {
		if !d.asked.IsZero() && now.Sub(d.asked) > patience {
			return true
		}
	}
	return false
}

// work does what is due at each desk.
func (a *agent) work(l *lab.Link, quiet <-chan struct{}) bool {
	if !a.ready {
		return true
	}
	for _, d := range a.desks {
		if d.asked.IsZero() && time.Now().After(d.next) && !a.act(l, d, quiet) {
			return false
		}
	}
	return true
}

// act sends the next frame of a desk.
func (a *agent) act(l *lab.Link, d *desk, quiet <-chan struct{}) bool {
	id := d.id.String()
	frame := map[string]any{"conversation_id": id}
	switch {
	case d.reply == nil && closed(quiet):
		return true
	case d.phase == claiming:
		frame["t"], frame["ref"] = "claim", "claim:"+id
	case d.phase == opening:
		frame["t"], frame["ref"], frame["after"] = "subscribe", "open:"+id, d.view.cursor
	case d.phase == talking:
		if d.reply == nil {
			d.reply = a.write(time.Now(), d.view)
			d.note = a.random.IntN(noteEvery) == 0
		}
		a.ledger.sent(d.reply, a.at)
		frame["t"], frame["client_id"], frame["text"] = "message.send", d.reply.ref(), d.reply.text
		if d.note {
			frame["t"] = "note.add"
		}
	case d.phase == resolving:
		frame["t"], frame["ref"] = "resolve", "resolve:"+id
	}
	d.asked = time.Now()
	return l.Send(frame) == nil
}

// take acts on a frame.
func (a *agent) take(l *lab.Link, f *lab.Frame, quiet <-chan struct{}) {
	switch f.T {
	case "welcome":
		a.epoch = f.Epoch
	case "resumed":
		a.ready, a.attempts = true, 0
		_ = l.Send(map[string]any{"t": "subscribe", "inbox": lab.Inbox})
		_ = l.Send(map[string]any{"t": "presence", "state": conversation.PresenceOnline})
	case "reset":
		a.onReset(f)
	case "reconnect":
		a.moveAt = f.Arrived.Add(time.Duration(f.AfterMS) * time.Millisecond)
	case "ack":
		a.onAck(f)
	case "done":
		a.onDone(l, f)
	case "error":
		a.onError(l, f)
	case "event":
		id, err := conversation.ParseConversationID(f.ID)
		switch {
		case err != nil:
		case f.Kind == updatedKind:
			a.onUpdated(id, f, quiet)
		case a.desks[id] != nil && a.desks[id].view != nil:
			a.desks[id].view.take(f)
		}
	}
}

// updatedKind is the news about a conversation that the followers of an inbox
// get.
const updatedKind = "conversation.updated"

// onUpdated claims what waits in the queue, and takes up again what is in this
// agent's hands without a desk.
func (a *agent) onUpdated(id conversation.ConversationID, f *lab.Frame, quiet <-chan struct{}) {
	free := f.Data.Status == conversation.StatusOpen &&
		(f.Data.Queue == conversation.QueueQueued || f.Data.Assignee == a.id)
	if !free || a.desks[id] != nil || len(a.desks) >= maxDesks || closed(quiet) {
		return
	}
	a.desks[id] = &desk{id: id, replies: 1 + a.random.IntN(maxReplies), next: time.Now().Add(a.pauseForThought() / 4)}
}

// deskOf finds the desk that a ref such as claim:cnv_… is about.
func (a *agent) deskOf(ref string) (string, *desk) {
	verb, text, _ := strings.Cut(ref, ":")
	id, err := conversation.ParseConversationID(text)
	if err != nil {
		return verb, nil
	}
	return verb, a.desks[id]
}

func (a *agent) onDone(l *lab.Link, f *lab.Frame) {
	verb, d := a.deskOf(f.Ref)
	if d == nil {
		return
	}
	d.asked = time.Time{}
	switch {
	case verb == "claim" && d.phase == claiming:
		// Everything behind the claim must be shown.
		d.phase, d.view = opening, newView(d.id, f.Version)
		d.view.agent = true
	case verb == "open" && d.phase == opening:
		d.phase, d.next = talking, time.Now().Add(a.pauseForThought())
	case verb == "resolve":
		a.leave(l, d)
	}
}

func (a *agent) onAck(f *lab.Frame) {
	id, err := conversation.ParseConversationID(f.ID)
	d := a.desks[id]
	if err != nil || d == nil || d.reply == nil || d.reply.ref() != f.ClientID {
		return
	}
	a.ledger.acknowledge(d.reply, f.Arrived, place{id, f.Seq})
	d.reply, d.asked = nil, time.Time{}
	d.next = time.Now().Add(a.pauseForThought())
	if d.replies--; d.replies <= 0 {
		d.phase = resolving
	}
}

// onError repeats what was refused for the moment; what was refused for good
// ends the desk: somebody else has the conversation, or it is over.
func (a *agent) onError(l *lab.Link, f *lab.Frame) {
	_, d := a.deskOf(f.Ref)
	for _, other := range a.desks {
		if other.reply != nil && other.reply.ref() == f.Ref {
			d = other
		}
	}
	if d == nil {
		return
	}
	d.asked = time.Time{}
	if passing(f) {
		d.next = time.Now().Add(firstBackoff << a.random.IntN(4))
		return
	}
	if d.phase == talking {
		a.refused(f.Problem.Code)
	}
	a.leave(l, d)
}

// onReset forgets the desks that cannot be continued.
func (a *agent) onReset(f *lab.Frame) {
	a.resets++
	for id, d := range a.desks {
		if d.view != nil && (f.ID == "" || f.ID == id.String()) {
			a.leave(nil, d)
		}
	}
	a.moveAt = time.Now()
}

// leave ends a desk and keeps what was seen at it.
func (a *agent) leave(l *lab.Link, d *desk) {
	if l != nil {
		_ = l.Send(map[string]any{"t": "unsubscribe", "conversation_id": d.id})
	}
	if d.reply != nil {
		a.ledger.giveUp(d.reply)
	}
	if d.view != nil {
		a.views = append(a.views, d.view)
	}
	delete(a.desks, d.id)
}
