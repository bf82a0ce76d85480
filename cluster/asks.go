package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The paces of requests to other nodes.
const (
	attemptTimeout = time.Second // then the owner is asked again
	scanEvery      = 100 * time.Millisecond
	backoffFirst   = 5 * time.Millisecond
	backoffMost    = 160 * time.Millisecond
	askShards      = 16
)

// asks are the requests to other nodes that have no answer yet.
//
// bound: the window of each peer, and the callers' deadlines · how it ends: each
// with its answer or its deadline.
type asks struct {
	next   atomic.Uint64
	shards [askShards]struct {
		mu      sync.Mutex
		waiting map[uint64]*ask
	}
}

// ask is one request to another node.
type ask struct {
	frame    frame
	kind     *hosting // nil for the gate's own requests
	grain    GrainID
	msg      any
	deadline time.Time
	done     func(answer any, err error)
	fixed    bool // is for one node and no other

	// Guarded by the shard's lock.

	target   NodeID // whom it was sent to last; empty = nobody has it
	hint     NodeID // who owns the grain in the eyes of who refused it
	attempts int
	again    time.Time // when the next attempt is due
	open     int       // nodes that may have run it
}

func newAsks() *asks {
	a := &asks{}
	for i := range a.shards {
		a.shards[i].waiting = map[uint64]*ask{}
	}
	return a
}

func (a *asks) add(q *ask) {
	q.frame.request = a.next.Add(1)
	sh := &a.shards[q.frame.request%askShards]
	sh.mu.Lock()
	sh.waiting[q.frame.request] = q
	sh.mu.Unlock()
}

// take ends the wait for an answer, if it is still on.
func (a *asks) take(request uint64) *ask {
	sh := &a.shards[request%askShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	q := sh.waiting[request]
	delete(sh.waiting, request)
	return q
}

// pick lists the requests that match, with the shard locked.
func (a *asks) pick(match func(*ask) bool) []*ask {
	var out []*ask
	for i := range a.shards {
		sh := &a.shards[i]
		sh.mu.Lock()
		for _, q := range sh.waiting {
			if match(q) {
				out = append(out, q)
			}
		}
		sh.mu.Unlock()
	}
	return out
}

// update changes a request that still waits, and reports whether it does.
func (a *asks) update(q *ask, f func()) bool {
	sh := &a.shards[q.frame.request%askShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.waiting[q.frame.request] != q {
		return false
	}
	f()
	return true
}

func (a *asks) failAll(err error) {
	for _, q := range a.pick(func(*ask) bool { return true }) {
		if a.take(q.frame.request) != nil {
			q.done(nil, err)
		}
	}
}

// askAway asks a grain of another node.
func (g *Gate) askAway(kind *hosting, id GrainID, msg any, deadline time.Time, done func(any, error)) {
	if q := g.newAsk(kind, id, msg, deadline, done); q != nil {
		g.attempt(q)
	}
}

// askMoved asks a grain that is no longer here, a moment later: the one who has
// it now may not know of it yet.
func (g *Gate) askMoved(kind *hosting, id GrainID, msg any, deadline time.Time, done func(any, error)) {
	if q := g.newAsk(kind, id, msg, deadline, done); q != nil {
		g.retry(q, "moved")
	}
}

func (g *Gate) newAsk(kind *hosting, id GrainID, msg any, deadline time.Time, done func(any, error)) *ask {
	if g.node == nil {
		done(nil, conversation.Refuse(conversation.CodeUnavailable, "the grain belongs to another node"))
		return nil
	}
	payload, err := kind.encode(msg)
	if err != nil {
		done(nil, err)
		return nil
	}
	q := &ask{
		frame: frame{op: opAsk, kind: id.Kind, id: id.ID, payload: payload},
		kind:  kind, grain: id, msg: msg, deadline: deadline, done: done,
	}
	g.asks.add(q)
	return q
}

// attempt sends a request to whom it belongs to now.
func (g *Gate) attempt(q *ask) {
	view := g.view.Load()
	now := time.Now()
	if !now.Before(q.deadline) {
		g.late(q)
		return
	}
	var to Member
	here := false
	waits := g.asks.update(q, func() {
		to, here = q.choose(view)
		q.again = now.Add(attemptTimeout)
		if to.ID != "" && !here {
			q.attempts++
			if q.target != to.ID || q.open == 0 {
				q.target, q.open = to.ID, q.open+1
			}
		}
	})
	switch {
	case !waits:
	case here:
		if g.asks.take(q.frame.request) != nil {
			g.askHere(q.kind, q.grain, q.msg, q.deadline, q.done)
		}
	case to.ID == "" && q.fixed:
		g.fail(q, conversation.Refuse(conversation.CodeUnavailable, "the node has left"))
	case to.ID == "":
		g.retry(q, "nobody")
	default:
		g.dispatch(q, to)
		// Whoever sends on the requests to a member that has left looks for them
		// after the view has changed; this one may have come later.
		if now := g.view.Load(); now != view {
			g.orphan(q, now)
		}
	}
}

// choose finds the node to ask: the owner, or whom another node holds for it.
func (q *ask) choose(view *View) (to Member, here bool) {
	if q.fixed {
		to, _ = view.Member(q.target)
		return to, false
	}
	if m, ok := view.Member(q.hint); ok && q.hint != view.Self() {
		q.hint = ""
		return m, false
	}
	q.hint = ""
	to, _ = view.Owner(q.grain)
	return to, to.ID == view.Self()
}

func (g *Gate) dispatch(q *ask, to Member) {
	p, ok := g.peer(to)
	if !ok {
		g.retry(q, "nobody")
		return
	}
	f := q.frame
	f.millis = uint64(max(time.Until(q.deadline).Milliseconds(), 1))
	if err := p.push(&f); err != nil && q.attempts == 1 {
		g.fail(q, err)
	}
}

// retry tries again after a pause that grows.
func (g *Gate) retry(q *ask, why string) {
	pause := backoffMost
	waits := g.asks.update(q, func() {
		q.attempts++
		pause = min(backoffFirst<<min(q.attempts-1, 10), backoffMost)
		q.again = time.Now().Add(attemptTimeout)
	})
	if !waits {
		return
	}
	g.metrics.retries.WithLabelValues(why).Inc()
	time.AfterFunc(pause, func() { g.attempt(q) })
}

func (g *Gate) fail(q *ask, err error) {
	if g.asks.take(q.frame.request) != nil {
		q.done(nil, err)
	}
}

// late ends a request whose time is over.
func (g *Gate) late(q *ask) {
	open := 0
	if !g.asks.update(q, func() { open = q.open }) {
		return
	}
	if open > 0 {
		g.fail(q, conversation.Refuse(conversation.CodeUnknownOutcome, "no answer in time; send it again with the same id"))
		return
	}
	g.fail(q, conversation.Refuse(conversation.CodeUnavailable, "no node has taken the message in time"))
}

// onAnswer takes what a grain of another node said.
func (g *Gate) onAnswer(f *frame) {
	q := g.asks.take(f.request)
	if q == nil {
		return // answered before, or too late
	}
	if q.kind == nil {
		q.done(f.payload, nil)
		return
	}
	answer, err := q.kind.decode(f.payload)
	q.done(answer, err)
}

// onFailure takes the error that came instead.
func (g *Gate) onFailure(f *frame) {
	if q := g.asks.take(f.request); q != nil {
		q.done(nil, f.failure())
	}
}

// onNack hears that a node does not have the grain.
func (g *Gate) onNack(from NodeID, f *frame) {
	sh := &g.asks.shards[f.request%askShards]
	sh.mu.Lock()
	q := sh.waiting[f.request]
	if q == nil || q.target != from {
		sh.mu.Unlock()
		return // of an attempt before
	}
	q.open--
	if !q.fixed {
		q.target = ""
	}
	if f.node != from {
		q.hint = f.node
	}
	fixed := q.fixed
	sh.mu.Unlock()
	if fixed {
		g.fail(q, errMoved)
		return
	}
	g.retry(q, "nack")
}

// runAsks repeats requests that got no answer, until ctx ends.
func (g *Gate) runAsks(ctx context.Context) {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.asks.failAll(conversation.Refuse(conversation.CodeUnknownOutcome, "the node stopped while it waited for an answer"))
			return
		case now := <-tick.C:
			for _, q := range g.asks.pick(func(q *ask) bool { return now.After(q.again) || !now.Before(q.deadline) }) {
				g.metrics.retries.WithLabelValues("silence").Inc()
				g.attempt(q)
			}
			g.peers.Range(func(_, p any) bool {
				if p, ok := p.(*peer); ok {
					p.inbound.age(now)
				}
				return true
			})
		}
	}
}

