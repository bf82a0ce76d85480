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
	// standing is where a conversation stands after a commit.
	standing struct{ head conversation.Head }
	// placed is the outcome of an assignment that the queue asked for.
	placed struct {
		id      conversation.ConversationID
		agent   conversation.AgentID
		version conversation.Seq
		err     error
	}
	// graceOver says that an agent has been away for the whole grace.
	graceOver struct {
		agent conversation.AgentID
		left  time.Time
	}
	// matchAgain follows an assignment that failed for no fault of its own, and a
	// rebuild that failed.
	matchAgain struct{}
	// survey asks for a look at who is there: the view has changed, or the node
	// has started.
	survey struct {
		rebuild bool // the books may have missed commits
	}
	// nodeGone says that a node has been out of the view for a while.
	nodeGone struct{ node cluster.NodeID }
	// viewQuery asks for the queue's books.
	viewQuery struct{}
)

// Internal implements [cluster.Internal].
func (*placed) Internal() {}

// Internal implements [cluster.Internal].
func (*graceOver) Internal() {}

// Internal implements [cluster.Internal].
func (*matchAgain) Internal() {}

// Internal implements [cluster.Internal].
func (*nodeGone) Internal() {}

// QueueView is what a queue knows, at one moment.
type QueueView struct {
	Inbox   conversation.InboxID
	Waiting []conversation.Waiting // in the order in which they will be served
	Seats   []conversation.Seat
}

// queue is the waiting room of one inbox. It lives on one node, and its books
// are a projection of that node's own copy of the journal: the lists, and from
// then on the apply stream. Nobody has to tell it anything, so nothing that was
// told can get lost.
//
// owns: who waits, and which agents are there with how much work · accepts:
// standing, from the apply stream; presence, from all nodes; queries · emits:
// Assign to conversation grains · bound: maxQueueRows; what does not fit is read
// when there is room · on panic and on restart: waiting and loads are rebuilt
// from the journal, presence is told again by the nodes.
//
// An agent's capacity counts within each inbox.
type queue struct {
	e     *Engine
	inbox conversation.InboxID
	self  *actor.PID

	// touched by Receive only

	loaded   bool
	partial  bool // there are more than maxQueueRows
	trying   bool // matchAgain is on its way
	waiting  map[conversation.ConversationID]conversation.Waiting
	offered  map[conversation.ConversationID]offer
	held     map[conversation.ConversationID]conversation.AgentID // who has which conversation
	versions map[conversation.ConversationID]conversation.Seq     // of what the books say
	seats    map[conversation.AgentID]*conversation.Seat
	left     map[conversation.AgentID]time.Time
	roster   roster
	leaving  map[cluster.NodeID]bool // out of the view, and perhaps not for long
}

// offer is an assignment on its way.
type offer struct {
	agent   conversation.AgentID
	version conversation.Seq // that confirms it; zero while it is not known
}

func newQueue(e *Engine, name string) *queue {
	return &queue{
		e: e, inbox: conversation.InboxID(name), waiting: map[conversation.ConversationID]conversation.Waiting{},
		offered: map[conversation.ConversationID]offer{}, held: map[conversation.ConversationID]conversation.AgentID{},
		versions: map[conversation.ConversationID]conversation.Seq{},
		seats:    map[conversation.AgentID]*conversation.Seat{}, left: map[conversation.AgentID]time.Time{},
		roster: roster{}, leaving: map[cluster.NodeID]bool{},
	}
}

