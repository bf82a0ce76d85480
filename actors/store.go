package actors

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// errAppend is what the senders get whose message did not become durable. The
// outcome may be unknown, so it tells them to come back with the same ref.
var errAppend = &conversation.Error{Code: conversation.CodeUnknownOutcome, Detail: "the journal did not confirm; send it again with the same id"}

// errMoving is for senders whose message was certainly not stored, because the
// conversation goes on elsewhere. They, or the way to the grain, try again.
var errMoving = &conversation.Error{Code: conversation.CodeFenced, Detail: "the conversation is being moved; send it again with the same id"}

// activate makes this grain the owner and loads the state, unless it has been
// done. It is for messages that may start the conversation.
func (g *grain) activate(o conversation.Origin) error {
	if g.state != nil {
		return nil
	}
	if g.id.IsZero() || g.id != o.ID {
		return conversation.Refuse(conversation.CodeBadID, "not the id of a conversation")
	}
	ctx, cancel := g.patience()
	defer cancel()
	return g.load(ctx)
}

// reactivate is activate for everything else: it refuses what has not started,
// without leaving a trace of having been asked.
func (g *grain) reactivate() error {
	if g.state != nil && g.state.Started() {
		return nil
	}
	ctx, cancel := g.patience()
	defer cancel()
	if g.id.IsZero() {
		return conversation.Refuse(conversation.CodeNotFound, "no such conversation")
	}
	known, err := g.e.o.Journal.Exists(ctx, g.id)
	if err != nil {
		return err
	}
	if !known {
		return conversation.Refuse(conversation.CodeNotFound, "no such conversation")
	}
	return g.load(ctx)
}

// load claims first and reads then: whatever an older activation appended is in
// what is read, and nothing it appends later will be accepted.
func (g *grain) load(ctx context.Context) error {
	epoch, err := g.e.o.Journal.Claim(ctx, g.id)
	if err != nil {
		return err
	}
	s, err := g.e.o.Journal.Load(ctx, g.id)
	if err != nil {
		return err
	}
	s.ID = g.id
	g.state, g.epoch, g.head, g.saved, g.staged = s, epoch, s.Head(), s.Version, nil
	g.refs = newRefMemory(s)
	return nil
}

// restIfUnknown lets go of a grain that somebody asked for and that does not
// exist: made-up ids must not fill the memory.
func (g *grain) restIfUnknown(err error) {
	if g.state == nil && errors.Is(err, conversation.ErrNotFound) {
		g.e.gate.Passivate(cluster.GrainID{Kind: KindConversation, ID: g.id.String()})
	}
}

// stagedRoom is what a message with its turn and one reply needs.
const stagedRoom = 4

// stage gives events their place and time and folds them into the state. They
// are not durable before flush.
func (g *grain) stage(events []conversation.Event) {
	now := g.now()
	if g.staged == nil && len(events) > 0 {
		g.staged = make([]conversation.Entry, 0, stagedRoom)
	}
	for _, ev := range events {
		e := conversation.Entry{Seq: g.state.Version + 1, At: now, Event: ev}
		g.state.Apply(e)
		g.staged = append(g.staged, e)
	}
}

// flush makes everything staged durable and then runs the effects. On an error
// the state in memory is forgotten, because it is ahead of the journal.
func (g *grain) flush() error {
	if len(g.staged) == 0 {
		return nil
	}
	entries := g.staged
	g.staged = nil
	effects := conversation.Effects(g.state, g.head, entries)
	a := g.newAppend(entries, effects)
	ctx, cancel := g.patience()
	defer cancel()
	if err := g.append(ctx, a); err != nil {
		g.appendFailed(err)
		return err
	}
	g.head, g.failures = a.Head, 0
	for _, r := range a.Refs {
		g.refs.add(r.Ref)
	}
	if a.State != nil {
		g.saved = a.Head.Version
	}
	g.run(effects, entries)
	return nil
}

