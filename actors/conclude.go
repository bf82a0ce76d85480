package actors

import (
	"cmp"
	"errors"
	"maps"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/probe"
)

// conclude takes the prediction of the present turn, chooses the behavior and
// either finishes the turn at once or hands it to the runner. A nil prediction
// means that there will be none.
func (g *grain) conclude(pred *conversation.Prediction) {
	t := g.turn
	if t.clock != nil {
		t.clock.Stop()
	}
	if t.pred = pred; pred == nil {
		t.pred = &conversation.Prediction{}
	}
	g.understood(t, pred)
	if t.held != nil && !g.stageHeld() {
		return
	}
	if g.state.Status != conversation.StatusPending {
		// An agent came in while the message was being classified.
		if t.held != nil {
			g.commitHeld(t)
		}
		g.dropTurn()
		return
	}
	if out, ok := g.withheld(t.seq); ok {
		g.finish(t, builtinName, out)
		return
	}
	work := g.newWork(t)
	b := g.e.behaviors.find(g.state.Inbox, work.Choice)
	if b == nil && t.timerID != "" {
		g.dropTurn() // the behavior that asked for it is not bound any more
		return
	}
	if b == nil && !work.Inbox.ServesBot() {
		out := g.e.builtin.handover(work)
		out.Handover = conversation.HandoverNoBot
		g.finish(t, builtinName, out)
		return
	}
	if b == nil && pred == nil {
		g.finish(t, builtinName, g.e.builtin.failed(work, conversation.HandoverBotFailed))
		return
	}
	if b == nil {
		out, slow := g.e.builtin.answer(work)
		if slow == nil {
			g.finish(t, builtinName, out)
			return
		}
		b = slow
	}
	g.start(t, b, work)
}

// withheld gives the outcome of a turn in which nobody speaks, because the channel
// says that the message must not be answered by a program.
func (g *grain) withheld(seq conversation.Seq) (conversation.Outcome, bool) {
	m, ok := g.state.MessageAt(seq)
	switch {
	case ok && m.Metadata[conversation.MetadataBotReply] == conversation.BotReplyNone:
		return conversation.Outcome{}, true
	case ok && m.Metadata[conversation.MetadataBotReply] == conversation.BotReplyHuman:
		return conversation.Outcome{Handover: conversation.HandoverPolicy}, true
	}
	return conversation.Outcome{}, false
}

// commitHeld makes the staged message durable and acknowledges it.
func (g *grain) commitHeld(t *turn) bool {
	if g.flush() != nil {
		return false
	}
	g.countAccepted()
	g.acknowledge(t)
	return true
}

// start puts a behavior on the runner. The message becomes durable and is
// acknowledged first: a behavior may take seconds.
func (g *grain) start(t *turn, b *Binding, work *Turn) {
	if t.held != nil && !g.commitHeld(t) {
		return
	}
	work.own(g.state)
	g.step(t.trail, flight.Behavior, flight.Facts{Seq: t.seq, Label: string(work.Choice.Action)})
	cancel, err := g.e.runner.run(g.self, t.attempt, b, work, t.trail.step.At())
	if err != nil {
		t.trail.failed = true
		g.finish(t, b.Name, g.e.builtin.failed(work, conversation.HandoverBotFailed))
		return
	}
	t.cancel = cancel
}

func (g *grain) onConcluded(m *concluded) {
	t := g.current(m.attempt)
	if t == nil {
		return
	}
	g.trail = t.trail
	g.step(t.trail, flight.Policy, flight.Facts{Seq: t.seq, Label: m.behavior, Failed: m.err != nil})
	out := m.outcome
	if m.err != nil {
		t.trail.failed = true
		g.e.log.WarnContext(g.traced(), "behavior failed", "conversation_id", g.id.String(), "behavior", m.behavior, "err", m.err)
		reason := conversation.HandoverBotFailed
		if errors.Is(m.err, errLookup) {
			reason = conversation.HandoverLookup
		}
		out = g.e.builtin.failed(g.newWork(t), reason)
	}
	g.finish(t, m.behavior, out)
	g.settle()
}

