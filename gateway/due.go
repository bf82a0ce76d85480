package gateway

import (
	"time"

	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// expiryCheck is how often at least it is looked whether a visitor's token has
// run out.
const expiryCheck = time.Minute

// Due implements [loop.Handler]: every time limit of a connection. It gives the
// time of the next one that could be over.
func (c *conn) Due(now, heard loop.Time) loop.Time {
	l := &c.gw.limits
	who := c.who.Load()
	switch {
	case c.isClosing():
	case who == nil:
		if now.Sub(c.opened) <= l.HelloTimeout {
			return c.opened.Add(l.HelloTimeout + time.Millisecond)
		}
		c.close(wire.CloseNoHello)
	default:
		if code := c.overdue(who, now); code != 0 {
			c.close(code)
		} else if next, alive := c.heartbeat(now, heard); alive {
			return c.earliest(next, now)
		}
	}
	return c.lingering(now)
}

// lingering gives a connection that is closing the time to say so, and ends it
// afterwards. Closing with unread input would reset it, and the browser would
// report 1006 instead of the code.
func (c *conn) lingering(now loop.Time) loop.Time {
	end := loop.Time(c.closedAt.Load()).Add(c.gw.limits.Linger)
	if now.Sub(end) >= 0 {
		c.link.Abort()
	}
	return end
}

// overdue says with which code a connection has to be closed, if it has to.
func (c *conn) overdue(who *identity, now loop.Time) wire.CloseCode {
	l := &c.gw.limits
	if since := c.since.Load(); since != 0 && now.Sub(loop.Time(since)) > l.PartTimeout {
		return wire.CloseProtocol
	}
	if at, waits := c.out.oldest(); waits && now.Sub(at) > l.WriteTimeout {
		return wire.CloseSlow
	}
	if who.agent == nil && time.Now().Unix() >= who.expires {
		return wire.CloseExpired
	}
	return 0
}

// heartbeat pings who is silent and gives up on who stays so. It gives the time
// to look again.
func (c *conn) heartbeat(now, heard loop.Time) (loop.Time, bool) {
	l := &c.gw.limits
	patience := c.patience()
	if heard.Sub(c.pinged) >= 0 {
		c.pinged = 0
	}
	switch {
	case now.Sub(heard) <= patience:
		return heard.Add(patience + time.Millisecond), true
	case c.pinged == 0:
		c.pinged = max(now, 1)
		c.push(outFrame{bytes: controlFrame(opPing, nil)})
	case now.Sub(c.pinged) > l.PongTimeout:
		c.close(wire.CloseNoPong)
		return 0, false
	}
	return now.Add(min(patience, l.PongTimeout) + time.Millisecond), true
}

// patience is how long a connection may be silent before it is pinged: the
// heartbeat, a fifth more or less, so that those who came together are not
// pinged together for ever.
func (c *conn) patience() time.Duration {
	const steps = 1 << 10
	base := c.gw.limits.Heartbeat
	return base - base/5 + 2*(base/5)*time.Duration(c.name%steps)/steps
}

// earliest puts the other limits that run before next.
func (c *conn) earliest(next, now loop.Time) loop.Time {
	sooner := func(t loop.Time) {
		if t.Sub(next) < 0 {
			next = t
		}
	}
	l := &c.gw.limits
	sooner(now.Add(expiryCheck))
	if since := c.since.Load(); since != 0 {
		sooner(loop.Time(since).Add(l.PartTimeout + time.Millisecond))
	}
	if at, waits := c.out.oldest(); waits {
		sooner(at.Add(l.WriteTimeout + time.Millisecond))
	}
	return next
}
