package actors

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// The times of the way between nodes in tests.
const (
	hop          = time.Millisecond
	attemptTime  = time.Second
	attemptPause = 20 * time.Millisecond
)

// nodes are several engines over one journal, joined by gates that carry
// messages through the codecs.
type nodes struct {
	tb        testing.TB
	journal   *memory
	script    *script
	directory *directory
	post      *post
	options   func(*Options)
	ids       []cluster.NodeID
	all       map[cluster.NodeID]*simNode
	draining  map[cluster.NodeID]bool

	loseAnswer atomic.Int32 // so many answers between nodes get lost
}

// simNode is one engine. What it keeps of the journal may be behind, and it may
// be dead: then nothing leaves it and it can store nothing.
type simNode struct {
	n       *nodes
	id      cluster.NodeID
	engine  *Engine
	gate    *simGate
	system  *actor.ActorSystem
	stream  chan *conversation.Commit
	dead    atomic.Bool
	behind  atomic.Pointer[chan struct{}] // closed when it catches up
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newNodes(t *testing.T, count int, options func(*Options)) *nodes {
	t.Helper()
	n := &nodes{
		tb: t, journal: newMemory(), script: newScript(), directory: newDirectory(), post: &post{}, options: options,
		all: map[cluster.NodeID]*simNode{}, draining: map[cluster.NodeID]bool{},
	}
	n.journal.watch = n.publish
	for i := range count {
		n.ids = append(n.ids, cluster.NodeID(fmt.Sprintf("node-%c", 'a'+i)))
	}
	for _, id := range n.ids {
		n.all[id] = n.newNode(id)
	}
	for _, x := range n.all {
		x.run()
	}
	t.Cleanup(n.stop)
	return n
}

func (n *nodes) view(self cluster.NodeID) *cluster.View {
	var members []cluster.Member
	for _, id := range n.ids {
		members = append(members, cluster.Member{ID: id, Draining: n.draining[id]})
	}
	return cluster.NewView(self, members...)
}

func (n *nodes) newNode(id cluster.NodeID) *simNode {
	n.tb.Helper()
	log := slog.New(slog.DiscardHandler)
	x := &simNode{n: n, id: id, system: cluster.NewSystem(log), stream: make(chan *conversation.Commit, 1<<16)}
	copied := replica{n.journal, x}
	o := Options{
		System: x.system, Journal: copied, Index: copied, Lists: copied, Directory: n.directory, Classifier: n.script,
		Library: newShelf(), Sender: n.post, HTTP: http.DefaultClient, Key: make([]byte, 32), Logger: log, Registerer: prometheus.NewRegistry(),
		NewGate: func(c cluster.Options) (Gate, error) { return x.newGate(c) },
	}
	if n.options != nil {
		n.options(&o)
	}
	var err error
	if x.engine, err = New(o); err != nil {
		n.tb.Fatal(err)
	}
	return x
}

func (x *simNode) run() {
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.running.Go(func() { _ = x.engine.Run(ctx) })
	x.running.Go(func() {
		for c := range x.stream {
			if wait := x.behind.Load(); wait != nil {
				<-*wait
			}
			if !x.dead.Load() {
				x.engine.Committed(c)
			}
		}
	})
}

func (n *nodes) publish(c *conversation.Commit) {
	for _, x := range n.all {
		x.stream <- c
	}
}

func (n *nodes) stop() {
	for _, x := range n.all {
		x.catchUp()
	}
	for _, x := range n.all {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := x.engine.Stop(ctx); err != nil {
			n.tb.Errorf("Stop = %v", err)
		}
		cancel()
		x.cancel()
		close(x.stream)
		x.running.Wait()
		x.system.Shutdown()
	}
}

// change gives all living nodes a new view, one after the other.
func (n *nodes) change() {
	for _, id := range n.ids {
		n.all[id].gate.follow(n.view(id))
	}
}

// kill takes a node away, and then out of the view.
func (n *nodes) kill(id cluster.NodeID) {
	n.all[id].dead.Store(true)
	var left []cluster.NodeID
	for _, other := range n.ids {
		if other != id {
			left = append(left, other)
		}
	}
	n.ids = left
	n.change()
}

// drain has a node own nothing any more; it stays a member.
func (n *nodes) drain(id cluster.NodeID) {
	n.draining[id] = true
	n.change()
}

func (n *nodes) undrain(id cluster.NodeID) {
	delete(n.draining, id)
	n.change()
}

// ownerOf gives the living node that a grain belongs to, and another one.
func (n *nodes) ownerOf(id cluster.GrainID) (owner, other *simNode) {
	o, _ := n.view(n.ids[0]).Owner(id)
	for _, id := range n.ids {
		if id != o.ID {
			other = n.all[id]
		}
	}
	return n.all[o.ID], other
}

// fallBehind holds up what a node learns of the journal.
func (x *simNode) fallBehind() {
	c := make(chan struct{})
	x.behind.Store(&c)
}

func (x *simNode) catchUp() {
	if c := x.behind.Swap(nil); c != nil {
		close(*c)
	}
}

// replica is the journal as one node sees it.
type replica struct {
	*memory
	x *simNode
}

func (r replica) gone() error {
	if r.x.dead.Load() {
		return conversation.Refuse(conversation.CodeUnavailable, "no quorum")
	}
	return nil
}

// Claim implements [Journal].
func (r replica) Claim(ctx context.Context, id conversation.ConversationID) (uint64, error) {
	if err := r.gone(); err != nil {
		return 0, err
	}
	return r.memory.Claim(ctx, id)
}

// Append implements [Journal].
func (r replica) Append(ctx context.Context, a *conversation.Append) error {
	if err := r.gone(); err != nil {
		return err
	}
	err := r.memory.Append(ctx, a)
	if r.x.dead.Load() {
		return conversation.Refuse(conversation.CodeUnknownOutcome, "died meanwhile")
	}
	return err
}

// Entries implements [Index].
func (r replica) Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	if r.x.behind.Load() != nil {
		return nil, nil
	}
	return r.memory.Entries(ctx, id, after, limit)
}

