package gateway

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// readBufferBytes is the library's read buffer. Small frames fit; larger ones
// cost another read, not memory.
const readBufferBytes = 512

// maxLingerBytes is how much is read and thrown away after a close frame, so
// that the peer sees the code and not a reset.
const maxLingerBytes = 1 << 20

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

// conn is one WebSocket. Its reading goroutine lives as long as it does; a
// writing one exists while something waits in out.
type conn struct {
	gw      *Gateway
	raw     net.Conn
	session string // names the connection in logs and in welcome
	side    side
	origin  string
	sameOri bool // origin is this server's own
	peer    netip.Addr
	opened  time.Time

	framer   framer
	out      outQueue
	closing  atomic.Uint32 // the close code that was chosen
	inFlight atomic.Int32
	pinged   atomic.Bool
	upgraded atomic.Bool
	bucket   bucket

	claimed *identity                // what came with the upgrade request
	who     atomic.Pointer[identity] // set once, by hello

	mu struct {
		sync.Mutex
		follows map[conversation.ConversationID]*follow
		inboxes map[conversation.InboxID]struct{} // agents: inboxes followed
		current conversation.ConversationID       // visitors: the conversation they are in
		typedAt time.Time
	}
}

// identity is who a connection speaks for. Exactly one side is set.
type identity struct {
	visitor *visitorID
	agent   *agentID
}

func newConn(g *Gateway, raw net.Conn, s side) *conn {
	c := &conn{gw: g, raw: raw, side: s, session: newSessionName(), opened: time.Now()}
	l := &g.limits
	c.out.soft, c.out.hard, c.out.donec = l.SoftQueueBytes, l.HardQueueBytes, make(chan struct{})
	c.framer.src, c.framer.allow = raw, c.allowFrame
	c.framer.limit.Store(int64(l.HelloBytes))
	c.framer.heard.Store(c.opened.UnixNano())
	perSecond := l.FramesPerSecond
	if s == agentSide {
		perSecond = l.AgentFramesPerSecond
	}
	c.bucket = newBucket(perSecond, 3*perSecond, c.opened)
	c.mu.follows = make(map[conversation.ConversationID]*follow)
	return c
}

func (c *conn) allowFrame() bool { return c.bucket.take(time.Now()) }

// upgrade answers the request and starts to serve.
func (c *conn) upgrade(r *http.Request, first []byte) error {
	c.framer.first = first
	up := c.gw.upgrader
	if r.Header.Get("Sec-WebSocket-Protocol") != "" {
		up = c.gw.upgraderWithProtocol
	}
	t := &transport{Conn: c.raw, c: c}
	socket, err := up.UpgradeFromConn(t, bufio.NewReaderSize(&c.framer, readBufferBytes), r)
	if err != nil {
		return err
	}
	c.upgraded.Store(true)
	c.gw.serving.Go(func() { c.serve(socket) })
	return nil
}

// serve reads until the connection ends, for whatever reason, and cleans up.
func (c *conn) serve(socket *gws.Conn) {
	defer c.gw.forget(c)
	c.readLoop(socket)
	c.close(wire.CloseNormal) // in case nobody has said so yet
	c.linger()
}

// readLoop runs the library's loop. A panic in it ends this connection and
// nothing else.
func (c *conn) readLoop(socket *gws.Conn) {
	defer func() {
		if v := recover(); v != nil {
			c.gw.metrics.panics.Inc()
			c.gw.log.Error("connection panicked", slog.String("session", c.session), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			c.close(wire.CloseInternal)
		}
	}()
	socket.ReadLoop()
}

// linger waits until the close frame is out and the peer has seen it. Closing
// with unread input would reset the connection, and the browser would report
// 1006 instead of the code.
func (c *conn) linger() {
	timer := time.NewTimer(c.gw.limits.Linger)
	defer timer.Stop()
	select {
	case <-c.out.donec:
		_, _ = io.CopyN(io.Discard, c.raw, maxLingerBytes)
	case <-timer.C:
	}
	c.out.fail()
	_ = c.raw.Close()
}

// close ends the connection with a code; the first call wins. What waits is
// still written, except to a client that is too slow for it.
func (c *conn) close(code wire.CloseCode) { c.closeWith(code, closeFrame(code)) }

func (c *conn) closeWith(code wire.CloseCode, frame []byte) {
	if !c.closing.CompareAndSwap(0, uint32(code)|1<<16) {
		return
	}
	last := outFrame{bytes: frame, at: time.Now().UnixNano()}
	var p pushed
	if code == wire.CloseSlow {
		p = c.out.dropThenClose(last)
	} else {
		p = c.out.flushThenClose(last)
	}
	_ = c.raw.SetDeadline(time.Now().Add(c.gw.limits.Linger))
	c.gw.metrics.closed(code)
	if p == pushedStart {
		c.startWriter()
	}
}

func (c *conn) isClosing() bool { return c.closing.Load() != 0 }

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
	f.at = time.Now().UnixNano()
	switch c.out.push(f) {
	case pushedStart:
		c.startWriter()
	case pushedSlow:
		c.close(wire.CloseSlow)
	case pushedDropped:
		c.gw.metrics.dropped.Inc()
	case pushedQueued, pushedClosed:
	}
}

