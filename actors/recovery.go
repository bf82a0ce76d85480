package actors

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxPastViews bounds what recovery remembers of earlier views; with more it
// looks at all conversations.
const maxPastViews = 16

// recovery remembers what has happened to the view since the last look for open
// turns.
type recovery struct {
	kick chan struct{}
	mu   struct {
		sync.Mutex
		past []*cluster.View
		all  bool
	}
}

// gained says that conversations of other nodes in a past view may be this
// node's now.
func (r *recovery) gained(before *cluster.View) {
	r.mu.Lock()
	if r.mu.past = append(r.mu.past, before); len(r.mu.past) > maxPastViews {
		r.mu.past, r.mu.all = nil, true
	}
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// take gives a filter for what has been gained, and starts to remember anew.
func (r *recovery) take() func(conversation.ConversationID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	past, all := r.mu.past, r.mu.all
	r.mu.past, r.mu.all = nil, false
	return func(id conversation.ConversationID) bool {
		return all || slices.ContainsFunc(past, func(v *cluster.View) bool { return !ownedIn(v, conversationID(id)) })
	}
}

// recover takes up open turns: all of this node's when it starts, and those that
// it gains whenever the view changes, while the journal still looks for a leader
// and there is nothing else to do. A node's copy of the journal may be a moment
// behind when it hears of a change, so each look is followed by another, which lets
// the visitors of a lost node go first.
func (e *Engine) recover(ctx context.Context) {
	all := func(conversation.ConversationID) bool { return true }
	e.takeUp(ctx, all, hurried)
	later := []func(conversation.ConversationID) bool{all}
	second := time.NewTimer(e.o.Settle)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.recovery.kick:
			gained := e.recovery.take()
			e.takeUp(ctx, gained, hurried)
			if later = append(later, gained); len(later) > maxPastViews {
				later = []func(conversation.ConversationID) bool{all}
			}
			second.Reset(e.o.Settle)
		case <-second.C:
			either := func(id conversation.ConversationID) bool {
				return slices.ContainsFunc(later, func(g func(conversation.ConversationID) bool) bool { return g(id) })
			}
			if e.alone() || e.takeUp(ctx, either, e.letOthersGo) {
				later = nil
			}
		}
	}
}

// takeUp wakes the conversations whose newest visitor message the bot has not
// answered: the process died, or the node did, between storing and replying, or
// the conversation was moved in between. Between pages it asks whether to go on. It
// reports whether it has looked as far as it could.
func (e *Engine) takeUp(ctx context.Context, gained func(conversation.ConversationID) bool, goOn pace) bool {
	cursor, woken := "", 0
	oldest := time.Now().Add(-recoverSince)
	for ctx.Err() == nil {
		began := time.Now()
		heads, next, err := e.o.Lists.Heads(ctx, HeadsQuery{
			Status: []conversation.Status{conversation.StatusPending}, Since: oldest, Cursor: cursor, Limit: recoveryPage,
			Only: func(id conversation.ConversationID) bool { return e.has(id) && gained(id) },
		})
		if err != nil {
			e.log.Warn("open turns not read", "err", err)
			return true
		}
		woken += e.wakeOpen(ctx, heads)
		if cursor = next; next == "" {
			break
		}
		if !goOn(ctx, time.Since(began)) {
			return false
		}
	}
	if woken > 0 {
		e.log.Info("open turns taken up", "count", woken)
	}
	return true
}

// pace is called between two pages, with the time that the first has taken. It may
// wait, and reports whether to go on.
type pace func(ctx context.Context, took time.Duration) bool

func hurried(context.Context, time.Duration) bool { return true }

// letOthersGo waits for a multiple of the time that the page before has taken,
// which is longer the more others have to do. It calls the look off when the view
// has changed.
func (e *Engine) letOthersGo(ctx context.Context, took time.Duration) bool {
	const multiple, longest = 9, time.Second
	pause := time.NewTimer(min(multiple*took, longest))
	defer pause.Stop()
	select {
	case <-ctx.Done():
	case <-pause.C:
	}
	return len(e.recovery.kick) == 0
}

func (e *Engine) wakeOpen(ctx context.Context, heads []conversation.Head) int {
	places := make(chan struct{}, wakeAtOnce)
	var all sync.WaitGroup
	n := 0
	for _, h := range heads {
		if h.WaitingSince.IsZero() {
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
