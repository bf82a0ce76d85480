package cluster_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

// without waits until the views of machines lack a run, and says how long it
// took.
func without(n *clustertest.Network, id cluster.NodeID, at ...*clustertest.Machine) time.Duration {
	began := time.Now()
	n.Await("the member is out of the views", func() bool {
		for _, m := range at {
			if _, there := m.Gate.View().Member(id); there {
				return false
			}
		}
		return true
	})
	return time.Since(began)
}

func TestKilledMemberIsOutAtOnceAndNoRequestFails(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b", "c")
	l := startLoad(ms[0], 200, 4)
	l.more(n, 400)
	ms[2].Kill()
	took := without(n, ms[2].Node.ID(), ms[0], ms[1])
	l.more(n, 400)
	l.end(t)
	t.Logf("view changed after %v", took)
}

func TestFrozenMemberIsVotedOutAndLearnsIt(t *testing.T) {
	t.Parallel()
	books := newTally()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(books, 0, nil)})
	ms := n.Start("a", "b", "c")
	l := startLoad(ms[0], 200, 4)
	l.more(n, 400)
	n.Freeze("c")
	took := without(n, ms[2].Node.ID(), ms[0], ms[1])
	t.Logf("view changed after %v", took)
	l.more(n, 400)
	l.end(t)
	if took < time.Second {
		t.Errorf("a frozen process was a member for %v, want the patience of the gossip, 2 to 4 s", took)
	}
	select {
	case <-ms[2].Node.Evicted():
		t.Fatal("the frozen node knows already")
	default:
	}
	n.Heal()
	began := time.Now()
	select {
	case <-ms[2].Node.Evicted():
	case <-time.After(clustertest.Patience):
		t.Fatal("the thawed node does not learn that it was evicted")
	}
	t.Logf("learned after %v", time.Since(began))
	n.Await("the thawed node stops its grains", func() bool { return ms[2].Gate.Active("adder") == 0 })
	if _, err := ms[2].Gate.Request(t.Context(), grain(t, ms[0], "adder", "x"), count{"late"}); err == nil {
		t.Error("an evicted node answers")
	}
}

func TestPartitionLeavesTheMajorityAtWork(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b", "c")
	l := startLoad(ms[0], 200, 4)
	l.more(n, 400)
	n.Cut("c")
	took := without(n, ms[2].Node.ID(), ms[0], ms[1])
	t.Logf("view changed after %v", took)
	l.more(n, 400)
	l.end(t)
	n.Await("the minority holds the others for silent", func() bool {
		suspects := 0
		for _, m := range ms[2].Gate.View().Members() {
			if m.Suspect {
				suspects++
			}
		}
		return suspects == 2
	})
	if got := len(ms[2].Gate.View().Members()); got != 3 {
		t.Errorf("the minority has a view of %d, it may evict nobody", got)
	}
	n.Heal()
	select {
	case <-ms[2].Node.Evicted():
	case <-time.After(clustertest.Patience):
		t.Fatal("the minority does not learn that it was evicted")
	}
	for _, m := range ms[:2] {
		select {
		case <-m.Node.Evicted():
			t.Errorf("%s was evicted, it was in the majority", m.Name)
		default:
		}
	}
	// The process starts again, as a new run.
	ms[2].Kill()
	n.Start("c")
}

func TestShortPartitionEvictsNobody(t *testing.T) {
	t.Parallel()
	var lost atomic.Int64
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil), Change: func(_ string, o *cluster.NodeOptions) {
		o.Profile = cluster.Careful // whose patience outlasts a machine that stalls
		packets := o.Packets
		o.Packets = func(to string) bool {
			gone := packets(to)
			if gone {
				lost.Add(1)
			}
			return gone
		}
	}})
	ms := n.Start("a", "b", "c")
	n.Cut("c")
	n.Await("the partition is felt", func() bool { return lost.Load() > 0 })
	n.Heal()
	n.Settle()
	evictedNobody(t, ms)
}

// Neither half is a majority, and the votes of both together, which all hear of
// after the partition, are none against anybody.
func TestPartitionIntoHalvesEvictsNobody(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b", "c", "d")
	n.Cut("c", "d")
	for i, m := range ms {
		n.Await(m.Name+" holds the other half for silent", func() bool {
			v := m.Gate.View()
			for j, other := range ms {
				seen, there := v.Member(other.Node.ID())
				if !there || seen.Suspect != (i < 2 != (j < 2)) {
					return false
				}
			}
			return true
		})
	}
	n.Heal()
	n.Settle()
	evictedNobody(t, ms)
}

func evictedNobody(t *testing.T, ms []*clustertest.Machine) {
	t.Helper()
	for _, m := range ms {
		select {
		case <-m.Node.Evicted():
			t.Errorf("%s was evicted", m.Name)
		default:
		}
	}
}

// Every node was cut off from every other, and each has voted against both of them.
// When they hear each other again the votes of the cut are no majority against
// anybody: they all run.
func TestVotesOfACutIsolatingAllEvictNobody(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b", "c")
	n.Cut("a")
	n.Cut("b")
	n.Cut("c")
	n.Await("each has voted against both others", func() bool {
		return !slices.ContainsFunc(ms, func(m *clustertest.Machine) bool { return m.Node.VotesCast() < 2 })
	})
	n.Heal()
	evicted := func(m *clustertest.Machine) bool {
		select {
		case <-m.Node.Evicted():
			return true
		default:
			return false
		}
	}
	n.Await("all hear each other again", func() bool {
		return slices.ContainsFunc(ms, evicted) || !slices.ContainsFunc(ms, func(m *clustertest.Machine) bool {
			members := m.Gate.View().Members()
			return len(members) != len(ms) || slices.ContainsFunc(members, func(o cluster.Member) bool { return o.Suspect }) || m.Node.VotesCast() > 0
		})
	})
	for _, m := range ms {
		if evicted(m) {
			t.Errorf("%s was evicted", m.Name)
		}
	}
}

