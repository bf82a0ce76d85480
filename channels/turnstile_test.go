package channels

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestTurnstile(t *testing.T) {
	rate := Rate{PerSec: 10, Burst: 5}
	failed, taken := &Verdict{Class: Retry}, &Verdict{}
	for name, steps := range map[string][]struct {
		after time.Duration // since the beginning
		told  *Verdict
		ask   int // 0 = nobody asks
		want  Pass
	}{
		"the rate is one for all who ask": {
			{ask: 3, want: Pass{Sends: 3, For: passFor}},
			{ask: 3, want: Pass{Sends: 2, For: passFor}},
			{ask: 3, want: Pass{Wait: 100 * time.Millisecond}},
			{after: 200 * time.Millisecond, ask: 3, want: Pass{Sends: 2, For: passFor}},
		},
		"a provider that asks to wait is waited for": {
			{told: &Verdict{Class: Limited, Hold: time.Minute}},
			{ask: 1, want: Pass{Wait: time.Minute}},
			{after: time.Minute, ask: 3, want: Pass{Sends: 1, For: passFor}},
		},
		"five failures pause, one send at a time looks whether that is over": {
			{told: failed},
			{ask: 1, want: Pass{Sends: 1, For: passFor, Watched: true}},
			{told: failed},
			{told: failed},
			{told: failed},
			{told: failed},
			{ask: 2, want: Pass{Wait: breakerCooldown, Paused: true}},
			{after: 5 * time.Second, ask: 2, want: Pass{Sends: 1, For: passFor, Watched: true}},
			{after: 5 * time.Second, ask: 2, want: Pass{Wait: breakerProbing, Paused: true}},
			{after: 5 * time.Second, told: failed},
			{after: 6 * time.Second, ask: 2, want: Pass{Wait: 9 * time.Second, Paused: true}},
			{after: 15 * time.Second, ask: 2, want: Pass{Sends: 1, For: passFor, Watched: true}},
			{after: 15 * time.Second, told: taken},
			{after: 16 * time.Second, ask: 2, want: Pass{Sends: 2, For: passFor}},
		},
		"a look whose node is gone does not keep it shut": {
			{told: failed},
			{told: failed},
			{told: failed},
			{told: failed},
			{told: failed},
			{after: 5 * time.Second, ask: 1, want: Pass{Sends: 1, For: passFor, Watched: true}},
			{after: time.Minute, ask: 1, want: Pass{Wait: breakerProbing, Paused: true}},
			{after: 5*time.Second + probeWithin + 1, ask: 1, want: Pass{Sends: 1, For: passFor, Watched: true}},
		},
		"a success counts against the failures before it": {
			{told: failed},
			{told: failed},
			{told: failed},
			{told: failed},
			{told: taken},
			{told: failed},
			{ask: 1, want: Pass{Sends: 1, For: passFor, Watched: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stile Turnstile
			for i, s := range steps {
				now := time.Unix(1000, 0).Add(s.after)
				if s.told != nil {
					stile.Told(*s.told, now)
				}
				if s.ask == 0 {
					continue
				}
				if got := stile.Ask(rate, s.ask, now); got != s.want {
					t.Fatalf("step %d: Ask = %+v, want %+v", i, got, s.want)
				}
			}
		})
	}
	var open Turnstile
	if got := open.Ask(Rate{}, 1000, time.Unix(1000, 0)); got.Sends != passSends {
		t.Errorf("without a rate: %+v, want %d sends at once", got, passSends)
	}
}

// provider counts what three nodes send to it.
type provider struct {
	Driver

	failing atomic.Bool
	calls   atomic.Int64
}

func (*provider) Kind() conversation.ChannelKind { return conversation.ChannelTelegram }
func (*provider) Limits() Limits                 { return Limits{Account: Rate{PerSec: 10, Burst: 5}} }

// Send implements [Driver].
func (p *provider) Send(context.Context, Part) (string, error) {
	p.calls.Add(1)
	if p.failing.Load() {
		return "", &SendError{Class: Retry, Code: "http_503"}
	}
	return "1", nil
}

// holder keeps the turnstile of the one account for three nodes.
type holder struct {
	mu    sync.Mutex
	stile Turnstile
	asked int
	away  bool
}

var errAway = errors.New("away")

func (*holder) Nodes() int { return 3 }

// Ask implements [Turnstiles].
func (h *holder) Ask(_ context.Context, _ conversation.ChannelKind, _ conversation.InboxID, r Rate, n int) (Pass, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.away {
		return Pass{}, errAway
	}
	return h.stile.Ask(r, n, time.Now()), nil
}

// Tell implements [Turnstiles].
func (h *holder) Tell(_ context.Context, _ conversation.ChannelKind, _ conversation.InboxID, v Verdict) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away {
		return errAway
	}
	h.stile.Told(v, time.Now())
	return nil
}