// finish decides the turn with its outcome and makes it durable, together with
// the message if that is still held.
func (g *grain) finish(t *turn, behavior string, out conversation.Outcome) {
	cmd := conversation.CompleteTurn{
		Turn: t.seq, Prediction: t.pred, Outcome: out, Behavior: behavior, Inline: t.ridesInline(),
	}
	d, err := conversation.Decide(g.state, cmd, g.now())
	if err != nil && conversation.CodeOf(err) != conversation.CodeStaleTurn {
		t.trail.failed = true
		g.e.log.WarnContext(g.traced(), "outcome refused", "conversation_id", g.id.String(), "behavior", behavior, "err", err)
		cmd.Outcome = g.e.builtin.failed(g.newWork(t), conversation.HandoverBotFailed)
		d, err = conversation.Decide(g.state, cmd, g.now())
	}
	result := outcomeLabel(cmd.Outcome)
	var seen *sighting
	if err != nil {
		g.e.metrics.stale.Inc()
		result = "stale"
	} else {
		seen = g.sight(t) // before the outcome changes what the dialogue knows
	}
	g.stage(d.Events)
	g.step(t.trail, 0, flight.Facts{Seq: t.seq, Label: result})
	held := t.held != nil
	if g.flush() != nil {
		return // whoever waits has been told
	}
	if held {
		g.countAccepted()
		g.acknowledge(t)
	}
	t.outcome = outcomeOf(cmd.Outcome)
	seen.turn(behavior, cmd.Outcome)
	now, cost := time.Now(), g.meter.Spent()-t.cost
	took := now.Sub(t.began)
	if err == nil {
		g.observeTurn(t, took, cost) // before the trail ends: its trace is kept if there is something
	}
	t.kept = g.leave(t.trail, now, flight.Facts{Seq: t.seq, Value: int64(cost), Label: result})
	observe(g.e.metrics.turns.WithLabelValues(result), took.Seconds(), t, g.id)
	if g.meter != nil {
		g.meter.Turn(string(g.state.Channel))
		observe(g.e.metrics.turnCPU.WithLabelValues(string(g.state.Channel)), cost.Seconds(), t, g.id)
	}
	if g.turn == t {
		g.dropTurn()
	}
}

// ridesInline reports whether somebody will get the reply on a response.
func (t *turn) ridesInline() bool {
	return len(t.waiting) > 0 || (t.held != nil && t.held.deliver.in.Wait > 0)
}

// outcomeOf says what those who look on from outside are told.
func outcomeOf(o conversation.Outcome) probe.Outcome {
	if o.Handover == conversation.HandoverBotFailed || o.Handover == conversation.HandoverLookup {
		return probe.Failed
	}
	return probe.Done
}

func outcomeLabel(o conversation.Outcome) string {
	switch {
	case o.Handover != "":
		return "handover"
	case o.Abstain && len(o.Replies) > 0 && len(o.Replies[0].Buttons) > 0:
		return "clarified"
	case o.Abstain:
		return "abstained"
	case len(o.Replies) == 0:
		return "silent"
	}
	return "answered"
}

// newWork gathers what a behavior gets. The conversation in it is the grain's
// own until start makes a copy.
func (g *grain) newWork(t *turn) *Turn {
	s := g.state
	inbox, err := g.e.o.Directory.Inbox(s.Inbox)
	if err != nil {
		inbox = conversation.Inbox{ID: s.Inbox}
	}
	w := &Turn{
		Inbox: inbox, Conversation: s, Seq: t.seq, Text: t.text, Timer: t.timerID, Now: g.now(), wording: t.wording,
		phrase: g.e.phrases(&inbox),
	}
	g.e.understand(w, t.pred, inbox.Policy)
	return w
}

// phrases gives the fixed sentences of an inbox's packs.
func (e *Engine) phrases(in *conversation.Inbox) func(name, lang string) string {
	packs := in.Packs
	return func(name, lang string) string { return e.o.Library.Phrase(packs, name, lang) }
}

// understand fills in what a prediction says about a turn: its language, the
// values it brings, what the policy makes of it, and what the pack knows about
// that.
func (e *Engine) understand(w *Turn, pred *conversation.Prediction, policy conversation.Policy) {
	s := w.Conversation
	w.Prediction, w.Playbook, w.Slots = pred, nil, map[string]string{}
	w.Lang = cmp.Or(pred.Lang, s.Dialogue.Lang, w.Inbox.Lang, "zh")
	maps.Copy(w.Slots, s.Dialogue.Slots)
	if w.wordless() {
		w.Choice = policy.Unread(s)
		return
	}
	w.Choice = policy.Choose(s, pred, e.builtin.hear(w))
	if w.Timer != "" {
		// Nothing was said; the timer belongs to what was being talked about.
		w.Choice = conversation.Choice{Action: conversation.ActionContinue, Intent: s.Dialogue.Intent, Confidence: 1}
	}
	if w.Choice.Intent != "" {
		w.Playbook, _ = e.o.Library.Playbook(w.Inbox.Packs, w.Choice.Intent, w.Lang)
	}
	if w.Timer == "" {
		w.Choice = policy.Ease(s, w.Choice, w.Playbook)
	}
}
