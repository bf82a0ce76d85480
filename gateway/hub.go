package gateway

import (
	"hash/maphash"
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// hubShards spreads the locks of the hub. Publishing takes one of them for
// reading, so what contends is subscribing.
const hubShards = 32

// Hub knows which connections follow which conversation and feeds them.
//
// Visitors are found by who they are, not by the conversation: a conversation
// that starts, or succeeds a closed one, reaches its visitor without anybody
// having subscribed to it. Agents are found by the conversations and the
// inboxes they follow.
//
// Concurrency: safe for all. Publish must be called from one goroutine, in
// commit order.
type Hub struct {
	gw   *Gateway
	seed maphash.Seed

	visitors [hubShards]visitorShard
	watchers [hubShards]hubShard[conversation.ConversationID, *follow]
	inboxes  hubShard[conversation.InboxID, *conn]
	reading  chan struct{} // slots for reads of the journal

	published uint // commits so far; of the goroutine that publishes
}

// hubShard maps keys to the set of who follows them. Its lock is a leaf but
// for the locks of a follow and a queue, which are taken inside.
type hubShard[K comparable, V comparable] struct {
	mu struct {
		sync.RWMutex
		sets map[K]map[V]struct{}
	}
}

func (s *hubShard[K, V]) add(key K, v V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.sets == nil {
		s.mu.sets = make(map[K]map[V]struct{})
	}
	set := s.mu.sets[key]
	if set == nil {
		set = make(map[V]struct{}, 1)
		s.mu.sets[key] = set
	}
	set[v] = struct{}{}
}

func (s *hubShard[K, V]) remove(key K, v V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.mu.sets[key]
	if delete(set, v); len(set) == 0 {
		delete(s.mu.sets, key)
	}
}

// each calls do for all who follow key. do must not block and must not come
// back into the hub.
func (s *hubShard[K, V]) each(key K, do func(V)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for v := range s.mu.sets[key] {
		do(v)
	}
}

// maxReads is how many connections read the journal to catch up at a time.
const maxReads = 32

func newHub(g *Gateway) *Hub {
	return &Hub{gw: g, seed: maphash.MakeSeed(), reading: make(chan struct{}, maxReads)}
}

// eachVisitor calls do for all connections of a visitor. do must not block and
// must not come back into the hub.
func (h *Hub) eachVisitor(k conversation.ContactKey, do func(*conn)) {
	hash := maphash.Comparable(h.seed, k)
	h.visitors[hash%hubShards].each(hash, k, do)
}

func (h *Hub) watcherShard(id conversation.ConversationID) *hubShard[conversation.ConversationID, *follow] {
	return &h.watchers[maphash.Comparable(h.seed, id)%hubShards]
}

// publishedAtOnce is how many commits are given on before whoever waits for the
// processor gets a turn, and the event loops look for what has come. A goroutine
// may keep it for 10 ms otherwise, and when much has happened at once, those are
// frames that wait to be read.
const publishedAtOnce = 16

// Publish gives a commit to every connection that follows it. It encodes each
// entry once for visitors and once for agents, does not block, and must be
// called in commit order from one goroutine.
func (h *Hub) Publish(c *conversation.Commit) {
	if len(c.Entries) == 0 {
		return
	}
	p := publication{hub: h, commit: c}
	key := conversation.ContactKey{Inbox: c.Head.Inbox, Contact: c.Head.Contact}
	h.eachVisitor(key, func(v *conn) {
		v.followOwn(c.ID).live(&p, p.forVisitors())
	})
	h.watcherShard(c.ID).each(c.ID, func(f *follow) { f.live(&p, p.forAgents()) })
	h.inboxes.each(c.Head.Inbox, func(a *conn) { a.event(p.forInbox()) })
	if h.published++; h.published%publishedAtOnce == 0 {
		h.gw.group.Yield()
	}
}

// Lost says that commits may have been missed: every connection is asked to
// come back and resume from its cursors.
func (h *Hub) Lost() {
	h.gw.eachConn(func(c *conn) { c.close(wire.CloseStale) })
}

// Typing shows that somebody is typing to the other sides.
func (h *Hub) Typing(t TypingChange) { h.typing(t, nil) }

func (h *Hub) typing(t TypingChange, from *conn) {
	notice := &wire.TypingNotice{Conversation: t.Conversation, On: t.On, From: t.From}
	if t.From == conversation.PartyAgent {
		notice.Name = h.gw.agentName(t.Agent)
	}
	b, err := textFrame(notice)
	if err != nil {
		return
	}
	f := outFrame{bytes: b, topic: topic{kind: topicTyping, conversation: t.Conversation, agent: t.Agent}}
	h.watcherShard(t.Conversation).each(t.Conversation, func(w *follow) {
		if w.conn != from {
			w.conn.push(f)
		}
	})
	if t.From == conversation.PartyVisitor {
		return
	}
	key := conversation.ContactKey{Inbox: t.Inbox, Contact: t.Contact}
	h.eachVisitor(key, func(v *conn) { v.push(f) })
}

// QueuePosition tells a visitor how many wait before them.
func (h *Hub) QueuePosition(key conversation.ContactKey, id conversation.ConversationID, position int) {
	b, err := textFrame(&wire.QueuePosition{Conversation: id, Position: position})
	if err != nil {
		return
	}
	f := outFrame{bytes: b, topic: topic{kind: topicQueue, conversation: id}}
	h.eachVisitor(key, func(v *conn) { v.push(f) })
}

// AgentPresence tells all agents on this node about one agent's presence.
func (h *Hub) AgentPresence(id conversation.AgentID, state conversation.Presence) {
	b, err := textFrame(&wire.PresenceNotice{Agent: id, Name: h.gw.agentName(id), State: state})
	if err != nil {
		return
	}
	f := outFrame{bytes: b, topic: topic{kind: topicPresence, agent: id}}
	h.gw.eachAgent(func(c *conn, _ *agentID) { c.push(f) })
}

// seqFrame is an encoded event with its place.
type seqFrame struct {
	seq   conversation.Seq
	frame outFrame
}

// publication encodes a commit when somebody wants it, and at most once per
// audience.
type publication struct {
	hub      *Hub
	commit   *conversation.Commit
	visitors []seqFrame
	agents   []seqFrame
	inbox    outFrame
	done     struct{ visitors, agents, inbox bool }
}

func (p *publication) first() conversation.Seq { return p.commit.Entries[0].Seq }

func (p *publication) last() conversation.Seq {
	return p.commit.Entries[len(p.commit.Entries)-1].Seq
}

func (p *publication) forVisitors() []seqFrame {
	if !p.done.visitors {
		p.done.visitors = true
		p.visitors = p.hub.encode(visitorSide, p.commit.ID, p.commit.Entries)
	}
	return p.visitors
}

func (p *publication) forAgents() []seqFrame {
	if !p.done.agents {
		p.done.agents = true
		p.agents = p.hub.encode(agentSide, p.commit.ID, p.commit.Entries)
	}
	return p.agents
}

func (p *publication) forInbox() outFrame {
	if !p.done.inbox {
		p.done.inbox = true
		b, err := textFrame(wire.UpdatedEvent(p.commit.Head, p.hub.gw.agentName))
		if err == nil {
			p.inbox = outFrame{bytes: b, topic: topic{kind: topicUpdated, conversation: p.commit.ID}}
		}
	}
	return p.inbox
}

// encode turns entries into frames for one side, leaving out what that side
// must not see.
func (h *Hub) encode(s side, id conversation.ConversationID, entries []conversation.Entry) []seqFrame {
	out := make([]seqFrame, 0, len(entries))
	for _, e := range entries {
		ev, ok := h.view(s, id, e)
		if !ok {
			continue
		}
		b, err := textFrame(ev)
		if err != nil {
			h.gw.metrics.panics.Inc()
			continue
		}
		out = append(out, seqFrame{seq: e.Seq, frame: outFrame{bytes: b}})
	}
	return out
}

func (h *Hub) view(s side, id conversation.ConversationID, e conversation.Entry) (*wire.Event, bool) {
	if s == agentSide {
		return wire.AgentEvent(id, e, h.gw.agentName), true
	}
	return wire.VisitorEvent(id, e, h.gw.agentName)
}

// enter makes a visitor's connection reachable.
func (h *Hub) enter(v *visitorID, c *conn) {
	hash := maphash.Comparable(h.seed, v.key())
	h.visitors[hash%hubShards].reach(c)
}

// count makes a connection a visitor's, who, unless they have limit already.
func (h *Hub) count(c *conn, who *identity, limit int) bool {
	hash := maphash.Comparable(h.seed, who.key())
	return h.visitors[hash%hubShards].add(hash, c, who, limit)
}

// leave ends everything that a connection follows.
func (h *Hub) leave(c *conn) {
	who := c.who.Load()
	if who == nil {
		return
	}
	if who.agent == nil {
		hash := maphash.Comparable(h.seed, who.key())
		h.visitors[hash%hubShards].remove(hash, c)
		return
	}
	c.mu.Lock()
	follows, at := c.mu.follows, c.mu.desk
	c.mu.follows = nil
	c.mu.Unlock()
	for f := follows; f != nil; f = f.next {
		h.watcherShard(f.id).remove(f.id, f)
	}
	if at != nil {
		for in := range at.inboxes {
			h.inboxes.remove(in, c)
		}
	}
}
