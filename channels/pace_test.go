package channels

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestPaceAccountAndPeer(t *testing.T) {
	p := newPace(Limits{Account: Rate{PerSec: 10, Burst: 3}, Peer: Rate{PerSec: 1}})
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name  string
		after time.Duration
		peer  string
		wait  time.Duration
		scope Scope
	}{
		{"first", 0, "a", 0, ScopePeer},
		{"same peer", 0, "a", time.Second, ScopePeer},
		{"second of the burst", 0, "b", 0, ScopePeer},
		{"third of the burst", 0, "c", 0, ScopePeer},
		{"burst used", 0, "d", 100 * time.Millisecond, ScopeAccount},
		{"a tenth later", 100 * time.Millisecond, "d", 0, ScopePeer},
		{"and again used", 100 * time.Millisecond, "e", 100 * time.Millisecond, ScopeAccount},
		{"the peer, a little early", 999 * time.Millisecond, "a", time.Millisecond, ScopePeer},
		{"the peer, a second later", time.Second, "a", 0, ScopePeer},
	} {
		wait, scope := p.take(c.peer, now.Add(c.after))
		if wait != c.wait || wait > 0 && scope != c.scope {
			t.Errorf("%s: take = %s, %d, want %s, %d", c.name, wait, scope, c.wait, c.scope)
		}
	}
}

func TestPaceHold(t *testing.T) {
	p := newPace(Limits{Account: Rate{PerSec: 10, Burst: 3}})
	now := time.Unix(1000, 0)
	p.hold(ScopePeer, "a", now, time.Minute)
	if wait, scope := p.take("a", now); wait != time.Minute || scope != ScopePeer {
		t.Errorf("held peer: take = %s, %d, want 1m0s", wait, scope)
	}
	if wait, _ := p.take("b", now); wait != 0 {
		t.Errorf("other peer: take = %s, want 0", wait)
	}
	p.hold(ScopeAccount, "b", now, time.Hour)
	if wait, scope := p.take("c", now); wait != time.Hour || scope != ScopeAccount {
		t.Errorf("held account: take = %s, %d, want 1h0m0s", wait, scope)
	}
	p.hold(ScopeAccount, "b", now, time.Second)
	if wait, _ := p.take("c", now); wait != time.Hour {
		t.Errorf("a shorter hold: take = %s, want 1h0m0s as before", wait)
	}
}

func TestPaceIsBounded(t *testing.T) {
	p := newPace(Limits{Peer: Rate{PerSec: 1}})
	now := time.Unix(1000, 0)
	for i := range maxPeers {
		if wait, _ := p.take(strconv.Itoa(i), now); wait != 0 {
			t.Fatalf("peer %d waits %s", i, wait)
		}
	}
	if wait, _ := p.take("one more", now); wait == 0 {
		t.Error("a peer over the bound was let through without being remembered")
	}
	if wait, _ := p.take("one more", now.Add(2*time.Second)); wait != 0 {
		t.Errorf("after the others were forgotten: wait %s, want 0", wait)
	}
	if n := len(p.mu.peers); n != 1 {
		t.Errorf("%d peers remembered, want 1", n)
	}
}

// paced is a driver whose accounts have a rate of their own.
type paced struct {
	Driver

	rate atomic.Pointer[Rate] // nil = the usual one
}

func (*paced) Kind() conversation.ChannelKind { return conversation.ChannelEmail }
func (*paced) Limits() Limits                 { return Limits{} }

// Pace implements [Paced].
func (p *paced) Pace(context.Context, conversation.InboxID) (Rate, bool) {
	if r := p.rate.Load(); r != nil {
		return *r, true
	}
	return Rate{}, false
}

// The rate of an account is asked for before every send, so that a change is
// effective at once.
func TestPaceOfTheAccount(t *testing.T) {
	d := &paced{}
	c := newChannel(d, "shop", &shared{metrics: newMetrics(nil, nil)}, slog.New(slog.DiscardHandler))
	if err := c.waitForPace(t.Context(), "a"); err != nil {
		t.Fatalf("at the usual rate: %v", err)
	}
	d.rate.Store(&Rate{PerSec: 1.0 / 3600, Burst: 1})
	if err := c.waitForPace(t.Context(), "b"); err != nil {
		t.Fatalf("the first of the hour: %v", err)
	}
	if err := c.waitForPace(t.Context(), "c"); err == nil || err.Class != Limited || err.Scope != ScopeAccount || err.After < 50*time.Minute || !err.Idle {
		t.Errorf("the second: %+v, want it to wait for about an hour", err)
	}
}
