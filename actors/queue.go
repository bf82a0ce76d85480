package actors

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of a queue.
const (
	queuePage    = 256
	maxQueueRows = 200_000
	assignAgain  = time.Second // after an assignment that failed
)

// The private messages of a queue.
type (
	// standing is where a conversation stands after an append whose outcome
	// its grain did not know.
	standing struct{ head conversation.Head }
	// placed is the outcome of an assignment that the queue asked for.
	placed struct {
		id    conversation.ConversationID
		agent conversation.AgentID
		err   error
	}
	// graceOver says that an agent has been away for the whole grace.
	graceOver struct {
		agent conversation.AgentID
		left  time.Time
	}
	// matchAgain follows an assignment that failed for no fault of its own.
	matchAgain struct{}
	// viewQuery asks for the queue's books.
	viewQuery struct{}
)

// Internal implements [cluster.Internal].
func (*placed) Internal() {}

// Internal implements [cluster.Internal].
func (*graceOver) Internal() {}

// Internal implements [cluster.Internal].
func (*matchAgain) Internal() {}

// QueueView is what a queue knows, at one moment.
type QueueView struct {
	Inbox   conversation.InboxID
	Waiting []conversation.Waiting // in the order in which they will be served
	Seats   []conversation.Seat
}

// queue is the waiting room of one inbox.
//
// owns: who waits, and which agents are there with how much work · accepts:
// the effects Enqueue, Dequeue, Occupy, Release; presence; queries · emits:
// Assign to conversation grains · bound: maxQueueRows · on panic and on restart:
// waiting and loads are rebuilt from the journal, presence comes again from the
// sockets' next change.
//
// An agent's capacity counts within each inbox.
type queue struct {
	e     *Engine
	inbox conversation.InboxID
	self  *actor.PID

	// touched by Receive only

	loaded  bool
	waiting map[conversation.ConversationID]conversation.Waiting
	offered map[conversation.ConversationID]conversation.AgentID
	held    map[conversation.ConversationID]conversation.AgentID // who has which conversation
	seats   map[conversation.AgentID]*conversation.Seat
	left    map[conversation.AgentID]time.Time
}

func newQueue(e *Engine, name string) *queue {
	return &queue{
		e: e, inbox: conversation.InboxID(name), waiting: map[conversation.ConversationID]conversation.Waiting{},
		offered: map[conversation.ConversationID]conversation.AgentID{}, held: map[conversation.ConversationID]conversation.AgentID{},
		seats: map[conversation.AgentID]*conversation.Seat{}, left: map[conversation.AgentID]time.Time{},
	}
}

// Receive implements [actor.Actor].
func (q *queue) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		q.self = ctx.Self()

	case conversation.EnqueueConversation:
		q.onEnqueue(m)
	case conversation.DequeueConversation:
		q.onDequeue(m)
	case conversation.OccupyAgent:
		q.onOccupy(m)
	case conversation.ReleaseAgent:
		q.onRelease(m)
	case *standing:
		q.onStanding(m)
	case conversation.PresenceChange:
		q.onPresence(m)

	case *placed:
		q.onPlaced(m)
	case *graceOver:
		q.onGraceOver(m)

	case *matchAgain:
		if q.ensure() {
			q.match()
		}

	case *viewQuery:
		q.onView(ctx)
	}
}

// ensure rebuilds the books from the journal, once.
func (q *queue) ensure() bool {
	if q.loaded {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), q.e.o.AppendTimeout)
	defer cancel()
	cursor, rows := "", 0
	q.forget()
	for {
		heads, next, err := q.e.o.Lists.Heads(ctx, []conversation.InboxID{q.inbox},
			[]conversation.Status{conversation.StatusOpen, conversation.StatusSnoozed}, cursor, queuePage)
		if err != nil {
			q.e.log.Warn("queue not rebuilt", "inbox", string(q.inbox), "err", err)
			return false
		}
		for _, h := range heads {
			q.enter(h)
		}
		if rows += len(heads); next == "" || rows >= maxQueueRows {
			break
		}
		cursor = next
	}
	q.loaded = true
	q.measure()
	return true
}

