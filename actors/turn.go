package actors

import (
	"context"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/probe"
)

// turn is the bot's work on one visitor message, or on one timer.
//
// It has two roads. On the short one the message is held back, undecided, until
// the classifier has answered within its budget; message and reply are then one
// append. On the long one the message is stored and acknowledged first, and the
// reply follows.
type turn struct {
	attempt uint64
	began   time.Time
	cost    time.Duration         // what the conversation had cost when the turn began
	held    *visit                // the message, while it is not stored
	decided []conversation.Event  // what was decided on held, while the state is still the one it was decided on
	wording *conversation.Wording // of text, once it was needed
	repeats []*visit              // the same message again, meanwhile
	seq     conversation.Seq
	timerID string // for a turn that a timer began
	text    conversation.Text
	pred    *conversation.Prediction
	waiting []*waiter // get the reply on their response
	clock   *time.Timer
	cancel  context.CancelFunc
	outcome probe.Outcome // for those who look on from outside
	trail   *trail
	kept    flight.Reason // why its trace is kept, once it has ended
}

// beginHeld opens a turn for a message that is not stored yet, and on which
// events were decided.
func (g *grain) beginHeld(v *visit, events []conversation.Event) {
	g.dropTurn()
	t := g.newTurn(v.deliver.in.Text, v.came, &v.trail)
	t.held, t.decided = v, events
	g.turn = t
	g.classify(g.state.Version + 1)
	t.decided = nil
}

// beginStored opens a turn for a message that is stored already.
func (g *grain) beginStored(seq conversation.Seq) {
	m, ok := g.state.MessageAt(seq)
	if !ok {
		return // older than what the state remembers; somebody has moved on
	}
	g.dropTurn()
	g.turn = g.newTurn(m.Text, time.Now(), nil)
	g.turn.seq = seq
	g.classify(seq)
}

// beginTimer opens a turn for a timer that fired. While another turn is open it
// waits: what the visitor asks comes first.
func (g *grain) beginTimer(id string) {
	if g.turn != nil {
		g.fired = append(g.fired, id) // at most as many as a conversation has timers
		return
	}
	if g.state.Status != conversation.StatusPending {
		return
	}
	g.turn = g.newTurn("", time.Now(), nil)
	g.turn.timerID = id
	g.conclude(&conversation.Prediction{})
}

// newTurn makes a turn on the trail of its message; one that no message has just
// begun gets a trail of its own.
func (g *grain) newTurn(text conversation.Text, began time.Time, tr *trail) *turn {
	if tr == nil {
		tr = &trail{turn: g.e.o.Flights.Start(flight.Turn, conversation.Trace{}, began)}
	}
	g.trail = tr
	// Unique in the process: a result must not fit a turn of a later instance.
	t := &turn{attempt: g.e.attempts.Add(1), began: began, cost: g.meter.Spent(), text: text, outcome: probe.Dropped, trail: tr}
	probe.TurnBegin(g.id, t.attempt)
	return t
}

// classify has the text understood: of a message that is not stored yet here and
// now, if that takes no time to speak of; otherwise it asks the scoring actors and
// sets the clock for their budget.
func (g *grain) classify(before conversation.Seq) {
	t := g.turn
	inbox, err := g.e.o.Directory.Inbox(g.inboxID())
	if err != nil || len(inbox.Packs) == 0 || t.text == "" {
		g.conclude(&conversation.Prediction{})
		return
	}
	g.step(t.trail, flight.Intent, flight.Facts{})
	t.wording = conversation.ReadWording(t.text)
	s := &score{utterance: g.utterance(&inbox, t.wording, before)}
	if t.held != nil {
		s.utterance.Tone = t.held.tone
		if pred, err, done := g.e.pool.predictHere(&s.utterance); done {
			g.blame(err)
			g.conclude(pred)
			return
		}
	}
	s.meter, s.trace, s.attempt, s.replyTo = g.meter, t.trail.step.At(), t.attempt, g.self
	s.deadline = time.Now().Add(g.e.o.TurnTimeout)
	if g.e.pool.submit(s) != nil {
		g.conclude(nil)
		return
	}
	budget := g.e.o.Budget
	if t.held == nil {
		budget = g.e.o.TurnTimeout
	}
	t.clock = g.after(budget, &budgetOver{attempt: t.attempt})
}

