package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
)

// requestTimeout is for callers without a deadline of their own.
const requestTimeout = 30 * time.Second

// Ask hands msg to a grain, wherever it lives, and calls done once: with the
// answer, or with an error. done runs on the goroutine of whoever answers and
// must not block.
//
// A grain of another node is asked again, under the same request id, when its
// node does not answer for a second, sends the request on, or goes; within the
// deadline, and so that a node which has the request already does not run it
// twice. When the grain moves meanwhile, its new activation may see the message
// again: what must happen once carries an id of its own.
//
// Errors: those of [Gate.Tell], those the grain answers, and class outcome
// unknown when nothing was heard until the deadline; class unavailable instead
// when no node has taken the message.
func (g *Gate) Ask(id GrainID, msg any, deadline time.Time, done func(answer any, err error)) {
	kind, err := g.open(id)
	if err != nil {
		done(nil, err)
		return
	}
	if g.view.Load().owns(id) {
		g.askHere(kind, id, msg, deadline, done)
		return
	}
	g.askAway(kind, id, msg, deadline, done)
}

// askHere asks a grain of this node, and elsewhere if it has moved.
func (g *Gate) askHere(kind *hosting, id GrainID, msg any, deadline time.Time, done func(any, error)) {
	pid := g.replies.expect(deadline, func(answer any) {
		err, ok := answer.(error)
		switch {
		case !ok:
			done(answer, nil)
		case errors.Is(err, errMoved):
			g.askMoved(kind, id, msg, deadline, done)
		default:
			done(nil, err)
		}
	})
	err := g.deliver(kind, id, msg, pid)
	if err == nil || !g.replies.forget(pid.RequestId) {
		return
	}
	if errors.Is(err, errMoved) {
		g.askMoved(kind, id, msg, deadline, done)
		return
	}
	done(nil, err)
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

// tellAway sends a message to a grain of another node.
func (g *Gate) tellAway(kind *hosting, id GrainID, msg any, sender *actor.PID) error {
	if sender != nil {
		g.askAway(kind, id, msg, time.Now().Add(requestTimeout), func(answer any, err error) {
			if err != nil {
				answer = &Undelivered{Message: msg, Err: err}
			}
			g.system.Root.Send(sender, answer)
		})
		return nil
	}
	payload, err := kind.encode(msg)
	if err != nil {
		return err
	}
	owner, ok := g.view.Load().Owner(id)
	if !ok {
		return conversation.Refuse(conversation.CodeUnavailable, "no node takes grains")
	}
	if owner.ID == g.view.Load().Self() {
		// The view has just given it back.
		return g.deliver(kind, id, msg, nil)
	}
	p, ok := g.peer(owner)
	if !ok {
		return conversation.Refusef(conversation.CodeUnavailable, "the grain belongs to node %s", owner.ID)
	}
	return p.push(&frame{op: opTell, kind: id.Kind, id: id.ID, payload: payload})
}

// encode makes the bytes of a message or an answer of the kind.
func (h *hosting) encode(msg any) (b []byte, err error) {
	if h.Codec == nil {
		return nil, conversation.Refusef(conversation.CodeInvalid, "grain kind %q has no codec: it can be asked on its own node only", h.Name)
	}
	defer func() {
		if p := recover(); p != nil {
			err = conversation.Refusef(conversation.CodeInternal, "the codec of %q gave up: %s", h.Name, describe(p))
		}
	}()
	if b, err = h.Codec.Encode(msg); err != nil {
		return nil, err
	}
	if len(b) > maxMessageBytes {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "a message of %q has %d bytes, at most %d go to another node", h.Name, len(b), maxMessageBytes)
	}
	return b, nil
}

// decode reads a message or an answer of the kind.
func (h *hosting) decode(b []byte) (msg any, err error) {
	if h.Codec == nil {
		return nil, conversation.Refusef(conversation.CodeInvalid, "grain kind %q has no codec: it can be asked on its own node only", h.Name)
	}
	defer func() {
		if p := recover(); p != nil {
			err = conversation.Refusef(conversation.CodeInternal, "the codec of %q gave up: %s", h.Name, describe(p))
		}
	}()
	return h.Codec.Decode(b)
}
