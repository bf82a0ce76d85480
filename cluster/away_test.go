package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
	"github.com/colloquyhq/colloquy/conversation"
)

func pair(t *testing.T, books *tally, gate chan struct{}) (*clustertest.Network, []*clustertest.Machine) {
	t.Helper()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(books, 0, gate)})
	return n, n.Start("a", "b")
}

func TestAskReachesTheOwnerWhereverItIs(t *testing.T) {
	t.Parallel()
	_, ms := pair(t, newTally(), nil)
	lives := map[string]int{}
	for i := range 100 {
		id := cluster.GrainID{Kind: "adder", ID: fmt.Sprint(i)}
		var first any
		for _, m := range ms {
			got, err := m.Gate.Request(t.Context(), id, where{})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = got
			}
			if got != first {
				t.Fatalf("%v lives at %v and at %v", id, first, got)
			}
		}
		name, ok := first.(string)
		if !ok {
			t.Fatalf("the answer is a %T", first)
		}
		lives[name]++
	}
	if lives["a"] < 20 || lives["b"] < 20 {
		t.Errorf("grains are at %v, want them spread", lives)
	}
	if got := ms[0].Gate.Counts()["adder"]; got != lives["a"] {
		t.Errorf("a counts %d grains, want %d", got, lives["a"])
	}
	census := ms[0].Gate.Census(t.Context())
	for _, m := range ms {
		if got := census[m.Node.ID()]["adder"]; got != lives[m.Name] {
			t.Errorf("census of %s = %d, want %d", m.Name, got, lives[m.Name])
		}
	}
}

func TestErrorsTravel(t *testing.T) {
	t.Parallel()
	_, ms := pair(t, newTally(), nil)
	id := grain(t, ms[1], "adder", "e")
	_, err := ms[0].Gate.Request(t.Context(), id, refuse{})
	var e *conversation.Error
	if !errors.As(err, &e) || e.Code != conversation.CodeAlreadyClaimed || e.Detail != "claimed by somebody" || !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("refusal = %v, want the grain's own", err)
	}
	if _, err := ms[0].Gate.Request(t.Context(), cluster.GrainID{Kind: "nobody", ID: "x"}, refuse{}); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("unknown kind = %v, want class not found at once", err)
	}
	hermit := grain(t, ms[1], "hermit", "h")
	if _, err := ms[0].Gate.Request(t.Context(), hermit, where{}); !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(err.Error(), "codec") {
		t.Errorf("kind without a codec = %v, want a clear refusal", err)
	}
	if err := ms[0].Gate.Tell(hermit, where{}, nil); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("tell to a kind without a codec = %v, want class invalid", err)
	}
	if got, err := ms[1].Gate.Request(t.Context(), hermit, where{}); err != nil || got != "b" {
		t.Errorf("on its own node: %v, %v", got, err)
	}
	if _, err := ms[0].Gate.Request(t.Context(), id, strings.Repeat("x", 2<<20)); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("two megabytes = %v, want class too large", err)
	}
	if _, err := ms[0].Gate.Request(t.Context(), id, struct{}{}); err == nil {
		t.Error("a message without a code was sent")
	}
}

// A slow grain is asked every second whether it has the request, and runs it
// once.
func TestSlowRequestRunsOnce(t *testing.T) {
	t.Parallel()
	books, gate := newTally(), make(chan struct{})
	n, ms := pair(t, books, gate)
	id := grain(t, ms[1], "adder", "s")
	got := make(chan any, 1)
	began := time.Now()
	ms[0].Gate.Ask(id, wait{}, time.Now().Add(time.Minute), func(answer any, err error) {
		if err != nil {
			answer = err
		}
		got <- answer
	})
	n.Await("the request is repeated twice", func() bool { return time.Since(began) > 2200*time.Millisecond })
	close(gate)
	if v := <-got; v != 1 {
		t.Errorf("the answer is %v, want 1", v)
	}
	if v, err := ms[0].Gate.Request(t.Context(), id, count{"next"}); err != nil || v != 2 {
		t.Errorf("the next is number %v, %v, want 2: the slow one ran once", v, err)
	}
}

