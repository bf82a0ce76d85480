package gateway

import (
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
)

// agentSet finds the connections of agents, which are few.
//
// Concurrency: safe for all; the lock is a leaf.
type agentSet struct {
	mu struct {
		sync.Mutex
		conns map[conversation.AgentID]map[*conn]struct{}
	}
}

// enter takes an agent's connection in, unless they have limit already.
func (s *agentSet) enter(id conversation.AgentID, c *conn, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.conns == nil {
		s.mu.conns = make(map[conversation.AgentID]map[*conn]struct{})
	}
	own := s.mu.conns[id]
	if len(own) >= limit {
		return false
	}
	if own == nil {
		own = make(map[*conn]struct{})
		s.mu.conns[id] = own
	}
	own[c] = struct{}{}
	return true
}

func (s *agentSet) leave(id conversation.AgentID, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.mu.conns[id], c); len(s.mu.conns[id]) == 0 {
		delete(s.mu.conns, id)
	}
}

func (s *agentSet) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*conn
	for _, own := range s.mu.conns {
		for c := range own {
			out = append(out, c)
		}
	}
	return out
}

// eachAgent calls do for a snapshot of the agents' connections, outside the
// lock.
func (g *Gateway) eachAgent(do func(*conn, *agentID)) {
	for _, c := range g.agents.all() {
		if who := c.who.Load(); who != nil {
			do(c, who.agent)
		}
	}
}
