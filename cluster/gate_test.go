package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// counter adds up what it is told and remembers the order.
type counter struct {
	id    string
	seen  *ledger
	block chan struct{}
	last  int
}

type ledger struct {
	sync.Mutex

	got     map[string][]int
	rests   int
	started int
}

type (
	add  struct{ n int }
	boom struct{ times *atomic.Int32 }
)

func (c *counter) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.seen.Lock()
		c.seen.started++
		c.seen.Unlock()
	case *Passivate:
		c.seen.Lock()
		c.seen.rests++
		c.seen.Unlock()
	case add:
		if c.block != nil {
			<-c.block
		}
		c.last += m.n
		c.seen.Lock()
		c.seen.got[c.id] = append(c.seen.got[c.id], m.n)
		c.seen.Unlock()
		if ctx.Sender() != nil {
			ctx.Respond(c.last)
		}
	case boom:
		if m.times.Add(-1) >= 0 {
			panic("boom")
		}
		ctx.Respond("survived")
	}
}

func newTestGate(t *testing.T, k Kind, seen *ledger, block chan struct{}) *Gate {
	t.Helper()
	k.Name = "counter"
	k.New = func(id string) actor.Actor { return &counter{id: id, seen: seen, block: block} }
	log := slog.New(slog.DiscardHandler)
	system := NewSystem(log)
	g, err := NewGate(Options{
		System: system, View: SingleNode("a"), Kinds: []Kind{k}, Logger: log, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Drain(ctx); err != nil {
			t.Errorf("Drain = %v", err)
		}
		system.Shutdown()
	})
	return g
}

func TestRequestStartsTheGrainAndAnswers(t *testing.T) {
	t.Parallel()
	seen := &ledger{got: map[string][]int{}}
	g := newTestGate(t, Kind{}, seen, nil)
	for i, want := range []int{2, 4} {
		got, err := g.Request(t.Context(), GrainID{"counter", "x"}, add{2})
		if err != nil || got != want {
			t.Fatalf("request %d = %v, %v, want %d", i, got, err, want)
		}
	}
	if n := g.Active("counter"); n != 1 {
		t.Errorf("Active = %d, want 1", n)
	}
	if _, err := g.Request(t.Context(), GrainID{"nobody", "x"}, add{1}); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("unknown kind: %v, want class not found", err)
	}
}

func TestFullMailboxRefuses(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	g := newTestGate(t, Kind{Mailbox: 3}, &ledger{got: map[string][]int{}}, block)
	id := GrainID{"counter", "x"}
	for i := range 3 {
		if err := g.Tell(id, add{1}, nil); err != nil {
			t.Fatalf("tell %d: %v", i, err)
		}
	}
	if err := g.Tell(id, add{1}, nil); !errors.Is(err, conversation.ErrOverloaded) {
		t.Errorf("fourth message: %v, want class overloaded", err)
	}
	if got := testutil.ToFloat64(g.metrics.overloaded); got != 1 {
		t.Errorf("overloads counted = %v, want 1", got)
	}
	close(block)
}

func TestRequestGivesUpAtItsDeadline(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	g := newTestGate(t, Kind{}, &ledger{got: map[string][]int{}}, block)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Request(ctx, GrainID{"counter", "x"}, add{1}); !errors.Is(err, conversation.ErrUnknown) {
		t.Errorf("Request = %v, want class outcome unknown", err)
	}
	close(block)
}

func TestOnePanicIsSurvivedTwoArePutAside(t *testing.T) {
	t.Parallel()
	seen := &ledger{got: map[string][]int{}}
	var parked []*Parked
	g := newTestGate(t, Kind{}, seen, nil)
	g.onParked = func(p *Parked) { parked = append(parked, p) }
	id := GrainID{"counter", "x"}
	once := &atomic.Int32{}
	once.Store(1)
	if got, err := g.Request(t.Context(), id, boom{once}); err != nil || got != "survived" {
		t.Errorf("one panic: %v, %v, want the answer of the second try", got, err)
	}
	always := &atomic.Int32{}
	always.Store(1 << 20)
	_, err := g.Request(t.Context(), id, boom{always})
	if p := (*Parked)(nil); !errors.As(err, &p) || !errors.Is(err, conversation.ErrInternal) || p.Reason != "panic with a string" {
		t.Errorf("two panics: %v, want *Parked without the panic's text", err)
	}
	if got, err := g.Request(t.Context(), id, add{5}); err != nil || got != 5 {
		t.Errorf("after parking: %v, %v, want a fresh grain that answers 5", got, err)
	}
	if len(parked) != 1 || testutil.ToFloat64(g.metrics.parked) != 1 || testutil.ToFloat64(g.metrics.restarts) != 2 {
		t.Errorf("parked %d, want 1; restarts counted %v, want 2", len(parked), testutil.ToFloat64(g.metrics.restarts))
	}
}

