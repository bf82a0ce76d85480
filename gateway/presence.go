package gateway

import (
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// presenceGrace is how long an agent without a connection still counts as
// present: a page that reloads must not lose its conversations.
const presenceGrace = 15 * time.Second

// presences counts the connections of agents on this node and tells the queue
// who takes conversations.
//
// Concurrency: safe for all; the lock is a leaf.
type presences struct {
	mu struct {
		sync.Mutex
		agents map[conversation.AgentID]*presence
	}
}

type presence struct {
	conns  int
	state  conversation.Presence
	goneAt time.Time // when the last connection ended
	agent  conversation.Agent
}

// arrive counts a connection and gives the state to tell; an agent is online
// until they say otherwise.
func (p *presences) arrive(a conversation.Agent) (conversation.Presence, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.mu.agents[a.ID]
	if known == nil {
		known = &presence{state: conversation.PresenceOnline}
		p.mu.agents[a.ID] = known
	}
	changed := known.conns == 0
	known.conns++
	known.agent, known.goneAt = a, time.Time{}
	return known.state, changed
}

func (p *presences) depart(id conversation.AgentID, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.mu.agents[id]; known != nil {
		if known.conns--; known.conns <= 0 {
			known.goneAt = now
		}
	}
}

func (p *presences) set(id conversation.AgentID, s conversation.Presence) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.mu.agents[id]
	if known == nil || known.state == s {
		return false
	}
	known.state = s
	return true
}

func (p *presences) of(id conversation.AgentID) conversation.Presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.mu.agents[id]; known != nil {
		return known.state
	}
	return conversation.PresenceOffline
}

// sweep reports those whose grace is over.
func (p *presences) sweep(g *Gateway, now time.Time) {
	for _, a := range p.expired(now) {
		g.tellPresence(a, conversation.PresenceOffline)
	}
}

func (p *presences) expired(now time.Time) []conversation.Agent {
	p.mu.Lock()
	defer p.mu.Unlock()
	var gone []conversation.Agent
	for id, known := range p.mu.agents {
		if known.conns <= 0 && now.Sub(known.goneAt) > presenceGrace {
			gone = append(gone, known.agent)
			delete(p.mu.agents, id)
		}
	}
	return gone
}

// tellPresence tells the queue and the other agents.
func (g *Gateway) tellPresence(a conversation.Agent, s conversation.Presence) {
	if g.opts.Presence != nil {
		capacity := a.Capacity
		if capacity == 0 {
			capacity = conversation.DefaultCapacity
		}
		g.opts.Presence.SetPresence(conversation.PresenceChange{
			Agent: a.ID, Presence: s, Inboxes: g.inboxesOf(a), Capacity: capacity,
		})
	}
	g.hub.AgentPresence(a.ID, s)
}

// inboxesOf lists where an agent works; an empty list of theirs means all.
func (g *Gateway) inboxesOf(a conversation.Agent) []conversation.InboxID {
	if len(a.Inboxes) > 0 {
		return a.Inboxes
	}
	all := g.opts.Inboxes.Inboxes()
	out := make([]conversation.InboxID, 0, len(all))
	for i := range all {
		out = append(out, all[i].ID)
	}
	return out
}
