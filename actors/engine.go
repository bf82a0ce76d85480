package actors

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/anomaly"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// The grain kinds of this package.
const (
	KindConversation = "conversation"
	KindQueue        = "queue"
)

// Options configure an [Engine]. The first block is needed; zero means the
// stated default in the second.
type Options struct {
	System     *actor.ActorSystem
	Journal    Journal
	Index      Index
	Lists      Lists
	Directory  Directory
	Classifier Classifier
	Library    Library
	Ear        Ear // nil = nobody listens, and every visitor counts as calm
	Sender     Sender
	HTTP       *http.Client // for flows; expected to refuse addresses that the operator has not allowed
	Key        []byte       // secret from which conversation ids are derived, at least 32 bytes, the same on every node
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	Shadow   Shadow                              // understands turns and answers nobody; nil = none
	Bindings []Binding                           // custom behaviors
	Kinds    []cluster.Kind                      // own grain kinds
	View     *cluster.View                       // who owns what; nil = this node owns everything
	NewGate  func(cluster.Options) (Gate, error) // nil = [cluster.NewGate]
	OnParked func(*cluster.Parked)
	Meters   *cpu.Meters      // what conversations cost is charged to; nil = nobody measures
	Flights  *flight.Recorder // keeps what turns spend their time on; nil = nobody does
	Unusual  anomaly.Options  // from when on it is told that a conversation is unlike others

	// Leaderless says for how long the journal has taken no writes; zero = it does. A part
	// of a cluster without a majority sends nothing, and soon takes nothing either. nil = it
	// always takes them.
	Leaderless func() time.Duration

	Budget          time.Duration // a message is held back for the classifier so long; default 5 ms
	TurnTimeout     time.Duration // a classifier that takes longer has failed; default 2 s
	BehaviorTimeout time.Duration // a behavior that takes longer has failed; default 10 s
	AppendTimeout   time.Duration // one journal operation; default 5 s
	RequestTimeout  time.Duration // an entrance waits so long for a conversation, besides Inbound.Wait; default 10 s
	SnapshotEvery   int           // entries between stored snapshots; default 128
	PresenceGrace   time.Duration // an agent on a node that is gone counts as present for so long; default 15 s
	Settle          time.Duration // what a living node gave up is sent from here only after so long; default 3 s
	AgentGrace      time.Duration // an agent who is gone for so long gives up what automatic assignment gave; default 2 min
	Idle            time.Duration // a conversation is passivated after so long; default 5 min
	Requests        int           // requests that may wait for conversations on this node; default 65,536
	ScoringQueue    int           // utterances that may wait for scoring; default 4,096
	BehaviorRuns    int           // behaviors that may run at once; default 1,024
	OutboxRows      int           // outbound messages the courier holds in memory; default 10,000
	Sends           int           // outbound messages in flight at once; default 64
}

func (o Options) withDefaults() Options {
	durations := []struct {
		at  *time.Duration
		def time.Duration
	}{
		{&o.Budget, 5 * time.Millisecond},
		{&o.TurnTimeout, 2 * time.Second},
		{&o.BehaviorTimeout, 10 * time.Second},
		{&o.AppendTimeout, 5 * time.Second},
		{&o.RequestTimeout, 10 * time.Second},
		{&o.Idle, 5 * time.Minute},
		{&o.AgentGrace, 2 * time.Minute},
		{&o.PresenceGrace, 15 * time.Second},
		{&o.Settle, 3 * time.Second},
	}
	for _, d := range durations {
		if *d.at == 0 {
			*d.at = d.def
		}
	}
	counts := []struct {
		at  *int
		def int
	}{
		{&o.SnapshotEvery, 128},
		{&o.Requests, 65_536},
		{&o.ScoringQueue, 4_096},
		{&o.BehaviorRuns, 1_024},
		{&o.OutboxRows, 10_000},
		{&o.Sends, 64},
	}
	for _, c := range counts {
		if *c.at == 0 {
			*c.at = c.def
		}
	}
	if o.Leaderless == nil {
		o.Leaderless = func() time.Duration { return 0 }
	}
	if o.View == nil {
		o.View = cluster.SingleNode("local")
	}
	if o.NewGate == nil {
		o.NewGate = func(c cluster.Options) (Gate, error) { return cluster.NewGate(c) }
	}
	return o
}

// Engine runs a node's actors and is the way to them.
//
// Concurrency: all methods may be called from anywhere once New has returned.
type Engine struct {
	o        Options
	log      *slog.Logger
	metrics  *metrics
	gate     Gate
	pool     *pool
	runner   *runner
	shards   *shards
	courier  *courier
	recovery recovery
	applied  applied
	detector *anomaly.Detector
	book     *anomalyBook

	attendance attendance
	missed     missedQueues
	workers    *cluster.Workers
	behaviors  *behaviors
	builtin    *builtin
	ids        ids
	attempts   atomic.Uint64 // numbers the bot's turns
}

