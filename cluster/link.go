package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of a link.
const (
	linkHandshake = 3 * time.Second // a peer has so long to show its certificate
	linkHalfOpen  = 128             // connections that may be in the handshake at once
	linkBacklog   = 32              // streams that may wait to be accepted
	linkKeepAlive = 5 * time.Second
	pingProtocol  = "ping" // opened to see whether somebody is there
)

// Dialer opens connections. [net.Dialer] is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Link carries streams between nodes, each under the name of a protocol. Both
// ends have shown that they belong to the cluster before either reads a byte.
//
// owns: the listener, the handshakes · bound: linkHalfOpen handshakes, excess
// connections are closed; linkBacklog streams a protocol · how it ends: Close.
//
// Concurrency: all methods may be called from anywhere.
type Link struct {
	listener net.Listener
	creds    *identity
	dialer   Dialer
	log      *slog.Logger
	metrics  *nodeMetrics
	slots    chan struct{}
	ended    sync.WaitGroup
	mu       struct {
		sync.Mutex
		closed    bool
		protocols map[string]*streams
		shaking   map[net.Conn]struct{}
	}
}

func newLink(listener net.Listener, creds *identity, dialer Dialer, log *slog.Logger, m *nodeMetrics) *Link {
	l := &Link{listener: listener, creds: creds, dialer: dialer, log: log, metrics: m, slots: make(chan struct{}, linkHalfOpen)}
	l.mu.protocols = map[string]*streams{}
	l.mu.shaking = map[net.Conn]struct{}{}
	l.ended.Go(l.accept)
	return l
}

// Listen gives the streams that peers open to this node for a protocol. Errors:
// class conflict when somebody listens already, unavailable after the end.
func (l *Link) Listen(protocol string) (net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, conversation.Refuse(conversation.CodeShuttingDown, "the link is closed")
	}
	if l.mu.protocols[protocol] != nil || protocol == pingProtocol {
		return nil, conversation.Refusef(conversation.CodeConflict, "protocol %q is served already", protocol)
	}
	s := &streams{link: l, protocol: protocol, waiting: make(chan net.Conn, linkBacklog), done: make(chan struct{})}
	l.mu.protocols[protocol] = s
	return s, nil
}

// Dial opens a stream of a protocol to the node at address. Errors: those of
// the network; class unavailable when the peer does not serve the protocol.
func (l *Link) Dial(ctx context.Context, address, protocol string) (net.Conn, error) {
	raw, err := l.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, l.creds.config(protocol))
	ctx, cancel := context.WithTimeout(ctx, linkHandshake)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		if l.metrics != nil {
			l.metrics.linkErrors.WithLabelValues("dial").Inc()
		}
		return nil, fmt.Errorf("link handshake with %s: %w", address, err)
	}
	return conn, nil
}

// LinkDialer opens streams to nodes, for tools that are no nodes themselves.
//
// Concurrency: all methods may be called from anywhere.
type LinkDialer struct{ link Link }

// NewLinkDialer makes one that shows the certificate of the cluster with this
// key and name, or an operator's own. Errors: class invalid for a weak key, or
// for certificates that cannot be read.
func NewLinkDialer(key, name string, certs *Certificates) (*LinkDialer, error) {
	creds, err := newIdentity(key, name, newNodeID(), certs)
	if err != nil {
		return nil, err
	}
	return &LinkDialer{link: Link{creds: creds, dialer: &net.Dialer{}}}, nil
}

// Dial opens a stream of a protocol to the node at address. Errors: as those of
// [Link.Dial].
func (d *LinkDialer) Dial(ctx context.Context, address, protocol string) (net.Conn, error) {
	return d.link.Dial(ctx, address, protocol)
}

