package actors

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// readWait is how long a caller who has an answer waits at most until this
// node's copy of the journal shows it.
const readWait = 2 * time.Second

// applied lets callers wait until a version has come through the apply stream.
//
// bound: one wait for each caller of Deliver, Do and Await.
type applied struct {
	count atomic.Int64
	mu    struct {
		sync.Mutex
		waiting map[conversation.ConversationID][]*appliedWait
	}
}

type appliedWait struct {
	version conversation.Seq
	done    chan struct{}
}

// note says that this node shows a version.
func (a *applied) note(id conversation.ConversationID, version conversation.Seq) {
	if a.count.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake(id, version)
}

// wake ends the waits for a version. The lock is held.
func (a *applied) wake(id conversation.ConversationID, version conversation.Seq) {
	left := slices.DeleteFunc(a.mu.waiting[id], func(w *appliedWait) bool {
		if w.version > version {
			return false
		}
		close(w.done)
		a.count.Add(-1)
		return true
	})
	if a.mu.waiting[id] = left; len(left) == 0 {
		delete(a.mu.waiting, id)
	}
}

// wakeAll ends all waits: the commits that they wait for may have gone by.
func (a *applied) wakeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.mu.waiting {
		a.wake(id, ^conversation.Seq(0))
	}
}

func (a *applied) enter(id conversation.ConversationID, version conversation.Seq) *appliedWait {
	w := &appliedWait{version: version, done: make(chan struct{})}
	a.count.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.waiting[id] = append(a.mu.waiting[id], w)
	return w
}

// leave ends a wait whose caller has gone.
func (a *applied) leave(id conversation.ConversationID, w *appliedWait) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.mu.waiting[id], w)
	if i < 0 {
		return // it has been woken
	}
	a.count.Add(-1)
	if a.mu.waiting[id] = slices.Delete(a.mu.waiting[id], i, i+1); len(a.mu.waiting[id]) == 0 {
		delete(a.mu.waiting, id)
	}
}

// Await waits until this node's copy of the journal shows a version of a
// conversation, and reports whether it does. It gives up after two seconds, or
// when ctx ends.
func (e *Engine) Await(ctx context.Context, id conversation.ConversationID, version conversation.Seq) bool {
	if version == 0 || e.alone() {
		return true // alone, nothing is acknowledged before it is readable
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	for ctx.Err() == nil {
		// Entered first, looked up then: a commit that the look does not see comes
		// through the stream afterwards.
		w := e.applied.enter(id, version)
		entries, err := e.o.Index.Entries(ctx, id, version-1, 1)
		if err == nil && len(entries) > 0 {
			e.applied.leave(id, w)
			return true
		}
		select {
		case <-w.done: // by the stream, or because the stream was cut: look again
		case <-ctx.Done():
			e.applied.leave(id, w)
		}
	}
	e.metrics.behind.Inc()
	return false
}

// readable waits for a request's answer, and then until what it names can be
// read here.
func (e *Engine) readable(ctx context.Context, start func(func(conversation.Receipt, error))) (conversation.Receipt, error) {
	r, err := await(ctx, start)
	if err == nil {
		e.Await(ctx, r.Conversation, max(r.Version, r.Seq))
	}
	return r, err
}