// broken has requests to an address tried again: the connection has ended, and
// what was on it may be lost.
func (g *Gate) broken(address string) {
	var at NodeID
	for _, m := range g.view.Load().Members() {
		if m.Grains == address {
			at = m.ID
		}
	}
	if p, ok := g.peers.Load(at); ok {
		if p, ok := p.(*peer); ok {
			p.forgive()
		}
	}
	for _, q := range g.asks.pick(func(q *ask) bool { return at != "" && q.target == at }) {
		g.retry(q, "broken")
	}
}

// orphaned has requests to nodes that have left tried again at once.
func (g *Gate) orphaned(view *View) {
	for _, q := range g.asks.pick(func(q *ask) bool { return q.orphaned(view) }) {
		g.orphan(q, view)
	}
}

func (q *ask) orphaned(view *View) bool {
	_, there := view.Member(q.target)
	return q.target != "" && !there
}

func (g *Gate) orphan(q *ask, view *View) {
	gone := false
	if g.asks.update(q, func() { gone = q.orphaned(view) }) && gone {
		g.metrics.retries.WithLabelValues("left").Inc()
		g.attempt(q)
	}
}

// failureOf puts an error into a frame. Codes and details travel, causes do not:
// they may speak of things that are nobody else's business.
func failureOf(request uint64, err error) frame {
	f := frame{op: opFailure, request: request, kind: string(conversation.CodeOf(err))}
	var e *conversation.Error
	var p *Parked
	switch {
	case errors.As(err, &p):
		f.kind, f.id = string(conversation.CodeInternal), "the message could not be handled and was set aside"
	case errors.As(err, &e):
		f.id = e.Detail[:min(len(e.Detail), maxNameBytes)]
		f.millis = uint64(max(e.After.Milliseconds(), 0))
		f.payload = []byte(e.Hint)
	}
	return f
}

func (f *frame) failure() error {
	return &conversation.Error{
		Code: conversation.Code(f.kind), Detail: f.id, Hint: string(f.payload), After: time.Duration(min(f.millis, 1<<31)) * time.Millisecond,
	}
}