// ping reports whether a live node of this cluster answers at address. A frozen
// process still takes connections, but shows no certificate.
func (l *Link) ping(ctx context.Context, address string) error {
	conn, err := l.Dial(ctx, address, pingProtocol)
	if err != nil {
		return err
	}
	// The server speaks last in this handshake: only a byte or the end of the
	// stream says that it has accepted us and is alive.
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(deadline)
	}
	_, err = conn.Read(make([]byte, 1))
	_ = conn.Close()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return nil
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			l.metrics.linkErrors.WithLabelValues("accept").Inc()
			l.log.Warn("link did not accept", "err", err)
			// Such as too many open files: a moment later there may be room.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		select {
		case l.slots <- struct{}{}:
			l.ended.Go(func() { l.admit(conn) })
		default:
			l.metrics.linkErrors.WithLabelValues("crowded").Inc()
			_ = conn.Close()
		}
	}
}

// admit lets a connection in that shows a certificate in time.
func (l *Link) admit(raw net.Conn) {
	defer func() { <-l.slots }()
	if !l.shaking(raw) {
		_ = raw.Close()
		return
	}
	defer l.shaken(raw)
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: linkKeepAlive, Interval: linkKeepAlive, Count: 3})
	}
	ctx, cancel := context.WithTimeout(context.Background(), linkHandshake)
	defer cancel()
	conn := tls.Server(raw, l.serverConfig())
	if err := conn.HandshakeContext(ctx); err != nil {
		l.metrics.linkErrors.WithLabelValues("handshake").Inc()
		l.log.Debug("link handshake refused", "err", err)
		_ = raw.Close()
		return
	}
	protocol := conn.ConnectionState().NegotiatedProtocol
	l.mu.Lock()
	s := l.mu.protocols[protocol]
	taken := s != nil && s.offer(conn)
	l.mu.Unlock()
	if !taken {
		_ = conn.Close()
	}
}

// serverConfig answers to the protocols that are served now, so that a stream
// for another one fails in the handshake.
func (l *Link) serverConfig() *tls.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make([]string, 0, len(l.mu.protocols)+1)
	names = append(names, pingProtocol)
	for name := range l.mu.protocols {
		names = append(names, name)
	}
	return l.creds.config(names...)
}

func (l *Link) shaking(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.mu.closed {
		l.mu.shaking[conn] = struct{}{}
	}
	return !l.mu.closed
}

func (l *Link) shaken(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.shaking, conn)
}

// Close ends the listener and the handshakes, and closes what nobody has
// accepted. Streams that somebody holds are theirs to close.
func (l *Link) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	for conn := range l.mu.shaking {
		_ = conn.Close()
	}
	open := make([]*streams, 0, len(l.mu.protocols))
	for _, s := range l.mu.protocols {
		open = append(open, s)
	}
	l.mu.Unlock()
	err := l.listener.Close()
	for _, s := range open {
		_ = s.Close() // never fails
	}
	l.ended.Wait()
	return err
}

// streams are the accepted streams of one protocol.
type streams struct {
	link     *Link
	protocol string
	waiting  chan net.Conn
	once     sync.Once
	done     chan struct{}
}

// offer hands a stream over if there is room. The link is locked, so that Close
// finds every stream.
func (s *streams) offer(conn net.Conn) bool {
	select {
	case s.waiting <- conn:
		return true
	default:
		s.link.metrics.linkErrors.WithLabelValues("crowded").Inc()
		return false
	}
}

// Accept implements [net.Listener].
func (s *streams) Accept() (net.Conn, error) {
	select {
	case <-s.done:
		return nil, net.ErrClosed
	case conn := <-s.waiting:
		return conn, nil
	}
}

// Close implements [net.Listener].
func (s *streams) Close() error {
	s.once.Do(func() {
		s.link.mu.Lock()
		delete(s.link.mu.protocols, s.protocol)
		s.link.mu.Unlock()
		close(s.done)
		for {
			select {
			case conn := <-s.waiting:
				_ = conn.Close()
			default:
				return
			}
		}
	})
	return nil
}

// Addr implements [net.Listener].
func (s *streams) Addr() net.Addr { return s.link.listener.Addr() }
