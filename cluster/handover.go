package cluster

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// The paces of giving grains up.
const (
	pastAge    = 30 * time.Second // a grain's former owners are asked so long after a change of the view
	cededAge   = 2 * time.Second  // and who gave it up refuses it so long to callers with an old view
	cedePerSec = 2_000            // grains that are stopped in a second
	cedeWithin = 10 * time.Second // and all of them in this time, however many there are
	cedeEvery  = 5 * time.Millisecond
	maxPast    = 16
)

// past are the views of the last half minute, the newest first.
type past struct {
	views []pastView
}

type pastView struct {
	view  *View
	until time.Time // when its successor came
}

// ceded says that a grain was given up while this node's own view still gave it
// the grain.
type ceded struct {
	view  *View
	until time.Time
}

func (sh *shard) isCeded(id GrainID, view *View) bool {
	c, ok := sh.mu.ceded[id]
	return ok && slices.Equal(c.view.hashes, view.hashes) && time.Now().Before(c.until)
}

func (sh *shard) forgetCeded(now time.Time) {
	for id, c := range sh.mu.ceded {
		if now.After(c.until) {
			delete(sh.mu.ceded, id)
		}
	}
}

// changed acts on a new view: requests to nodes that have left are sent on, and
// grains that belong elsewhere go there.
func (g *Gate) changed(before, now *View) {
	g.remember(before, now)
	g.view.Store(now)
	g.peers.Range(func(id, _ any) bool {
		if id, ok := id.(NodeID); ok {
			if _, still := now.Member(id); !still {
				g.peers.Delete(id)
			}
		}
		return true
	})
	g.orphaned(now)
	select {
	case g.ceding <- struct{}{}:
	default:
	}
	g.mu.Lock()
	watchers := slices.Clone(g.mu.watchers)
	g.mu.Unlock()
	for _, f := range watchers {
		f(before, now)
	}
}

// remember keeps the view of before, if grains move with the change.
func (g *Gate) remember(before, now *View) {
	if slices.Equal(before.hashes, now.hashes) {
		return
	}
	moment := time.Now()
	next := &past{views: []pastView{{before, moment}}}
	if old := g.past.Load(); old != nil {
		for _, v := range old.views {
			if moment.Sub(v.until) < pastAge && len(next.views) < maxPast {
				next.views = append(next.views, v)
			}
		}
	}
	g.past.Store(next)
}

func (g *Gate) agePast(now time.Time) {
	if p := g.past.Load(); p != nil && now.Sub(p.views[0].until) >= pastAge {
		g.past.CompareAndSwap(p, nil)
	}
}

// formerOwners lists the members that may have a grain still, from the time
// before it came to this node.
func (g *Gate) formerOwners(id GrainID) []Member {
	p := g.past.Load()
	if p == nil {
		return nil
	}
	view := g.view.Load()
	now := time.Now()
	var out []Member
	add := func(m Member) {
		if m.ID != view.Self() && !slices.ContainsFunc(out, func(o Member) bool { return o.ID == m.ID }) {
			out = append(out, m)
		}
	}
	for _, v := range p.views {
		if now.Sub(v.until) >= pastAge {
			break
		}
		owner, ok := v.view.Owner(id)
		if m, there := view.Member(owner.ID); ok && there {
			add(m)
		}
		if v.view.takesGrains() {
			continue
		}
		// This node was not among the owners then. It may have learned of the
		// others one by one, so that its own past views say nothing.
		for _, m := range view.Members() {
			if m.Serving && !m.Suspect {
				add(m)
			}
		}
	}
	return out
}

// requestRelease asks the former owners of a grain to give it up, and starts it
// when all have, or are late. It is called with the shard locked, so it works on
// a goroutine of its own.
func (g *Gate) requestRelease(c *cell, from []Member) {
	left := &atomic.Int32{}
	left.Store(int32(len(from))) //nolint:gosec // a handful
	outcome := &atomic.Pointer[string]{}
	outcome.Store(new("given"))
	go func() {
		for _, m := range from {
			g.askNode(m.ID, frame{op: opRelease, kind: c.id.Kind, id: c.id.ID}, func(_ any, err error) {
				if err != nil {
					// Whoever still has it is fenced by the journal when this one claims it.
					outcome.Store(new("unanswered"))
				}
				if left.Add(-1) == 0 {
					g.metrics.releases.WithLabelValues(*outcome.Load()).Inc()
					g.arrive(c)
				}
			})
		}
	}()
}

