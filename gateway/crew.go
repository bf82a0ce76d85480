package gateway

import (
	"sync"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

// maxCrew is how many frames are worked on at a time. Those who wait for
// something else than this node (a client that reads slowly) do not count.
const maxCrew = 512

// crew does work that may take time (frames that read the journal or ask other
// nodes, catching up), so that no event loop waits for it.
//
// owns: up to maxCrew goroutines, which end when nothing is left · accepts: one
// frame of each connection and one reading of each follow at most, which bounds
// what waits.
type crew struct {
	gw *Gateway

	mu struct {
		sync.Mutex
		busy    int
		waiting []func() // in order
		head    int      // of waiting
	}
}

// do works, at once or when it is its turn. It does not block.
func (w *crew) do(work func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.busy >= maxCrew {
		w.mu.waiting = append(w.mu.waiting, work)
		return
	}
	w.mu.busy++
	w.start(work)
}

// start starts a worker; it is counted already.
func (w *crew) start(work func()) {
	w.gw.serving.Go(func() {
		for work != nil {
			work()
			work = w.another()
		}
	})
}

// another gives the work that waits longest; without any, or when there are too
// many workers, it ends one.
func (w *crew) another() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.busy <= maxCrew {
		if work := w.shift(); work != nil {
			return work
		}
	}
	w.mu.busy--
	return nil
}

// shift takes the work that waits longest. The lock is held.
func (w *crew) shift() func() {
	if w.mu.head >= len(w.mu.waiting) {
		w.mu.waiting, w.mu.head = nil, 0
		return nil
	}
	work := w.mu.waiting[w.mu.head]
	w.mu.waiting[w.mu.head] = nil
	w.mu.head++
	return work
}

// waiting is how much waits for its turn.
func (w *crew) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.waiting) - w.mu.head
}

// outside waits for something else than this node while others of the crew
// work. Only the crew may call it.
func (w *crew) outside(wait func()) {
	w.mu.Lock()
	if work := w.shift(); work != nil {
		w.start(work)
	} else {
		w.mu.busy--
	}
	w.mu.Unlock()
	wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.busy++
}

// hold leaves a frame to the crew; the connection reads on when it is done.
func (c *conn) hold(frame wire.ClientFrame) {
	c.held = true
	c.working.Store(workOn)
	c.link.Hold()
	c.gw.crew.do(func() { c.work(frame) })
}

// work does what a frame asks for, on a goroutine of the crew.
func (c *conn) work(frame wire.ClientFrame) {
	defer c.worked()
	defer c.rescue()
	if !c.isClosing() {
		c.act(frame)
	}
}

// worked lets the connection read on, or cleans up behind it.
func (c *conn) worked() {
	if c.working.CompareAndSwap(workOn, workNone) {
		c.link.Resume()
		return
	}
	c.gw.forget(c)
}