// simGate routes by its view, to its own grains or through bytes to those of
// another node.
type simGate struct {
	*cluster.Gate

	x        *simNode
	kinds    map[string]cluster.Kind
	current  atomic.Pointer[cluster.View]
	watchers []func(before, now *cluster.View)

	mu     sync.Mutex
	hosted map[cluster.GrainID]struct{}
}

func (x *simNode) newGate(o cluster.Options) (*simGate, error) {
	g := &simGate{x: x, kinds: map[string]cluster.Kind{}, hosted: map[cluster.GrainID]struct{}{}}
	for _, k := range o.Kinds {
		g.kinds[k.Name] = k
	}
	g.current.Store(x.n.view(x.id))
	o.View = cluster.SingleNode(x.id) // hosts whatever is brought to it
	var err error
	g.Gate, err = cluster.NewGate(o)
	x.gate = g
	return g, err
}

// follow takes a new view: grains that belong to others are put to rest first.
func (g *simGate) follow(now *cluster.View) {
	before := g.current.Swap(now)
	g.mu.Lock()
	for id := range g.hosted {
		if !g.Owns(id) {
			g.Passivate(id)
			delete(g.hosted, id)
		}
	}
	g.mu.Unlock()
	for _, f := range g.watchers {
		f(before, now)
	}
}

// View implements [Gate].
func (g *simGate) View() *cluster.View { return g.current.Load() }

// OnView implements [Gate].
func (g *simGate) OnView(f func(before, now *cluster.View)) { g.watchers = append(g.watchers, f) }

// Owns implements [Gate].
func (g *simGate) Owns(id cluster.GrainID) bool { return ownedIn(g.View(), id) }

func (g *simGate) host(id cluster.GrainID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosted[id] = struct{}{}
}

// Tell implements [Gate].
func (g *simGate) Tell(id cluster.GrainID, msg any, sender *actor.PID) error {
	if g.Owns(id) {
		g.host(id)
		return g.Gate.Tell(id, msg, sender)
	}
	msg, err := g.through(id, msg)
	if err != nil {
		return err
	}
	time.AfterFunc(hop, func() {
		if to := g.peer(id); to != nil {
			to.host(id)
			_ = to.Gate.Tell(id, msg, nil)
		}
	})
	return nil
}

// peer gives the gate of a grain's node, if it lives and agrees.
func (g *simGate) peer(id cluster.GrainID) *simGate {
	owner, ok := g.View().Owner(id)
	if !ok || g.x.dead.Load() {
		return nil
	}
	x := g.x.n.all[owner.ID]
	if x == nil || x.dead.Load() || !x.gate.Owns(id) {
		return nil
	}
	return x.gate
}