// askNode asks the gate of one node something of its own.
func (g *Gate) askNode(to NodeID, f frame, done func(answer any, err error)) {
	q := &ask{frame: f, deadline: time.Now().Add(attemptTimeout), done: done, fixed: true, target: to}
	g.asks.add(q)
	g.attempt(q)
}

// arrive starts a grain that its former owners have given up, with the messages
// that have waited for it.
func (g *Gate) arrive(c *cell) {
	kind := g.kinds[c.id.Kind]
	sh := g.shard(c.id)
	sh.mu.Lock()
	if sh.mu.cells[c.id] != c || !c.awaiting {
		sh.mu.Unlock()
		return
	}
	waiting, gone := c.held, c.gone
	c.awaiting, c.held, c.gone = false, nil, nil
	view := g.view.Load()
	stays := view.owns(c.id) && !sh.isCeded(c.id, view)
	var err error
	if stays {
		if err = g.spawn(sh, kind, c); err == nil {
			for _, h := range waiting {
				g.send(c, h.msg, h.sender)
			}
		}
	} else {
		delete(sh.mu.cells, c.id)
	}
	sh.mu.Unlock()
	for _, f := range gone {
		f()
	}
	if !stays {
		g.bounceAll(kind, c.id, waiting)
	} else if err != nil {
		g.refuseAll(waiting, err)
	}
}

// onRelease gives a grain up to a peer that owns it now. The answer goes when the
// grain has stopped.
func (g *Gate) onRelease(p *peer, f *frame) {
	state, before := p.inbound.begin(f.request)
	if state == requestAnswered {
		g.answer(p, &before)
	}
	if state != requestNew {
		return
	}
	id := GrainID{Kind: f.kind, ID: f.id}
	request := f.request
	given := func() {
		answer := frame{op: opAnswer, request: request}
		p.inbound.finish(request, answer, time.Now())
		g.answer(p, &answer)
	}
	sh := g.shard(id)
	sh.mu.Lock()
	now := time.Now()
	sh.mu.ceded[id] = ceded{view: g.view.Load(), until: now.Add(cededAge)}
	c := sh.mu.cells[id]
	var bounced []held
	switch {
	case c == nil:
	case c.awaiting:
		delete(sh.mu.cells, id)
		bounced, c.held = c.held, nil
	default:
		c.gone = append(c.gone, given)
		if c.running() {
			g.stop(c)
		}
		sh.mu.Unlock()
		return
	}
	sh.mu.Unlock()
	given()
	for _, h := range bounced {
		g.bounce(g.kinds[id.Kind], id, h)
	}
}

// runCeding stops grains that have moved, until ctx ends.
func (g *Gate) runCeding(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.ceding:
			g.cede(ctx)
		}
	}
}

// cede stops the grains that belong to other nodes now: some at a time, because
// each writes down what it has in memory. The ones that somebody asks for are
// given up at once, see onRelease.
func (g *Gate) cede(ctx context.Context) {
	moved := g.moved()
	if len(moved) == 0 {
		return
	}
	g.log.Info("grains move", "grains", len(moved))
	each := max(cedePerSec*int(cedeEvery)/int(time.Second), len(moved)*int(cedeEvery)/int(cedeWithin), 1)
	tick := time.NewTicker(cedeEvery)
	defer tick.Stop()
	for batch := range slices.Chunk(moved, each) {
		for _, id := range batch {
			if !g.Owns(id) {
				g.Passivate(id)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// moved lists the grains here that belong elsewhere.
func (g *Gate) moved() []GrainID {
	var out []GrainID
	for i := range g.cells {
		sh := &g.cells[i]
		sh.mu.Lock()
		view := g.view.Load()
		for id, c := range sh.mu.cells {
			if c.running() && !view.owns(id) {
				out = append(out, id)
			}
		}
		sh.mu.Unlock()
	}
	return out
}

// Cede waits until this node has no grains, after [Node.SetDraining]: they are
// put to rest some at a time, and messages for them go to their new owners. The
// gate goes on to ask grains of other nodes. Errors: those of ctx.
func (g *Gate) Cede(ctx context.Context) error {
	tick := time.NewTicker(cedeEvery)
	defer tick.Stop()
	for {
		n := 0
		for i := range g.cells {
			g.cells[i].mu.Lock()
			n += len(g.cells[i].mu.cells)
			g.cells[i].mu.Unlock()
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