// utterance is what a classifier gets of a message. before is its seq, or the one
// that it will have.
func (g *grain) utterance(inbox *conversation.Inbox, w *conversation.Wording, before conversation.Seq) conversation.Utterance {
	return utteranceOf(g.state, inbox, g.channel(), w, before)
}

func utteranceOf(
	s *conversation.State, inbox *conversation.Inbox, channel conversation.ChannelKind, w *conversation.Wording, before conversation.Seq,
) conversation.Utterance {
	heard := s.HearWording(w)
	return conversation.Utterance{
		Inbox: inbox.ID, Channel: string(channel), Lang: s.Dialogue.Lang, Text: heard.Read, Follows: heard.Follows,
		Context: s.Context(before), Matters: s.Matters(before), Packs: inbox.Packs, Auto: inbox.Policy.Auto,
	}
}

// after sends the grain a message later.
func (g *grain) after(d time.Duration, msg any) *time.Timer {
	self, root := g.self, g.e.o.System.Root
	return time.AfterFunc(d, func() { root.Send(self, msg) })
}

func (g *grain) inboxID() conversation.InboxID {
	if g.state.Started() {
		return g.state.Inbox
	}
	return g.turn.held.deliver.in.Inbox
}

func (g *grain) channel() conversation.ChannelKind {
	if g.state.Started() {
		return g.state.Channel
	}
	return g.turn.held.deliver.in.Channel
}

// current gives the turn that a result belongs to, or nil for a stale one.
func (g *grain) current(attempt uint64) *turn {
	if g.turn == nil || g.turn.attempt != attempt {
		g.e.metrics.stale.Inc()
		return nil
	}
	return g.turn
}

func (g *grain) onClassified(m *classified) {
	t := g.current(m.attempt)
	if t == nil {
		return
	}
	if t.pred != nil {
		g.e.metrics.stale.Inc() // the classifier was given up, and its turn is being worked on
		return
	}
	g.trail = t.trail
	g.blame(m.err)
	g.conclude(m.pred)
	g.settle()
}

// blame logs why there is no prediction.
func (g *grain) blame(err error) {
	if err != nil && !errors.Is(err, conversation.ErrOverloaded) {
		g.e.log.WarnContext(g.traced(), "classifier failed", "conversation_id", g.id.String(), "err", err)
	}
}

// onBudgetOver leaves the short road; the second time, it gives up on the
// classifier.
func (g *grain) onBudgetOver(m *budgetOver) {
	t := g.turn
	if t == nil || t.attempt != m.attempt || t.pred != nil {
		return // classified in the meantime, and perhaps with a behavior; nothing is stale about that
	}
	g.trail = t.trail
	if t.held == nil {
		g.conclude(nil)
		return
	}
	if g.storeHeld() {
		t.clock = g.after(g.e.o.TurnTimeout, &budgetOver{attempt: t.attempt})
	}
	g.settle()
}

// storeHeld makes the held message durable without a reply and acknowledges it.
// It reports whether the bot's turn goes on.
func (g *grain) storeHeld() bool {
	t := g.turn
	if !g.stageHeld() {
		return false
	}
	if g.flush() != nil {
		return false // the senders have been told by abandon
	}
	g.countAccepted()
	g.acknowledge(t)
	if g.state.Status != conversation.StatusPending {
		g.dropTurn()
		return false
	}
	return true
}

// stageHeld stages the held message. If it was not understood at once, it is
// decided on again, on the state of now: an agent may have come in between. It
// reports false when the message was refused or turned out to be stored.
func (g *grain) stageHeld() bool {
	t := g.turn
	d, err := conversation.Decision{Events: t.decided}, error(nil)
	if t.decided == nil {
		d, err = conversation.Decide(g.state, g.acceptCommand(t.held), g.now())
	}
	if err == nil && d.Duplicate == 0 {
		g.stage(d.Events)
		t.seq = g.state.LastVisitor
		return true
	}
	g.closeTurn(t)
	for _, v := range append([]*visit{t.held}, t.repeats...) {
		if err != nil {
			g.turnAway(v, err)
		} else {
			g.answerDuplicate(v, d.Duplicate)
		}
	}
	return false
}

