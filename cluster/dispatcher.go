package cluster

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// The limits of a [Workers] dispatcher.
const (
	idleWorkers      = 256
	workerThroughput = 300
)

// Workers runs mailboxes on goroutines that are kept for the next one. A fresh
// goroutine starts with a small stack, and growing it anew for every message
// cost a tenth of a turn's processor time; a kept one has grown already.
//
// bound: as many goroutines as mailboxes run at once; up to idleWorkers of them
// are kept · how it ends: Stop lets the idle ones go, the others end with their
// mailbox.
type Workers struct {
	mu struct {
		sync.Mutex
		idle    []chan func() // the one that was busy last is at the end
		stopped bool
	}
}

var _ actor.Dispatcher = (*Workers)(nil)

// Schedule implements [actor.Dispatcher].
func (w *Workers) Schedule(run func()) {
	w.mu.Lock()
	n := len(w.mu.idle)
	if n == 0 {
		w.mu.Unlock()
		go w.work(run)
		return
	}
	worker := w.mu.idle[n-1]
	w.mu.idle = w.mu.idle[:n-1]
	w.mu.Unlock()
	worker <- run // has room: it was idle
}

// Throughput implements [actor.Dispatcher].
func (*Workers) Throughput() int { return workerThroughput }

// Stop lets the idle workers go. Mailboxes can still be scheduled.
func (w *Workers) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.stopped = true
	for _, worker := range w.mu.idle {
		close(worker)
	}
	w.mu.idle = nil
}

func (w *Workers) work(run func()) {
	next := make(chan func(), 1)
	for ok := true; ok && w.keep(run, next); {
		run, ok = <-next
	}
}

// keep runs a mailbox and reports whether the worker waits for another.
func (w *Workers) keep(run func(), next chan func()) bool {
	run()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.stopped || len(w.mu.idle) >= idleWorkers {
		return false
	}
	w.mu.idle = append(w.mu.idle, next)
	return true
}
