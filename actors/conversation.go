package actors

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/anomaly"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// heldMessages bounds the visitor messages that wait for one being classified.
const heldMessages = 64

// After the journal has failed, a grain looks for work it left undone: first
// soon, then less and less often.
const (
	wakeAfterFailure = time.Second
	maxBackoffSteps  = 7 // the longest pause is about a minute
)

// grain is the owner of one conversation.
//
// owns: the state, the claim on the journal, the bot's present turn · accepts:
// deliver, do, wake, and the results of its own effects · emits: answers, appends,
// messages to the queue grain · bound: the gate's mailbox limit; heldMessages
// behind a turn · on panic: rebuilt from the journal, see the gate · on restart:
// state is loaded with the first message.
type grain struct {
	e    *Engine
	id   conversation.ConversationID
	self *actor.PID

	meter *cpu.Meter      // nil = nobody measures
	base  context.Context //nolint:containedctx // leads whatever waits for the journal to what meter has open

	// touched by Receive only

	state   *conversation.State // nil = not loaded
	epoch   uint64
	head    conversation.Head // as of the last append
	saved   conversation.Seq  // version of the stored snapshot
	staged  []conversation.Entry
	refs    *refMemory
	turn    *turn
	trail   *trail   // of the turn that the present work belongs to; nil = of none
	backlog []*visit // visitor messages behind a turn that is not stored yet
	fired   []string // timers behind an open turn

	failures int // of the journal, in a row

	session   anomaly.Session // what the detector remembers of the conversation
	waitClock *time.Timer     // runs while the visitor waits
	waitFrom  time.Time       // since when
}

// visit is a visitor's message that has not been answered yet.
type visit struct {
	deliver *deliver
	sender  *actor.PID
	came    time.Time
	again   bool // put back once already, after a conflict
	tone    conversation.Tone
	trail   trail
}

func newGrain(e *Engine, name string) *grain {
	g := &grain{e: e, meter: e.o.Meters.Of(name), base: context.Background()}
	if g.meter != nil {
		g.base = cpu.With(g.base, g.meter)
	}
	// A name that is no id leaves the zero id, which the journal refuses.
	g.id, _ = conversation.ParseConversationID(name)
	return g
}

// Receive implements [actor.Actor].
func (g *grain) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		g.self = ctx.Self()
	case *actor.Restarting:
		g.stopWait()
		g.abandon(errAppend)
	case *cluster.Passivate:
		g.onPassivate()

	case *deliver:
		g.onDeliver(g.arrived(&visit{deliver: m, sender: ctx.Sender(), came: time.Now()}))
	case *do:
		g.onDo(m, ctx.Sender())
	case *wake:
		g.onWake(ctx.Sender())
	case *costQuery:
		g.onCostQuery(ctx.Sender())

	case *lookNow:
		g.onWake(nil)
	case *takeAgain:
		g.settle()
	case *classified:
		g.onClassified(m)
	case *concluded:
		g.onConcluded(m)

	case *budgetOver:
		g.onBudgetOver(m)
	case *waitOver:
		g.onWaitOver(m)
	case *suspected:
		g.onDo(&do{cmd: m.cmd}, nil)
	case *waitedLong:
		g.onWaitedLong(m)
	}
}

// onDeliver takes a visitor's message. While the one before it is being
// classified it waits, so that messages are stored in the order they came.
func (g *grain) onDeliver(v *visit) {
	if g.turn != nil && g.turn.held != nil {
		g.holdBack(v)
		return
	}
	if err := g.activate(v.deliver.origin); err != nil {
		g.turnAway(v, err)
		return
	}
	g.accept(v)
	g.settle()
}

func (g *grain) holdBack(v *visit) {
	ref := v.deliver.in.Ref
	if ref != "" && ref == g.turn.held.deliver.in.Ref {
		g.turn.repeats = append(g.turn.repeats, v)
		return
	}
	if len(g.backlog) >= heldMessages {
		g.turnAway(v, conversation.Refuse(conversation.CodeOverloaded, "too many messages wait in this conversation"))
		return
	}
	g.backlog = append(g.backlog, v)
}

// settle takes the messages that waited, until one of them opens a turn that
// makes the rest wait again, and then the timers that fired meanwhile.
func (g *grain) settle() {
	for len(g.backlog) > 0 && (g.turn == nil || g.turn.held == nil) {
		v := g.backlog[0]
		g.backlog = g.backlog[1:]
		if err := g.activate(v.deliver.origin); err != nil {
			g.turnAway(v, err)
			continue
		}
		g.accept(v)
	}
	for len(g.fired) > 0 && g.turn == nil && g.state != nil {
		id := g.fired[0]
		g.fired = g.fired[1:]
		g.beginTimer(id)
	}
}

// accept decides on a visitor's message. If the bot has the conversation the
// decision is kept open for the classifier's budget, so that message and reply
// share one append.
func (g *grain) accept(v *visit) {
	m := v.deliver
	g.trail = &v.trail
	if g.e.o.Ear != nil && m.in.Text != "" {
		// Here, and not with the classifier: people's messages are heard while
		// humans have the conversation, too, and when scoring is late.
		v.tone = g.e.o.Ear.Tone(m.in.Text)
	}
	cmd := g.acceptCommand(v)
	known, err := g.lookUpRef(m)
	if err != nil {
		g.turnAway(v, err)
		return
	}
	if known.conversation != (conversation.ConversationID{}) && known.conversation != g.id {
		g.answerElsewhere(v, known)
		return
	}
	cmd.Known = known.seq
	d, err := conversation.Decide(g.state, cmd, g.now())
	switch {
	case err != nil:
		g.turnAway(v, err)
	case d.Duplicate != 0:
		g.answerDuplicate(v, d.Duplicate)
	case g.endsPending(d.Events):
		g.beginHeld(v, d.Events)
	default:
		g.stage(d.Events)
		g.step(&v.trail, 0, flight.Facts{})
		if err := g.flush(); err != nil {
			g.notStored(v, err)
			return
		}
		g.dismiss(&v.trail, "accepted")
		g.countAccepted()
		g.dropTurn()
		g.overhear()
		g.reply(v.sender, g.receipt(g.state.LastVisitor))
	}
}

