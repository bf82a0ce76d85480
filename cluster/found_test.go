package cluster_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

func TestFoundByTheLowestAndJoinedByTheRest(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{})
	type result struct {
		m     *clustertest.Machine
		peers []string
		err   error
	}
	results := make(chan result, 5)
	start := func(name string, expect int) {
		m := n.Boot(name)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
			defer cancel()
			peers, err := m.Node.Found(ctx, expect)
			results <- result{m, peers, err}
		}()
	}
	// The first machine of this network has no seeds, but expects two more.
	start("a", 3)
	start("b", 3)
	select {
	case r := <-results:
		t.Fatalf("%s goes on with two of three: %v, %v", r.m.Name, r.peers, r.err)
	case <-time.After(300 * time.Millisecond):
	}
	start("c", 3)
	first := <-results
	if first.err != nil || len(first.peers) != 0 {
		t.Fatalf("the first = %v, %v, want a founder", first.peers, first.err)
	}
	for _, m := range n.Machines() {
		if m.Node.ID() < first.m.Node.ID() {
			t.Errorf("%s founded, though %s has the lower id", first.m.Node.ID(), m.Node.ID())
		}
	}
	select {
	case r := <-results:
		t.Fatalf("%s goes on before there is a cluster: %v, %v", r.m.Name, r.peers, r.err)
	case <-time.After(100 * time.Millisecond):
	}
	first.m.Node.SetJournal("disk-1", "cluster-1")
	for range 2 {
		r := <-results
		if r.err != nil || !slices.Contains(r.peers, first.m.Node.LinkAddress()) {
			t.Errorf("%s = %v, %v, want to join %s", r.m.Name, r.peers, r.err, first.m.Node.LinkAddress())
		}
		r.m.Node.SetJournal("disk-"+r.m.Name, "cluster-1")
	}
	// One that comes later only ever joins.
	start("d", 0)
	if r := <-results; r.err != nil || len(r.peers) == 0 {
		t.Errorf("the latecomer = %v, %v, want nodes to join", r.peers, r.err)
	}
}

func TestFirstNodeFoundsAloneWhenItHasListened(t *testing.T) {
	t.Parallel()
	const listening = 200 * time.Millisecond
	n := clustertest.New(t, clustertest.Options{Change: func(_ string, o *cluster.NodeOptions) { o.Listening = listening }})
	a := n.Boot("a")
	for expect := range 2 {
		began := time.Now()
		peers, err := a.Node.Found(t.Context(), expect)
		if peers != nil || err != nil || time.Since(began) < listening {
			t.Errorf("Found(%d) = %v, %v after %v, want to found alone after %v", expect, peers, err, time.Since(began), listening)
		}
	}
}

// The first node of a cluster was told of nobody. When it has lost its disk and is
// started by the same command, it must not found a second cluster beside the one
// whose first node it was.
func TestFirstNodeThatLostItsDiskFindsItsCluster(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"by those that were told of it": true, "by those that knew it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := cluster.Endpoint{Listen: clustertest.LoopbackOfItsOwn() + ":0"}
			var seeds []string
			var lost atomic.Bool // the gossip goes on to send packets to the dead for half a minute; here it is later
			change := func(machine string, o *cluster.NodeOptions) {
				packets, first := o.Packets, at.Listen
				o.Packets = func(to string) bool { return lost.Load() && to == first || packets(to) }
				o.Seeds = seeds
				o.Listening = clustertest.Patience // it is heard long before, and need not be quick
				if machine == "first" {
					o.Seeds, o.Gossip = nil, at
				}
			}
			n := clustertest.New(t, clustertest.Options{Change: change})
			first := n.Boot("first")
			at.Listen = first.Node.GossipAddress()
			seeds = []string{at.Listen}
			others := []*clustertest.Machine{n.Boot("b"), n.Boot("c")}
			n.Settle()
			// The others start again, each knowing of the other: those that are told of
			// the first one when it is gone already, the rest while it is there.
			restart := func(seed ...string) {
				for i, name := range []string{"b", "c"} {
					seeds = append([]string{others[1-i].Node.GossipAddress()}, seed...)
					others[i].Kill()
					others[i] = n.Boot(name)
					n.Settle()
				}
			}
			if !told {
				restart()
			}
			lost.Store(true)
			first.Kill()
			without(n, first.Node.ID(), others...)
			if told {
				restart(at.Listen)
			}
			for _, m := range others {
				m.Node.SetJournal("disk of "+m.Name, "cluster-1")
			}
			peers, err := n.Boot("first").Node.Found(t.Context(), 0)
			if err != nil || len(peers) == 0 {
				t.Fatalf("Found = %v, %v, want nodes to join", peers, err)
			}
			for _, p := range peers {
				if p != others[0].Node.LinkAddress() && p != others[1].Node.LinkAddress() {
					t.Errorf("it would join by %s, want one of the others", p)
				}
			}
		})
	}
}

// Whoever has heard of a cluster founds none, though nobody of it answers any more.
func TestFirstNodeThatHeardOfAClusterFoundsNone(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Change: func(machine string, o *cluster.NodeOptions) {
		if machine == "first" {
			o.Listening = time.Nanosecond
		}
	}})
	first := n.Boot("first")
	other := n.Boot("other")
	other.Node.SetJournal("disk", "cluster-1")
	n.Await("it has heard of it", func() bool {
		m, ok := first.Gate.View().Member(other.Node.ID())
		return ok && m.Cluster != ""
	})
	if peers, err := first.Node.Found(t.Context(), 0); err != nil || len(peers) != 1 {
		t.Fatalf("Found = %v, %v, want the other", peers, err)
	}
	other.Kill()
	without(n, other.Node.ID(), first)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if peers, err := first.Node.Found(ctx, 0); err == nil {
		t.Errorf("Found = %v, want to wait for the cluster that it has heard of", peers)
	}
}
