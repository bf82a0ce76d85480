package actors

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// watchFor is how long a conversation is watched after an anomaly was found.
const watchFor = time.Hour

// suspected brings what was found about a conversation while it was busy with
// something else.
type suspected struct{ cmd conversation.Command }

// waitedLong says that the visitor may have waited longer than the inbox means
// to let anybody wait.
type waitedLong struct{ since time.Time }

// Internal implements [cluster.Internal].
func (*suspected) Internal() {}

// Internal implements [cluster.Internal].
func (*waitedLong) Internal() {}

// observeMessage looks at a visitor's message, which is stored.
func (g *grain) observeMessage(ev *conversation.MessageAccepted, at time.Time) {
	s, d, channel := g.state, g.e.detector, string(g.state.Channel)
	var gist uint32
	if s.Status == conversation.StatusPending {
		gist = ev.Text.Gist() // who writes to a human again and again is no program
	}
	g.suspect(d.Message(&g.session, channel, at, gist))
	angry := g.session.Angry()
	if found, is := d.Anger(&g.session, channel, ev.Tone.Anger); is {
		g.suspect([]conversation.AnomalyFound{found})
	} else if angry && !g.session.Angry() {
		g.e.book.over(g.id, conversation.AnomalyAnger)
	}
}

// observeTurn looks at a turn that is over and stored.
func (g *grain) observeTurn(t *turn, took, cost time.Duration) {
	if t.timerID == "" {
		g.suspect(g.e.detector.Turn(&g.session, string(g.state.Channel), took, cost))
	}
}

// suspect has the grain tell what was found, after what it is busy with, and the
// trace of the present turn kept.
func (g *grain) suspect(found []conversation.AnomalyFound) {
	if len(found) == 0 {
		return
	}
	inbox, err := g.e.o.Directory.Inbox(g.state.Inbox)
	if err != nil {
		return // it is being deleted
	}
	now := g.now()
	for _, f := range found {
		if !g.state.MayTell(f.Anomaly, now) {
			continue // told a moment ago: it must not take from what the node may tell
		}
		if cmd := inbox.Policy.Anomalies.Report(f); cmd != nil && g.e.book.admit(f.Anomaly, now) {
			if g.trail != nil {
				g.trail.strange = true
			}
			g.e.o.System.Root.Send(g.self, &suspected{cmd: cmd})
		}
	}
}

// observeEntries follows what has become durable.
func (g *grain) observeEntries(entries []conversation.Entry) {
	for i := range entries {
		switch ev := entries[i].Event.(type) { //nolint:gochecksumtype // the events that begin or end an anomaly
		case conversation.MessageAccepted:
			g.observeMessage(&ev, entries[i].At)
		case conversation.AnomalyFound:
			g.e.anomalous(g.id, g.state.Channel, ev.Anomaly)
		case conversation.AgentReplied:
			g.session.Attended()
		case conversation.StatusChanged:
			if ev.To == conversation.StatusResolved || ev.To == conversation.StatusClosed {
				g.e.book.over(g.id, conversation.AnomalyKinds()...)
			}
		}
	}
	g.watchWait()
}

// watchWait keeps a clock for the visitor who waits. A grain that rests has
// none; the sweep looks after those.
func (g *grain) watchWait() {
	since := g.state.WaitingSince
	if since.Equal(g.waitFrom) {
		return
	}
	g.stopWait()
	if since.IsZero() {
		if len(g.state.Anomalies) > 0 {
			g.e.book.over(g.id, conversation.AnomalyStuck)
		}
		return
	}
	inbox, err := g.e.o.Directory.Inbox(g.state.Inbox)
	if err != nil || inbox.Policy.Anomalies.Policy(conversation.AnomalyStuck) == conversation.AnomalyIgnore {
		return
	}
	g.waitFrom = since
	// A little later than the objective: times are stored in milliseconds.
	g.waitClock = g.after(time.Until(since.Add(inbox.Policy.Anomalies.Objective()))+10*time.Millisecond, &waitedLong{since: since})
}

func (g *grain) stopWait() {
	if g.waitClock != nil {
		g.waitClock.Stop()
	}
	g.waitClock, g.waitFrom = nil, time.Time{}
}

func (g *grain) onWaitedLong(m *waitedLong) {
	if g.state == nil || !g.state.WaitingSince.Equal(m.since) {
		return
	}
	inbox, err := g.e.o.Directory.Inbox(g.state.Inbox)
	if err != nil {
		return
	}
	if h := g.state.Head(); h.Overdue(inbox.Policy.Anomalies.Objective(), g.now()) && !h.StuckTold() {
		g.suspect([]conversation.AnomalyFound{stuck(&h, &inbox, g.now())})
	}
}

// stuck is what is found of a visitor who waits too long.
func stuck(h *conversation.Head, in *conversation.Inbox, now time.Time) conversation.AnomalyFound {
	return conversation.AnomalyFound{
		Anomaly: conversation.AnomalyStuck, Measured: now.Sub(h.WaitingSince), Usual: in.Policy.Anomalies.Objective(),
	}
}

// anomalous counts what was found, and has the conversation watched.
func (e *Engine) anomalous(id conversation.ConversationID, channel conversation.ChannelKind, k conversation.AnomalyKind) {
	now := time.Now()
	e.metrics.anomalies.WithLabelValues(string(k), string(channel)).Inc()
	e.book.found(id, k, now)
	if e.o.Meters != nil {
		e.o.Meters.Watch(id.String(), now.Add(watchFor))
	}
}
