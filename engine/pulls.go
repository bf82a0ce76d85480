package engine

import (
	"context"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	pullsLook = time.Second // how often it is looked who fetches what
	maxPulls  = 512         // accounts that this node fetches for
)

// pulls fetches the messages of accounts whose providers do not deliver them.
// Every account belongs to one node, as a grain does; while that changes two may
// fetch, and what both get is stored once.
//
// bound: maxPulls accounts; those beyond wait for one that goes · how it ends: ctx.
func (e *Engine) pulls(ctx context.Context) error {
	type running struct {
		version uint64
		stop    context.CancelFunc
	}
	var loops sync.WaitGroup
	defer loops.Wait()
	now := make(map[string]running)
	defer func() {
		for _, r := range now {
			r.stop()
		}
	}()
	tick := time.NewTicker(pullsLook)
	defer tick.Stop()
	for {
		wanted := e.toPull()
		for place, r := range now {
			if a, ok := wanted[place]; !ok || a.Version != r.version {
				r.stop()
				delete(now, place)
			}
		}
		for place, a := range wanted {
			c, ok := e.channels.For(a.Kind, a.Inbox)
			if _, runs := now[place]; runs || !ok || len(now) >= maxPulls {
				continue
			}
			loop, stop := context.WithCancel(ctx)
			now[place] = running{a.Version, stop}
			loops.Go(func() { c.PullLoop(loop) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// toPull lists the accounts that this node fetches for, by place: only what it
// owns, and only while the journal takes writes (I15).
func (e *Engine) toPull() map[string]conversation.Account {
	out := make(map[string]conversation.Account)
	if e.store.Leader() == "" {
		return out
	}
	drivers := e.channels.Configurable()
	for _, a := range e.store.Accounts() {
		_, pulls := drivers[a.Kind].(channels.Puller)
		inbox, err := e.store.Inbox(a.Inbox)
		if pulls && !a.Paused && err == nil && inbox.Serves(a.Kind) && e.gate.Owns(cluster.GrainID{Kind: "account", ID: a.Place()}) {
			out[a.Place()] = a
		}
	}
	return out
}
