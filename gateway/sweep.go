package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

// sweep looks at every time limit of every connection. One pass a second
// costs less than a timer per connection would.
func (g *Gateway) sweep(now time.Time) {
	g.eachConn(func(c *conn) { c.sweep(now) })
	g.handshakesByPeer.sweep(now)
	g.loginsByPeer.sweep(now)
	g.loginsByAccount.sweep(now)
	g.sessionsByPeer.sweep(now)
	g.draftsByAgent.sweep(now)
	g.framesByContact.sweep(now)
	g.presences.sweep(g, now)
}

func (c *conn) sweep(now time.Time) {
	if c.isClosing() {
		return
	}
	l := &c.gw.limits
	who := c.who.Load()
	if who == nil {
		if now.Sub(c.opened) > l.HelloTimeout {
			c.close(wire.CloseNoHello)
		}
		return
	}
	if since := c.framer.since.Load(); since != 0 && now.UnixNano()-since > int64(l.PartTimeout) {
		c.close(wire.CloseProtocol)
		return
	}
	if c.out.oldest(now) > l.WriteTimeout {
		c.close(wire.CloseSlow)
		return
	}
	if code := c.standing(who, now); code != 0 {
		c.close(code)
		return
	}
	c.heartbeat(now)
}

// standing says whether the identity that hello established still holds.
func (c *conn) standing(who *identity, now time.Time) wire.CloseCode {
	if who.visitor != nil {
		if !now.Before(who.visitor.expires) {
			return wire.CloseExpired
		}
		return 0
	}
	id := *who.agent
	switch {
	case !id.expires.IsZero() && !now.Before(id.expires):
		return wire.CloseExpired
	case c.gw.refreshAgent(&id, now) != nil:
		return wire.CloseForced
	case id.agent.Version != who.agent.agent.Version:
		// Rights may have changed; the next hello finds out which.
		return wire.CloseStale
	}
	return 0
}

// heartbeat pings who is silent and gives up on who stays so.
func (c *conn) heartbeat(now time.Time) {
	silent := time.Duration(now.UnixNano() - c.framer.heard.Load())
	l := &c.gw.limits
	switch {
	case silent <= l.Heartbeat:
		c.pinged.Store(false)
	case silent > l.Heartbeat+l.PongTimeout:
		c.close(wire.CloseNoPong)
	case c.pinged.CompareAndSwap(false, true):
		c.push(outFrame{bytes: controlFrame(opPing, nil)})
	}
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
			_ = c.raw.Close()
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

// settle waits until nothing of the connection waits for an answer.
func (c *conn) settle(ctx context.Context) {
	for c.inFlight.Load() > 0 && !c.isClosing() {
		select {
		case <-ctx.Done():
			return
		case <-c.out.donec:
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
