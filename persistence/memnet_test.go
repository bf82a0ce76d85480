package persistence

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// memNet is a network in memory whose ways can be cut, each direction by itself.
// What is written into a cut way is held and comes out when it is whole again,
// as TCP would have it.
type memNet struct {
	mu        sync.Mutex
	listeners map[string]*memListener // by address and protocol
	cut       map[[2]string]bool      // from, to
	refuse    map[string]bool         // address and protocol that nobody gets through to
	dead      map[string]bool         // addresses whose process has ended
	conns     map[*memConn]struct{}
}

func newMemNet() *memNet {
	return &memNet{
		listeners: make(map[string]*memListener), cut: make(map[[2]string]bool), refuse: make(map[string]bool),
		dead: make(map[string]bool), conns: make(map[*memConn]struct{}),
	}
}

// at gives the network as the node at an address has it.
func (n *memNet) at(address string) Network { return &memSite{net: n, address: address} }

// cutWay cuts or mends the way from one address to another.
func (n *memNet) cutWay(from, to string, cut bool) {
	n.mu.Lock()
	n.cut[[2]string{from, to}] = cut
	conns := make([]*memConn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	for _, c := range conns {
		c.in.wake()
		c.out.wake()
	}
}

// isolate cuts or mends all ways between an address and others.
func (n *memNet) isolate(address string, others []string, cut bool) {
	for _, o := range others {
		if o != address {
			n.cutWay(address, o, cut)
			n.cutWay(o, address, cut)
		}
	}
}

func (n *memNet) isCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[[2]string{from, to}]
}

// kill ends all streams and listeners of an address, as the death of its process
// does. It can open none until it is revived.
func (n *memNet) kill(address string) {
	n.mu.Lock()
	n.dead[address] = true
	var conns []*memConn
	for c := range n.conns {
		if c.local == address || c.remote == address {
			conns = append(conns, c)
		}
	}
	var listeners []*memListener
	for _, l := range n.listeners {
		if l.address == address {
			listeners = append(listeners, l)
		}
	}
	n.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

func (n *memNet) revive(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead[address] = false
}

type memSite struct {
	net     *memNet
	address string
}

func (s *memSite) Listen(protocol string) (net.Listener, error) {
	l := &memListener{net: s.net, address: s.address, key: s.address + "/" + protocol, c: make(chan net.Conn, 16), ended: make(chan struct{})}
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	if s.net.listeners[l.key] != nil {
		return nil, syscall.EADDRINUSE
	}
	s.net.listeners[l.key] = l
	return l, nil
}

func (s *memSite) Dial(ctx context.Context, address, protocol string) (net.Conn, error) {
	if s.net.isCut(s.address, address) || s.net.isCut(address, s.address) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.net.mu.Lock()
	l := s.net.listeners[address+"/"+protocol]
	refused := s.net.refuse[address+"/"+protocol] || s.net.dead[s.address] || s.net.dead[address]
	s.net.mu.Unlock()
	if l == nil || refused {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	there, here := newMemPipe(s.net, s.address, address)
	if there == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	select {
	case l.c <- there:
		return here, nil
	case <-l.ended:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type memListener struct {
	net     *memNet
	address string
	key     string
	c       chan net.Conn
	ended   chan struct{}
	once    sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.c:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() {
		close(l.ended)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		if l.net.listeners[l.key] == l {
			delete(l.net.listeners, l.key)
		}
	})
	return nil
}

func (l *memListener) Addr() net.Addr { return linkAddr(l.address) }

// memWay is one direction of a stream.
type memWay struct {
	mu     sync.Mutex
	cond   *sync.Cond
	cut    func() bool
	buf    []byte
	closed bool
}

const memWayBytes = 1 << 20

func newMemWay(cut func() bool) *memWay {
	w := &memWay{cut: cut}
	w.cond = sync.NewCond(&w.mu)
	return w
}

func (w *memWay) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cond.Broadcast()
}

func (w *memWay) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.cond.Broadcast()
}

type memConn struct {
	net           *memNet
	local, remote string
	in, out       *memWay
	mu            sync.Mutex
	read, write   time.Time
	timers        [2]*time.Timer
}

func newMemPipe(n *memNet, from, to string) (server, client *memConn) {
	a := newMemWay(func() bool { return n.isCut(from, to) })
	b := newMemWay(func() bool { return n.isCut(to, from) })
	client = &memConn{net: n, local: from, remote: to, in: b, out: a}
	server = &memConn{net: n, local: to, remote: from, in: a, out: b}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead[from] || n.dead[to] {
		return nil, nil
	}
	n.conns[client], n.conns[server] = struct{}{}, struct{}{}
	return server, client
}

func expired(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (c *memConn) deadline(write bool) time.Time { //nolint:revive // reading and writing differ in nothing else
	c.mu.Lock()
	defer c.mu.Unlock()
	if write {
		return c.write
	}
	return c.read
}

func (c *memConn) Read(p []byte) (int, error) {
	w := c.in
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case expired(c.deadline(false)):
			return 0, os.ErrDeadlineExceeded
		case w.closed && len(w.buf) == 0:
			return 0, io.EOF
		case len(w.buf) > 0 && (w.closed || !w.cut()):
			n := copy(p, w.buf)
			w.buf = w.buf[n:]
			w.cond.Broadcast()
			return n, nil
		}
		w.cond.Wait()
	}
}

func (c *memConn) Write(p []byte) (int, error) {
	w := c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	written := 0
	for len(p) > 0 {
		switch room := memWayBytes - len(w.buf); {
		case w.closed:
			return written, io.ErrClosedPipe
		case expired(c.deadline(true)):
			return written, os.ErrDeadlineExceeded
		case room > 0:
			n := min(room, len(p))
			w.buf = append(w.buf, p[:n]...)
			p, written = p[n:], written+n
			w.cond.Broadcast()
		default:
			w.cond.Wait()
		}
	}
	return written, nil
}

func (c *memConn) Close() error {
	c.in.close()
	c.out.close()
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.conns, c)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return linkAddr(c.local) }
func (c *memConn) RemoteAddr() net.Addr { return linkAddr(c.remote) }

func (c *memConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.arm(0, t, c.in)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.arm(1, t, c.out)
	return nil
}

// arm sets a deadline and wakes those who wait when it comes.
func (c *memConn) arm(which int, t time.Time, w *memWay) {
	c.mu.Lock()
	if which == 0 {
		c.read = t
	} else {
		c.write = t
	}
	if old := c.timers[which]; old != nil {
		old.Stop()
		c.timers[which] = nil
	}
	if !t.IsZero() {
		c.timers[which] = time.AfterFunc(time.Until(t), w.wake)
	}
	c.mu.Unlock()
	w.wake()
}
