package cluster

import (
	"context"
	"log/slog"
	"strconv"
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

// Options configure a [Gate]. System, Kinds and Registerer are needed.
type Options struct {
	System     *actor.ActorSystem
	View       *View
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

// Gate hosts this node's grains: every message for a grain goes through it.
//
// Concurrency: all methods may be called from anywhere.
type Gate struct {
	system   *actor.ActorSystem
	kinds    map[string]*hosting
	log      *slog.Logger
	metrics  *metrics
	replies  *replies
	onParked func(*Parked)
	watchers []func(before, now *View)                    // set before Run
	topics   map[string]func(from NodeID, payload []byte) // set before Run

	activations atomic.Uint64

	view   atomic.Pointer[View]
	closed atomic.Bool
	clock  atomic.Int64 // unix seconds, advanced by the sweep; saves a clock read a message
	cells  [shards]shard
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
	}
}

// NewGate makes a gate that hosts the kinds. Errors: class invalid for a kind
// without a name, twice the same name, or no view.
func NewGate(o Options) (*Gate, error) {
	if o.View == nil {
		return nil, conversation.Refuse(conversation.CodeInvalid, "a gate needs a view")
	}
	g := &Gate{
		system: o.System, kinds: map[string]*hosting{}, log: o.Logger.With("component", "cluster"),
		onParked: o.OnParked, replies: newReplies(o.System),
		topics: map[string]func(NodeID, []byte){},
	}
	for _, k := range o.Kinds {
		if err := k.validate(); err != nil {
			return nil, err
		}
		if g.kinds[k.Name] != nil {
			return nil, conversation.Refusef(conversation.CodeInvalid, "grain kind %q is defined twice", k.Name)
		}
		h := &hosting{Kind: k.withDefaults()}
		h.props = actor.PropsFromProducer(func() actor.Actor { return &hosted{gate: g, kind: h} }, actor.WithDispatcher(o.workers()))
		g.kinds[k.Name] = h
	}
	g.metrics = newMetrics(o.Registerer, o.Kinds)
	for i := range g.cells {
		g.cells[i].mu.cells = map[GrainID]*cell{}
	}
	g.clock.Store(time.Now().Unix())
	g.view.Store(o.View)
	return g, nil
}

// View gives the present view.
func (g *Gate) View() *View { return g.view.Load() }

// Tell hands msg to a grain, starting it if needed. Answers go to sender, which
// may be nil.
//
// Errors: class not found for an unknown kind, overloaded when the grain's
// mailbox is full, unavailable when the grain belongs to another node or this
// one is stopping. After nil the message is in the mailbox; only the loss of
// the process loses it.
func (g *Gate) Tell(id GrainID, msg any, sender *actor.PID) error {
	kind := g.kinds[id.Kind]
	if kind == nil {
		return conversation.Refusef(conversation.CodeNotFound, "no grain kind %q", id.Kind)
	}
	if g.closed.Load() {
		return conversation.Refuse(conversation.CodeShuttingDown, "the node takes no more messages")
	}
	view := g.view.Load()
	if owner, ok := view.Owner(id); !ok || owner.ID != view.Self() {
		return conversation.Refusef(conversation.CodeUnavailable, "the grain belongs to node %s", owner.ID)
	}
	sh := g.shard(id)
	sh.mu.Lock()
	c := sh.mu.cells[id]
	if c == nil {
		var err error
		if c, err = g.spawn(sh, kind, id); err != nil {
			sh.mu.Unlock()
			return err
		}
	}
	if int(c.inflight.Load()) >= kind.Mailbox {
		sh.mu.Unlock()
		g.metrics.overloaded.WithLabelValues(kind.Name).Inc()
		return conversation.Refuse(conversation.CodeOverloaded, "the grain's mailbox is full")
	}
	c.inflight.Add(1)
	c.used.Store(g.clock.Load())
	if c.stopping {
		c.held = append(c.held, held{msg, sender})
		sh.mu.Unlock()
		return nil
	}
	// Sent under the lock: a passivation that comes next queues behind msg.
	g.send(c, msg, sender)
	sh.mu.Unlock()
	return nil
}

func (g *Gate) send(c *cell, msg any, sender *actor.PID) {
	if sender == nil {
		g.system.Root.Send(c.pid, msg)
		return
	}
	g.system.Root.RequestWithCustomSender(c.pid, msg, sender)
}

func (g *Gate) shard(id GrainID) *shard { return &g.cells[mix(hash(id.ID))%shards] }

// spawn starts a grain. The shard is locked.
func (g *Gate) spawn(sh *shard, kind *hosting, id GrainID) (*cell, error) {
	// Each activation has a name of its own, because the library frees the name
	// of a stopped actor only some time after it said that it stopped.
	c := &cell{id: id, name: id.String() + "#" + strconv.FormatUint(g.activations.Add(1), 36)}
	sh.mu.cells[id] = c // the actor looks its cell up here when it starts, once the shard is free
	pid, err := g.system.Root.SpawnNamed(kind.props, c.name)
	if err != nil {
		delete(sh.mu.cells, id)
		return nil, &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the grain could not be started", Err: err}
	}
	c.pid = pid
	kind.active.Add(1)
	g.metrics.activations.WithLabelValues(kind.Name).Inc()
	g.metrics.active.WithLabelValues(kind.Name).Set(float64(kind.active.Load()))
	return c, nil
}

// Run passivates idle grains until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
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
		}
	}
}

// sweep puts grains to rest that are idle. The mark and the last message are
// set under the shard's lock, so nothing can slip between them.
func (g *Gate) sweep(now time.Time) {
	for i := range g.cells {
		sh := &g.cells[i]
		sh.mu.Lock()
		for id, c := range sh.mu.cells {
			idle := g.kinds[id.Kind].Idle
			if idle > 0 && !c.stopping && c.inflight.Load() == 0 && now.Unix()-c.used.Load() >= int64(idle/time.Second) {
				g.stop(c)
			}
		}
		sh.mu.Unlock()
	}
}

func (g *Gate) stop(c *cell) {
	c.stopping = true
	g.system.Root.Send(c.pid, &Passivate{})
	g.system.Root.Poison(c.pid)
}

// Passivate puts one grain to rest now; messages that come meanwhile wait for
// its successor. It returns at once.
func (g *Gate) Passivate(id GrainID) {
	sh := g.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.mu.cells[id]; c != nil && !c.stopping {
		g.stop(c)
	}
}

// Active counts this node's grains of a kind.
func (g *Gate) Active(kind string) int {
	if h := g.kinds[kind]; h != nil {
		return int(h.active.Load())
	}
	return 0
}

// Drain refuses new messages, puts every grain to rest and waits until the last
// one has. Errors: those of ctx.
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

// stopAll puts every grain to rest that is not on its way there, and counts
// those that are left.
func (g *Gate) stopAll() int {
	n := 0
	for i := range g.cells {
		sh := &g.cells[i]
		sh.mu.Lock()
		for _, c := range sh.mu.cells {
			if !c.stopping {
				g.stop(c)
			}
		}
		n += len(sh.mu.cells)
		sh.mu.Unlock()
	}
	return n
}
