package engine

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/console"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote"
	"github.com/colloquyhq/colloquy/learning"
	"github.com/colloquyhq/colloquy/persistence"
	"github.com/colloquyhq/colloquy/telemetry"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/otlp"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// Options say what a node is made of. Config is needed; everything else has a
// default, and is how an embedding program brings in its own parts.
type Options struct {
	Config Config

	Bindings   []actors.Binding                             // own behaviors for inboxes and intents
	Kinds      []cluster.Kind                               // own grain kinds, reached through [Engine.Actors]
	Classifier actors.Classifier                            // own intent engine; nil = the packs' model
	Drivers    map[conversation.ChannelKind]channels.Driver // own channels, beside and above the built-in ones
	Routes     map[string]http.Handler                      // own paths on the main listener, in [http.ServeMux] patterns
	Pages      fs.FS                                        // own console and widget; nil = the built-in ones
	Version    string                                       // shown in metrics and logs; empty = "dev"
	Logger     *slog.Logger                                 // nil = as Config.Log says
	LogTo      io.Writer                                    // where that one writes; nil = standard error
	Registry   *prometheus.Registry                         // nil = a new one
}

// Engine is a node.
//
// Concurrency: all methods may be called from anywhere once New has returned.
type Engine struct {
	opts     Options
	config   Config
	log      *slog.Logger
	registry *prometheus.Registry
	health   *telemetry.Health
	meters   *cpu.Meters
	flights  *flight.Recorder // nil = nothing is recorded
	traces   *traces.Keeper   // nil with it
	exporter *otlp.Exporter   // nil = kept traces go nowhere else

	base     context.Context //nolint:containedctx // of NewContext, while the node opens
	store    *persistence.Store
	stream   *persistence.Subscription // of Run's time, made before its parts start
	library  *intent.Library
	remote   *remote.Client // nil = no intent backend of the operator's
	shadows  *shadows
	drafts   gateway.Drafts // nil = none
	system   *actor.ActorSystem
	node     *cluster.Node // nil = this node is alone
	gate     *cluster.Gate
	members  chan struct{} // who is there has changed; room for one
	actors   *actors.Engine
	learning *learning.Keeper
	channels *channels.Registry
	accounts *accounts
	tokens   *tokenKeeper
	files    files
	letters  *letters
	gateway  *gateway.Gateway

	listener, opsListener net.Listener
	ops                   *running   // serves while the node opens, and to the end
	failed                chan error // the first part that ended by itself; room for one
	opening               atomic.Pointer[string]
	ready                 chan struct{}
	running, stopping     atomic.Bool
	draining, opened      atomic.Bool
	started               time.Time
	commitBuffer          int // commits the apply stream may be ahead of the sockets
	closing               sync.Once
}

// New opens a node: its journal, its packs, and its listeners, so that
// [Engine.Addr] is known. It serves nothing before Run. A node that is never run
// must be closed.
//
// Errors: what is wrong with the configuration, a journal that is damaged or in
// use, packs with mistakes, an address that is taken.
func New(o Options) (*Engine, error) { return NewContext(context.Background(), o) }

// NewContext is [New] that gives up when ctx ends: a node of a cluster cannot
// open before a majority is there. Meanwhile it answers on the operations
// listener that it is not ready, and why. ctx does not end what was opened.
func NewContext(ctx context.Context, o Options) (*Engine, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if err := o.fillIn(); err != nil {
		return nil, err
	}
	e := &Engine{
		opts: o, config: o.Config, log: o.Logger.With("component", "engine"), registry: o.Registry,
		health: telemetry.NewHealth(), ready: make(chan struct{}), commitBuffer: commitBuffer, base: ctx, started: time.Now().UTC(),
		failed: make(chan error, 1), members: make(chan struct{}, 1),
	}
	e.meters = e.newMeters()
	e.flights = e.config.Tracing.recorder()
	if err := e.open(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (o *Options) fillIn() error {
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Pages == nil {
		o.Pages = console.Pages()
	}
	if o.Registry == nil {
		o.Registry = telemetry.NewRegistry(o.Version)
	}
	if o.LogTo == nil {
		o.LogTo = os.Stderr
	}
	if o.Logger == nil {
		log, err := telemetry.NewLogger(o.LogTo, o.Config.Log.Format, o.Config.Log.Level)
		if err != nil {
			return err
		}
		o.Logger = log
	}
	return nil
}

// open makes the parts, each from the ones before it.
func (e *Engine) open() error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"operations", e.openOps},
		{"cluster", e.openCluster},
		{"journal", e.openJournal},
		{"attachments", e.openAttachments},
		{"traces", e.openTraces},
		{"packs", e.openPacks},
		{"models", e.openBackends},
		{"actors", e.openActors},
		{"learning", e.openLearning},
		{"gateway", e.openGateway},
		{"listener", e.listen}, // last: who connects is answered soon
	} {
		e.progress("the node is starting: " + step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("open %s: %w", step.name, err)
		}
	}
	e.progress("the node is starting")
	e.addChecks()
	e.opened.Store(true)
	return nil
}