// acknowledge tells everybody who sent the held message that it is stored.
// Those who want the reply on their response wait on, if there can be one.
func (g *grain) acknowledge(t *turn) {
	first, repeats := t.held, t.repeats
	t.held, t.repeats = nil, nil
	g.e.metrics.duplicates.Add(float64(len(repeats)))
	g.greet(t, first, waiter{sender: first.sender})
	for _, v := range repeats {
		g.dismiss(&v.trail, "duplicate")
		g.greet(t, v, waiter{sender: v.sender, replay: true})
	}
}

func (g *grain) greet(t *turn, v *visit, w waiter) {
	wait := v.deliver.in.Wait
	if wait <= 0 || g.turn != t || g.state.Status != conversation.StatusPending || g.state.LastTurn >= t.seq {
		g.answerWaiter(t.seq, w)
		return
	}
	g.await(t, w, wait)
}

// await keeps somebody until there is a reply, or for as long as they want.
func (g *grain) await(t *turn, w waiter, wait time.Duration) {
	who := &w
	t.waiting = append(t.waiting, who)
	g.after(wait, &waitOver{turn: t.seq, who: who})
}

// answerWaiter sends the receipt, with the replies that there are.
func (g *grain) answerWaiter(seq conversation.Seq, w waiter) {
	r := g.receipt(seq)
	r.Duplicate = w.replay
	r.Replies = g.repliesTo(g.id, seq)
	g.reply(w.sender, r)
}

func (g *grain) onWaitOver(m *waitOver) {
	t := g.turn
	if t == nil || t.seq != m.turn {
		return
	}
	for i, w := range t.waiting {
		if w == m.who {
			t.waiting = append(t.waiting[:i:i], t.waiting[i+1:]...)
			g.answerWaiter(t.seq, *w)
			return
		}
	}
}

// answerDuplicate answers a repeated delivery like the first one: also with the
// reply, for which it waits if the turn is still open.
func (g *grain) answerDuplicate(v *visit, seq conversation.Seq) {
	g.e.metrics.duplicates.Inc()
	g.dismiss(&v.trail, "duplicate")
	w := waiter{sender: v.sender, replay: true}
	if t := g.turn; t != nil && t.held == nil && t.seq == seq && v.deliver.in.Wait > 0 {
		g.await(t, w, v.deliver.in.Wait)
		return
	}
	g.answerWaiter(seq, w)
}

// answerElsewhere answers a repeated delivery of a message that a predecessor
// of this conversation stored.
func (g *grain) answerElsewhere(v *visit, at place) {
	g.e.metrics.duplicates.Inc()
	g.dismiss(&v.trail, "duplicate")
	g.reply(v.sender, conversation.Receipt{
		Conversation: at.conversation, Seq: at.seq, Duplicate: true, Replies: g.repliesTo(at.conversation, at.seq),
	})
}

// dropTurn ends the present turn without a result. Those who waited for its
// reply are answered without one.
func (g *grain) dropTurn() {
	t := g.turn
	if t == nil {
		return
	}
	g.closeTurn(t)
	g.dismiss(t.trail, "dropped")
	for _, w := range t.waiting {
		g.answerWaiter(t.seq, *w)
	}
}

// endTurn ends the present turn, with an error for those who wait for its reply,
// and gives the messages that are not stored, in their order.
func (g *grain) endTurn(err error) []*visit {
	t, backlog := g.turn, g.backlog
	g.backlog, g.fired = nil, nil
	if t != nil {
		if errors.Is(err, errAppend) {
			t.outcome = probe.Failed
		}
		g.closeTurn(t)
		if t.held != nil {
			backlog = append(append([]*visit{t.held}, t.repeats...), backlog...)
		} else {
			t.trail.failed = true
			g.dismiss(t.trail, string(conversation.CodeOf(err)))
		}
		for _, w := range t.waiting {
			g.refuse(w.sender, err)
		}
	}
	return backlog
}

// abandon ends the present turn and the messages behind it with an error.
func (g *grain) abandon(err error) {
	for _, v := range g.endTurn(err) {
		g.turnAway(v, err)
	}
}

// closeTurn is where every turn ends.
func (g *grain) closeTurn(t *turn) {
	g.turn = nil
	g.stopClock(t)
	probe.TurnEnd(g.id, t.attempt, t.outcome)
}

func (g *grain) stopClock(t *turn) {
	if t.clock != nil {
		t.clock.Stop()
	}
	if t.cancel != nil {
		t.cancel()
	}
}
