package cluster

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
)

// errMoved says that a grain does not belong to this node. It never reaches
// those who ask: they are sent on.
var errMoved = conversation.Refuse(conversation.CodeUnavailable, "the grain belongs to another node")

// cell is the gate's record of one grain.
type cell struct {
	id       GrainID
	name     string // of the actor
	pid      *actor.PID
	inflight atomic.Int32 // messages accepted and not yet handled
	used     atomic.Int64 // unix seconds of the last message

	// The rest is guarded by the shard's lock.

	stopping bool
	awaiting bool     // not started: the node that had the grain has not given it up yet
	held     []held   // messages that came while stopping or awaiting
	gone     []func() // called when the grain has stopped
}

type held struct {
	msg    any
	sender *actor.PID
}

// deliver puts a message into the mailbox of a grain of this node. Errors:
// errMoved; class overloaded.
func (g *Gate) deliver(kind *hosting, id GrainID, msg any, sender *actor.PID) error {
	sh := g.shard(id)
	sh.mu.Lock()
	// Judged under the lock: whoever gives grains up after a change of the view
	// sees all that were started before it.
	if view := g.view.Load(); !view.owns(id) || len(sh.mu.ceded) > 0 && sh.isCeded(id, view) {
		sh.mu.Unlock()
		return errMoved
	}
	c := sh.mu.cells[id]
	if c == nil {
		var err error
		if c, err = g.activate(sh, kind, id); err != nil {
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
	if c.stopping || c.awaiting {
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

// activate makes the cell of a grain, and starts the grain, unless another node
// may have it still. The shard is locked.
func (g *Gate) activate(sh *shard, kind *hosting, id GrainID) (*cell, error) {
	// Each activation has a name of its own, because the library frees the name
	// of a stopped actor only some time after it said that it stopped.
	c := &cell{id: id, name: id.String() + "#" + strconv.FormatUint(g.activations.Add(1), 36)}
	if from := g.formerOwners(id); len(from) > 0 {
		c.awaiting = true
		sh.mu.cells[id] = c
		g.requestRelease(c, from)
		return c, nil
	}
	return c, g.spawn(sh, kind, c)
}

// spawn starts the grain of a cell. The shard is locked.
func (g *Gate) spawn(sh *shard, kind *hosting, c *cell) error {
	sh.mu.cells[c.id] = c // the actor looks its cell up here when it starts, once the shard is free
	pid, err := g.system.Root.SpawnNamed(kind.props, c.name)
	if err != nil {
		delete(sh.mu.cells, c.id)
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the grain could not be started", Err: err}
	}
	c.pid = pid
	kind.active.Add(1)
	g.metrics.activations.WithLabelValues(kind.Name).Inc()
	g.metrics.active.WithLabelValues(kind.Name).Set(float64(kind.active.Load()))
	return nil
}

// sweep puts grains to rest that are idle. The mark and the last message are
// set under the shard's lock, so nothing can slip between them.
func (g *Gate) sweep(now time.Time) {
	for i := range g.cells {
		sh := &g.cells[i]
		sh.mu.Lock()
		for id, c := range sh.mu.cells {
			idle := g.kinds[id.Kind].Idle
			if idle > 0 && c.running() && c.inflight.Load() == 0 && now.Unix()-c.used.Load() >= int64(idle/time.Second) {
				g.stop(c)
			}
		}
		sh.forgetCeded(now)
		sh.mu.Unlock()
	}
}

// running reports whether the grain's actor takes messages.
func (c *cell) running() bool { return !c.stopping && !c.awaiting }

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
	if c := sh.mu.cells[id]; c != nil && c.running() {
		g.stop(c)
	}
}

// stopAll puts every grain to rest that is not on its way there, and counts
// those that are left.
func (g *Gate) stopAll() int {
	n := 0
	for i := range g.cells {
		sh := &g.cells[i]
		var bounced []held
		sh.mu.Lock()
		for id, c := range sh.mu.cells {
			if c.awaiting {
				delete(sh.mu.cells, id)
				bounced = append(bounced, c.held...)
			}
			if c.running() {
				g.stop(c)
			}
		}
		n += len(sh.mu.cells)
		sh.mu.Unlock()
		g.refuseAll(bounced, conversation.Refuse(conversation.CodeShuttingDown, "the node takes no more messages"))
	}
	return n
}

// stopped takes a grain off the books. Messages that came meanwhile go to its
// successor in their order, here or, if it has moved, on another node.
func (g *Gate) stopped(c *cell) {
	kind := g.kinds[c.id.Kind]
	sh := g.shard(c.id)
	sh.mu.Lock()
	if sh.mu.cells[c.id] != c {
		sh.mu.Unlock()
		return
	}
	delete(sh.mu.cells, c.id)
	kind.active.Add(-1)
	g.metrics.passivated.WithLabelValues(kind.Name).Inc()
	g.metrics.active.WithLabelValues(kind.Name).Set(float64(kind.active.Load()))
	waiting, gone := c.held, c.gone
	view := g.view.Load()
	stays := view.owns(c.id) && !sh.isCeded(c.id, view)
	var err error
	if stays && len(waiting) > 0 {
		err = g.succeed(sh, kind, c)
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

// bounceAll sends the messages that waited for a grain after it; it has moved.
// The shard is not locked.
func (g *Gate) bounceAll(kind *hosting, id GrainID, waiting []held) {
	for _, h := range waiting {
		g.bounce(kind, id, h)
	}
}

// refuseAll tells the senders of messages that they were not delivered.
func (g *Gate) refuseAll(waiting []held, err error) {
	for _, h := range waiting {
		g.refuse(h, err)
	}
}

// succeed starts the successor of a grain with the messages that wait for it.
// The shard is locked.
func (g *Gate) succeed(sh *shard, kind *hosting, c *cell) error {
	next, err := g.activate(sh, kind, c.id)
	if err != nil {
		return err
	}
	next.inflight.Add(int32(len(c.held))) //nolint:gosec // bounded by the mailbox
	next.used.Store(g.clock.Load())
	if next.awaiting {
		next.held = c.held
		return nil
	}
	for _, h := range c.held {
		g.send(next, h.msg, h.sender)
	}
	return nil
}

// refuse tells the sender of a message that it was not delivered.
func (g *Gate) refuse(h held, err error) {
	if h.sender != nil {
		g.system.Root.Send(h.sender, &Undelivered{Message: h.msg, Err: err})
	}
}

// bounce sends a message on to where its grain has moved.
func (g *Gate) bounce(kind *hosting, id GrainID, h held) {
	if h.sender != nil && h.sender.Id == g.replies.pid.Id {
		g.refuse(h, errMoved) // whoever asks knows what to do
		return
	}
	if err := g.tellAway(kind, id, h.msg, h.sender); err != nil {
		g.refuse(h, err)
	}
}

// grainOf reads the name of an actor.
func (h *hosting) grainOf(actorName string) GrainID {
	id := strings.TrimPrefix(actorName, h.Name+"/")
	if i := strings.LastIndexByte(id, '#'); i >= 0 {
		id = id[:i]
	}
	return GrainID{Kind: h.Name, ID: id}
}

// cellOf finds the cell of an actor that has just started, by its name.
func (g *Gate) cellOf(kind *hosting, name string) *cell {
	grain := kind.grainOf(name)
	sh := g.shard(grain)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.mu.cells[grain]; c != nil && c.name == name {
		return c
	}
	return &cell{id: grain, name: name}
}
