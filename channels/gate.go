package channels

import (
	"context"
	"sync"
	"time"
)

const (
	askWithin = time.Second     // then a node goes by its own share of the rate
	askAgain  = 2 * time.Second // after the turnstile could not be asked
)

// gate is what a channel has of the account's [Turnstile]: sends that it may make
// without asking, and what it was told last.
type gate struct {
	asking chan struct{} // room for one

	mu struct {
		sync.Mutex

		pass   Pass      // Sends are those that are left
		until  time.Time // the pass may be used before this
		away   time.Time // the turnstile is not asked before this; zero = it answered the last time
		paused time.Time // nothing is sent before this, by what the turnstile said
	}
}

// take uses a send of the pass.
func (g *gate) take(now time.Time) (Pass, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.pass.Sends == 0 || !now.Before(g.mu.until) {
		return Pass{}, false
	}
	g.mu.pass.Sends--
	return g.mu.pass, true
}

func (g *gate) put(p Pass, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.pass, g.mu.until, g.mu.paused, g.mu.away = p, now.Add(p.For), time.Time{}, time.Time{}
	if p.Paused {
		g.mu.paused = now.Add(p.Wait)
	}
}

// away says until when the turnstile is not asked; zero = it answered the last time.
func (g *gate) away() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.away
}

func (g *gate) setAway(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.away = until
}

func (g *gate) pausedTo() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.paused
}

// nodes says how many send for the account.
func (c *Channel) nodes() int {
	if c.shared.turnstiles == nil {
		return 1
	}
	return max(c.shared.turnstiles.Nodes(), 1)
}

// shares says into how many parts the account's rate is divided, of which this node has
// one: it has all where a turnstile sees to it that the others have nothing at the time.
func (c *Channel) shares() int {
	if c.gate.away().IsZero() {
		return 1
	}
	return c.nodes()
}

// pass waits until the account may send: by its turnstile where several nodes send,
// else, or when that cannot be asked, by what this node knows. The outcome of a send
// that was let through must be given to judge.
func (c *Channel) pass(ctx context.Context) (Pass, *SendError) {
	deadline := time.Now().Add(patience)
	for {
		now := time.Now()
		if c.nodes() == 1 || now.Before(c.gate.away()) {
			if wait := c.breaker.allow(now); wait > 0 {
				return Pass{}, accountPaused(wait)
			}
			return Pass{}, nil
		}
		p, err := c.askTurnstile(ctx)
		switch {
		case err != nil:
			return Pass{}, err
		case p.Sends < 0: // could not be asked
			continue
		case p.Wait == 0:
			return p, nil
		case p.Paused:
			return Pass{}, accountPaused(p.Wait)
		}
		if err := waitFor(ctx, p.Wait, deadline, ScopeAccount); err != nil {
			return Pass{}, err
		}
	}
}

func accountPaused(wait time.Duration) *SendError {
	return &SendError{Class: Limited, Scope: ScopeAccount, Code: "account_paused", After: wait, Idle: true}
}

// unasked is the pass of a turnstile that could not be asked.
const unasked = -1

// askTurnstile takes a send of this node's pass, or gets the next pass.
func (c *Channel) askTurnstile(ctx context.Context) (Pass, *SendError) {
	if p, ok := c.gate.take(time.Now()); ok {
		return p, nil
	}
	select {
	case c.gate.asking <- struct{}{}:
		defer func() { <-c.gate.asking }()
	case <-ctx.Done():
		return Pass{}, notSent(ctx)
	}
	now := time.Now()
	if p, ok := c.gate.take(now); ok { // another has got some meanwhile
		return p, nil
	}
	if now.Before(c.gate.away()) {
		return Pass{Sends: unasked}, nil
	}
	asked, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	p, err := c.shared.turnstiles.Ask(asked, c.Kind(), c.account, c.rate(ctx), len(c.sends)+len(c.waiting))
	now = time.Now()
	switch {
	case err == nil:
		c.gate.put(p, now)
		if p.Sends == 0 {
			return p, nil
		}
		p, _ = c.gate.take(now)
		return p, nil
	case ctx.Err() != nil:
		return Pass{}, notSent(ctx)
	}
	c.logger.WarnContext(ctx, "the holder of the account's rate cannot be asked, going by a share of it", "err", err)
	c.gate.setAway(now.Add(askAgain))
	return Pass{Sends: unasked}, nil
}

// tell says what became of a send to the account's turnstile, if that is news.
func (c *Channel) tell(ctx context.Context, p Pass, v Verdict) {
	if c.nodes() == 1 || time.Now().Before(c.gate.away()) {
		return
	}
	weight, _ := strike(asError(v.Class))
	if weight == 0 && v.Hold == 0 && !p.Watched {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
	defer cancel()
	if err := c.shared.turnstiles.Tell(ctx, c.Kind(), c.account, v); err != nil {
		c.gate.setAway(time.Now().Add(askAgain))
	}
}

func asError(class Class) *SendError {
	if class == "" {
		return nil
	}
	return &SendError{Class: class}
}
