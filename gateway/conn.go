package gateway

import (
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// side says which of the two endpoints a connection came in by.
type side uint8

const (
	visitorSide side = iota
	agentSide
)

func (s side) String() string {
	if s == agentSide {
		return "agent"
	}
	return "visitor"
}

// conn is one WebSocket. It owns no goroutine: package loop calls it when bytes
// have come, when there is room to write and when its time has come, and work
// that may block goes to the gateway's crew.
//
// There are many of them, and most are idle: what only some need, or need for a
// while, is behind pointers that are nil otherwise. TestConnIsSmall keeps watch.
type conn struct {
	gw   *Gateway
	link loop.Conn
	name uint64 // names the connection in logs and in welcome
	peer *tally // of the address
	who  atomic.Pointer[identity]
	next *conn // in the hub, guarded there

	opening *opening // until hello, which nothing overtakes

	// touched by the methods of loop.Handler only

	bucket bucket32
	framer framer
	pinged loop.Time // zero = since something was heard, no ping was sent

	opened   loop.Time
	closing  atomic.Uint32 // the close code that was chosen
	closedAt atomic.Uint32 // loop.Time
	since    atomic.Uint32 // loop.Time when something incomplete began; zero = nothing has
	inFlight atomic.Int32
	working  atomic.Uint32 // a stage of work
	index    int32         // in Gateway.mu.conns, guarded there
	typed    loop.Time     // when typing was passed on last; zero = it has stopped; guarded by mu

	side      side
	held      bool // what comes has to wait: a frame is being worked on, or the answers are not read; as pinged
	reachable bool // guarded by the hub

	out outQueue

	mu struct {
		sync.Mutex
		follows *follow                     // linked
		current conversation.ConversationID // visitors: the conversation they are in
		desk    *desk                       // agents
	}
}

// opening is what is needed until hello.
type opening struct {
	claimed *identity // what came with the upgrade request
	origin  string
	sameOri bool // origin is this server's own
}

// desk is what only agents have.
type desk struct {
	inboxes map[conversation.InboxID]struct{} // that are followed
}

// identity is who a connection speaks for.
type identity struct {
	agent *agentID // nil for a visitor
	visitorID
}

// The stages of working.
const (
	workNone uint32 = iota
	workOn          // the crew has a frame of the connection
	workLast        // and the socket is gone; who ends the work cleans up
)

func newConn(g *Gateway, s side) *conn {
	c := &conn{gw: g, side: s, name: newConnName(), opened: g.group.Now(), opening: &opening{}}
	c.bucket = newBucket32(c.framesPerSecond(), c.opened)
	return c
}

// session gives the connection's name.
func (c *conn) session() string {
	const digits = 12
	name := strconv.FormatUint(c.name, 16)
	for len(name) < digits {
		name = "0" + name
	}
	return "ws_" + name[len(name)-digits:]
}

func (c *conn) framesPerSecond() float64 {
	if c.side == agentSide {
		return c.gw.limits.AgentFramesPerSecond
	}
	return c.gw.limits.FramesPerSecond
}

// maxFrame is how long a message may be, as welcome tells it.
func (c *conn) maxFrame() int {
	if c.side == agentSide {
		return c.gw.limits.FrameBytes
	}
	return c.gw.limits.VisitorFrameBytes
}

// maxMessage is how long a message may be now.
func (c *conn) maxMessage() int {
	if c.who.Load() == nil {
		return c.gw.limits.HelloBytes
	}
	return c.maxFrame()
}

// Input implements [loop.Handler].
func (c *conn) Input(t loop.Turn, b []byte) bool {
	if c.isClosing() {
		return false
	}
	c.out.cork()
	c.read(t, b)
	return c.out.uncork()
}

// Resume implements [loop.Handler]: what came behind the frame that was held.
func (c *conn) Resume(t loop.Turn) bool {
	c.held = false
	return c.Input(t, nil)
}

// read hands the frames in b on. A panic ends this connection and nothing else.
func (c *conn) read(t loop.Turn, b []byte) {
	defer c.rescue()
	k := c.gw.codecs.take(t)
	defer c.gw.codecs.giveBack(t, k)
	k.feed(c, t.Now, b)
	c.age(t.Now)
}

// age remembers when something incomplete began. What waits behind a held frame
// is not the client's fault.
func (c *conn) age(now loop.Time) {
	switch {
	case c.held || !c.framer.begun():
		c.since.Store(0)
	case c.since.Load() == 0:
		c.since.Store(uint32(max(now, 1)))
		c.link.Arm(now.Add(c.gw.limits.PartTimeout))
	}
}

func (c *conn) rescue() {
	if v := recover(); v != nil {
		c.gw.panicked("connection panicked", c, v, debug.Stack())
		c.close(wire.CloseInternal)
	}
}

// Ended implements [loop.Handler].
func (c *conn) Ended() { c.close(wire.CloseNormal) } // in case nobody has said so yet

// Output implements [loop.Handler].
func (c *conn) Output(buf []byte) ([]byte, loop.State) {
	if at, waits := c.out.oldest(); waits {
		c.gw.metrics.writes.Inc()
		c.link.Arm(at.Add(c.gw.limits.WriteTimeout))
	}
	return c.out.take(buf)
}

// Wrote implements [loop.Handler].
func (c *conn) Wrote(n int) {
	if c.out.wrote(n, &c.gw.outRules) {
		c.link.Resume()
	}
}

// Gone implements [loop.Handler].
func (c *conn) Gone() {
	c.closing.CompareAndSwap(0, uint32(wire.CloseGoingAway)|1<<16)
	c.out.fail(&c.gw.outRules)
	if !c.working.CompareAndSwap(workOn, workLast) {
		c.gw.forget(c)
	}
}

// close ends the connection with a code; the first call wins. What waits is
// still written, except to a client that is too slow for it.
func (c *conn) close(code wire.CloseCode) { c.closeWith(code, closeFrame(code)) }

func (c *conn) closeWith(code wire.CloseCode, frame []byte) {
	now := c.gw.group.Now()
	if c.isClosing() {
		return
	}
	c.closedAt.CompareAndSwap(0, uint32(max(now, 1)))
	if !c.closing.CompareAndSwap(0, uint32(code)|1<<16) {
		return
	}
	last := outFrame{bytes: frame, at: now}
	var p pushed
	if code == wire.CloseSlow {
		p = c.out.dropThenClose(last, &c.gw.outRules)
	} else {
		p = c.out.flushThenClose(last, &c.gw.outRules)
	}
	c.gw.metrics.closed(code)
	if p == pushedFlush {
		c.link.Flush()
	}
	c.link.Remind() // of the time that closing may take
}

func (c *conn) isClosing() bool { return c.closing.Load() != 0 }

// closeAsTold closes with the code that the library chose.
func (c *conn) closeAsTold(payload []byte) {
	if len(payload) < 2 {
		c.closeWith(wire.CloseNormal, closeFrame(0))
		return
	}
	code := wire.CloseCode(uint16(payload[0])<<8 | uint16(payload[1]))
	c.closeWith(code, controlFrame(opClose, payload[:2]))
}

// send encodes and queues a frame for this connection only.
func (c *conn) send(f wire.ServerFrame) {
	b, err := textFrame(f)
	if err != nil {
		c.gw.log.Error("frame not encoded", slog.String("type", f.Type()), slog.Any("err", err))
		return
	}
	c.gw.metrics.frameOut(f.Type())
	c.push(outFrame{bytes: b})
}

// event queues an encoded event, whose bytes other connections share.
func (c *conn) event(f outFrame) {
	c.gw.metrics.eventsOut.Inc()
	c.push(f)
}

// push queues a frame. It never blocks.
func (c *conn) push(f outFrame) {
	f.at = c.gw.group.Now()
	switch c.out.push(f, &c.gw.outRules) {
	case pushedFlush:
		c.link.Flush()
	case pushedSlow:
		c.close(wire.CloseSlow)
	case pushedDropped:
		c.gw.metrics.dropped.Inc()
	case pushedQueued, pushedClosed:
	}
}

// pause waits; false when the connection ended first.
func (c *conn) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.out.done():
		return false
	}
}