// Receive implements [actor.Actor].
func (q *queue) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		q.self = ctx.Self()

	case *standing:
		q.onStanding(m)
	case *presence:
		q.onPresence(m)
		if ctx.Sender() != nil {
			ctx.Respond(&told{})
		}
	case *survey:
		q.onSurvey(m)

	case *placed:
		q.onPlaced(m)
	case *graceOver:
		q.onGraceOver(m)
	case *nodeGone:
		q.onNodeGone(m)

	case *matchAgain:
		q.trying = false
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
	before := q.forget()
	for {
		heads, next, err := q.e.o.Lists.Heads(ctx, HeadsQuery{
			Inboxes: []conversation.InboxID{q.inbox},
			Status:  []conversation.Status{conversation.StatusOpen, conversation.StatusSnoozed}, Cursor: cursor, Limit: queuePage,
		})
		if err != nil {
			q.e.log.Warn("queue not rebuilt", "inbox", string(q.inbox), "err", err)
			q.tryAgain()
			return false
		}
		for _, h := range heads {
			q.enter(h, before[h.ID].Skip)
		}
		if rows += len(heads); next == "" || rows >= maxQueueRows {
			q.partial = next != ""
			break
		}
		cursor = next
	}
	q.loaded = true
	q.missAbsent()
	q.measure()
	return true
}

// forget empties the books, but not what the nodes told of the agents, and gives
// who waited.
func (q *queue) forget() map[conversation.ConversationID]conversation.Waiting {
	before := q.waiting
	q.waiting = make(map[conversation.ConversationID]conversation.Waiting, len(before))
	clear(q.held)
	clear(q.versions)
	for id, o := range q.offered {
		if o.version != 0 { // made, and its commit may have been missed
			delete(q.offered, id)
		}
	}
	for _, s := range q.seats {
		s.Load = 0
	}
	return before
}

// missAbsent starts the grace of agents who have conversations and of whom no
// node has told.
func (q *queue) missAbsent() {
	for agent, s := range q.seats {
		if _, missed := q.left[agent]; !missed && s.Load > 0 && s.Presence == conversation.PresenceOffline {
			q.startGrace(agent)
		}
	}
}

// tryAgain comes back to what could not be done now.
func (q *queue) tryAgain() {
	if q.trying {
		return
	}
	q.trying = true
	self, root := q.self, q.e.o.System.Root
	time.AfterFunc(assignAgain, func() { root.Send(self, &matchAgain{}) })
}

// enter writes down where a conversation stands. skip is who just had it.
func (q *queue) enter(h conversation.Head, skip conversation.AgentID) {
	switch {
	case h.Assignee != "":
		q.held[h.ID] = h.Assignee
		q.seat(h.Assignee).Load++
	case h.Queue != conversation.QueueQueued:
		return
	case len(q.waiting) >= maxQueueRows:
		q.partial = true
		return
	default:
		q.waiting[h.ID] = conversation.Waiting{ID: h.ID, Priority: h.Priority, Since: h.QueuedAt, Skip: skip}
	}
	q.versions[h.ID] = h.Version
}

func (q *queue) seat(a conversation.AgentID) *conversation.Seat {
	s := q.seats[a]
	if s == nil {
		s = &conversation.Seat{Agent: a, Presence: conversation.PresenceOffline, Capacity: conversation.DefaultCapacity}
		q.seats[a] = s
	}
	return s
}

// onStanding puts one conversation's books right. When the books have just been
// read they may know more than the commit that the message comes from.
func (q *queue) onStanding(m *standing) {
	if !q.ensure() || m.head.Version <= q.versions[m.head.ID] {
		return
	}
	h := m.head
	before, had := q.held[h.ID]
	skip := q.waiting[h.ID].Skip
	if had {
		q.seat(before).Load--
		skip = before
	}
	delete(q.held, h.ID)
	delete(q.waiting, h.ID)
	delete(q.versions, h.ID)
	q.enter(h, skip)
	if h.Assignee != "" && h.Assignee != before {
		s := q.seat(h.Assignee)
		s.Since = time.Now()
		if s.Presence == conversation.PresenceOffline {
			q.startGrace(h.Assignee) // left while it was on the way
		}
	}
	if h.Assignee != "" || h.Queue != conversation.QueueQueued || h.Version >= q.offered[h.ID].version && q.offered[h.ID].version != 0 {
		delete(q.offered, h.ID) // the place is counted by Load now, or not needed
	}
	q.match()
}

