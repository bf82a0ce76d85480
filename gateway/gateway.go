package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
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
	contacts      sync.Pool // of HMACs that derive contact ids from providers' names
	hookKey       []byte    // derives the signing secrets of inboxes

	upgrader             *gws.Upgrader
	upgraderWithProtocol *gws.Upgrader
	codecUpgrader        *gws.Upgrader
	hashing              chan struct{}

	group    *loop.Group // reads and writes
	codecs   *codecs
	crew     crew
	outRules outRules
	parts    partPool

	handshakes       *limiter[struct{}]
	handshakesByPeer *limiter[netip.Prefix]
	loginsByPeer     *limiter[netip.Prefix]
	loginsByAccount  *limiter[string]
	sessionsByPeer   *limiter[netip.Prefix]
	draftsByAgent    *limiter[conversation.AgentID]
	framesByContact  *limiter[conversation.ContactKey] // that come over HTTP
	uploadsByContact *limiter[conversation.ContactKey]
	uploadsByAgent   *limiter[conversation.AgentID]
	postsByContact   *counter[conversation.ContactKey] // of them without an answer yet
	byPeer           *counter[netip.Prefix]
	agents           agentSet
	presences        presences

	setup   sync.Mutex // one first admin at a time
	serving sync.WaitGroup

	mu struct {
		sync.Mutex
		conns    []*conn
		draining bool
	}
	base atomic.Pointer[baseContext]
}

// baseContext carries the context of Run to the goroutines of connections: itself,
// because a time limit on a context that is not the standard library's costs a
// goroutine.
type baseContext struct {
	context.Context //nolint:containedctx // it is one
}

// New makes a gateway. It reads its keys and starts nothing.
func New(o Options) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{opts: o, limits: o.Limits.withDefaults(), log: o.Logger.With("component", "gateway"), hashing: make(chan struct{}, maxHashes)}
	g.metrics = newMetrics(o.Registerer, &g.outRules)
	g.hub = newHub(g)
	g.crew.gw = g
	g.outRules.soft, g.outRules.hard, g.outRules.flights = g.limits.SoftQueueBytes, g.limits.HardQueueBytes, g.opts.Flights
	g.outRules.budget = g.limits.QueuedBytes
	g.group = loop.New(loop.Options{
		Loops: o.Loops, Tick: g.limits.SweepInterval, Ledger: g.newLedger,
		Panicked: func(v any, stack []byte) { g.panicked("event loop panicked", nil, v, stack) },
	})
	g.codecs = newCodecs(g, g.group.Loops())
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
	contactKey := key("contact-id")
	g.contacts.New = func() any { return hmac.New(sha256.New, contactKey) }
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
	g.uploadsByContact = newLimiter[conversation.ContactKey](l.UploadsPerMinute/60, max(1, l.UploadsPerMinute))
	g.uploadsByAgent = newLimiter[conversation.AgentID](l.UploadsPerMinute/60, max(1, l.UploadsPerMinute))
	g.framesByContact = newLimiter[conversation.ContactKey](l.FramesPerSecond, 3*l.FramesPerSecond)
	g.postsByContact = newCounter[conversation.ContactKey]()
	g.byPeer = newCounter[netip.Prefix]()
	g.presences.mu.agents = make(map[conversation.AgentID]*presence)
	g.presences.mu.others = make(map[conversation.AgentID]map[string]heard)
}

func (g *Gateway) makeUpgraders() {
	option := func(protocols []string) *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize: max(g.limits.FrameBytes, g.limits.VisitorFrameBytes),
			CheckUtf8Enabled:   true,
			SubProtocols:       protocols,
			HandshakeTimeout:   readHeaderTimeout,
			NewSession:         func() gws.SessionStorage { return nil }, // saves a map per connection
			Logger:             quiet{},
		}
	}
	g.upgrader = gws.NewUpgrader(events{}, option(nil))
	g.upgraderWithProtocol = gws.NewUpgrader(events{}, option([]string{subprotocol}))
	g.codecUpgrader = g.upgrader
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

// Queued gives the number of bytes that wait for sockets to take them; what many
// wait for is counted for each.
func (g *Gateway) Queued() int64 { return g.outRules.queued.Load() }

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

// Guard makes a listener go on when the process has no descriptor left: who
// connects then is sent away at once, and counted.
//
// Errors: those of the operating system when there is no descriptor now.
func (g *Gateway) Guard(ln net.Listener) (net.Listener, error) {
	return loop.NewListener(ln, g.metrics.shed.Inc)
}

// Serve answers on ln until ctx ends. It does not end connections that were
// upgraded; [Gateway.Drain] does.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	ln, err := g.Guard(ln)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	srv := g.Server()
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.limits.RequestTimeout)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	if err = srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Run serves the connections until ctx ends, then ends them all and waits for
// what works for them. Connections that are taken in earlier wait for it.
func (g *Gateway) Run(ctx context.Context) error {
	g.base.Store(&baseContext{ctx})
	loops, stop := context.WithCancel(context.WithoutCancel(ctx))
	looped := make(chan error, 1)
	go func() { looped <- g.group.Run(loops, g.codecs.endLoop) }()
	err := g.watch(ctx, looped)
	g.stopAccepting()
	g.eachConn(func(c *conn) { c.close(wire.CloseDrain) })
	if err == nil {
		g.serving.Wait()
		stop()
		err = <-looped
	}
	stop()
	g.serving.Wait()
	g.codecs.endFree()
	return err
}

// watch does what is done once in a while until ctx ends, or the loops do.
func (g *Gateway) watch(ctx context.Context, looped <-chan error) error {
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
		case err := <-looped:
			return fmt.Errorf("event loops ended: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// panicked counts and logs a panic that was caught.
func (g *Gateway) panicked(what string, c *conn, v any, stack []byte) {
	g.metrics.panics.Inc()
	log := g.log
	if c != nil {
		log = log.With("session", c.session())
	}
	log.Error(what, slog.Any("panic", v), slog.String("stack", string(stack))) //nolint:sloglint // one of two
}

// background gives the context of work that no request waits for.
func (g *Gateway) background() context.Context {
	if b := g.base.Load(); b != nil {
		return b.Context
	}
	return context.Background()
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
	c.index = int32(len(g.mu.conns)) //nolint:gosec // bounded by the limit
	g.mu.conns = append(g.mu.conns, c)
	g.serving.Add(1) // until forget: Wait must not pass a connection by
	g.metrics.connections.WithLabelValues(c.side.String()).Inc()
	return nil
}

// forget undoes what admit and hello did.
func (g *Gateway) forget(c *conn) {
	if !g.unlist(c) {
		return
	}
	g.hub.leave(c)
	g.unbind(c)
	g.byPeer.leave(c.peer)
	g.metrics.connections.WithLabelValues(c.side.String()).Dec()
	g.serving.Done()
}

// unlist takes a connection off the list; false when it is not on it.
func (g *Gateway) unlist(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, last := int(c.index), len(g.mu.conns)-1
	if i > last || g.mu.conns[i] != c {
		return false
	}
	g.mu.conns[i] = g.mu.conns[last]
	g.mu.conns[i].index = c.index
	g.mu.conns[last] = nil
	g.mu.conns = g.mu.conns[:last]
	return true
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
	return slices.Clone(g.mu.conns)
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