// progress is what the operations listener says as long as the node opens.
func (e *Engine) progress(what string) { e.opening.Store(&what) }

// openOps serves the operations listener from here on: what keeps a node from
// opening is what an operator wants to know.
func (e *Engine) openOps() error {
	e.addServingCheck()
	if e.config.OpsListen != "" {
		var err error
		var lc net.ListenConfig
		if e.opsListener, err = lc.Listen(context.Background(), "tcp", e.config.OpsListen); err != nil {
			return err
		}
		ops := e.start(part{name: "operations", run: e.serveOps})
		e.ops = &ops
	}
	return nil
}

func (e *Engine) openJournal() error {
	ctx := e.base
	if e.node == nil {
		// Alone there is nobody to wait for: what has begun to open is opened, and
		// stopped in order.
		ctx = context.WithoutCancel(ctx)
	}
	var err error
	e.store, err = persistence.OpenContext(ctx, persistence.Options{
		Dir: e.config.DataDir, Logger: e.opts.Logger, Registerer: e.registry, Cluster: e.journalCluster(),
		Progress: func(reason string) {
			if reason != "" {
				e.progress("the node is starting: " + reason)
			}
		},
		CacheBytes: e.config.Journal.CacheBytes, MemTableBytes: e.config.Journal.MemTableBytes,
	})
	return err
}

func (e *Engine) openPacks() error {
	var err error
	e.library, err = intent.Open(intent.Options{
		Dir: e.config.Packs.Dir, Store: e.store, Cache: filepath.Join(e.config.DataDir, "models"), Logger: e.opts.Logger, Registerer: e.registry,
	})
	return err
}

const idKeyBytes = 32

func (e *Engine) openActors() error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	key, err := e.store.Secret(ctx, "conversation-id", idKeyBytes)
	if err != nil {
		return err
	}
	allowed, _ := prefixes(e.config.Egress.AllowedCIDRs) // validated
	client := newEgressClient(allowed)
	vault, err := channels.NewVault(e.config.Channels.Key)
	if err != nil {
		return err
	}
	e.accounts = &accounts{store: e.store, vault: vault, registry: func() *channels.Registry { return e.channels }}
	e.tokens = newTokenKeeper(e)
	e.letters = &letters{
		store: e.store, vault: vault, registry: e.accounts.registry, log: e.log,
		do: func(ctx context.Context, id conversation.ConversationID, cmd conversation.Command) (conversation.Receipt, error) {
			return e.actors.Do(ctx, id, cmd)
		},
	}
	if e.channels, err = e.newChannels(client); err != nil {
		return err
	}
	e.actors, err = actors.New(actors.Options{
		System: e.system, Journal: e.store, Index: e.store, Lists: lists{e.store}, Directory: e.store,
		Classifier: e.classifier(), Shadow: e.shadows, Library: library{e.library}, Ear: e.library, Sender: sender{channels.NewSender(e.channels), e.letters},
		HTTP: client, Key: key, Logger: e.opts.Logger, Registerer: e.registry, Bindings: e.opts.Bindings,
		Kinds: append([]cluster.Kind{e.tokens.kind(), newTurnstiles(e).kind()}, e.opts.Kinds...), View: cluster.SingleNode(cluster.NodeID(e.store.Identity().Node)), NewGate: e.newGate, OnParked: e.park,
		Leaderless: e.store.Leaderless,
		Budget:     e.config.Turns.Budget, TurnTimeout: turnTimeout, BehaviorTimeout: e.config.Turns.BehaviorTimeout, Idle: e.config.Turns.Idle,
		SnapshotEvery: e.config.Turns.SnapshotEvery, Meters: e.meters, Flights: e.flights, Unusual: e.config.Unusual.options(),
	})
	return err
}