// forget empties the books, but not what the sockets told of the agents.
func (q *queue) forget() {
	clear(q.waiting)
	clear(q.held)
	for _, s := range q.seats {
		s.Load = 0
	}
}

func (q *queue) enter(h conversation.Head) {
	switch {
	case h.Assignee != "":
		q.held[h.ID] = h.Assignee
		q.seat(h.Assignee).Load++
	case h.Queue == conversation.QueueQueued:
		q.waiting[h.ID] = conversation.Waiting{ID: h.ID, Priority: h.Priority, Since: h.QueuedAt}
	}
}

func (q *queue) seat(a conversation.AgentID) *conversation.Seat {
	s := q.seats[a]
	if s == nil {
		s = &conversation.Seat{Agent: a, Presence: conversation.PresenceOffline, Capacity: conversation.DefaultCapacity}
		q.seats[a] = s
	}
	return s
}

// Each handler first makes sure that the books are there. When they have just
// been read, the change that the message tells is in them already, and telling
// it again changes nothing.

func (q *queue) onEnqueue(m conversation.EnqueueConversation) {
	if !q.ensure() || len(q.waiting) >= maxQueueRows {
		return
	}
	q.waiting[m.ID] = conversation.Waiting{ID: m.ID, Priority: m.Priority, Since: m.Since, Skip: m.Skip}
	q.match()
}

func (q *queue) onDequeue(m conversation.DequeueConversation) {
	if q.ensure() {
		delete(q.waiting, m.ID)
		q.measure()
	}
}

func (q *queue) onOccupy(m conversation.OccupyAgent) {
	if !q.ensure() || q.held[m.ID] == m.Agent {
		return
	}
	if before, ok := q.held[m.ID]; ok {
		q.seat(before).Load--
	}
	q.held[m.ID] = m.Agent
	s := q.seat(m.Agent)
	s.Load++
	s.Since = time.Now()
	delete(q.waiting, m.ID)
	delete(q.offered, m.ID) // the place is counted by Load now
	if s.Presence == conversation.PresenceOffline {
		q.startGrace(m.Agent) // left while it was on the way
	}
	q.match()
}

func (q *queue) onRelease(m conversation.ReleaseAgent) {
	if !q.ensure() || q.held[m.ID] != m.Agent {
		return
	}
	delete(q.held, m.ID)
	q.seat(m.Agent).Load--
	q.match()
}

// onStanding puts one conversation's books right, whatever they said: its grain
// could not tell what became of an append.
func (q *queue) onStanding(m *standing) {
	if !q.ensure() {
		return
	}
	if agent, ok := q.held[m.head.ID]; ok {
		q.seat(agent).Load--
	}
	delete(q.held, m.head.ID)
	delete(q.waiting, m.head.ID)
	q.enter(m.head)
	q.match()
}

func (q *queue) onPresence(m conversation.PresenceChange) {
	s := q.seat(m.Agent)
	if m.Capacity > 0 {
		s.Capacity = m.Capacity
	}
	s.Presence = m.Presence
	delete(q.left, m.Agent)
	if !q.ensure() {
		return
	}
	if m.Presence == conversation.PresenceOffline && s.Load > 0 {
		q.startGrace(m.Agent)
	}
	q.match()
}

// startGrace gives an agent who has gone some time to come back.
func (q *queue) startGrace(agent conversation.AgentID) {
	if !q.assigns() {
		return // who claims conversations by hand keeps them
	}
	left := time.Now()
	q.left[agent] = left
	self, root := q.self, q.e.o.System.Root
	time.AfterFunc(q.e.o.AgentGrace, func() { root.Send(self, &graceOver{agent: agent, left: left}) })
}

