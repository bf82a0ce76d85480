package persistence

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxStreams bounds the streams that peers may hold open of one protocol.
const maxStreams = 256

// conns are the streams that are open, so that they can be ended together: a
// goroutine that waits on one must not outlive the store.
type conns struct {
	mu struct {
		sync.Mutex
		open   map[net.Conn]struct{}
		closed bool
	}
}

func newConns() *conns {
	c := new(conns)
	c.mu.open = make(map[net.Conn]struct{})
	return c
}

// add remembers a stream; false when there are too many, or none may be opened
// any more.
func (c *conns) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed || len(c.mu.open) >= maxStreams {
		return false
	}
	c.mu.open[conn] = struct{}{}
	return true
}

func (c *conns) drop(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.open, conn)
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = true
	for conn := range c.mu.open {
		_ = conn.Close() // whoever uses it finds out
	}
}

// idleConn measures time-outs by progress. Raft gives a deadline to a whole
// message; a large one over a slow line would never get through, and be sent
// again for ever.
type idleConn struct {
	net.Conn

	owner *conns
	// patience bounds the time without progress while something is sent. Raft's
	// limit for a snapshot grows with its size, and a peer that takes nothing is
	// gone, however much there is to take.
	patience    time.Duration
	mu          sync.Mutex
	read, write time.Duration // zero = no limit
}

// SetDeadline implements [net.Conn].
func (c *idleConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *idleConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.read = limitOf(t)
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements [net.Conn].
func (c *idleConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.write = limitOf(t)
	if c.write > c.patience {
		c.write = c.patience
		t = time.Now().Add(c.patience)
	}
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

func limitOf(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return time.Until(t)
}

// Read implements [net.Conn].
func (c *idleConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	limit := c.read
	c.mu.Unlock()
	if n > 0 && limit > 0 {
		_ = c.Conn.SetReadDeadline(time.Now().Add(limit)) // a closed stream says so at the next read
	}
	return n, err
}

// Write implements [net.Conn].
func (c *idleConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	read, write := c.read, c.write
	c.mu.Unlock()
	now := time.Now()
	if write > 0 {
		_ = c.Conn.SetWriteDeadline(now.Add(write)) // a closed stream says so at the write
	}
	n, err := c.Conn.Write(p)
	if n > 0 && read > 0 {
		_ = c.Conn.SetReadDeadline(time.Now().Add(read)) // the answer is waited for from here on
	}
	return n, err
}

// Close implements [net.Conn].
func (c *idleConn) Close() error {
	c.owner.drop(c.Conn)
	return c.Conn.Close()
}

// streamLayer is raft's way to streams.
type streamLayer struct {
	listener net.Listener
	dialer   dialer
	address  string
	patience time.Duration
	judge    func(*greeting) error
	open     *conns
	accepted chan net.Conn
	ended    chan struct{}
	once     sync.Once
	wait     sync.WaitGroup
}

func newStreamLayer(l net.Listener, d dialer, address string, patience time.Duration, judge func(*greeting) error) *streamLayer {
	s := &streamLayer{
		listener: l, dialer: d, address: address, patience: patience, judge: judge, open: newConns(),
		accepted: make(chan net.Conn), ended: make(chan struct{}),
	}
	s.wait.Go(s.listen)
	return s
}

// listen takes what peers open, and greets each on its own.
func (s *streamLayer) listen() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.open.add(conn) {
			_ = conn.Close() // there are too many; the peer tries again
			continue
		}
		s.wait.Go(func() {
			if _, err := meet(conn, s.judge); err != nil {
				s.open.drop(conn)
				_ = conn.Close() // the peer was told why
				return
			}
			select {
			case s.accepted <- &idleConn{Conn: conn, owner: s.open, patience: s.patience}:
			case <-s.ended:
			}
		})
	}
}

// Accept implements [net.Listener].
func (s *streamLayer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.accepted:
		return conn, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. It ends all streams.
func (s *streamLayer) Close() error {
	var err error
	s.once.Do(func() {
		close(s.ended)
		err = s.listener.Close()
		s.open.close()
		s.wait.Wait()
	})
	return err
}

// Addr implements [net.Listener].
func (s *streamLayer) Addr() net.Addr { return linkAddr(s.address) }

// Dial implements [raft.StreamLayer].
func (s *streamLayer) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	node, address := splitAddress(target)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.dialer.dial(ctx, address, node)
	if err != nil {
		return nil, err
	}
	if !s.open.add(conn) {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	return &idleConn{Conn: conn, owner: s.open, patience: s.patience}, nil
}

// linkAddr is an address of a link.
type linkAddr string

// Network implements [net.Addr].
func (linkAddr) Network() string { return "link" }

// String implements [net.Addr].
func (a linkAddr) String() string { return string(a) }