// startWriter starts the goroutine that empties the queue. The queue allows
// one at a time.
func (c *conn) startWriter() { c.gw.serving.Go(c.write) }

func (c *conn) write() {
	buf := c.gw.batches.get()
	defer c.gw.batches.put(buf)
	for {
		b := c.out.take((*buf)[:0])
		if b == nil {
			break
		}
		if !c.isClosing() { // else the deadline of close stands
			_ = c.raw.SetWriteDeadline(time.Now().Add(c.gw.limits.WriteTimeout))
		}
		c.gw.metrics.writes.Inc()
		if _, err := c.raw.Write(b); err != nil {
			c.out.fail()
			_ = c.raw.Close()
			return
		}
		c.out.wrote(len(b))
	}
	select {
	case <-c.out.donec:
		if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	default:
	}
}

// transport is the connection as the WebSocket library sees it. The library
// writes the answer to the upgrade through it, and later only close frames;
// those go through the queue like everything else.
type transport struct {
	net.Conn
	c *conn
}

// Read implements [net.Conn].
func (t *transport) Read(p []byte) (int, error) { return t.c.framer.Read(p) }

// Write implements [net.Conn].
func (t *transport) Write(p []byte) (int, error) {
	if !t.c.upgraded.Load() {
		return t.Conn.Write(p)
	}
	if len(p) >= 2 && p[0] == bitFin|opClose {
		t.c.closeAsTold(p[2:])
	}
	return len(p), nil
}

// Close implements [net.Conn]. The connection ends when its close frame is
// out, not when the library has lost interest.
func (t *transport) Close() error {
	if !t.c.upgraded.Load() {
		return t.Conn.Close()
	}
	return nil
}

// closeAsTold closes with the code that the library chose, unless the framer
// knows better.
func (c *conn) closeAsTold(payload []byte) {
	if code := wire.CloseCode(c.framer.verdict.Load()); code != 0 { //nolint:gosec // stored from a CloseCode
		c.close(code)
		return
	}
	if len(payload) < 2 {
		c.closeWith(wire.CloseNormal, closeFrame(0))
		return
	}
	code := wire.CloseCode(uint16(payload[0])<<8 | uint16(payload[1]))
	c.closeWith(code, controlFrame(opClose, payload[:2]))
}

// events is the library's view of us.
type events struct{ gw *Gateway }

// OnOpen implements [gws.Event].
func (events) OnOpen(*gws.Conn) {}

// OnClose implements [gws.Event].
func (events) OnClose(*gws.Conn, error) {}

// OnPing implements [gws.Event]. The payload goes back as it came, RFC 6455,
// section 5.5.3.
func (events) OnPing(socket *gws.Conn, payload []byte) {
	if c := connOf(socket); c != nil {
		c.push(outFrame{bytes: controlFrame(opPong, payload)})
	}
}

// OnPong implements [gws.Event]. Any byte counts as a sign of life, so there
// is nothing left to do.
func (events) OnPong(*gws.Conn, []byte) {}

// OnMessage implements [gws.Event].
func (events) OnMessage(socket *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	if c := connOf(socket); c != nil && !c.isClosing() {
		c.handle(m.Bytes())
	}
}

func connOf(socket *gws.Conn) *conn {
	if t, ok := socket.NetConn().(*transport); ok {
		return t.c
	}
	return nil
}

// handle reads one frame and acts on it.
func (c *conn) handle(data []byte) {
	frame, err := wire.Decode(data)
	if err != nil {
		c.gw.metrics.frameIn("invalid")
		c.onBadFrame(err)
		return
	}
	c.gw.metrics.frameIn(frame.Type())
	who := c.who.Load()
	switch hello, isHello := frame.(*wire.Hello); {
	case who == nil && isHello:
		c.onHello(hello)
	case who == nil:
		c.close(wire.CloseBadRequest)
	case isHello:
		c.refuse("", conversation.Refuse(conversation.CodeBadFrame, "hello was said already"))
	case who.agent != nil:
		c.onAgentFrame(who.agent, frame)
	default:
		c.onVisitorFrame(who.visitor, frame)
	}
}

func (c *conn) onBadFrame(err error) {
	if c.who.Load() == nil {
		c.close(wire.CloseBadRequest)
		return
	}
	c.refuse(frameRef(err), err)
}

// refuse answers a frame with an error.
func (c *conn) refuse(ref string, err error) {
	c.send(&wire.Error{Ref: ref, Problem: c.gw.problem(err, c.session)})
}

// begin counts a command that will be answered later; false when too many are.
func (c *conn) begin(ref string) bool {
	if int(c.inFlight.Add(1)) <= c.gw.limits.InFlight {
		return true
	}
	c.inFlight.Add(-1)
	c.refuse(ref, conversation.Refusef(conversation.CodeOverloaded, "%d commands of this connection wait for their answer", c.gw.limits.InFlight))
	return false
}

func (c *conn) end() { c.inFlight.Add(-1) }
