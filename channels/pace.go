package channels

import (
	"sync"
	"time"
)

// maxPeers bounds the memory of a pace. A peer is remembered only while it is
// being slowed down.
const maxPeers = 4096

// rule is a rate in the terms of the generic cell rate algorithm: a virtual
// clock advances by interval at each send and may run ahead by tolerance.
//
// Source: ITU-T I.371, annex A (virtual scheduling).
type rule struct {
	interval  time.Duration
	tolerance time.Duration
}

func (r Rate) rule() rule {
	if r.PerSec <= 0 {
		return rule{}
	}
	interval := time.Duration(float64(time.Second) / r.PerSec)
	return rule{interval: interval, tolerance: interval * time.Duration(max(r.Burst, 1)-1)}
}

// wait says how long until a send conforms, given the virtual clock.
func (r rule) wait(clock, now time.Time) time.Duration {
	return max(clock.Add(-r.tolerance).Sub(now), 0)
}

// advance gives the clock after a send.
func (r rule) advance(clock, now time.Time) time.Time {
	if clock.Before(now) {
		clock = now
	}
	return clock.Add(r.interval)
}

// pace holds the sends of one account to its rates, and remembers when the
// provider asked to wait.
type pace struct {
	peer rule

	mu struct {
		sync.Mutex

		account rule
		clock   time.Time
		peers   map[string]time.Time
	}
}

func newPace(l Limits) *pace {
	p := &pace{peer: l.Peer.rule()}
	p.mu.account = l.Account.rule()
	p.mu.peers = make(map[string]time.Time)
	return p
}

// set changes the rate of the account, of which this node has one of so many shares.
func (p *pace) set(r Rate, shares int) {
	account := r.rule()
	account.interval *= time.Duration(shares)
	account.tolerance /= time.Duration(shares)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.account = account
}

// take reserves a send to peer. If it would come too early it reserves nothing
// and says how long to wait, and because of whom.
func (p *pace) take(peer string, now time.Time) (time.Duration, Scope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ofAccount, ofPeer := p.mu.account.wait(p.mu.clock, now), p.peer.wait(p.mu.peers[peer], now)
	switch {
	case ofPeer > ofAccount:
		return ofPeer, ScopePeer
	case ofAccount > 0:
		return ofAccount, ScopeAccount
	}
	if p.peer.interval > 0 {
		if !p.room(peer, now) {
			return p.peer.interval, ScopeAccount
		}
		p.mu.peers[peer] = p.peer.advance(p.mu.peers[peer], now)
	}
	p.mu.clock = p.mu.account.advance(p.mu.clock, now)
	return 0, ScopePeer
}

// hold lets nothing through for a while.
func (p *pace) hold(scope Scope, peer string, now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := now.Add(wait)
	if scope == ScopePeer && p.room(peer, now) {
		if clock := until.Add(p.peer.tolerance); clock.After(p.mu.peers[peer]) {
			p.mu.peers[peer] = clock
		}
		return
	}
	if clock := until.Add(p.mu.account.tolerance); clock.After(p.mu.clock) {
		p.mu.clock = clock
	}
}

// room reports whether peer may be remembered, after forgetting those whose
// clock has been passed. The caller holds mu.
func (p *pace) room(peer string, now time.Time) bool {
	if _, known := p.mu.peers[peer]; known || len(p.mu.peers) < maxPeers {
		return true
	}
	for name, clock := range p.mu.peers {
		if !clock.After(now) {
			delete(p.mu.peers, name)
		}
	}
	return len(p.mu.peers) < maxPeers
}
