package gateway

import (
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// presenceGrace is how long an agent without a connection still counts as
	// present: a page that reloads must not lose its conversations.
	presenceGrace = 15 * time.Second
	// presenceRefresh is how often nodes tell each other of their agents, because
	// what they tell may get lost.
	presenceRefresh = 10 * time.Second
	// presenceLife is how long another node's word counts.
	presenceLife = 3*presenceRefresh + presenceGrace
	maxHeard     = 16_384 // words of other nodes
)

// presences counts the connections of agents on this node, tells the queue who
// takes conversations, and knows what other nodes say of their agents.
//
// An agent may have connections on several nodes. They are present while one of
// them says so, and the newest choice counts on all of them.
//
// Concurrency: safe for all; the lock is a leaf.
type presences struct {
	mu struct {
		sync.Mutex
		agents map[conversation.AgentID]*presence
		others map[conversation.AgentID]map[string]heard // by node
		words  int                                       // in others
		told   time.Time                                 // when the others were told of all
	}
}

type presence struct {
	conns  int
	state  conversation.Presence
	chosen time.Time // zero = by being there
	goneAt time.Time // when the last connection ended
	agent  conversation.Agent
}

// heard is another node's word about an agent.
type heard struct {
	state  conversation.Presence
	chosen time.Time
	at     time.Time
}

// change is a presence to be told.
type change struct {
	agent  conversation.Agent
	state  conversation.Presence
	chosen time.Time
}

// arrive counts a connection and gives what to tell. An agent who is present
// elsewhere is what they are there; another one is online until they say
// otherwise.
func (p *presences) arrive(a conversation.Agent) (change, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.mu.agents[a.ID]
	if known == nil {
		known = &presence{state: conversation.PresenceOnline}
		if w, ok := p.newestHeard(a.ID); ok {
			known.state, known.chosen = w.state, w.chosen
		}
		p.mu.agents[a.ID] = known
	}
	changed := known.conns == 0
	known.conns++
	known.agent, known.goneAt = a, time.Time{}
	return change{agent: a, state: known.state, chosen: known.chosen}, changed
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

func (p *presences) set(id conversation.AgentID, s conversation.Presence, now time.Time) (change, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.mu.agents[id]
	if known == nil || known.state == s {
		return change{}, false
	}
	chosen := now.UTC().Truncate(time.Millisecond)
	if !chosen.After(known.chosen) { // of the same millisecond, or by a clock that is ahead
		chosen = known.chosen.Add(time.Millisecond)
	}
	known.state, known.chosen = s, chosen
	return change{agent: known.agent, state: s, chosen: known.chosen}, true
}

// of gives an agent's presence as all nodes see it.
func (p *presences) of(id conversation.AgentID) conversation.Presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.merged(id)
}

// merged is of; the lock is held.
func (p *presences) merged(id conversation.AgentID) conversation.Presence {
	best, ok := p.newestHeard(id)
	if known := p.mu.agents[id]; known != nil && (!ok || !best.beats(known.state, known.chosen)) {
		return known.state
	}
	if !ok {
		return conversation.PresenceOffline
	}
	return best.state
}

// newestHeard gives the word of other nodes that counts. The lock is held.
func (p *presences) newestHeard(id conversation.AgentID) (heard, bool) {
	var best heard
	found := false
	for _, w := range p.mu.others[id] {
		if !found || w.beats(best.state, best.chosen) {
			best, found = w, true
		}
	}
	return best, found
}

// beats says whether a word counts more than another: the newer choice, and of
// two of the same time the one that takes conversations.
func (w heard) beats(state conversation.Presence, chosen time.Time) bool {
	if !w.chosen.Equal(chosen) {
		return w.chosen.After(chosen)
	}
	return w.state == conversation.PresenceOnline && state != conversation.PresenceOnline
}

// heard takes another node's word about its agents.
func (p *presences) heard(g *Gateway, node string, rows []presenceRow, now time.Time) {
	for _, r := range rows {
		a, err := g.opts.Agents.Agent(r.Agent)
		if err != nil {
			continue // a name that this node does not know is nothing to show
		}
		before, after, adopted := p.hear(node, r, now)
		if adopted != nil {
			g.tellQueues(*adopted)
			g.relayPresences([]presenceRow{presenceRowOf(*adopted)}) // what this node says has changed
		}
		if before != after {
			g.hub.AgentPresence(a.ID, after)
		}
	}
}

