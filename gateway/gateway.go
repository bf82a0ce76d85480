package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// subprotocol is the one that a client may name in Sec-WebSocket-Protocol,
// beside the token that it may bring there.
const subprotocol = "colloquy.v1"

// Limits of the listener: a request's head must come soon and be small.
const (
	readHeaderTimeout = 5 * time.Second
	maxHeaderBytes    = 8 << 10
	idleTimeout       = 2 * time.Minute
	tidyInterval      = time.Hour
	// bodyTimeout bounds reading a request and writing its answer, together
	// with RequestTimeout.
	bodyTimeout = 30 * time.Second
)

// Gateway is the edge. It owns the connections.
type Gateway struct {
	opts    Options
	limits  Limits
	log     *slog.Logger
	metrics *metrics
	hub     *Hub
	handler http.Handler
	pages   *pageSet

	visitorTokens *signer
	sessions      *signer
	contactKey    []byte // derives contact ids from providers' names
	hookKey       []byte // derives the signing secrets of inboxes

	upgrader             *gws.Upgrader
	upgraderWithProtocol *gws.Upgrader
	batches              bufferPool
	hashing              chan struct{}

	handshakes       *limiter[struct{}]
	handshakesByPeer *limiter[netip.Prefix]
	loginsByPeer     *limiter[netip.Prefix]
	loginsByAccount  *limiter[string]
	sessionsByPeer   *limiter[netip.Prefix]
	draftsByAgent    *limiter[conversation.AgentID]
	framesByContact  *limiter[conversation.ContactKey] // that come over HTTP
	postsByContact   *counter[conversation.ContactKey] // of them without an answer yet
	byPeer           *counter[netip.Prefix]
	byContact        *counter[conversation.ContactKey]
	byAgent          *counter[conversation.AgentID]
	presences        presences

	setup   sync.Mutex // one first admin at a time
	serving sync.WaitGroup

	mu struct {
		sync.Mutex
		conns    map[*conn]struct{}
		draining bool
	}
	base atomic.Pointer[baseContext]
}

// baseContext carries the context of Run to the goroutines of connections.
type baseContext struct{ done <-chan struct{} }

// New makes a gateway. It reads its keys and starts nothing.
func New(o Options) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{opts: o, limits: o.Limits.withDefaults(), log: o.Logger.With("component", "gateway"), hashing: make(chan struct{}, maxHashes)}
	g.metrics = newMetrics(o.Registerer)
	g.mu.conns = make(map[*conn]struct{})
	g.hub = newHub(g)
	if err := g.readKeys(); err != nil {
		return nil, err
	}
	g.makeLimiters()
	g.makeUpgraders()
	pages, err := readPages(o.Pages)
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	g.pages = pages
	g.handler = g.routes()
	return g, nil
}

const keyBytes = 32

// readKeys makes or reads the server's own keys.
func (g *Gateway) readKeys() error {
	ctx, cancel := context.WithTimeout(context.Background(), bodyTimeout)
	defer cancel()
	var errs []error
	key := func(name string) []byte {
		b, err := g.opts.Secrets.Secret(ctx, name, keyBytes)
		if err == nil && len(b) < keyBytes {
			err = fmt.Errorf("%d bytes, %d are needed", len(b), keyBytes)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %s: %w", name, err))
		}
		return b
	}
	g.visitorTokens = newSigner("vst_", "widget", key("visitor-token"))
	g.sessions = newSigner("ses_", "console", key("console-session"))
	g.contactKey = key("contact-id")
	g.hookKey = key("inbox-signature")
	return errors.Join(errs...)
}

func (g *Gateway) makeLimiters() {
	l := &g.limits
	g.handshakes = newLimiter[struct{}](l.HandshakesPerSecond, l.HandshakesPerSecond)
	g.handshakesByPeer = newLimiter[netip.Prefix](l.HandshakesPerIP, 5*l.HandshakesPerIP)
	g.loginsByPeer = newLimiter[netip.Prefix](l.LoginsPerMinute/60, l.LoginsPerMinute)
	g.loginsByAccount = newLimiter[string](l.LoginsPerMinute/60, l.LoginsPerMinute)
	g.sessionsByPeer = newLimiter[netip.Prefix](l.SessionsPerMinute/60, l.SessionsPerMinute)
	g.draftsByAgent = newLimiter[conversation.AgentID](l.DraftsPerMinute/60, max(1, l.DraftsPerMinute))
	g.framesByContact = newLimiter[conversation.ContactKey](l.FramesPerSecond, 3*l.FramesPerSecond)
	g.postsByContact = newCounter[conversation.ContactKey]()
	g.byPeer = newCounter[netip.Prefix]()
	g.byContact = newCounter[conversation.ContactKey]()
	g.byAgent = newCounter[conversation.AgentID]()
	g.presences.mu.agents = make(map[conversation.AgentID]*presence)
	g.presences.mu.others = make(map[conversation.AgentID]map[string]heard)
}

