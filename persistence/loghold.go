package persistence

import (
	"sync"
	"time"
)

const (
	// A peer that got a state has to get the entries after it, and needs a moment
	// for that when there are many.
	holdAfter = 10 * time.Second
	// What is held is bounded, so that a peer that never gets its state does not
	// fill the disk.
	heldTails      = 64
	heldBytesLeast = 256 << 20
)

// logHolds keep entries of the log that a peer needs next: while the state is
// sent to it, and a moment longer. Under a steady load the log may be cut faster
// than the state gets there, and the peer would be sent one state after another.
type logHolds struct {
	most int64 // bytes of log that are held at most

	mu struct {
		sync.Mutex
		holds map[*logHold]struct{}
	}
}

// logHold keeps the entries from an index on.
type logHold struct {
	from  uint64
	until time.Time // zero = until it is released
}

func newLogHolds(tail int64) *logHolds {
	h := &logHolds{most: max(heldTails*tail, heldBytesLeast)}
	h.mu.holds = make(map[*logHold]struct{})
	return h
}

// hold keeps the entries from an index on, until some time after the function
// given is called.
func (h *logHolds) hold(from uint64) (release func()) {
	one := &logHold{from: from}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.holds[one] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		one.until = time.Now().Add(holdAfter)
	}
}

// spare gives the last entry that may be dropped of those up to an index.
func (h *logHolds) spare(to uint64, sizes *logSizes) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for one := range h.mu.holds {
		if !one.until.IsZero() && now.After(one.until) {
			delete(h.mu.holds, one)
			continue
		}
		if bytes, _ := sizes.after(one.from); one.from <= to && bytes <= h.most {
			to = one.from - 1
		}
	}
	return to
}