// onPresence merges what a node tells of an agent with what others tell.
func (q *queue) onPresence(m *presence) {
	if q.roster.take(m) {
		q.reseat(m.Agent)
		if q.ensure() {
			q.match()
		}
	}
}

// reseat makes an agent's seat say what the nodes say.
func (q *queue) reseat(agent conversation.AgentID) {
	s := q.seat(agent)
	before := s.Presence
	var capacity int
	if s.Presence, capacity = q.roster.of(agent); capacity > 0 {
		s.Capacity = capacity
	}
	if s.Presence != conversation.PresenceOffline {
		delete(q.left, agent)
		return
	}
	if _, missed := q.left[agent]; q.ensure() && s.Load > 0 && (!missed || before != s.Presence) {
		q.startGrace(agent)
	}
}

// onSurvey compares the nodes that told of agents with the view, and the books
// with the journal if they may have missed something.
func (q *queue) onSurvey(m *survey) {
	if m.rebuild {
		q.loaded = false
	}
	self, root := q.self, q.e.o.System.Root
	for _, node := range q.roster.nodes() {
		if q.leaving[node] || q.e.isMember(node) {
			continue
		}
		q.leaving[node] = true
		time.AfterFunc(q.e.o.PresenceGrace, func() { root.Send(self, &nodeGone{node}) })
	}
	if q.ensure() {
		q.match()
	}
}

// onNodeGone takes a node's word about agents away. Those who came back through
// another node have been told of from there.
func (q *queue) onNodeGone(m *nodeGone) {
	delete(q.leaving, m.node)
	if q.e.isMember(m.node) {
		return
	}
	for _, agent := range q.roster.drop(m.node) {
		q.reseat(agent)
	}
	if q.ensure() {
		q.match()
	}
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
	self, root := q.self, q.e.o.System.Root
	for id, agent := range q.held {
		if agent != m.agent {
			continue
		}
		q.e.DoAsync(id, conversation.Unassign{Reason: "agent_offline"}, func(_ conversation.Receipt, err error) {
			if err != nil && conversation.CodeOf(err).Row().Retry {
				time.AfterFunc(assignAgain, func() { root.Send(self, m) })
			}
		})
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
	if q.partial && len(q.waiting) < maxQueueRows/2 {
		q.loaded = false
		if !q.ensure() {
			return
		}
	}
	q.measure()
	if len(q.waiting) == 0 || !q.assigns() {
		return
	}
	seats := make([]conversation.Seat, 0, len(q.seats))
	for _, s := range q.seats {
		seats = append(seats, *s)
	}
	for _, o := range q.offered {
		if i := slices.IndexFunc(seats, func(s conversation.Seat) bool { return s.Agent == o.agent }); i >= 0 {
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
		q.offered[w.ID] = offer{agent: agent}
		q.place(w.ID, agent)
	}
}

// place asks the conversation, which has the last word.
func (q *queue) place(id conversation.ConversationID, agent conversation.AgentID) {
	self, root := q.self, q.e.o.System.Root
	q.e.DoAsync(id, conversation.Assign{To: agent}, func(r conversation.Receipt, err error) {
		root.Send(self, &placed{id: id, agent: agent, version: r.Version, err: err})
	})
}

// onPlaced takes the answer to an offer. A place that was given stays counted
// until the commit that says so has come through the apply stream.
func (q *queue) onPlaced(m *placed) {
	o, open := q.offered[m.id]
	if !open || o.agent != m.agent {
		return
	}
	if m.err == nil {
		if o.version = m.version; m.version <= q.versions[m.id] {
			delete(q.offered, m.id)
			q.match()
			return
		}
		q.offered[m.id] = o
		return
	}
	delete(q.offered, m.id)
	if !conversation.CodeOf(m.err).Row().Retry {
		delete(q.waiting, m.id) // it does not wait any more; its commit is on the way
		q.match()
		return
	}
	q.e.log.Warn("assignment failed", "inbox", string(q.inbox), "conversation_id", m.id.String(), "err", m.err)
	q.tryAgain()
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