// Answers are lost by a cut while the owner works: the repeated request gets the
// answer from memory.
func TestLostAnswerIsRepeatedNotRun(t *testing.T) {
	t.Parallel()
	books, gate := newTally(), make(chan struct{})
	n, ms := pair(t, books, gate)
	id := grain(t, ms[1], "adder", "l")
	if _, err := ms[0].Gate.Request(t.Context(), id, where{}); err != nil {
		t.Fatal(err)
	}
	got := make(chan any, 1)
	ms[0].Gate.Ask(id, wait{}, time.Now().Add(time.Minute), func(answer any, err error) {
		if err != nil {
			answer = err
		}
		got <- answer
	})
	n.Await("the owner has the request", func() bool {
		books.mu.Lock()
		defer books.mu.Unlock()
		return books.begun[id.ID] == 1
	})
	n.Cut("b")
	close(gate)
	n.Await("the request has run", func() bool {
		books.mu.Lock()
		defer books.mu.Unlock()
		return books.counts[id.ID] == 1
	})
	n.Heal()
	if v := <-got; v != 1 {
		t.Errorf("the answer is %v, want 1", v)
	}
	books.mu.Lock()
	defer books.mu.Unlock()
	if c := books.counts[id.ID]; c != 1 {
		t.Errorf("the request ran %d times", c)
	}
}