// checkDoubled fails the test when grains were active on two nodes at once. A
// machine that stands still for longer than an attempt may take is given up on:
// what it had starts elsewhere, and the journal keeps it out. Such grains are
// counted by those who took them over.
func checkDoubled(t *testing.T, books *tally, ms []*clustertest.Machine) {
	t.Helper()
	givenUpOn := 0.0
	for _, m := range ms {
		families, err := m.Metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, v := range f.GetMetric() {
				if f.GetName() == "colloquy_grain_releases_total" && v.GetLabel()[0].GetValue() == "unanswered" {
					givenUpOn += v.GetCounter().GetValue()
				}
			}
		}
	}
	if d := books.doubled(); float64(d) > givenUpOn {
		t.Errorf("%d grains were active on two nodes at once, of which %v had been given up on", d, givenUpOn)
	}
}

func TestJoinMovesGrainsOnceAndFailsNoRequest(t *testing.T) {
	t.Parallel()
	books := newTally()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(books, 20*time.Millisecond, nil)})
	ms := n.Start("a", "b")
	l := startLoad(ms[0], 100, 16)
	l.more(n, 400)
	ms = append(ms, n.Start("c")...)
	n.Await("grains have moved", func() bool { return ms[2].Gate.Active("adder") > 5 })
	l.more(n, 400)
	l.end(t)
	checkDoubled(t, books, ms)
}

func TestDrainMovesGrainsOnceAndFailsNoRequest(t *testing.T) {
	t.Parallel()
	books := newTally()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(books, 5*time.Millisecond, nil)})
	ms := n.Start("a", "b", "c")
	l := startLoad(ms[0], 300, 16)
	l.more(n, 900)
	began := time.Now()
	if err := ms[2].Leave(t.Context()); err != nil {
		t.Errorf("Leave = %v", err)
	}
	t.Logf("left after %v", time.Since(began))
	without(n, ms[2].Node.ID(), ms[0], ms[1])
	l.more(n, 400)
	l.end(t)
	checkDoubled(t, books, ms)
	if got := ms[2].Gate.Active("adder"); got != 0 {
		t.Errorf("the node left with %d grains", got)
	}
}

func TestTwoNodesEvictOnlyTheDead(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b")
	n.Cut("b")
	for i, m := range ms {
		n.Await("each holds the other for silent", func() bool {
			other, there := m.Gate.View().Member(ms[1-i].Node.ID())
			return there && other.Suspect
		})
	}
	n.Heal()
	n.Settle()
	ms[1].Kill()
	took := without(n, ms[1].Node.ID(), ms[0])
	t.Logf("view changed after %v", took)
}

func TestTwoNodesGoOnAfterOneDied(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b")
	l := startLoad(ms[0], 100, 4)
	l.more(n, 200)
	ms[1].Kill()
	took := without(n, ms[1].Node.ID(), ms[0])
	t.Logf("view changed after %v", took)
	l.more(n, 200)
	l.end(t)
}

func TestRestartOnTheSameAddressReplacesTheRunBefore(t *testing.T) {
	t.Parallel()
	any0 := cluster.Endpoint{Listen: clustertest.LoopbackOfItsOwn() + ":0"}
	fixed := map[string]cluster.Endpoint{"gossip": any0, "link": any0, "grains": any0}
	change := func(machine string, o *cluster.NodeOptions) {
		if machine == "c" {
			o.Gossip, o.Link, o.Grains = fixed["gossip"], fixed["link"], fixed["grains"]
		}
	}
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil), Change: change})
	ms := n.Start("a", "b", "c")
	l := startLoad(ms[0], 200, 4)
	l.more(n, 400)
	fixed["gossip"] = cluster.Endpoint{Listen: ms[2].Node.GossipAddress()}
	fixed["link"] = cluster.Endpoint{Listen: ms[2].Node.LinkAddress()}
	fixed["grains"] = cluster.Endpoint{Listen: ms[2].Node.GrainsAddress()}
	ms[2].Kill()
	again := n.Start("c")[0]
	without(n, ms[2].Node.ID(), ms[0], ms[1], again)
	l.more(n, 400)
	l.end(t)
	now, before := again.Node.Member(), ms[2].Node.Member()
	if now.Gossip != before.Gossip || now.Address != before.Address || now.Grains != before.Grains {
		t.Errorf("the restarted node is at %s, %s and %s, want %s, %s and %s",
			now.Gossip, now.Address, now.Grains, before.Gossip, before.Address, before.Grains)
	}
}

// A run ends while a node joins that never saw it: the others hold it for a member,
// and cannot vote it out without the one that joined.
func TestRunThatEndedBesideANewcomerIsVotedOut(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{})
	ms := n.Start("a", "b", "newcomer")
	const ended = cluster.NodeID("ended")
	host := clustertest.LoopbackOfItsOwn()
	for _, m := range ms[:2] {
		m.Node.SeeEnded(ended, host+":1", host+":2", host+":3")
	}
	for _, m := range ms {
		n.Await(m.Name+" holds it for gone", func() bool { return m.Node.Buried(ended) })
		if got := len(m.Gate.View().Members()); got != 3 {
			t.Errorf("%s has %d members, want 3", m.Name, got)
		}
	}
}
