package cluster

import (
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of what goes to one peer.
const (
	peerWindow   = 32 << 20 // cost of what was sent and not confirmed
	frameCost    = 64       // of a frame beside its bytes
	peerLinger   = time.Millisecond
	confirmAfter = 100 * time.Millisecond
	maxRunning   = 1 << 16          // requests of one peer that run here at once
	maxAnswered  = 4096             // answers that are kept for a peer that asks again
	answersBytes = 8 << 20          // and what they may take
	answerAge    = 15 * time.Second // and for how long
)

// peer is another node as this gate deals with it: what waits to go there, and
// what came from there.
//
// bound: peerWindow · when full: asks and tells are refused with class
// overloaded; answers go, they are bounded by what was asked · how it ends: with
// the member.
type peer struct {
	gate    *Gate
	id      NodeID
	address string

	mu struct {
		sync.Mutex
		waiting []byte
		frames  int
		flushed time.Time
		due     time.Time // when the next flush is arranged; zero = it is not
		sent    uint64    // cost so far
		passed  uint64    // of which the peer has confirmed
		heard   uint64    // the peer's sent, as far as it has come
		told    uint64    // and as far as the peer knows
	}
	inbound inbound
}

func newPeer(g *Gate, id NodeID, address string) *peer {
	p := &peer{gate: g, id: id, address: address}
	p.inbound.running = map[uint64]struct{}{}
	p.inbound.answered = map[uint64]answered{}
	return p
}

// push sends a frame: at once if the peer has confirmed everything before, else
// together with what comes until it does, for a millisecond at most. So a lone
// request does not wait, and a crowd travels in batches, which cost a fraction.
// Errors: class overloaded for new requests while the peer does not keep up.
func (p *peer) push(f *frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := uint64(f.size() + frameCost) //nolint:gosec // not negative
	asks := f.op == opAsk || f.op == opTell || f.op == opBroadcast
	if asks && p.mu.sent-p.mu.passed+uint64(len(p.mu.waiting))+cost > peerWindow {
		p.gate.node.metrics.remoteErrors.WithLabelValues("overload").Inc()
		return conversation.Refusef(conversation.CodeOverloaded, "node %s does not keep up", p.id)
	}
	p.mu.waiting = appendFrame(p.mu.waiting, f)
	p.mu.frames++
	now := time.Now()
	full := p.mu.frames >= maxBatchFrames || len(p.mu.waiting) >= maxBatchBytes
	if full || p.mu.passed == p.mu.sent || now.Sub(p.mu.flushed) >= peerLinger {
		p.flush(now)
		return nil
	}
	p.arrange(now, p.mu.flushed.Add(peerLinger))
	return nil
}

// arrange has what waits sent at a time, if not before. The peer is locked.
func (p *peer) arrange(now, at time.Time) {
	if !p.mu.due.IsZero() && !at.Before(p.mu.due) {
		return
	}
	p.mu.due = at
	time.AfterFunc(at.Sub(now), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.mu.due.Equal(at) {
			p.mu.due = time.Time{}
		}
		if p.mu.frames > 0 || p.mu.heard > p.mu.told {
			p.flush(time.Now())
		}
	})
}

// flush sends what waits, and how far the peer has been heard. The peer is
// locked, so that batches leave in order.
func (p *peer) flush(now time.Time) {
	p.mu.sent += uint64(len(p.mu.waiting) + p.mu.frames*frameCost) //nolint:gosec // not negative
	batch := make([]byte, 0, len(p.mu.waiting)+len(p.address)+128)
	batch = appendHeader(batch, header{from: p.gate.node.id, address: p.gate.address, sent: p.mu.sent, heard: p.mu.heard})
	batch = append(batch, p.mu.waiting...)
	p.mu.told, p.mu.flushed = p.mu.heard, now
	p.mu.waiting, p.mu.frames = p.mu.waiting[:0], 0
	if cap(p.mu.waiting) > maxBatchBytes {
		p.mu.waiting = nil
	}
	p.gate.node.carrier.Send(p.address, batch)
}

// hear takes the header of a batch that has come from the peer.
func (p *peer) hear(h header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.passed = min(max(p.mu.passed, h.heard), p.mu.sent)
	p.mu.heard = max(p.mu.heard, h.sent)
	now := time.Now()
	switch {
	case p.mu.heard-p.mu.told > peerWindow/4, p.mu.frames > 0 && p.mu.passed == p.mu.sent:
		p.flush(now)
	case p.mu.heard > p.mu.told:
		p.arrange(now, now.Add(confirmAfter))
	}
}

// forgive drops the account of what was under way on a connection that broke:
// it has arrived or never will.
func (p *peer) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.passed = p.mu.sent
}

// inbound knows the requests of a peer, so that a repeated one runs once.
type inbound struct {
	mu       sync.Mutex
	running  map[uint64]struct{}
	answered map[uint64]answered
	order    []uint64 // of the answers, the oldest first
	bytes    int
}

type answered struct {
	frame frame
	at    time.Time
}

// standing says what became of a request so far.
type standing int

const (
	requestNew standing = iota
	requestRunning
	requestAnswered
	requestExcess
)

// begin takes a request, or says that it is known.
func (i *inbound) begin(request uint64) (standing, frame) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if a, ok := i.answered[request]; ok {
		return requestAnswered, a.frame
	}
	if _, ok := i.running[request]; ok {
		return requestRunning, frame{}
	}
	if len(i.running) >= maxRunning {
		return requestExcess, frame{}
	}
	i.running[request] = struct{}{}
	return requestNew, frame{}
}

// drop forgets a request that did not run.
func (i *inbound) drop(request uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.running, request)
}

// finish keeps the answer for a while, in case it gets lost on its way.
func (i *inbound) finish(request uint64, f frame, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.running, request)
	i.answered[request] = answered{f, now}
	i.order = append(i.order, request)
	i.bytes += f.size()
	i.trim(now)
}

// trim forgets answers that are too many, too large or too old.
func (i *inbound) trim(now time.Time) {
	n := 0
	for _, request := range i.order {
		a := i.answered[request]
		if len(i.answered) <= maxAnswered && i.bytes <= answersBytes && now.Sub(a.at) < answerAge {
			break
		}
		i.bytes -= a.frame.size()
		delete(i.answered, request)
		n++
	}
	i.order = i.order[n:]
}

func (i *inbound) age(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trim(now)
}
