package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

// shards splits the table of grains so that unrelated messages do not meet at
// one lock.
const shards = 64

// sweepEvery is how often idle grains are looked for.
const sweepEvery = time.Second

// Options configure a [Gate]. System, Kinds and Registerer are needed, and
// either Node or View.
type Options struct {
	System     *actor.ActorSystem
	Node       *Node // the cluster; nil = this node is alone
	View       *View // who owns what, without a Node
	Kinds      []Kind
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	OnParked   func(*Parked)    // told of every parked message, on the grain's goroutine; may be nil
	Dispatcher actor.Dispatcher // runs the grains; nil = a goroutine for each run of a mailbox
}

func (o *Options) workers() actor.Dispatcher {
	if o.Dispatcher == nil {
		return actor.NewDefaultDispatcher(workerThroughput)
	}
	return o.Dispatcher
}

// Gate hosts this node's grains and knows the way to all others: every message
// for a grain goes through it.
//
// Concurrency: all methods may be called from anywhere.
type Gate struct {
	system   *actor.ActorSystem
	node     *Node // nil = alone
	address  string
	kinds    map[string]*hosting
	log      *slog.Logger
	metrics  *metrics
	replies  *replies
	asks     *asks
	onParked func(*Parked)
	mu       struct {
		sync.Mutex
		watchers []func(before, now *View)
		topics   map[string]func(from NodeID, payload []byte)
	}

	activations atomic.Uint64

	view   atomic.Pointer[View]
	past   atomic.Pointer[past] // views of a while ago; nil = none
	closed atomic.Bool
	clock  atomic.Int64  // unix seconds, advanced by the sweep; saves a clock read a message
	ceding chan struct{} // cap 1: grains have to go
	cells  [shards]shard
	peers  sync.Map // NodeID → *peer
}

// hosting is a kind with what its grains share.
type hosting struct {
	Kind

	props  *actor.Props
	active atomic.Int64
}

type shard struct {
	mu struct {
		sync.Mutex
		cells map[GrainID]*cell
		ceded map[GrainID]ceded
	}
}

// NewGate makes a gate that hosts the kinds. Errors: class invalid for a kind
// without a name, twice the same name, or no view.
func NewGate(o Options) (*Gate, error) {
	if o.View == nil && o.Node == nil {
		return nil, conversation.Refuse(conversation.CodeInvalid, "a gate needs a view")
	}
	g := &Gate{
		system: o.System, node: o.Node, kinds: map[string]*hosting{}, log: o.Logger.With("component", "cluster"),
		onParked: o.OnParked, replies: newReplies(o.System), asks: newAsks(),
		ceding: make(chan struct{}, 1),
	}
	g.mu.topics = map[string]func(NodeID, []byte){}
	for _, k := range o.Kinds {
		if err := k.validate(); err != nil {
			return nil, err
		}
		if g.kinds[k.Name] != nil {
			return nil, conversation.Refusef(conversation.CodeInvalid, "grain kind %q is defined twice", k.Name)
		}
		h := &hosting{Kind: k.withDefaults()}
		h.props = g.propsOf(h, o.workers())
		g.kinds[k.Name] = h
	}
	g.metrics = newMetrics(o.Registerer, o.Kinds)
	for i := range g.cells {
		g.cells[i].mu.cells = map[GrainID]*cell{}
		g.cells[i].mu.ceded = map[GrainID]ceded{}
	}
	g.clock.Store(time.Now().Unix())
	if o.Node == nil {
		g.view.Store(o.View)
		return g, nil
	}
	g.address = o.Node.GrainsAddress()
	g.view.Store(o.Node.View())
	o.Node.gate.Store(g)
	o.Node.steward.kick() // the view may have changed in between
	return g, nil
}

// View gives the present view.
func (g *Gate) View() *View { return g.view.Load() }

// Owns reports whether this node is the one that a grain belongs to.
func (g *Gate) Owns(id GrainID) bool { return g.view.Load().owns(id) }

// OnView has f called with every view that follows another, after the gate
// itself has acted on it, one at a time. f must not block.
func (g *Gate) OnView(f func(before, now *View)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.watchers = append(g.mu.watchers, f)
}

// Tell hands msg to a grain, starting it if needed. Answers go to sender, which
// may be nil. A grain of another node gets it with one envelope that may be lost,
// unless there is a sender: then it is an [Gate.Ask], and what goes wrong comes
// to the sender as [Undelivered].
//
// Errors: class not found for an unknown kind, overloaded when the grain's
// mailbox or the way to its node is full, unavailable when this node is stopping
// or nobody takes grains, invalid for a grain of another node whose kind has no
// codec. After nil and for a grain of this node, the message is in the mailbox;
// only the loss of the process loses it.
func (g *Gate) Tell(id GrainID, msg any, sender *actor.PID) error {
	kind, err := g.open(id)
	if err != nil {
		return err
	}
	if g.view.Load().owns(id) {
		if err := g.deliver(kind, id, msg, sender); !errors.Is(err, errMoved) {
			return err
		}
	}
	return g.tellAway(kind, id, msg, sender)
}

// open finds the kind of a grain, while messages are taken.
func (g *Gate) open(id GrainID) (*hosting, error) {
	kind := g.kinds[id.Kind]
	if kind == nil {
		return nil, conversation.Refusef(conversation.CodeNotFound, "no grain kind %q", id.Kind)
	}
	if g.closed.Load() {
		return nil, conversation.Refuse(conversation.CodeShuttingDown, "the node takes no more messages")
	}
	return kind, nil
}

// Run passivates idle grains, repeats requests to other nodes and gives up
// grains that have moved, until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	var ended sync.WaitGroup
	defer ended.Wait()
	if g.node != nil {
		ended.Go(func() { g.runAsks(ctx) })
		ended.Go(func() { g.runCeding(ctx) })
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			g.clock.Store(now.Unix())
			g.sweep(now)
			g.replies.expire(now)
			g.agePast(now)
		}
	}
}

// Active counts this node's grains of a kind.
func (g *Gate) Active(kind string) int {
	if h := g.kinds[kind]; h != nil {
		return int(h.active.Load())
	}
	return 0
}

// Counts counts this node's grains by kind.
func (g *Gate) Counts() map[string]int {
	out := make(map[string]int, len(g.kinds))
	for name, h := range g.kinds {
		out[name] = int(h.active.Load())
	}
	return out
}

// Drain refuses new messages, puts every grain to rest and waits until the last
// one has. In a cluster, [Gate.Cede] comes first. Errors: those of ctx.
func (g *Gate) Drain(ctx context.Context) error {
	g.closed.Store(true)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	// Again and again: a grain that was being put to rest already may leave a
	// successor with the messages that came meanwhile.
	for g.stopAll() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// fence ends everything at once: the node has been evicted, and its grains live
// elsewhere.
func (g *Gate) fence() {
	g.closed.Store(true)
	g.stopAll()
	g.asks.failAll(conversation.Refuse(conversation.CodeUnknownOutcome, "this node was evicted from the cluster"))
}
