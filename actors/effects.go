package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
)

// runner is the one place that starts goroutines for grains.
//
// bound: Options.BehaviorRuns at a time; when full, a run fails at once and its
// turn ends in a handover · how it ends: wait cancels what runs and returns
// when all of it has ended.
type runner struct {
	system  *actor.ActorSystem
	log     *slog.Logger
	metrics *metrics
	slots   chan struct{}
	base    context.Context //nolint:containedctx // the lifetime of all runs; ended by stop
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newRunner(system *actor.ActorSystem, limit int, log *slog.Logger, m *metrics) *runner {
	r := &runner{system: system, log: log, metrics: m, slots: make(chan struct{}, limit)}
	r.base, r.cancel = context.WithCancel(context.Background())
	return r
}

// errPanicked is what a behavior's panic becomes.
var errPanicked = errors.New("the behavior panicked")

// run calls a behavior off the mailbox and sends what it concluded to the grain.
// The returned function ends the run early. What the behavior asks others for
// carries the place in the trace.
func (r *runner) run(grain *actor.PID, attempt uint64, b *Binding, t *Turn, at conversation.Trace) (context.CancelFunc, error) {
	select {
	case r.slots <- struct{}{}:
	default:
		return nil, conversation.Refuse(conversation.CodeOverloaded, "too many behaviors run at once")
	}
	ctx, cancel := context.WithTimeout(conversation.WithTrace(r.base, at), b.Timeout)
	r.running.Go(func() {
		defer cancel()
		out, err := r.call(ctx, b, t)
		r.count(ctx, err)
		r.system.Root.Send(grain, &concluded{attempt: attempt, behavior: b.Name, outcome: out, err: err})
	})
	return cancel, nil
}

// call gives up on a behavior that does not heed its context: the turn must not
// hang on somebody else's code. The goroutine that it leaves behind keeps its
// place among the runs until it returns.
func (r *runner) call(ctx context.Context, b *Binding, t *Turn) (conversation.Outcome, error) {
	type result struct {
		out conversation.Outcome
		err error
	}
	done := make(chan result, 1)
	r.running.Go(func() {
		defer func() { <-r.slots }()
		var res result
		defer func() {
			if p := recover(); p != nil {
				r.log.Error("behavior panicked", "behavior", b.Name, "conversation_id", t.Conversation.ID.String(),
					"err", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				res = result{err: errPanicked}
			}
			done <- res
		}()
		res.out, res.err = b.Behavior.Turn(ctx, t)
	})
	select {
	case res := <-done:
		return res.out, res.err
	case <-ctx.Done():
		return conversation.Outcome{}, ctx.Err()
	}
}

func (r *runner) count(ctx context.Context, err error) {
	result := "ok"
	switch {
	case errors.Is(err, errPanicked):
		result = "panic"
	case errors.Is(ctx.Err(), context.Canceled):
		result = "canceled" // the conversation moved on, or the node stops
	case err != nil && ctx.Err() != nil:
		result = "timeout"
	case err != nil:
		result = "error"
	}
	r.metrics.behaviors.WithLabelValues(result).Inc()
}

// stop ends all runs; it waits for them at most until grace is over, because a
// behavior may ignore its context.
func (r *runner) stop(grace time.Duration) {
	r.cancel()
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(grace):
		r.log.Warn("behaviors still run at the end of their grace")
	}
}