// onGraceOver gives the conversations of an agent who did not come back to
// somebody else.
func (q *queue) onGraceOver(m *graceOver) {
	if !q.left[m.agent].Equal(m.left) {
		return
	}
	delete(q.left, m.agent)
	for id, agent := range q.held {
		if agent == m.agent {
			q.e.tellConversation(id, conversation.Unassign{Reason: "agent_offline"})
		}
	}
}

// assigns reports whether the inbox gives conversations to agents by itself.
func (q *queue) assigns() bool {
	inbox, err := q.e.o.Directory.Inbox(q.inbox)
	return err == nil && inbox.AutoAssign
}

// match gives waiting conversations to free agents. Until the conversation has
// confirmed, the place is counted as taken.
func (q *queue) match() {
	q.measure()
	if len(q.waiting) == 0 || !q.assigns() {
		return
	}
	seats := make([]conversation.Seat, 0, len(q.seats))
	for _, s := range q.seats {
		seats = append(seats, *s)
	}
	for _, agent := range q.offered {
		if i := slices.IndexFunc(seats, func(s conversation.Seat) bool { return s.Agent == agent }); i >= 0 {
			seats[i].Load++
		}
	}
	for _, w := range q.order() {
		if _, busy := q.offered[w.ID]; busy {
			continue
		}
		agent, ok := conversation.Pick(w, seats)
		if !ok {
			return
		}
		i := slices.IndexFunc(seats, func(s conversation.Seat) bool { return s.Agent == agent })
		seats[i].Load++
		q.offered[w.ID] = agent
		q.place(w.ID, agent)
	}
}

// place asks the conversation, which has the last word.
func (q *queue) place(id conversation.ConversationID, agent conversation.AgentID) {
	self, root := q.self, q.e.o.System.Root
	q.e.DoAsync(id, conversation.Assign{To: agent}, func(_ conversation.Receipt, err error) {
		root.Send(self, &placed{id: id, agent: agent, err: err})
	})
}

func (q *queue) onPlaced(m *placed) {
	delete(q.offered, m.id)
	if m.err == nil {
		q.match() // OccupyAgent has done the books
		return
	}
	if !conversation.CodeOf(m.err).Row().Retry {
		delete(q.waiting, m.id) // it does not wait any more
		q.match()
		return
	}
	q.e.log.Warn("assignment failed", "inbox", string(q.inbox), "conversation_id", m.id.String(), "err", m.err)
	self, root := q.self, q.e.o.System.Root
	time.AfterFunc(assignAgain, func() { root.Send(self, &matchAgain{}) })
}

func (q *queue) order() []conversation.Waiting {
	out := make([]conversation.Waiting, 0, len(q.waiting))
	for _, w := range q.waiting {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b conversation.Waiting) int {
		if a.Before(b) {
			return -1
		}
		return 1
	})
	return out
}

func (q *queue) onView(ctx actor.Context) {
	if !q.ensure() {
		ctx.Respond(conversation.Refuse(conversation.CodeUnavailable, "the queue's books could not be read"))
		return
	}
	v := &QueueView{Inbox: q.inbox, Waiting: q.order()}
	for _, s := range q.seats {
		v.Seats = append(v.Seats, *s)
	}
	slices.SortFunc(v.Seats, func(a, b conversation.Seat) int {
		if a.Agent < b.Agent {
			return -1
		}
		return 1
	})
	ctx.Respond(v)
}

func (q *queue) measure() {
	q.e.metrics.waiting.WithLabelValues(string(q.inbox)).Set(float64(len(q.waiting)))
	online := 0
	for _, s := range q.seats {
		if s.Presence == conversation.PresenceOnline {
			online++
		}
	}
	q.e.metrics.agents.WithLabelValues(string(q.inbox)).Set(float64(online))
}

// queueID names the queue grain of an inbox.
func queueID(inbox conversation.InboxID) cluster.GrainID {
	return cluster.GrainID{Kind: KindQueue, ID: string(inbox)}
}