// New makes an engine and starts its pooled actors; grains start with their
// first message. Errors: class invalid for contradicting bindings or kinds, and
// for a missing or short key.
func New(o Options) (*Engine, error) {
	o = o.withDefaults()
	if len(o.Key) < 32 {
		return nil, conversation.Refuse(conversation.CodeInvalid, "the key for conversation ids has less than 32 bytes")
	}
	o.Bindings = slices.Clone(o.Bindings)
	for i := range o.Bindings {
		if o.Bindings[i].Timeout <= 0 {
			o.Bindings[i].Timeout = o.BehaviorTimeout
		}
	}
	found, err := newBehaviors(o.Bindings)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		o: o, log: o.Logger.With("component", "actors"), metrics: newMetrics(o.Registerer), behaviors: found, ids: ids{o.Key},
		workers: &cluster.Workers{},
	}
	e.detector, e.book = anomaly.New(o.Unusual), newAnomalyBook(e.metrics)
	e.attendance.mu.agents = map[conversation.AgentID]attendee{}
	e.missed.mu.inboxes = map[conversation.InboxID]struct{}{}
	e.applied.mu.waiting = map[conversation.ConversationID][]*appliedWait{}
	e.recovery.kick = make(chan struct{}, 1)
	e.builtin = &builtin{library: o.Library}
	e.builtin.flows = &flows{client: o.HTTP, b: e.builtin}
	talk := cluster.Kind{Name: KindConversation, New: func(id string) actor.Actor { return newGrain(e, id) }, Idle: o.Idle, Codec: conversationCodec{}}
	if o.Meters != nil {
		talk.Meter = o.Meters.Of
	}
	kinds := append([]cluster.Kind{
		talk,
		{Name: KindQueue, New: func(id string) actor.Actor { return newQueue(e, id) }, Idle: -1, Mailbox: 1 << 16, Codec: queueCodec{}},
	}, o.Kinds...)
	e.gate, err = o.NewGate(cluster.Options{
		System: o.System, View: o.View, Kinds: kinds, Logger: o.Logger, Registerer: o.Registerer, OnParked: o.OnParked,
		Dispatcher: e.workers,
	})
	if err != nil {
		return nil, err
	}
	e.pool = newPool(e, o.ScoringQueue)
	e.runner = newRunner(o.System, o.BehaviorRuns, e.log, e.metrics)
	e.shards = newShards(e, 2*runtime.GOMAXPROCS(0), o.Requests)
	e.courier = newCourier(e)
	e.gate.OnView(e.onView)
	return e, nil
}

// Deliver hands in a visitor's message and waits for its receipt, which means
// that it is durable. With in.Wait the receipt also carries the bot's replies,
// if they come in that time.
//
// When it returns, this node's own copy of the journal shows the message, also
// if another node stored it, unless the copy is more than two seconds behind.
//
// Errors: refusals with their codes; class overloaded or unavailable when it is
// certainly not stored, class outcome unknown when it may be: then deliver it
// again with the same ref.
func (e *Engine) Deliver(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error) {
	if in.Trace.IsZero() {
		in.Trace = conversation.TraceOf(ctx)
	}
	return e.readable(ctx, func(done func(conversation.Receipt, error)) { e.DeliverAsync(in, done) })
}

// Do gives a command to a conversation and waits until it is durable and, as
// [Engine.Deliver] does, readable here. Also a command that changes nothing gives
// the version that the conversation has, and waits for it. Errors: as for
// [Engine.Deliver]; class not found when there is no such conversation.
func (e *Engine) Do(ctx context.Context, id conversation.ConversationID, cmd conversation.Command) (conversation.Receipt, error) {
	return e.readable(ctx, func(done func(conversation.Receipt, error)) { e.DoAsync(id, cmd, done) })
}

// DeliverAsync is [Engine.Deliver] that calls done once: from an actor, or at
// once when it is refused here. done must not block.
func (e *Engine) DeliverAsync(in conversation.Inbound, done func(conversation.Receipt, error)) {
	now := time.Now()
	r := &request{msg: deliver{in: in}, done: done, ends: now.Add(e.o.RequestTimeout + in.Wait)}
	r.in = &r.msg.in
	r.enter(e.o.Flights, now)
	e.shards.submit(in.Contact[15], r)
}

// DoAsync is [Engine.Do] that calls done as [Engine.DeliverAsync] does.
func (e *Engine) DoAsync(id conversation.ConversationID, cmd conversation.Command, done func(conversation.Receipt, error)) {
	e.shards.submit(id[15], &request{id: id, cmd: cmd, done: done, ends: time.Now().Add(e.o.RequestTimeout)})
}

// tellConversation gives a command without waiting for what comes of it.
func (e *Engine) tellConversation(id conversation.ConversationID, cmd conversation.Command) {
	if err := e.gate.Tell(conversationID(id), &do{cmd: cmd}, nil); err != nil {
		e.log.Warn("conversation not told", "conversation_id", id.String(), "err", err)
	}
}

func await(ctx context.Context, start func(func(conversation.Receipt, error))) (conversation.Receipt, error) {
	type result struct {
		receipt conversation.Receipt
		err     error
	}
	c := make(chan result, 1)
	start(func(r conversation.Receipt, err error) { c <- result{r, err} })
	select {
	case r := <-c:
		return r.receipt, r.err
	case <-ctx.Done():
		return conversation.Receipt{}, &conversation.Error{Code: conversation.CodeUnknownOutcome, Detail: "no answer in time", Err: ctx.Err()}
	}
}

// Queue gives an inbox's waiting conversations and agents.
func (e *Engine) Queue(ctx context.Context, inbox conversation.InboxID) (*QueueView, error) {
	v, err := e.Request(ctx, queueID(inbox), &viewQuery{})
	if err != nil {
		return nil, err
	}
	view, ok := v.(*QueueView)
	if !ok {
		return nil, conversation.Refuse(conversation.CodeInternal, "the queue gave no view")
	}
	return view, nil
}

// Request asks a grain of any kind, such as one of Options.Kinds, and waits for
// its answer.
func (e *Engine) Request(ctx context.Context, id cluster.GrainID, msg any) (any, error) {
	return e.gate.Request(ctx, id, msg)
}

// Gate gives the way to the grains of this node.
func (e *Engine) Gate() Gate { return e.gate }