// through is the way between nodes: bytes.
func (g *simGate) through(id cluster.GrainID, msg any) (any, error) {
	codec := g.kinds[id.Kind].Codec
	if codec == nil {
		return nil, conversation.Refusef(conversation.CodeUnavailable, "kind %s does not leave its node", id.Kind)
	}
	data, err := codec.Encode(msg)
	if err != nil {
		return nil, err
	}
	return codec.Decode(data)
}

// Ask implements [Gate]: attempts until one is answered.
func (g *simGate) Ask(id cluster.GrainID, msg any, deadline time.Time, done func(answer any, err error)) {
	if g.Owns(id) {
		g.host(id)
		g.Gate.Ask(id, msg, deadline, done)
		return
	}
	var once sync.Once
	answered := func(answer any, err error) { once.Do(func() { done(answer, err) }) }
	time.AfterFunc(hop, func() { g.attempt(id, msg, deadline, answered) })
}

func (g *simGate) attempt(id cluster.GrainID, msg any, deadline time.Time, done func(any, error)) {
	if time.Now().After(deadline) {
		done(nil, conversation.Refuse(conversation.CodeUnknownOutcome, "no answer in time"))
		return
	}
	var over atomic.Bool
	again := func(after time.Duration) {
		time.AfterFunc(after, func() {
			if over.CompareAndSwap(false, true) {
				g.attempt(id, msg, deadline, done)
			}
		})
	}
	to := g.peer(id)
	if g.Owns(id) {
		to = g // it has come here meanwhile
	}
	if to == nil {
		again(attemptPause)
		return
	}
	sent, err := g.through(id, msg)
	if err != nil {
		done(nil, err)
		return
	}
	again(attemptTime)
	to.host(id)
	to.Gate.Ask(id, sent, deadline, func(answer any, err error) {
		if to.x.dead.Load() || g.x.dead.Load() || g.x.n.loseAnswer.Add(-1) >= 0 || !over.CompareAndSwap(false, true) {
			return
		}
		if err == nil {
			answer, err = g.through(id, answer)
		} else {
			err = conversation.Refuse(conversation.CodeOf(err), "from another node")
		}
		if conversation.CodeOf(err) == conversation.CodeFenced && err != nil {
			over.Store(false)
			again(attemptPause)
			return
		}
		done(answer, err)
	})
}

// Request implements [Gate].
func (g *simGate) Request(ctx context.Context, id cluster.GrainID, msg any) (any, error) {
	type outcome struct {
		answer any
		err    error
	}
	c := make(chan outcome, 1)
	g.Ask(id, msg, time.Now().Add(10*time.Second), func(answer any, err error) { c <- outcome{answer, err} })
	select {
	case o := <-c:
		return o.answer, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// visitor gives an inbound message of contact n.
func visitor(n byte, text, ref string) conversation.Inbound {
	in := with(anna(text), ref, 0)
	in.Contact[0] = n
	return in
}

// send delivers a message as a client does: with the same ref, through one
// living node after the other, until it is acknowledged.
func (n *nodes) send(in conversation.Inbound) conversation.Receipt {
	n.tb.Helper()
	for i := range 60 {
		x := n.all[n.ids[i%len(n.ids)]]
		got, err := x.engine.Deliver(context.Background(), in)
		if err == nil {
			return got
		}
		if !conversation.CodeOf(err).Row().Retry {
			n.tb.Fatalf("Deliver(%s) = %v", in.Ref, err)
		}
		time.Sleep(attemptPause)
	}
	n.tb.Fatalf("Deliver(%s) was never acknowledged", in.Ref)
	return conversation.Receipt{}
}

func (n *nodes) do(x *simNode, id conversation.ConversationID, cmd conversation.Command) conversation.Receipt {
	n.tb.Helper()
	got, err := x.engine.Do(context.Background(), id, cmd)
	if err != nil {
		n.tb.Fatalf("Do(%T) = %v", cmd, err)
	}
	return got
}

func (n *nodes) queue(x *simNode) *QueueView {
	n.tb.Helper()
	v, err := x.engine.Queue(context.Background(), "desk")
	if err != nil {
		n.tb.Fatal(err)
	}
	return v
}

func (v *QueueView) presence(agent conversation.AgentID) conversation.Presence {
	for _, s := range v.Seats {
		if s.Agent == agent {
			return s.Presence
		}
	}
	return ""
}

func (x *simNode) presence(agent conversation.AgentID, p conversation.Presence, chosen time.Time) {
	x.engine.SetPresence(conversation.PresenceChange{
		Agent: agent, Presence: p, Inboxes: []conversation.InboxID{"desk"}, Capacity: 2, Chosen: chosen,
	})
}
