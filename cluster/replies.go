package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Undelivered is the answer for a message that could not be handed to the
// successor of a grain that was stopping. It is an error.
type Undelivered struct { //nolint:errname // it is an answer first
	Message any
	Err     error
}

// Error implements error.
func (u *Undelivered) Error() string { return "not delivered: " + u.Err.Error() }

// Unwrap gives the cause.
func (u *Undelivered) Unwrap() error { return u.Err }

// replies is a process that turns answers into values on a channel. It is
// cheaper than a future each, and has no race between a late answer and the
// one who stopped waiting.
type replies struct {
	pid  *actor.PID
	next atomic.Uint32
	mu   struct {
		sync.Mutex
		waiting map[uint32]chan any
	}
}

func newReplies(system *actor.ActorSystem) *replies {
	r := &replies{}
	r.mu.waiting = map[uint32]chan any{}
	r.pid, _ = system.ProcessRegistry.Add(r, "colloquy-replies")
	return r
}

func (r *replies) expect() (*actor.PID, <-chan any) {
	id := r.next.Add(1)
	c := make(chan any, 1)
	r.mu.Lock()
	r.mu.waiting[id] = c
	r.mu.Unlock()
	return &actor.PID{Address: r.pid.Address, Id: r.pid.Id, RequestId: id}, c
}

func (r *replies) forget(id uint32) {
	r.mu.Lock()
	delete(r.mu.waiting, id)
	r.mu.Unlock()
}

// SendUserMessage implements [actor.Process].
func (r *replies) SendUserMessage(pid *actor.PID, message any) {
	_, msg, _ := actor.UnwrapEnvelope(message)
	r.mu.Lock()
	c := r.mu.waiting[pid.RequestId]
	delete(r.mu.waiting, pid.RequestId)
	r.mu.Unlock()
	if c != nil {
		c <- msg // has room for the one answer
	}
}

// SendSystemMessage implements [actor.Process].
func (r *replies) SendSystemMessage(*actor.PID, any) {}

// Stop implements [actor.Process].
func (r *replies) Stop(*actor.PID) {}
