package actors

import (
	"context"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The rhythm of an engine's own work.
const (
	dueEvery     = 500 * time.Millisecond
	dueBatch     = 256
	wakeAtOnce   = 32 // grains that recovery wakes side by side
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

// watchClock wakes grains with something due, and gives the shards their ticks.
func (e *Engine) watchClock(ctx context.Context) {
	due, shard := time.NewTicker(dueEvery), time.NewTicker(shardTickEvery)
	defer due.Stop()
	defer shard.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-shard.C:
			e.shards.tick(now)
		case now := <-due.C:
			e.fireDue(ctx, now)
		}
	}
}

func (e *Engine) fireDue(ctx context.Context, now time.Time) {
	ids, err := e.o.Lists.Due(ctx, now, dueBatch)
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

// recover wakes the conversations whose newest visitor message the bot has not
// answered: the process died, or the node did, between storing and replying.
func (e *Engine) recover(ctx context.Context) {
	cursor, woken := "", 0
	oldest := time.Now().Add(-recoverSince)
	for ctx.Err() == nil {
		heads, next, err := e.o.Lists.Heads(ctx, nil, []conversation.Status{conversation.StatusPending}, cursor, recoveryPage)
		if err != nil {
			e.log.Warn("open turns not read", "err", err)
			return
		}
		woken += e.wakeOpen(ctx, heads, oldest)
		if cursor = next; next == "" || (len(heads) > 0 && heads[len(heads)-1].LastActivity.Before(oldest)) {
			break
		}
	}
	if woken > 0 {
		e.log.Info("open turns taken up", "count", woken)
	}
}

func (e *Engine) wakeOpen(ctx context.Context, heads []conversation.Head, oldest time.Time) int {
	places := make(chan struct{}, wakeAtOnce)
	var all sync.WaitGroup
	n := 0
	for _, h := range heads {
		if h.WaitingSince.IsZero() || h.LastActivity.Before(oldest) {
			continue
		}
		n++
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if _, err := e.gate.Request(ctx, conversationID(h.ID), &wake{}); err != nil && ctx.Err() == nil {
				e.log.Warn("open turn not taken up", "conversation_id", h.ID.String(), "err", err)
			}
		})
	}
	all.Wait()
	return n
}
