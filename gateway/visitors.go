package gateway

import (
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
)

// visitorShard finds the connections of visitors. There are as many visitors as
// connections, nearly, so a set for each would cost more than the connections
// do: those with the same hash are linked, through conn.next.
//
// Concurrency: safe for all; the lock is a leaf but for those of a follow and a
// queue, which are taken inside.
type visitorShard struct {
	mu struct {
		sync.RWMutex
		first map[uint64]*conn
	}
}

// add makes a connection a visitor's, unless they have limit already. It cannot
// be reached before reach.
func (s *visitorShard) add(hash uint64, c *conn, who *identity, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for other := s.mu.first[hash]; other != nil; other = other.next {
		if other.who.Load().key() == who.key() {
			n++
		}
	}
	if n >= limit {
		return false
	}
	if s.mu.first == nil {
		s.mu.first = make(map[uint64]*conn)
	}
	c.next = s.mu.first[hash]
	s.mu.first[hash] = c
	c.who.Store(who)
	return true
}

// reach lets each find a connection.
func (s *visitorShard) reach(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.reachable = true
}

func (s *visitorShard) remove(hash uint64, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := c.next
	c.next = nil
	first := s.mu.first[hash]
	switch {
	case first != c:
		for at := first; at != nil; at = at.next {
			if at.next == c {
				at.next = behind
				return
			}
		}
	case behind == nil:
		delete(s.mu.first, hash)
	default:
		s.mu.first[hash] = behind
	}
}

// each calls do for a visitor's connections. do must not block and must not come
// back into the hub.
func (s *visitorShard) each(hash uint64, key conversation.ContactKey, do func(*conn)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for c := s.mu.first[hash]; c != nil; c = c.next {
		if c.reachable && c.who.Load().key() == key {
			do(c)
		}
	}
}
