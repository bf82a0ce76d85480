package cluster

import (
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// peer finds or makes the books of another member.
func (g *Gate) peer(m Member) (*peer, bool) {
	if g.node == nil || m.Grains == "" || m.ID == g.node.id {
		return nil, false
	}
	if p, ok := g.peers.Load(m.ID); ok {
		p, ok := p.(*peer)
		return p, ok
	}
	made, _ := g.peers.LoadOrStore(m.ID, newPeer(g, m.ID, m.Grains))
	p, ok := made.(*peer)
	return p, ok
}

// receive takes a batch from another gate. It runs on the goroutine of the
// peer's stream, and nothing in it waits.
func (g *Gate) receive(batch []byte) {
	var p *peer
	var from header
	err := decodeBatch(batch, func(h header) bool {
		from = h
		m, known := g.view.Load().Member(h.from)
		if known {
			p, known = g.peer(m)
		}
		if known {
			p.hear(h)
		}
		return true
	}, func(f *frame) {
		if p == nil {
			g.turnAway(from, f)
			return
		}
		g.onFrame(p, f)
	})
	if err != nil {
		g.node.metrics.remoteErrors.WithLabelValues("frame").Inc()
		g.log.Warn("unreadable envelope", "member", string(from.from), "err", err)
	}
}

// turnAway answers requests of a node that is no member here: not yet, and then
// it asks again, or not any more, and then it should know.
func (g *Gate) turnAway(from header, f *frame) {
	answer := frame{op: opNack, request: f.request}
	switch {
	case g.node.steward.spoke(from.from, ""):
		answer.op = opEvicted
	case f.op != opAsk && f.op != opRelease && f.op != opLocate && f.op != opCount:
		return
	}
	b := appendHeader(nil, header{from: g.node.id, address: g.address})
	g.node.carrier.Send(from.address, appendFrame(b, &answer))
}

func (g *Gate) onFrame(p *peer, f *frame) {
	switch f.op {
	case opAsk:
		g.onAsk(p, f)
	case opTell:
		g.onTell(f)
	case opAnswer:
		g.onAnswer(f)
	case opFailure:
		g.onFailure(f)
	case opNack:
		g.onNack(p.id, f)
	case opRelease:
		g.onRelease(p, f)
	case opLocate:
		g.onLocate(p, f)
	case opCount:
		g.onCount(p, f)
	case opBroadcast:
		g.onBroadcast(p, f)
	case opEvicted:
		g.node.steward.take(news{Tombs: []tomb{{ID: g.node.id, Why: tombVoted}}})
	default: // of a newer version
	}
}

// onAsk runs a peer's request, once.
func (g *Gate) onAsk(p *peer, f *frame) {
	state, before := p.inbound.begin(f.request)
	switch state {
	case requestRunning:
		return // it only wanted to know whether we have it
	case requestAnswered:
		g.answer(p, &before)
		return
	case requestExcess:
		g.answer(p, new(failureOf(f.request, conversation.Refuse(conversation.CodeOverloaded, "too many requests of one node"))))
		return
	case requestNew:
	}
	id := GrainID{Kind: f.kind, ID: f.id}
	kind, err := g.open(id)
	if err == nil && !g.Owns(id) {
		err = errMoved
	}
	var msg any
	if err == nil {
		msg, err = kind.decode(f.payload)
	}
	if err != nil {
		g.reject(p, f.request, id, err)
		return
	}
	request := f.request
	deadline := time.Now().Add(time.Duration(min(f.millis, 1<<31)) * time.Millisecond)
	pid := g.replies.expect(deadline, func(answer any) { g.settle(p, request, kind, id, answer) })
	if err := g.deliver(kind, id, msg, pid); err != nil && g.replies.forget(pid.RequestId) {
		g.reject(p, request, id, err)
	}
}

// reject answers a request that did not reach its grain.
func (g *Gate) reject(p *peer, request uint64, id GrainID, err error) {
	p.inbound.drop(request)
	if errors.Is(err, errMoved) || g.closed.Load() {
		g.nack(p, request, id)
		return
	}
	g.answer(p, new(failureOf(request, err)))
}

// nack sends a request back, with the owner that this node's view names.
func (g *Gate) nack(p *peer, request uint64, id GrainID) {
	f := frame{op: opNack, request: request}
	if owner, ok := g.view.Load().Owner(id); ok {
		f.node = owner.ID
	}
	g.metrics.nacks.Inc()
	g.answer(p, &f)
}

// settle sends a grain's answer to the peer that asked, and keeps it for a while.
func (g *Gate) settle(p *peer, request uint64, kind *hosting, id GrainID, answer any) {
	var f frame
	if err, failed := answer.(error); failed {
		var undelivered *Undelivered
		if errors.As(err, &undelivered) {
			g.reject(p, request, id, undelivered.Err)
			return
		}
		f = failureOf(request, err)
	} else if payload, err := kind.encode(answer); err != nil {
		f = failureOf(request, err)
	} else {
		f = frame{op: opAnswer, request: request, payload: payload}
	}
	p.inbound.finish(request, f, time.Now())
	g.answer(p, &f)
}

// answer sends a frame that no window holds back.
func (g *Gate) answer(p *peer, f *frame) { _ = p.push(f) }

// onTell takes a message that wants no answer, or passes it on, once.
func (g *Gate) onTell(f *frame) {
	id := GrainID{Kind: f.kind, ID: f.id}
	kind, err := g.open(id)
	if err != nil {
		return
	}
	if !g.Owns(id) {
		g.passOn(id, f)
		return
	}
	msg, err := kind.decode(f.payload)
	if err != nil {
		g.node.metrics.remoteErrors.WithLabelValues("frame").Inc()
		return
	}
	if err := g.deliver(kind, id, msg, nil); errors.Is(err, errMoved) {
		g.passOn(id, f)
	}
}

func (g *Gate) passOn(id GrainID, f *frame) {
	owner, ok := g.view.Load().Owner(id)
	if !ok || f.node != "" {
		return
	}
	if next, ok := g.peer(owner); ok {
		g.answer(next, &frame{op: opTell, kind: f.kind, id: f.id, node: g.node.id, payload: f.payload})
	}
}

// Broadcast hands payload to the other members, at most once and perhaps not at
// all: it is for what is worth nothing a second later. Nothing is sent to a
// member that is behind with other messages.
func (g *Gate) Broadcast(topic string, payload []byte) {
	if g.node == nil || g.closed.Load() || len(payload) > maxMessageBytes || len(topic) > maxNameBytes {
		return
	}
	view := g.view.Load()
	for _, m := range view.Members() {
		if p, ok := g.peer(m); ok && m.ID != view.Self() && !m.Suspect && !p.behind() {
			_ = p.push(&frame{op: opBroadcast, kind: topic, payload: payload})
		}
	}
}

// behind reports whether so much waits for the peer that ephemera should not.
func (p *peer) behind() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.sent-p.mu.passed > peerWindow/4
}

// OnBroadcast has f called with what other members broadcast under a topic, on
// the goroutine of the sender's connection. f must not block, and copies what it
// keeps.
func (g *Gate) OnBroadcast(topic string, f func(from NodeID, payload []byte)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.topics[topic] = f
}

func (g *Gate) onBroadcast(p *peer, f *frame) {
	g.mu.Lock()
	take := g.mu.topics[f.kind]
	g.mu.Unlock()
	if take != nil {
		take(p.id, f.payload)
	}
}