func (g *grain) acceptCommand(v *visit) conversation.AcceptMessage {
	m := v.deliver
	c := conversation.AcceptMessage{
		Origin: m.origin, Ref: m.in.Ref, Text: m.in.Text, Metadata: m.in.Metadata, Attachments: m.in.Attachments, Tone: v.tone,
	}
	if v.tone != (conversation.Tone{}) {
		if inbox, err := g.e.o.Directory.Inbox(m.in.Inbox); err == nil {
			c.Raise = inbox.Policy.RaiseTo()
		}
	}
	return c
}

// endsPending reports whether the bot has the conversation after events.
func (g *grain) endsPending(events []conversation.Event) bool {
	status := g.state.Status
	for _, e := range events {
		switch e := e.(type) { //nolint:gochecksumtype // the events that set a status
		case conversation.ConversationStarted:
			status = e.Status
		case conversation.StatusChanged:
			status = e.To
		}
	}
	return status == conversation.StatusPending
}

// onDo takes any other command.
func (g *grain) onDo(m *do, sender *actor.PID) {
	g.trail = nil
	if err := g.reactivate(); err != nil {
		g.refuse(sender, err)
		g.restIfUnknown(err)
		return
	}
	d, err := conversation.Decide(g.state, m.cmd, g.now())
	switch {
	case err != nil:
		g.refuse(sender, err)
		return
	case d.Duplicate != 0:
		r := g.receipt(d.Duplicate)
		r.Duplicate = true
		g.reply(sender, r)
		return
	case len(d.Events) == 0:
		g.reply(sender, g.receipt(g.state.Version))
		return
	}
	g.stage(d.Events)
	seq := g.messageSeq()
	if err := g.flush(); err != nil {
		g.refuse(sender, err)
		return
	}
	if g.state.Status != conversation.StatusPending && g.turn != nil && g.turn.held == nil {
		g.dropTurn()
	}
	g.reply(sender, g.receipt(seq))
	g.settle()
}

// messageSeq gives the seq of the staged message or note, or else that of the
// last staged entry.
func (g *grain) messageSeq() conversation.Seq {
	for _, e := range g.staged {
		switch e.Event.(type) { //nolint:gochecksumtype // the messages of agents
		case conversation.AgentReplied, conversation.NoteAdded:
			return e.Seq
		}
	}
	return g.state.Version
}

// onWake fires what is due and takes up a turn that was left open.
func (g *grain) onWake(sender *actor.PID) {
	g.trail = nil
	if err := g.reactivate(); err != nil {
		g.refuse(sender, err)
		if !errors.Is(err, conversation.ErrNotFound) {
			g.lookAgain()
			return
		}
		g.restIfUnknown(err)
		return
	}
	now := g.now()
	due := []conversation.Command{conversation.FireTimer{}}
	for _, t := range g.state.Timers {
		due = append(due, conversation.FireTimer{ID: t.ID})
	}
	for _, cmd := range due {
		if d, err := conversation.Decide(g.state, cmd, now); err == nil {
			g.stage(d.Events)
		}
	}
	if len(g.staged) > 0 {
		if err := g.flush(); err != nil {
			g.refuse(sender, err)
			return
		}
	}
	s := g.state
	if g.turn == nil && s.Status == conversation.StatusPending && s.LastVisitor > s.LastTurn {
		g.beginStored(s.LastVisitor)
	}
	g.settle()
	if g.state == nil {
		g.refuse(sender, errAppend)
		return
	}
	g.reply(sender, g.receipt(g.state.Version))
}

// onPassivate writes down what only memory has. A turn that is open is given
// up: its message is stored or will be sent again, and the next activation
// takes it up.
func (g *grain) onPassivate() {
	if g.turn != nil && g.turn.held == nil && g.state != nil {
		g.dropTurn() // its message is stored, and whoever waits is told so
	}
	g.stopWait()
	g.abandon(errMoving)
	if g.state == nil || g.epoch == 0 || !g.state.Started() || g.state.Version == g.saved {
		return
	}
	ctx, cancel := g.patience()
	defer cancel()
	if err := g.e.o.Journal.SaveState(ctx, g.state, g.epoch); err != nil && !errors.Is(err, conversation.ErrConflict) {
		g.e.log.Warn("snapshot at passivation not stored", "conversation_id", g.id.String(), "err", err)
	}
	g.state = nil
}

// patience gives the context of one operation of the journal.
func (g *grain) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(g.base, g.e.o.AppendTimeout)
}

// now gives a time that does not go back within the conversation.
func (g *grain) now() time.Time {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if now.Before(g.state.LastActivity) {
		return g.state.LastActivity
	}
	return now
}

func (g *grain) receipt(seq conversation.Seq) conversation.Receipt {
	r := conversation.Receipt{
		Conversation: g.id, Seq: seq, At: g.state.LastActivity, Version: g.state.Version, Status: g.state.Status,
	}
	if m, ok := g.state.MessageAt(seq); ok {
		r.At = m.At
	}
	return r
}

func (g *grain) reply(to *actor.PID, r conversation.Receipt) {
	if to != nil {
		g.e.o.System.Root.Send(to, &r)
	}
}

func (g *grain) refuse(to *actor.PID, err error) {
	if to != nil {
		g.e.o.System.Root.Send(to, err)
	}
}
