package actors

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// The times of presence.
const (
	presenceDeadline = 10 * time.Second // for a queue to be told
	presenceAgain    = 5 * time.Second  // after a queue could not be told
	rememberGone     = 10 * time.Minute // agents who have left, in case a queue has not heard of it
)

// presence is what a node tells the queues of an agent. Messages may overtake
// each other on the way; the order says which is the newer one.
type presence struct {
	conversation.PresenceChange

	Node  cluster.NodeID `json:"node"`
	Order uint64         `json:"order"`
}

// told answers presence.
type told struct{}

// roster is what the nodes tell of agents.
type roster map[conversation.AgentID]map[cluster.NodeID]*presence

// take writes a message down, and reports whether it is news.
func (r roster) take(m *presence) bool {
	if known := r[m.Agent][m.Node]; known != nil && known.Order >= m.Order {
		return false
	}
	if r[m.Agent] == nil {
		r[m.Agent] = map[cluster.NodeID]*presence{}
	}
	r[m.Agent][m.Node] = m
	return true
}

// of merges what the nodes tell: an agent is there while one node says so, and
// takes conversations unless the newest choice says otherwise.
func (r roster) of(agent conversation.AgentID) (conversation.Presence, int) {
	var best *presence
	for _, p := range r[agent] {
		if best == nil || p.beats(best) {
			best = p
		}
	}
	if best == nil {
		return conversation.PresenceOffline, 0
	}
	return best.Presence, best.Capacity
}

// beats says which of two nodes' words counts.
func (p *presence) beats(o *presence) bool {
	if here, there := p.Presence != conversation.PresenceOffline, o.Presence != conversation.PresenceOffline; here != there {
		return here
	}
	if !p.Chosen.Equal(o.Chosen) {
		return p.Chosen.After(o.Chosen)
	}
	return p.Presence == conversation.PresenceOnline && o.Presence != conversation.PresenceOnline
}

// nodes lists who told anything.
func (r roster) nodes() []cluster.NodeID {
	all := map[cluster.NodeID]struct{}{}
	for _, told := range r {
		for node := range told {
			all[node] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// drop forgets what a node told and gives the agents that it was about.
func (r roster) drop(node cluster.NodeID) []conversation.AgentID {
	var out []conversation.AgentID
	for agent, told := range r {
		if told[node] == nil {
			continue
		}
		out = append(out, agent)
		if delete(told, node); len(told) == 0 {
			delete(r, agent)
		}
	}
	return out
}

// attendance is what this node's sockets told of agents, kept to tell it again
// to queues that have moved.
//
// bound: the agents with sockets on this node, now or in the last minutes.
type attendance struct {
	mu struct {
		sync.Mutex
		agents map[conversation.AgentID]attendee
		order  uint64
		failed time.Time // when a queue could not be told; zero = all could
	}
}

type attendee struct {
	change conversation.PresenceChange
	at     time.Time
}

// SetPresence tells the queues of an agent's inboxes, wherever they are, whether
// the agent takes conversations as far as this node knows. It is ephemeral:
// after a restart the sockets tell it again; to a queue that has moved the
// engine tells it again.
func (e *Engine) SetPresence(c conversation.PresenceChange) {
	a := &e.attendance
	a.mu.Lock()
	a.mu.order++
	order := a.mu.order
	a.mu.agents[c.Agent] = attendee{change: c, at: time.Now()}
	a.mu.Unlock()
	e.tellPresence(c, order)
}

func (e *Engine) tellPresence(c conversation.PresenceChange, order uint64) {
	inboxes := c.Inboxes
	if len(inboxes) == 0 {
		for _, i := range e.o.Directory.Inboxes() {
			inboxes = append(inboxes, i.ID)
		}
	}
	msg := &presence{PresenceChange: c, Node: e.gate.View().Self(), Order: order}
	deadline := time.Now().Add(presenceDeadline)
	for _, id := range inboxes {
		e.gate.Ask(queueID(id), msg, deadline, func(_ any, err error) {
			if err != nil {
				e.log.Warn("queue not told", "inbox", string(id), "err", err)
				e.attendance.notTold(time.Now())
			}
		})
	}
}

func (a *attendance) notTold(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.failed = now
}

// again tells everything once more: the queues may be on other nodes now, which
// have not heard of it.
func (e *Engine) presenceAgain() {
	a := &e.attendance
	a.mu.Lock()
	a.mu.failed = time.Time{}
	a.mu.order++
	maps.DeleteFunc(a.mu.agents, func(_ conversation.AgentID, one attendee) bool {
		return one.change.Presence == conversation.PresenceOffline && time.Since(one.at) > rememberGone
	})
	order, all := a.mu.order, slices.Collect(maps.Values(a.mu.agents))
	a.mu.Unlock()
	for _, one := range all {
		e.tellPresence(one.change, order)
	}
}

// retellPresence is presenceAgain some time after a queue could not be told.
func (e *Engine) retellPresence(now time.Time) {
	a := &e.attendance
	a.mu.Lock()
	due := !a.mu.failed.IsZero() && now.Sub(a.mu.failed) >= presenceAgain
	a.mu.Unlock()
	if due {
		e.presenceAgain()
	}
}

// isMember reports whether a node is in the present view.
func (e *Engine) isMember(node cluster.NodeID) bool {
	return slices.ContainsFunc(e.gate.View().Members(), func(m cluster.Member) bool { return m.ID == node })
}
