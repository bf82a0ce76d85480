package loop

import (
	"slices"
	"sync"
)

// keeper keeps time for the connections that have no loop.
//
// Concurrency: safe for all; handlers are called outside the lock.
type keeper struct {
	g       *Group
	buffers bufferPool
	present sync.WaitGroup // streams that came before the end

	mu struct {
		sync.Mutex
		streams []*stream // by slot
		heard   []Time    // by slot
		free    []int32
		wheel   *wheel
		closed  bool
	}
}

func newKeeper(g *Group) *keeper {
	k := &keeper{g: g}
	k.mu.wheel = newWheel(g.o.Tick)
	return k
}

func (k *keeper) enter(s *stream) {
	now := k.g.Now()
	if !k.place(s, now) {
		_ = s.nc.Close()
	}
	s.Arm(s.h.Due(now, now))
}

// place gives a stream its slot; false when it comes too late to be served.
func (k *keeper) place(s *stream, now Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.mu.free); n > 0 {
		s.slot, k.mu.free = k.mu.free[n-1], k.mu.free[:n-1]
	} else {
		s.slot = int32(len(k.mu.streams)) //nolint:gosec // bounded by the open files
		k.mu.streams, k.mu.heard = append(k.mu.streams, nil), append(k.mu.heard, 0)
	}
	k.mu.streams[s.slot], k.mu.heard[s.slot] = s, now
	k.mu.wheel.grow(s.slot)
	if s.late = k.mu.closed; !s.late {
		k.present.Add(1)
	}
	return !s.late
}

// leave frees the slot of a stream that has ended.
func (k *keeper) leave(s *stream) {
	s.h.Gone()
	if !s.late {
		k.present.Done()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.streams[s.slot] = nil
	k.mu.wheel.due[s.slot] = 0
	k.mu.free = append(k.mu.free, s.slot)
}

func (k *keeper) hear(s *stream, now Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.heard[s.slot] = now
}

func (k *keeper) arm(s *stream, at Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.slot >= 0 && k.mu.streams[s.slot] == s {
		k.mu.wheel.arm(s.slot, at.Sub(k.g.Now()))
	}
}

// turn tells the handlers whose time has come.
func (k *keeper) turn(now Time) {
	for _, s := range k.takeDue() {
		k.tell(s, now)
	}
}

func (k *keeper) takeDue() []*stream {
	k.mu.Lock()
	defer k.mu.Unlock()
	var due []*stream
	k.mu.wheel.advance(k.mu.wheel.tickOf(k.g.age()), func(slot int32) {
		if s := k.mu.streams[slot]; s != nil {
			due = append(due, s)
		}
	})
	return due
}

func (k *keeper) tell(s *stream, now Time) {
	defer s.rescue()
	k.mu.Lock()
	heard, here := k.mu.heard[s.slot], k.mu.streams[s.slot] == s
	k.mu.Unlock()
	if here {
		s.Arm(s.h.Due(now, heard))
	}
}

// abortAll ends every connection, also those that still come, and waits for
// those that were there.
func (k *keeper) abortAll() {
	k.mu.Lock()
	k.mu.closed = true
	streams := slices.Clone(k.mu.streams)
	k.mu.Unlock()
	for _, s := range streams {
		if s != nil {
			s.Abort()
		}
	}
	k.present.Wait()
}

// bufferPool lends the buffers of the writers.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, streamWriteBytes)
	return &b
}

func (p *bufferPool) put(b *[]byte) { p.pool.Put(b) }