// append is the journal's, as a span of the turn that it belongs to.
func (g *grain) append(ctx context.Context, a *conversation.Append) error {
	at := g.trail.below()
	if at.IsZero() {
		return g.e.o.Journal.Append(ctx, a)
	}
	r := g.e.o.Flights
	first, last := a.Entries[0].Seq, a.Entries[len(a.Entries)-1].Seq
	// Before the entries can be seen: the flush to the visitor's socket may come
	// before the append returns.
	r.Stored(g.id, at, first, last, g.trail.via)
	s := r.Start(flight.StoreAppend, at, r.Now())
	err := g.e.o.Journal.Append(ctx, a)
	f := flight.Facts{Conversation: g.id, Seq: last, Value: int64(len(a.Entries))}
	if err != nil {
		f.Failed, f.Label = true, string(conversation.CodeOf(err))
	}
	r.End(&s, r.Now(), f)
	return err
}

func (g *grain) newAppend(entries []conversation.Entry, effects []conversation.Effect) *conversation.Append {
	a := &conversation.Append{
		ID: g.id, Expect: entries[0].Seq - 1, Epoch: g.epoch, Entries: entries,
		Head: g.state.Head(), NextDue: g.state.NextDue(),
		// Always set: the index of senders' ids is by contact, and the first
		// entry makes this the contact's current conversation.
		Contact: conversation.ContactKey{Inbox: g.state.Inbox, Contact: g.state.Contact},
	}
	for _, e := range entries {
		switch ev := e.Event.(type) { //nolint:gochecksumtype // the events with rows of their own
		case conversation.MessageAccepted:
			a.Refs = appendRef(a.Refs, ev.Ref, e.Seq)
			a.Files = appendFiles(a.Files, ev.Attachments...)
		case conversation.AgentReplied:
			a.Files = appendFiles(a.Files, ev.Attachments...)
		case conversation.AttachmentChanged:
			a.Files = appendFiles(a.Files, ev.Attachment)
		case conversation.MessageSent:
			if ev.Result != conversation.DeliveryPending {
				a.Settled = append(a.Settled, cmp.Or(ev.Again, ev.Message))
			}
		}
	}
	// A repeat of what the predecessor took may have come here because its node
	// did not know of that yet.
	a.CheckRefs = len(a.Refs) > 0 && !g.state.Previous.IsZero()
	for _, f := range effects {
		if out, ok := f.(conversation.SendOutbound); ok {
			a.Outbox = append(a.Outbox, out.Message)
		}
	}
	if g.state.Version-g.saved >= conversation.Seq(g.e.o.SnapshotEvery) { //nolint:gosec // a count
		a.State = g.state
	}
	return a
}

func appendRef(rows []conversation.RefRow, r conversation.Ref, seq conversation.Seq) []conversation.RefRow {
	if r == "" {
		return rows
	}
	return append(rows, conversation.RefRow{Ref: r, Seq: seq})
}

func appendFiles(ids []conversation.AttachmentID, all ...conversation.Attachment) []conversation.AttachmentID {
	for i := range all {
		if all[i].State == conversation.AttachmentStored {
			ids = append(ids, all[i].ID)
		}
	}
	return ids
}

func (g *grain) appendFailed(err error) {
	class := "other"
	switch {
	case conversation.CodeOf(err) == conversation.CodeFenced:
		class = "fenced"
	case errors.Is(err, conversation.ErrConflict):
		class = "conflict"
	case errors.Is(err, conversation.ErrUnavailable):
		class = "unavailable"
	case errors.Is(err, conversation.ErrUnknown):
		class = "unknown"
	}
	g.e.metrics.appendFails.WithLabelValues(class).Inc()
	g.e.log.WarnContext(g.traced(), "append failed", "conversation_id", g.id.String(), "class", class, "err", err)
	g.state, g.epoch, g.staged = nil, 0, nil
	switch class {
	case "fenced":
		// Another activation owns the conversation; the next message starts over.
		g.e.gate.Passivate(cluster.GrainID{Kind: KindConversation, ID: g.id.String()})
		g.abandon(errMoving)
	case "conflict":
		g.putBack()
	default:
		g.abandon(errAppend)
	}
	g.lookAgain()
}

