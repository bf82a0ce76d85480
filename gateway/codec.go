package gateway

import (
	"bufio"
	"io"
	"iter"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// codecReadBytes is the library's read buffer. There is one per loop, so it may
// be large: what does not fit is read in pieces.
const codecReadBytes = 16 << 10

// codec is one connection of the WebSocket library that reads for many clients,
// one after the other. The library unmasks, checks UTF-8, assembles messages,
// handles control frames and knows how a connection is closed.
//
// Its reading loop runs in a coroutine. Whenever the frames of a client are used
// up, which is never within a frame or a message because the framer sees to
// that, reading yields, and goes on with the next client's. So one goroutine
// reads for all clients of a loop, through the public interface alone; the
// switch costs 0.2 µs a read, however many frames it brought.
//
// A client that breaks the protocol in a way that only the library can see, or
// says goodbye, ends the reading loop; then the next client gets a new one.
//
// Concurrency: none; used by one goroutine at a time.
type codec struct {
	net.Conn // nil; what is not implemented here is not called

	gw    *Gateway
	yield func(struct{}) bool
	next  func() (struct{}, bool)
	stop  func()

	client *conn     // whose frames are being read
	now    loop.Time // when they came
	in     []byte    // what the client has sent
	frames []byte    // whole frames that are being handed out
	reader *bufio.Reader
}

// renew makes a reading loop and brings it to its first yield.
func (k *codec) renew() {
	socket := k.gw.librarySocket(k)
	k.next, k.stop = iter.Pull(func(yield func(struct{}) bool) {
		k.yield = yield
		socket.ReadLoop()
	})
	k.next()
}

// end gives the coroutine back.
func (k *codec) end() {
	if k.stop != nil {
		k.client, k.in, k.frames = nil, nil, nil
		k.stop()
		k.next, k.stop = nil, nil
	}
}

// feed reads what a client has sent, as far as it goes: to the end of the last
// whole frame, or to one that has to be worked on first.
func (k *codec) feed(c *conn, now loop.Time, b []byte) {
	if k.next == nil {
		k.renew()
	}
	k.client, k.now, k.in = c, now, c.framer.join(b)
	whole := false
	defer func() {
		if !whole { // the library, or one of its callbacks, panicked
			k.next, k.stop = nil, nil
		}
		k.client, k.in, k.frames = nil, nil, nil
	}()
	if _, reads := k.next(); !reads {
		k.next, k.stop = nil, nil
	}
	whole = true
	if c.isClosing() {
		c.framer.drop(&k.gw.parts)
		return
	}
	c.framer.keep(k.in, &k.gw.parts)
}

// Read implements [net.Conn] for the library. What it gives never goes beyond a
// frame, so nothing is left in the library's buffer when it yields.
func (k *codec) Read(p []byte) (int, error) {
	for len(k.frames) == 0 {
		if !k.advance() && !k.yield(struct{}{}) {
			return 0, io.EOF
		}
	}
	n := copy(p, k.frames)
	k.frames = k.frames[n:]
	return n, nil
}

// advance takes the client's next frame; false when there is none to take now.
func (k *codec) advance() bool {
	c := k.client
	if c == nil || c.held || c.isClosing() || len(k.in) == 0 {
		return false
	}
	if c.out.block(&k.gw.outRules) { // who does not read the answers is not read either
		c.held = true
		c.link.Hold()
		return false
	}
	frames, used, code := c.framer.next(k.in, c.maxMessage(), &k.gw.parts)
	if used > 0 && code == 0 && !c.bucket.take(k.now, c.framesPerSecond()) {
		code = wire.CloseTooFast
	}
	if code != 0 {
		c.close(code)
		return false
	}
	k.in, k.frames = k.in[used:], frames
	return used > 0
}

// Write implements [net.Conn] for the library. It writes the answer to the
// upgrade that it believes in, and later only close frames, which go through the
// client's queue like everything else.
func (k *codec) Write(p []byte) (int, error) {
	if k.client != nil && len(p) >= 2 && p[0] == bitFin|opClose {
		k.client.closeAsTold(p[2:])
	}
	return len(p), nil
}

// Close implements [net.Conn]. The connection ends when its close frame is out,
// not when the library has lost interest.
func (k *codec) Close() error { return nil }

// SetDeadline implements [net.Conn]; the library sets one for the upgrade.
func (k *codec) SetDeadline(time.Time) error { return nil }

// librarySocket makes a connection of the library that reads from k.
func (g *Gateway) librarySocket(k *codec) *gws.Conn {
	if k.reader == nil {
		k.reader = bufio.NewReaderSize(nil, codecReadBytes)
	}
	k.reader.Reset(k)
	socket, err := g.codecUpgrader.UpgradeFromConn(k, k.reader, &http.Request{Method: http.MethodGet, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}})
	if err != nil {
		panic(err) // the request is right, and nothing can fail to be written
	}
	return socket
}

// events is the library's view of us.
type events struct{}

// OnOpen implements [gws.Event].
func (events) OnOpen(*gws.Conn) {}

// OnClose implements [gws.Event].
func (events) OnClose(*gws.Conn, error) {}

// OnPing implements [gws.Event]. The payload goes back as it came, RFC 6455,
// section 5.5.3.
func (events) OnPing(socket *gws.Conn, payload []byte) {
	if c := clientOf(socket); c != nil {
		c.push(outFrame{bytes: controlFrame(opPong, payload)})
	}
}

// OnPong implements [gws.Event]. Any byte counts as a sign of life, so there
// is nothing left to do.
func (events) OnPong(*gws.Conn, []byte) {}

// OnMessage implements [gws.Event].
func (events) OnMessage(socket *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	if c := clientOf(socket); c != nil && !c.isClosing() {
		c.handle(m.Bytes())
	}
}

func clientOf(socket *gws.Conn) *conn {
	if k, ok := socket.NetConn().(*codec); ok {
		return k.client
	}
	return nil
}

// codecs lends a codec to whoever reads: every loop has its own, connections
// with goroutines share a few.
type codecs struct {
	gw    *Gateway
	loops []codec // by number of the loop

	mu struct {
		sync.Mutex
		free   []*codec
		closed bool
	}
}

// maxFreeCodecs bounds the codecs that wait for connections with goroutines.
const maxFreeCodecs = 16

func newCodecs(g *Gateway, loops int) *codecs {
	s := &codecs{gw: g, loops: make([]codec, loops)}
	for i := range s.loops {
		s.loops[i].gw = g
	}
	return s
}

func (s *codecs) take(t loop.Turn) *codec {
	if t.Loop >= 0 {
		return &s.loops[t.Loop]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.mu.free); n > 0 {
		k := s.mu.free[n-1]
		s.mu.free = s.mu.free[:n-1]
		return k
	}
	return &codec{gw: s.gw}
}

func (s *codecs) giveBack(t loop.Turn, k *codec) {
	if t.Loop >= 0 {
		return
	}
	s.mu.Lock()
	keep := len(s.mu.free) < maxFreeCodecs && !s.mu.closed
	if keep {
		s.mu.free = append(s.mu.free, k)
	}
	s.mu.Unlock()
	if !keep {
		k.end()
	}
}

// endLoop ends the codec of a loop, on the loop's goroutine.
func (s *codecs) endLoop(n int) { s.loops[n].end() }

// endFree ends the codecs that nobody uses, and those that still come back.
func (s *codecs) endFree() {
	s.mu.Lock()
	free := s.mu.free
	s.mu.free, s.mu.closed = nil, true
	s.mu.Unlock()
	for _, k := range free {
		k.end()
	}
}
