package persistence

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// leadership tells who leads. Raft calls observe while it changes that, so
// nothing is missed and nothing here may block.
type leadership struct {
	changes func(leader string) // told of every change, also of who belongs to the group; must not block
	mu      struct {
		sync.Mutex
		leader  string        // empty while nobody is known to lead
		since   time.Time     // and how long that has been so
		changed chan struct{} // closed when leader changes
	}
}

func newLeadership(changes func(leader string)) *leadership {
	l := &leadership{changes: changes}
	l.mu.since = time.Now()
	l.mu.changed = make(chan struct{})
	return l
}

// watch follows r until it is shut down.
func (l *leadership) watch(r *raft.Raft) {
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		switch d := o.Data.(type) {
		case raft.LeaderObservation:
			l.set(string(d.LeaderID))
		case raft.PeerObservation:
			l.changes("")
		}
		return false
	}))
	// What raft did before it was watched.
	_, id := r.LeaderWithID()
	if id != "" {
		l.set(string(id))
	}
}

func (l *leadership) set(leader string) {
	l.mu.Lock()
	if l.mu.leader == leader {
		l.mu.Unlock()
		return
	}
	l.mu.leader, l.mu.since = leader, time.Now()
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
	l.mu.Unlock()
	l.changes(leader)
}

// now gives the leader and a channel that is closed when it is another.
func (l *leadership) now() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.leader, l.mu.changed
}

// leaderless says for how long nobody has been known to lead; zero = somebody is.
func (l *leadership) leaderless() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.leader != "" {
		return 0
	}
	return max(time.Since(l.mu.since), 1)
}
