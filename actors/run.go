package actors

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The rhythm of an engine's own work.
const (
	dueEvery     = 500 * time.Millisecond
	dueBatch     = 256
	dueReach     = 8_192 // how far a look for due timers goes past those of other nodes
	wakeAtOnce   = 32    // grains that recovery wakes side by side
	recoveryPage = 256
	recoverSince = 48 * time.Hour // an unanswered turn that is older is left to the agents
	stopGrace    = 5 * time.Second
)

// Run does an engine's own work until ctx ends: it passivates idle grains, fires
// due timers, sends what is in the outbox, and first takes up the turns that a
// crash left open. It returns when everything it started has ended.
func (e *Engine) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { _ = e.gate.Run(ctx) })
	parts.Go(func() { e.courier.run(ctx) })
	parts.Go(func() { e.watchClock(ctx) })
	parts.Go(func() { e.recover(ctx) })
	parts.Go(func() { e.watchOverdue(ctx) })
	e.surveyAll()
	parts.Wait()
	return nil
}

// Stop puts everything to rest: new requests are refused, grains write down what
// only they know, behaviors end. Errors: those of ctx, when it ends first.
func (e *Engine) Stop(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	e.courier.rest(grace)
	e.shards.close()
	err := e.gate.Drain(ctx)
	e.runner.stop(stopGrace)
	e.shards.stop()
	e.pool.stop()
	e.workers.Stop()
	return err
}

// watchClock wakes grains with something due.
func (e *Engine) watchClock(ctx context.Context) {
	due := time.NewTicker(dueEvery)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-due.C:
			e.fireDue(ctx, now)
			e.surveyMissed()
			e.retellPresence(now)
		}
	}
}

func (e *Engine) fireDue(ctx context.Context, now time.Time) {
	ids, err := e.due(ctx, now)
	if err != nil {
		e.log.Warn("timers not read", "err", err)
		return
	}
	for _, id := range ids {
		if err := e.gate.Tell(conversationID(id), &wake{}, nil); err != nil {
			e.log.Warn("timer not delivered", "conversation_id", id.String(), "err", err)
		}
	}
}

// due lists conversations of this node with something due. When the first ones
// are all of other nodes, which may be slow with them, it looks further.
func (e *Engine) due(ctx context.Context, now time.Time) ([]conversation.ConversationID, error) {
	for limit := dueBatch; ; limit *= 2 {
		ids, err := e.o.Lists.Due(ctx, now, limit)
		if err != nil {
			return nil, err
		}
		all := len(ids)
		own := slices.DeleteFunc(ids, func(id conversation.ConversationID) bool { return !e.has(id) })
		if all < limit || len(own) >= dueBatch || limit >= dueReach {
			return own[:min(len(own), dueBatch)], nil
		}
	}
}

// surveyAll starts the queues that belong to this node.
func (e *Engine) surveyAll() {
	for _, i := range e.o.Directory.Inboxes() {
		if e.owns(queueID(i.ID)) {
			e.survey(i.ID, &survey{})
		}
	}
}
