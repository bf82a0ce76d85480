package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
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

// replies is a process that hands answers to whoever waits for them. It is
// cheaper than a future each, and has no race between a late answer and the one
// who stopped waiting.
type replies struct {
	pid    *actor.PID
	next   atomic.Uint32
	shards [askShards]struct {
		sync.Mutex
		waiting map[uint32]waiting
	}
}

type waiting struct {
	deadline time.Time
	take     func(answer any)
}

func newReplies(system *actor.ActorSystem) *replies {
	r := &replies{}
	for i := range r.shards {
		r.shards[i].waiting = map[uint32]waiting{}
	}
	r.pid, _ = system.ProcessRegistry.Add(r, "colloquy-replies")
	return r
}

// expect gives the address for one answer, which take gets.
func (r *replies) expect(deadline time.Time, take func(answer any)) *actor.PID {
	id := r.next.Add(1)
	sh := &r.shards[id%askShards]
	sh.Lock()
	sh.waiting[id] = waiting{deadline: deadline, take: take}
	sh.Unlock()
	return &actor.PID{Address: r.pid.Address, Id: r.pid.Id, RequestId: id}
}

// forget ends the wait for an answer, and reports whether it was still on.
func (r *replies) forget(id uint32) bool {
	sh := &r.shards[id%askShards]
	sh.Lock()
	defer sh.Unlock()
	_, on := sh.waiting[id]
	delete(sh.waiting, id)
	return on
}

// expire ends the waits whose time is over.
func (r *replies) expire(now time.Time) {
	var late []waiting
	for i := range r.shards {
		sh := &r.shards[i]
		sh.Lock()
		for id, w := range sh.waiting {
			if now.After(w.deadline) {
				late = append(late, w)
				delete(sh.waiting, id)
			}
		}
		sh.Unlock()
	}
	for _, w := range late {
		w.take(conversation.Refuse(conversation.CodeUnknownOutcome, "no answer in time; send it again with the same id"))
	}
}

// SendUserMessage implements [actor.Process].
func (r *replies) SendUserMessage(pid *actor.PID, message any) {
	_, msg, _ := actor.UnwrapEnvelope(message)
	sh := &r.shards[pid.RequestId%askShards]
	sh.Lock()
	w, on := sh.waiting[pid.RequestId]
	delete(sh.waiting, pid.RequestId)
	sh.Unlock()
	if on {
		w.take(msg)
	}
}

// SendSystemMessage implements [actor.Process].
func (r *replies) SendSystemMessage(*actor.PID, any) {}

// Stop implements [actor.Process].
func (r *replies) Stop(*actor.PID) {}