func (e *Engine) openGateway() error {
	var err error
	e.gateway, err = gateway.New(gateway.Options{
		Conversations: e.actors, Journal: archive{e.store}, Contacts: e.store, Inboxes: e.store, Agents: e.store,
		Credentials: credentials{e.store}, Secrets: e.store, Presence: e.actors, Packs: packs{e.library}, Shelf: shelf{e.library, e.store},
		Relay: e.relayer(), Cluster: operator{e}, Drafts: e.drafts, Shadows: e.shadows, Learning: e.learning, Costs: e.actors, Meters: e.meters, Accounts: e.accounts, Letters: e.letters, Book: e.store,
		Attachments: e.files, Linked: linked{e.channels}, Privacy: privacy{e.store},
		Logger: e.opts.Logger, Registerer: e.registry, Pages: e.opts.Pages, Channels: e.serveChannels(),
		Epoch: e.store.Identity().Cluster, InsecureIngress: conversation.InboxID(e.config.Gateway.InsecureIngress),
		TrustedProxies: mustPrefixes(e.config.Gateway.TrustedProxies), Loops: e.config.Gateway.Loops,
		Flights: e.flights, Traces: e.traceSource(),
		Limits: gateway.Limits{
			Connections: e.config.Gateway.Connections, ConnectionsPerIP: e.config.Gateway.ConnectionsIP,
			HandshakesPerIP: e.config.Gateway.HandshakesIP, FramesPerSecond: e.config.Gateway.VisitorFrames,
			SessionsPerMinute: e.config.Gateway.SessionsIP, QueuedBytes: e.config.Gateway.QueuedBytes, DraftsPerMinute: e.config.Assist.PerMinute,
		},
	})
	if err == nil {
		e.relay()
	}
	return err
}

// mustPrefixes reads networks that Validate has accepted.
func mustPrefixes(texts []string) []netip.Prefix {
	out, _ := prefixes(texts)
	return out
}

func (e *Engine) listen() error {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", e.config.Listen)
	if err != nil {
		return err
	}
	if e.listener, err = e.gateway.Guard(ln); err != nil {
		_ = ln.Close()
	}
	return err
}

// Close gives back what New opened. Run does it by itself.
func (e *Engine) Close() {
	e.closing.Do(func() {
		if e.ops != nil && !e.running.Load() {
			e.ops.cancel()
			<-e.ops.done
		}
		for _, l := range []net.Listener{e.listener, e.opsListener} {
			if l != nil {
				_ = l.Close() // closed already when it has been served
			}
		}
		if e.actors != nil && !e.running.Load() {
			e.stopActors()
		}
		if e.remote != nil {
			e.remote.Close()
		}
		if e.node != nil {
			if err := e.node.Close(); err != nil {
				e.log.Warn("cluster not left cleanly", "err", err)
			}
		}
		if e.system != nil {
			e.system.Shutdown()
		}
		if e.store != nil {
			if err := e.store.Close(); err != nil {
				e.log.Error("journal not closed cleanly", "err", err)
			}
		}
	})
}

// stopActors ends the actors that New has started.
func (e *Engine) stopActors() {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if err := e.actors.Stop(ctx); err != nil {
		e.log.Warn("actors not all at rest", "err", err)
	}
}

// Addr gives the address of the main listener.
func (e *Engine) Addr() string { return e.listener.Addr().String() }

// OpsAddr gives the address of the operations listener, empty when there is none.
func (e *Engine) OpsAddr() string {
	if e.opsListener == nil {
		return ""
	}
	return e.opsListener.Addr().String()
}

// Ready is closed when the node serves.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Store gives the journal and the directory of inboxes, agents and credentials.
func (e *Engine) Store() *persistence.Store { return e.store }

// Actors gives the way to conversations, queues and own grains.
func (e *Engine) Actors() *actors.Engine { return e.actors }

// Library gives the packs.
func (e *Engine) Library() *intent.Library { return e.library }

// Health gives the readiness checks, to add own ones to.
func (e *Engine) Health() *telemetry.Health { return e.health }

// Handler gives what the main listener serves.
func (e *Engine) Handler() http.Handler {
	if len(e.opts.Routes) == 0 {
		return e.gateway.Handler()
	}
	mux := http.NewServeMux()
	mux.Handle("/", e.gateway.Handler())
	for pattern, h := range e.opts.Routes {
		mux.Handle(pattern, h)
	}
	return mux
}

// park keeps a message that panicked twice where an operator finds it. What it
// holds is data, so it goes into the store and not into the log.
func (e *Engine) park(p *cluster.Parked) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if err := e.storeParked(ctx, p); err != nil {
		e.log.Error("parked message not stored", "kind", p.Grain.Kind, "id", p.Grain.ID, "err", err)
	}
}

const openTimeout = 10 * time.Second
