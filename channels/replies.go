package channels

import (
	"sync"
	"time"
)

// maxReplies bounds how many peers' tokens are remembered.
const maxReplies = 4096

// replies remembers what lets one message be sent back to each peer for a while.
// It is in memory only: without it a message is sent in the other way, which
// costs something and works as well.
type replies struct {
	mu struct {
		sync.Mutex

		of map[string]replyTo
	}
}

type replyTo struct {
	token string
	until time.Time
}

// keep remembers the token of a peer's newest event.
func (r *replies) keep(peer, token string, until time.Time) {
	if token == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.of == nil || len(r.mu.of) >= maxReplies {
		r.mu.of = make(map[string]replyTo)
	}
	r.mu.of[peer] = replyTo{token, until}
}

// take gives a peer's token, once.
func (r *replies) take(peer string, now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.mu.of[peer]
	delete(r.mu.of, peer)
	if now.After(t.until) {
		return ""
	}
	return t.token
}