// nodesOf gives the channel of the one account on each of three nodes.
func nodesOf(p *provider, h *holder) (nodes [3]*Channel) {
	for i := range nodes {
		nodes[i] = newChannel(p, "shop", &shared{
			metrics: newMetrics(nil, nil), turnstiles: h,
			paused: func(conversation.ChannelKind, conversation.InboxID) bool { return false },
		}, slog.New(slog.DiscardHandler))
	}
	return nodes
}

// sendFor has four senders of each node send all the time.
func sendFor(t *testing.T, nodes [3]*Channel, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range nodes {
		for range 4 {
			wg.Go(func() {
				for n := conversation.Seq(1); ctx.Err() == nil; n++ {
					if _, err := c.Send(ctx, conversation.Outbound{Peer: "p", Message: n, Text: "hello"}); err != nil {
						time.Sleep(100 * time.Millisecond) // in the bubble's time
					}
				}
			})
		}
	}
	wg.Wait()
}

// The rate of an account holds for all nodes together, also while its holder cannot be
// asked: then each goes by its share.
func TestThreeNodesShareTheRate(t *testing.T) {
	for name, away := range map[string]bool{"asked": false, "away": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, h := &provider{}, &holder{away: away}
				sendFor(t, nodesOf(p, h), time.Minute)
				// 10 a second and 5 at once. A node that finds the holder away has let some
				// through at the whole rate.
				if got := p.calls.Load(); got < 500 || got > 10*60+3*5+1 {
					t.Errorf("%d sends in a minute at 10 a second", got)
				}
				if h.asked == 0 {
					t.Error("the turnstile was never asked")
				}
			})
		})
	}
}

// What one node finds out about the provider holds for the others: while it fails, it
// gets one call for each pause, whatever the number of nodes is.
func TestThreeNodesShareThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := &provider{}, &holder{}
		nodes := nodesOf(p, h)
		p.failing.Store(true)
		for i := range breakerStrikes { // all of one node
			if _, err := nodes[0].Send(t.Context(), conversation.Outbound{Peer: "p", Message: conversation.Seq(i + 1), Text: "hello"}); ClassOf(err) != Retry {
				t.Fatalf("send %d = %v, want the provider's failure", i, err)
			}
		}
		for i, c := range nodes {
			var refused *SendError
			_, err := c.Send(t.Context(), conversation.Outbound{Peer: "q", Message: 100, Text: "hello"})
			if !errors.As(err, &refused) || refused.Code != "account_paused" || refused.After <= 0 {
				t.Errorf("node %d sends to a provider that fails: %v", i, err)
			}
			if to := c.Health().PausedTo; !to.After(time.Now()) {
				t.Errorf("node %d shows the account as paused until %v", i, to)
			}
		}
		p.calls.Store(0)
		sendFor(t, nodes, 36*time.Second) // pauses of 5, 10, 20 s: three looks at 5, 15 and 35 s
		if got := p.calls.Load(); got < 2 || got > 3 {
			t.Errorf("%d calls while the account was paused, want one behind each pause", got)
		}
		p.failing.Store(false)
		sendFor(t, nodes, 5*time.Minute)
		for i, c := range nodes {
			if _, err := c.Send(t.Context(), conversation.Outbound{Peer: "r", Message: 1000, Text: "hello"}); err != nil && ClassOf(err) != Limited {
				t.Errorf("node %d after the provider is back: %v", i, err)
			}
			if to := c.Health().PausedTo; to.After(time.Now()) {
				t.Errorf("node %d shows the account as paused until %v", i, to)
			}
		}
		if got := p.calls.Load(); got < 2000 {
			t.Errorf("%d sends in the five minutes after the provider was back", got)
		}
	})
}