// hear writes a word down. It gives the presence before and after, and what this
// node's queue must be told when the agent, who is here as well, chose elsewhere.
func (p *presences) hear(node string, r presenceRow, now time.Time) (before, after conversation.Presence, adopted *change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.merged(r.Agent)
	w := heard{state: r.State, at: now}
	if r.Chosen != 0 {
		w.chosen = time.UnixMilli(r.Chosen).UTC()
	}
	_, had := p.mu.others[r.Agent][node]
	switch {
	case r.State == conversation.PresenceOffline:
		p.unhear(r.Agent, node)
	case had || p.mu.words < maxHeard:
		if p.mu.others[r.Agent] == nil {
			p.mu.others[r.Agent] = make(map[string]heard)
		}
		if p.mu.others[r.Agent][node] = w; !had {
			p.mu.words++
		}
	}
	known := p.mu.agents[r.Agent]
	if known != nil && r.State != conversation.PresenceOffline && w.chosen.After(known.chosen) {
		differs := known.state != w.state
		if known.state, known.chosen = w.state, w.chosen; differs {
			adopted = &change{agent: known.agent, state: known.state, chosen: known.chosen}
		}
	}
	return before, p.merged(r.Agent), adopted
}

// unhear forgets a node's word. The lock is held.
func (p *presences) unhear(id conversation.AgentID, node string) {
	if _, had := p.mu.others[id][node]; !had {
		return
	}
	p.mu.words--
	if delete(p.mu.others[id], node); len(p.mu.others[id]) == 0 {
		delete(p.mu.others, id)
	}
}

// lose lets the word of nodes that are gone end after the grace.
func (p *presences) lose(nodes []string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := now.Add(presenceGrace - presenceLife)
	for _, words := range p.mu.others {
		for node, w := range words {
			if !slices.Contains(nodes, node) && w.at.After(last) {
				w.at = last
				words[node] = w
			}
		}
	}
}

// rows gives what this node says of its agents.
func (p *presences) rows() []presenceRow {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]presenceRow, 0, len(p.mu.agents))
	for id, known := range p.mu.agents {
		out = append(out, presenceRowOf(change{agent: conversation.Agent{ID: id}, state: known.state, chosen: known.chosen}))
	}
	return out
}

func presenceRowOf(c change) presenceRow {
	r := presenceRow{Agent: c.agent.ID, State: c.state}
	if !c.chosen.IsZero() {
		r.Chosen = c.chosen.UnixMilli()
	}
	return r
}

// sweep reports those whose grace is over, here and on other nodes, and tells
// the others again who is here.
func (p *presences) sweep(g *Gateway, now time.Time) {
	for _, a := range p.expired(now) {
		g.tellPresence(change{agent: a, state: conversation.PresenceOffline})
	}
	for _, id := range p.expiredWords(now) {
		g.hub.AgentPresence(id, p.of(id))
	}
	if g.opts.Relay != nil && p.refreshIsDue(now) {
		g.relayPresences(p.rows())
	}
}

func (p *presences) refreshIsDue(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.mu.told) < presenceRefresh {
		return false
	}
	p.mu.told = now
	return true
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

// expiredWords forgets what was heard too long ago and gives the agents whose
// presence that changes.
func (p *presences) expiredWords(now time.Time) []conversation.AgentID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var changed []conversation.AgentID
	for id, words := range p.mu.others {
		before := p.merged(id)
		for node, w := range words {
			if now.Sub(w.at) > presenceLife {
				p.unhear(id, node)
			}
		}
		if p.merged(id) != before {
			changed = append(changed, id)
		}
	}
	return changed
}

// tellPresence tells the queues, the other nodes and the other agents.
func (g *Gateway) tellPresence(c change) {
	g.tellQueues(c)
	g.relayPresences([]presenceRow{presenceRowOf(c)})
	g.hub.AgentPresence(c.agent.ID, g.presences.of(c.agent.ID))
}

// tellQueues tells what this node sees.
func (g *Gateway) tellQueues(c change) {
	if g.opts.Presence == nil {
		return
	}
	capacity := c.agent.Capacity
	if capacity == 0 {
		capacity = conversation.DefaultCapacity
	}
	g.opts.Presence.SetPresence(conversation.PresenceChange{
		Agent: c.agent.ID, Presence: c.state, Inboxes: g.inboxesOf(c.agent), Capacity: capacity, Chosen: c.chosen,
	})
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
