package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

// sweep looks at what has no time of its own: whether agents still are who they
// were, and what the limiters may forget. Connections have their own times, see
// Due.
func (g *Gateway) sweep(now time.Time) {
	g.eachAgent(func(c *conn, who *agentID) {
		if code := g.standing(who, now); code != 0 {
			c.close(code)
		}
	})
	g.metrics.observeLoops(g.group.Load())
	g.metrics.crewWaiting.Set(float64(g.crew.waiting()))
	g.handshakesByPeer.sweep(now)
	g.loginsByPeer.sweep(now)
	g.loginsByAccount.sweep(now)
	g.sessionsByPeer.sweep(now)
	g.draftsByAgent.sweep(now)
	g.framesByContact.sweep(now)
	g.uploadsByContact.sweep(now)
	g.uploadsByAgent.sweep(now)
	g.presences.sweep(g, now)
}

// standing says whether the identity that an agent's hello established still
// holds.
func (g *Gateway) standing(who *agentID, now time.Time) wire.CloseCode {
	id := *who
	switch {
	case !id.expires.IsZero() && !now.Before(id.expires):
		return wire.CloseExpired
	case g.refreshAgent(&id, now) != nil:
		return wire.CloseForced
	case id.agent.Version != who.agent.Version:
		// Rights may have changed; the next hello finds out which.
		return wire.CloseStale
	}
	return 0
}

// The pace of a drain.
const (
	drainPause  = 2 * time.Millisecond   // between two clients, if the window has room for it
	drainJitter = 250 * time.Millisecond // until a client comes back, besides its own
)

// Drain sends every client away, one after the other over window or less: no new
// connections, word to come back, answers to what is under way, then the close.
// A client is served until it is its turn, so that it is gone for no longer than
// connecting takes, and the nodes that take them in get them one by one. It
// returns when all are gone or ctx ends; who is left then is cut off.
func (g *Gateway) Drain(ctx context.Context, window time.Duration) error {
	g.stopAccepting()
	conns := g.snapshot()
	pause := drainPause
	if n := len(conns); n > 0 {
		pause = min(pause, window/time.Duration(n))
	}
	began := time.Now()
	for i, c := range conns {
		if !waitUntil(ctx, began.Add(time.Duration(i)*pause)) {
			break
		}
		c.send(&wire.Reconnect{AfterMS: spread(min(window, drainJitter)).Milliseconds()})
		if c.isSettled() {
			c.close(wire.CloseDrain)
			continue
		}
		c.gw.serving.Go(func() {
			c.settle(ctx)
			c.close(wire.CloseDrain)
		})
	}
	return g.awaitGone(ctx)
}

// SendAway sends every client away at once, without an answer to what is under
// way, for a node that can give none any more. Clients send again what was not
// acknowledged. It returns when all are gone or ctx ends; who is left then is
// cut off.
func (g *Gateway) SendAway(ctx context.Context) error {
	g.stopAccepting()
	g.eachConn(func(c *conn) {
		c.send(&wire.Reconnect{AfterMS: spread(drainJitter).Milliseconds()})
		c.close(wire.CloseDrain)
	})
	return g.awaitGone(ctx)
}

// awaitGone returns when all connections have ended, or ends them when ctx does.
func (g *Gateway) awaitGone(ctx context.Context) error {
	gone := make(chan struct{})
	go func() { g.serving.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		g.eachConn(func(c *conn) {
			c.close(wire.CloseDrain)
			c.link.Abort()
		})
		return ctx.Err()
	}
}

func waitUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isSettled reports whether nothing of the connection waits for an answer.
func (c *conn) isSettled() bool { return c.inFlight.Load() == 0 && c.working.Load() == workNone }

// settle waits until it is settled.
func (c *conn) settle(ctx context.Context) {
	for !c.isSettled() && !c.isClosing() {
		select {
		case <-ctx.Done():
			return
		case <-c.out.done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// spread picks a moment within window, so that a fleet of clients does not
// come back at once.
func spread(window time.Duration) time.Duration {
	if window <= 0 {
		return 0
	}
	return rand.N(window) //nolint:gosec // jitter
}