// notStored answers a visitor's message whose append failed, or takes it once
// more: after a conflict the journal, read again, may know it already.
func (g *grain) notStored(v *visit, err error) {
	switch {
	case conversation.CodeOf(err) == conversation.CodeFenced:
		g.turnAway(v, errMoving)
	case errors.Is(err, conversation.ErrConflict) && !v.again:
		v.again = true
		g.backlog = append([]*visit{v}, g.backlog...)
		g.e.o.System.Root.Send(g.self, &takeAgain{})
	default:
		g.turnAway(v, errAppend)
	}
}

// putBack ends the present turn and has all messages that are not stored taken
// once more.
func (g *grain) putBack() {
	for _, v := range slices.Backward(g.endTurn(errAppend)) {
		g.notStored(v, conversation.ErrConflict)
	}
}

// lookAgain wakes the grain a little later: if a visitor's message is stored and
// its reply is not, nobody else would. The pauses grow while the journal stays
// away.
func (g *grain) lookAgain() {
	g.failures = min(g.failures+1, maxBackoffSteps)
	g.after(wakeAfterFailure<<(g.failures-1), &lookNow{})
}

// run does what the effects ask for. Nothing in here waits.
func (g *grain) run(effects []conversation.Effect, entries []conversation.Entry) {
	for _, f := range effects {
		switch f := f.(type) {
		case conversation.ClassifyUtterance:
			if g.turn == nil || g.turn.seq != f.Turn {
				g.beginStored(f.Turn)
			}
		case conversation.RunTimer:
			g.beginTimer(f.ID)
		case conversation.SendOutbound: // is an outbox row by now; the courier has it from the apply stream
		case conversation.EnqueueConversation, conversation.DequeueConversation, conversation.OccupyAgent, conversation.ReleaseAgent:
			// The queue has them from the apply stream too, of all nodes' grains.
		}
	}
	for _, e := range entries {
		switch ev := e.Event.(type) { //nolint:gochecksumtype // the events that are counted
		case conversation.HandoverRequested:
			g.e.metrics.handedOver(ev.Reason)
		case conversation.MoodChanged:
			g.e.metrics.moodChanged(ev)
		}
	}
	g.observeEntries(entries)
}

func (g *grain) countAccepted() {
	g.e.metrics.accepted.WithLabelValues(string(g.state.Channel)).Inc()
}

// place is where a sender's message id was stored before.
type place struct {
	conversation conversation.ConversationID
	seq          conversation.Seq
}

// lookUpRef asks the journal about a message id that the state may no longer
// know: long conversations forget old ones, and a successor knows none of its
// predecessor's.
func (g *grain) lookUpRef(m *deliver) (place, error) {
	ref := m.in.Ref
	if ref == "" || (g.refs.rulesOut(ref) && m.origin.Previous.IsZero() && g.state.Previous.IsZero()) || g.state.FindRef(ref) != 0 {
		return place{}, nil
	}
	ctx, cancel := g.patience()
	defer cancel()
	id, seq, err := g.e.o.Index.FindRef(ctx, conversation.ContactKey{Inbox: m.in.Inbox, Contact: m.in.Contact}, ref)
	return place{id, seq}, err
}

// repliesTo finds the bot's replies to a message, in memory or in the journal.
func (g *grain) repliesTo(id conversation.ConversationID, seq conversation.Seq) []conversation.Message {
	if id == g.id {
		if out := g.state.RepliesTo(seq); len(out) > 0 {
			return out
		}
		if len(g.state.Recent) > 0 && g.state.Recent[0].Seq <= seq {
			return nil
		}
	}
	ctx, cancel := g.patience()
	defer cancel()
	entries, err := g.e.o.Index.Entries(ctx, id, seq, 4*conversation.MaxRepliesATurn)
	if err != nil {
		return nil
	}
	var s conversation.State
	for _, e := range entries {
		if r, ok := e.Event.(conversation.ReplyComposed); ok && r.InReplyTo == seq {
			s.Apply(e)
		}
	}
	return s.RepliesTo(seq)
}
