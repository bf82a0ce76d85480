package actors

import (
	"slices"
	"sync"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// Committed takes a commit from this node's apply stream, in commit order. It is
// called for every commit of every node, feeds the courier and the queues of
// this node, and does not block.
func (e *Engine) Committed(c *conversation.Commit) {
	e.applied.note(c.ID, c.Head.Version)
	if len(c.Settled) > 0 {
		e.courier.settled(c.ID, c.Settled)
	}
	if len(c.Outbox) > 0 {
		e.courier.offer(c.Outbox)
	}
	if erased(c.Entries) {
		e.forget(c.ID)
	}
	if concernsQueue(c.Entries) && e.owns(queueID(c.Head.Inbox)) {
		e.tellBooks(c.Head)
	}
}

// erased reports whether entries are what is left of an erased conversation.
func erased(entries []conversation.Entry) bool {
	return slices.ContainsFunc(entries, func(e conversation.Entry) bool {
		_, ok := e.Event.(conversation.ConversationErased)
		return ok
	})
}

// forget lets go of what this node has in memory of a conversation that was
// erased. Its grain is fenced already; here it ends, with what it remembers.
func (e *Engine) forget(id conversation.ConversationID) {
	e.courier.erased(id)
	e.gate.Passivate(conversationID(id))
}

// CommitsLost says that commits went by without [Engine.Committed]; what lives
// on them reads the journal again.
func (e *Engine) CommitsLost() {
	e.applied.wakeAll()
	e.courier.missed()
	for _, i := range e.o.Directory.Inboxes() {
		if e.owns(queueID(i.ID)) {
			e.survey(i.ID, &survey{rebuild: true})
		}
	}
}

// concernsQueue reports whether entries change who waits or who has what.
func concernsQueue(entries []conversation.Entry) bool {
	for i := range entries {
		switch ev := entries[i].Event.(type) { //nolint:gochecksumtype // what a queue's books are made of
		case conversation.ConversationStarted:
			if ev.Status != conversation.StatusPending {
				return true
			}
		case conversation.AgentAssigned, conversation.AgentUnassigned, conversation.StatusChanged, conversation.PriorityChanged,
			conversation.ConversationErased:
			return true
		}
	}
	return false
}

// tellBooks brings a commit to the queue of its inbox. When there is no room in
// its mailbox it reads the journal again later.
func (e *Engine) tellBooks(h conversation.Head) {
	if err := e.gate.Tell(queueID(h.Inbox), &standing{head: h}, nil); err != nil {
		e.missed.add(h.Inbox)
	}
}

func (e *Engine) survey(inbox conversation.InboxID, m *survey) {
	if err := e.gate.Tell(queueID(inbox), m, nil); err != nil {
		e.missed.add(inbox)
	}
}

// missedQueues are the queues of this node that could not be told something.
type missedQueues struct {
	mu struct {
		sync.Mutex
		inboxes map[conversation.InboxID]struct{}
	}
}

func (m *missedQueues) add(inbox conversation.InboxID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.inboxes[inbox] = struct{}{}
}

func (m *missedQueues) take() []conversation.InboxID {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []conversation.InboxID
	for i := range m.mu.inboxes {
		out = append(out, i)
	}
	clear(m.mu.inboxes)
	return out
}

// surveyMissed has those queues read the journal again.
func (e *Engine) surveyMissed() {
	for _, inbox := range e.missed.take() {
		if e.owns(queueID(inbox)) {
			e.survey(inbox, &survey{rebuild: true})
		}
	}
}

// owns reports whether a grain belongs to this node. The gate is asked also when
// there is no other node in the view: one that was shut out owns nothing.
func (e *Engine) owns(id cluster.GrainID) bool { return e.gate.Owns(id) }

// OwnsInbox reports whether this node does what one node does for all of an
// inbox.
func (e *Engine) OwnsInbox(id conversation.InboxID) bool { return e.owns(queueID(id)) }

// has reports whether a conversation belongs to this node.
func (e *Engine) has(id conversation.ConversationID) bool { return e.gate.Owns(conversationID(id)) }

// alone reports whether there is no other node to have acknowledged anything.
func (e *Engine) alone() bool { return len(e.gate.View().Members()) <= 1 }

// onView follows a change of the view: what this node has gained is taken up,
// what it has lost is left to others. It is called when the gate has acted, and
// does not block.
func (e *Engine) onView(before, _ *cluster.View) {
	e.courier.moved(before)
	for _, i := range e.o.Directory.Inboxes() {
		if id := queueID(i.ID); e.owns(id) {
			e.survey(i.ID, &survey{rebuild: !ownedIn(before, id)})
		}
	}
	e.presenceAgain()
	e.recovery.gained(before)
}

// ownedIn reports whether the node of a view owned a grain in it.
func ownedIn(v *cluster.View, id cluster.GrainID) bool {
	owner, ok := v.Owner(id)
	return ok && owner.ID == v.Self()
}