// Grains are put to rest all the time while four writers each send numbered
// messages to ten grains: nothing may be lost, doubled or reordered.
func TestPassivationLosesNothing(t *testing.T) {
	t.Parallel()
	const grains, each = 10, 300
	seen := &ledger{got: map[string][]int{}}
	g := newTestGate(t, Kind{Mailbox: 1 << 20}, seen, nil)
	var writers sync.WaitGroup
	for i := range grains {
		id := GrainID{"counter", fmt.Sprintf("g%d", i)}
		writers.Go(func() {
			for n := range each {
				if err := g.Tell(id, add{n}, nil); err != nil {
					t.Errorf("tell: %v", err)
					return
				}
				if n%7 == 0 {
					g.Passivate(id)
				}
			}
			if _, err := g.Request(t.Context(), id, add{each}); err != nil {
				t.Errorf("last request: %v", err)
			}
		})
	}
	writers.Wait()
	seen.Lock()
	defer seen.Unlock()
	for id, got := range seen.got {
		if len(got) != each+1 {
			t.Fatalf("grain %s saw %d messages, want %d", id, len(got), each+1)
		}
		for n, v := range got {
			if v != n {
				t.Fatalf("grain %s saw %d at place %d", id, v, n)
			}
		}
	}
	if seen.rests < grains {
		t.Errorf("only %d passivations happened, the test shows nothing", seen.rests)
	}
}

func TestSweepPutsIdleGrainsToRest(t *testing.T) {
	t.Parallel()
	seen := &ledger{got: map[string][]int{}}
	g := newTestGate(t, Kind{Idle: time.Minute}, seen, nil)
	if _, err := g.Request(t.Context(), GrainID{"counter", "x"}, add{1}); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(g.clock.Load(), 0)
	g.sweep(now.Add(59 * time.Second))
	if g.Active("counter") != 1 {
		t.Fatal("a grain was put to rest before its time")
	}
	deadline := time.Now().Add(time.Minute)
	for g.Active("counter") > 0 && time.Now().Before(deadline) {
		g.sweep(now.Add(61 * time.Second)) // once may be too soon: the answer leaves before the grain is done with the request
		<-time.After(time.Millisecond)
	}
	if n := g.Active("counter"); n != 0 {
		t.Errorf("Active = %d after the idle time, want 0", n)
	}
}

func TestDrainRefusesAndEmpties(t *testing.T) {
	t.Parallel()
	seen := &ledger{got: map[string][]int{}}
	g := newTestGate(t, Kind{}, seen, nil)
	for i := range 50 {
		if err := g.Tell(GrainID{"counter", fmt.Sprint(i)}, add{1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen.Lock()
	defer seen.Unlock()
	if len(seen.got) != 50 || seen.rests != 50 {
		t.Errorf("%d grains handled their message and %d were told to rest, want 50 and 50", len(seen.got), seen.rests)
	}
	if err := g.Tell(GrainID{"counter", "late"}, add{1}, nil); !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("after drain: %v, want class unavailable", err)
	}
}

func TestNewGateRefusesBadKinds(t *testing.T) {
	t.Parallel()
	ok := func(string) actor.Actor { return &counter{} }
	for name, kinds := range map[string][]Kind{
		"no name": {{New: ok}}, "no constructor": {{Name: "a"}}, "slash": {{Name: "a/b", New: ok}},
		"twice": {{Name: "a", New: ok}, {Name: "a", New: ok}},
	} {
		log := slog.New(slog.DiscardHandler)
		_, err := NewGate(Options{System: NewSystem(log), View: SingleNode("a"), Kinds: kinds, Logger: log, Registerer: prometheus.NewRegistry()})
		if !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("%s: %v, want class invalid", name, err)
		}
	}
}

func TestOwnersAreSpreadAndStable(t *testing.T) {
	t.Parallel()
	three := NewView("10.0.0.1", Member{ID: "10.0.0.1"}, Member{ID: "10.0.0.2"}, Member{ID: "10.0.0.3"})
	four := NewView("10.0.0.1", append([]Member{{ID: "10.0.0.4"}}, three.Members()...)...)
	drained := NewView("10.0.0.1", Member{ID: "10.0.0.1"}, Member{ID: "10.0.0.2"}, Member{ID: "10.0.0.3", Draining: true})
	count := map[NodeID]int{}
	moved := 0
	const n = 10_000
	for i := range n {
		id := GrainID{"conversation", fmt.Sprintf("cnv_%06d", i)}
		a, _ := three.Owner(id)
		b, _ := four.Owner(id)
		c, _ := drained.Owner(id)
		count[a.ID]++
		if a.ID != b.ID {
			moved++
			if b.ID != "10.0.0.4" {
				t.Fatalf("%v moved from %s to %s, though neither came nor went", id, a.ID, b.ID)
			}
		}
		if c.ID == "10.0.0.3" || a.ID != "10.0.0.3" && c.ID != a.ID {
			t.Fatalf("%v went from %s to %s when 3 drained", id, a.ID, c.ID)
		}
	}
	for id, got := range count {
		if got < n/3-n/30 || got > n/3+n/30 {
			t.Errorf("node %s owns %d of %d, want a third within 10 %%", id, got, n)
		}
	}
	if moved < n/4-n/40 || moved > n/4+n/40 {
		t.Errorf("%d of %d moved to the fourth node, want a quarter within 10 %%", moved, n)
	}
}