func (g *Gateway) makeUpgraders() {
	option := func(protocols []string) *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize: max(g.limits.FrameBytes, g.limits.VisitorFrameBytes),
			ReadBufferSize:     readBufferBytes,
			CheckUtf8Enabled:   true,
			SubProtocols:       protocols,
			HandshakeTimeout:   readHeaderTimeout,
			NewSession:         func() gws.SessionStorage { return nil }, // saves a map per connection
			Logger:             quiet{},
		}
	}
	g.upgrader = gws.NewUpgrader(events{gw: g}, option(nil))
	g.upgraderWithProtocol = gws.NewUpgrader(events{gw: g}, option([]string{subprotocol}))
}

// quiet keeps the library from writing to the standard logger.
type quiet struct{}

// Error implements [gws.Logger].
func (quiet) Error(...any) {}

// Hub gives the part that commits are published to.
func (g *Gateway) Hub() *Hub { return g.hub }

// Sockets counts the connections of visitors and agents.
func (g *Gateway) Sockets() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.mu.conns)
}

// Handler gives the whole HTTP interface: API, WebSockets and pages.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Server gives an HTTP server with the limits that the handler counts on.
// Errors of single connections are for the debug log; they are the peer's.
func (g *Gateway) Server() *http.Server {
	return &http.Server{
		Handler:           g.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      bodyTimeout + g.limits.RequestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

// Serve answers on ln until ctx ends. It does not end connections that were
// upgraded; [Gateway.Drain] does.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	srv := g.Server()
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.limits.RequestTimeout)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Run watches over the connections until ctx ends, then ends them all and
// waits for their goroutines.
func (g *Gateway) Run(ctx context.Context) error {
	g.base.Store(&baseContext{done: ctx.Done()})
	tick := time.NewTicker(g.limits.SweepInterval)
	defer tick.Stop()
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	for {
		select {
		case now := <-tick.C:
			g.sweep(now)
		case now := <-tidy.C:
			g.serving.Go(func() { g.forgetRevoked(ctx, now) })
		case <-ctx.Done():
			g.stopAccepting()
			g.eachConn(func(c *conn) { c.close(wire.CloseDrain) })
			g.serving.Wait()
			return nil
		}
	}
}

// background gives the context of work that no request waits for.
func (g *Gateway) background() context.Context {
	b := g.base.Load()
	if b == nil {
		return context.Background()
	}
	return doneContext{Context: context.Background(), done: b.done}
}

// doneContext ends when Run does.
type doneContext struct {
	context.Context //nolint:containedctx // it is one
	done            <-chan struct{}
}

// Done implements [context.Context].
func (d doneContext) Done() <-chan struct{} { return d.done }

// Err implements [context.Context].
func (d doneContext) Err() error {
	select {
	case <-d.done:
		return context.Canceled
	default:
		return nil
	}
}

// admit takes a connection in, unless the gateway is draining or full.
func (g *Gateway) admit(c *conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.draining {
		return conversation.Refuse(conversation.CodeShuttingDown, "this node takes no new connections")
	}
	if len(g.mu.conns) >= g.limits.Connections {
		return conversation.Refuse(conversation.CodeOverloaded, "this node has as many connections as it takes")
	}
	g.mu.conns[c] = struct{}{}
	g.serving.Add(1) // until forget: Wait must not pass a connection by
	g.metrics.connections.WithLabelValues(c.side.String()).Inc()
	return nil
}

// forget undoes what admit and hello did.
func (g *Gateway) forget(c *conn) {
	g.mu.Lock()
	_, known := g.mu.conns[c]
	delete(g.mu.conns, c)
	g.mu.Unlock()
	if !known {
		return
	}
	g.hub.leave(c)
	g.unbind(c)
	g.byPeer.leave(prefixOf(c.peer))
	g.metrics.connections.WithLabelValues(c.side.String()).Dec()
	g.serving.Done()
}

func (g *Gateway) stopAccepting() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.draining = true
}

func (g *Gateway) isDraining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.draining
}

// eachConn calls do for a snapshot of the connections, outside the lock.
func (g *Gateway) eachConn(do func(*conn)) {
	for _, c := range g.snapshot() {
		do(c)
	}
}

func (g *Gateway) snapshot() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]*conn, 0, len(g.mu.conns))
	for c := range g.mu.conns {
		out = append(out, c)
	}
	return out
}

// agentName gives the display name of an agent.
func (g *Gateway) agentName(id conversation.AgentID) string {
	if id == "" {
		return ""
	}
	a, err := g.opts.Agents.Agent(id)
	if err != nil {
		return ""
	}
	return a.Name
}

// bufferPool lends the buffers of the writers.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 4<<10)
	return &b
}

func (p *bufferPool) put(b *[]byte) { p.pool.Put(b) }