func TestAskGivesUpAtItsDeadline(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	n, ms := pair(t, newTally(), gate)
	defer close(gate)
	id := grain(t, ms[1], "adder", "d")
	got := make(chan error, 1)
	began := time.Now()
	ms[0].Gate.Ask(id, wait{}, began.Add(300*time.Millisecond), func(_ any, err error) { got <- err })
	if err := <-got; !errors.Is(err, conversation.ErrUnknown) {
		t.Errorf("Ask = %v, want class outcome unknown", err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("gave up after %v, want 300 ms", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ms[0].Gate.Request(ctx, id, count{"x"}); !errors.Is(err, conversation.ErrUnknown) {
		t.Errorf("Request = %v, want class outcome unknown", err)
	}
	_ = n
}

func TestTellGoesOutAndAnswersComeBack(t *testing.T) {
	t.Parallel()
	books := newTally()
	n, ms := pair(t, books, nil)
	id := grain(t, ms[1], "adder", "t")
	for i := range 200 {
		if err := ms[0].Gate.Tell(id, count{fmt.Sprint(i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	n.Await("all messages have come", func() bool {
		books.mu.Lock()
		defer books.mu.Unlock()
		return books.counts[id.ID] == 200
	})
	answers := make(chan any, 1)
	pid := ms[0].System.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case int, *cluster.Undelivered:
			answers <- m
		}
	}))
	if err := ms[0].Gate.Tell(id, count{"with sender"}, pid); err != nil {
		t.Fatal(err)
	}
	if v := <-answers; v != 201 {
		t.Errorf("the sender gets %v, want 201", v)
	}
	if err := ms[0].Gate.Tell(id, struct{}{}, pid); err != nil {
		t.Fatal(err)
	}
	if v, ok := (<-answers).(*cluster.Undelivered); !ok || v.Message != struct{}{} {
		t.Errorf("the sender gets %v, want what was not delivered", v)
	}
}

func TestMailboxBoundHoldsForOtherNodes(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	_, ms := pair(t, newTally(), gate)
	id := grain(t, ms[1], "adder", "m")
	const asked = 1100
	errs := make(chan error, asked)
	for range asked {
		ms[0].Gate.Ask(id, wait{}, time.Now().Add(time.Minute), func(_ any, err error) { errs <- err })
	}
	for range asked - 1024 {
		if err := <-errs; !errors.Is(err, conversation.ErrOverloaded) {
			t.Errorf("beyond the mailbox: %v, want class overloaded", err)
		}
	}
	close(gate)
	for range 1024 {
		if err := <-errs; err != nil {
			t.Errorf("within the mailbox: %v", err)
		}
	}
}

func TestBroadcastReachesTheOthers(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{})
	var mu sync.Mutex
	heard := map[string][]string{}
	var ms []*clustertest.Machine
	for _, name := range []string{"a", "b", "c"} {
		m := n.Boot(name)
		m.Gate.OnBroadcast("typing", func(from cluster.NodeID, payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			heard[name] = append(heard[name], string(from)+":"+string(payload))
		})
		ms = append(ms, m)
	}
	n.Settle()
	ms[0].Gate.Broadcast("typing", []byte("anna"))
	ms[0].Gate.Broadcast("unknown", []byte("x"))
	n.Await("both others have heard it", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(heard["b"]) == 1 && len(heard["c"]) == 1
	})
	mu.Lock()
	defer mu.Unlock()
	if want := string(ms[0].Node.ID()) + ":anna"; heard["b"][0] != want || len(heard["a"]) != 0 {
		t.Errorf("heard %v, want %q at the others only", heard, want)
	}
}

func TestOnlyServingMembersOwnGrains(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	a, b := n.Boot("a"), n.Boot("b")
	n.Settle()
	id := cluster.GrainID{Kind: "adder", ID: "x"}
	if owner, ok := a.Gate.View().Owner(id); !ok || owner.ID == "" {
		t.Error("nobody serves, and nobody owns: a cluster could not start")
	}
	b.Node.SetServing(cluster.Serving)
	n.Settle()
	for i := range 50 {
		if !b.Gate.Owns(cluster.GrainID{Kind: "adder", ID: fmt.Sprint(i)}) {
			t.Fatal("a node that does not serve owns a grain")
		}
	}
	changes := make(chan int, 16)
	a.Gate.OnView(func(_, now *cluster.View) { changes <- len(now.Members()) })
	a.Node.SetServing(cluster.Serving)
	n.Settle()
	if len(changes) == 0 {
		t.Error("OnView was not told")
	}
	a.Node.SetDraining()
	b.Node.SetDraining()
	n.Settle()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := a.Gate.Request(ctx, id, where{}); err == nil {
		t.Error("a cluster that drains starts a grain")
	}
}

func TestStrangersDoNotBecomeMembers(t *testing.T) {
	t.Parallel()
	change := func(machine string, o *cluster.NodeOptions) {
		switch machine {
		case "key":
			o.Key = cluster.NewKey()
		case "name":
			o.Name = "another"
		case "old":
			o.Version = "0.8.0"
		case "next":
			o.Version = "1.1.0"
		}
	}
	n := clustertest.New(t, clustertest.Options{Change: change})
	home := n.Boot("home")
	home.Node.SetJournal("disk", "cluster-1")
	for _, name := range []string{"key", "name", "old"} {
		n.Boot(name)
	}
	foreign := n.Boot("foreign")
	n.Boot("next")
	foreign.Node.SetJournal("other disk", "cluster-2")
	n.Await("the one that fits is a member, and the one of another cluster is none", func() bool {
		v := home.Gate.View()
		_, other := v.Member(foreign.Node.ID())
		return len(v.Members()) == 2 && !other
	})
	for _, m := range home.Gate.View().Members() {
		if m.Version != "1.0.0" && m.Version != "1.1.0" {
			t.Errorf("a member has version %s", m.Version)
		}
	}
}

// A name among the seeds stands for all its addresses, some of which may be dead,
// and is looked up until it is known.
func TestASeedsNameStandsForAllItsAddresses(t *testing.T) {
	t.Parallel()
	host, nobody := clustertest.LoopbackOfItsOwn(), clustertest.LoopbackOfItsOwn()
	var n *clustertest.Network
	var home *clustertest.Machine
	var asked atomic.Int32
	change := func(machine string, o *cluster.NodeOptions) {
		if machine == "home" {
			o.Gossip.Listen = net.JoinHostPort(host, "0")
			return
		}
		_, port, err := net.SplitHostPort(home.Node.GossipAddress())
		if err != nil {
			t.Error(err)
		}
		o.Seeds = []string{net.JoinHostPort("nodes.example", port)}
		o.Resolve = func(_ context.Context, name string) ([]string, error) {
			switch {
			case name != "nodes.example":
				return nil, fmt.Errorf("asked for %s", name)
			case asked.Add(1) == 1:
				return nil, errors.New("no such host yet")
			}
			return []string{nobody, host}, nil
		}
	}
	n = clustertest.New(t, clustertest.Options{Change: change})
	home = n.Boot("home")
	guest := n.Boot("guest")
	n.Await("they know each other", func() bool {
		return len(home.Gate.View().Members()) == 2 && len(guest.Gate.View().Members()) == 2
	})
	if asked.Load() < 2 {
		t.Errorf("the name was looked up %d times, want until it was known", asked.Load())
	}
}
