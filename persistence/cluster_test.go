package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// testCluster is a cluster in one process: disks, network and what gossip would
// tell are in memory.
type testCluster struct {
	t      testing.TB
	net    *memNet
	timing Timing
	change func(*Options) // of every node's options; nil = none
	mu     sync.Mutex
	nodes  map[string]*testNode // by address

	installs atomic.Int64 // snapshots that nodes had taken when they were halted
}

// testNode is a place in the cluster: an address and the disk that is there now.
type testNode struct {
	address string
	fs      *vfs.MemFS
	store   *Store // nil while it is down
	stop    context.CancelFunc
	ended   chan error
}

func newTestCluster(t testing.TB) *testCluster {
	t.Helper()
	c := &testCluster{
		t: t, net: newMemNet(), nodes: make(map[string]*testNode),
		timing: Timing{Heartbeat: 150 * time.Millisecond, Election: 150 * time.Millisecond, Lease: 120 * time.Millisecond},
	}
	t.Cleanup(func() {
		for _, n := range c.all() {
			c.halt(n)
		}
	})
	return c
}

func (c *testCluster) all() []*testNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*testNode, 0, len(c.nodes))
	for _, n := range c.nodes {
		out = append(out, n)
	}
	return out
}

func (c *testCluster) addressList() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]string, 0, len(c.nodes))
	for a := range c.nodes {
		out = append(out, a)
	}
	return out
}

// live is what gossip would say.
func (c *testCluster) live() []Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Peer
	for _, n := range c.nodes {
		if n.store != nil {
			out = append(out, Peer{Node: n.store.identity.Node, Address: n.address})
		}
	}
	return out
}

func (c *testCluster) options(n *testNode) Options {
	o := testOptions(n.fs)
	o.Logger = slog.New(slog.DiscardHandler)
	if testing.Verbose() && os.Getenv("JOURNAL_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", n.address)
	}
	o.Fatal = func(reason string) { c.t.Errorf("%s: fatal: %s", n.address, reason) }
	o.Cluster = &ClusterOptions{
		Network: c.net.at(n.address), Address: n.address, Timing: c.timing, Peers: c.live, Version: "v1.2.0",
		Join: func(context.Context, Identity) ([]string, error) {
			var out []string
			for _, p := range c.live() {
				out = append(out, p.Address)
			}
			return out, nil
		},
	}
	if c.change != nil {
		c.change(&o)
	}
	return o
}

// start opens the node at an address, on its disk or on an empty one.
func (c *testCluster) start(ctx context.Context, address string) (*testNode, error) {
	c.mu.Lock()
	n := c.nodes[address]
	if n == nil {
		n = &testNode{address: address, fs: vfs.NewCrashableMem()}
		c.nodes[address] = n
	}
	c.mu.Unlock()
	c.net.revive(address)
	s, err := OpenContext(ctx, c.options(n))
	if err != nil {
		return n, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.store = s
	run, stop := context.WithCancel(context.Background())
	n.stop, n.ended = stop, make(chan error, 1)
	go func() { n.ended <- s.Run(run) }()
	return n, nil
}

func (c *testCluster) mustStart(address string) *testNode {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := c.start(ctx, address)
	if err != nil {
		c.t.Fatalf("start %s: %v", address, err)
	}
	return n
}

// halt ends a node as its process's end does: its disk stays.
func (c *testCluster) halt(n *testNode) {
	c.mu.Lock()
	s := n.store
	n.store = nil
	c.mu.Unlock()
	if s == nil {
		return
	}
	c.net.kill(n.address)
	n.stop()
	<-n.ended
	if err := s.Close(); err != nil && !s.halt.failed() {
		c.t.Errorf("%s: Close = %v", n.address, err)
	}
	c.installs.Add(int64(counted(c.t, s)))
}

// installed is how many snapshots the nodes have taken from one another.
func (c *testCluster) installed() int {
	total := int(c.installs.Load())
	for _, n := range c.all() {
		if n.store != nil {
			total += int(counted(c.t, n.store))
		}
	}
	return total
}

// grow starts so many nodes and waits until all of them vote.
func (c *testCluster) grow(n int) []*testNode {
	c.t.Helper()
	var out []*testNode
	for i := range n {
		out = append(out, c.mustStart(fmt.Sprintf("n%d", i+1)))
	}
	c.awaitVoters(n)
	return out
}

func (c *testCluster) awaitVoters(n int) {
	c.t.Helper()
	waitFor(c.t, func() bool {
		for _, node := range c.all() {
			if node.store == nil {
				continue
			}
			if h := node.store.Health(context.Background()); h.Voters != n || !h.Quorum {
				return false
			}
		}
		return true
	})
}

func (c *testCluster) leader() *testNode {
	c.t.Helper()
	var lead *testNode
	waitFor(c.t, func() bool {
		for _, n := range c.all() {
			if n.store != nil && n.store.Leads() {
				lead = n
				return true
			}
		}
		return false
	})
	return lead
}

func (c *testCluster) follower() *testNode {
	c.t.Helper()
	return c.otherThan(c.leader())
}

// otherThan gives a node that runs and is not this one: a test that wants a
// leader and a follower asks once who leads, because that may change.
func (c *testCluster) otherThan(lead *testNode) *testNode {
	c.t.Helper()
	for _, n := range c.all() {
		if n != lead && n.store != nil {
			return n
		}
	}
	c.t.Fatal("there is no other node")
	return nil
}

// agree waits until all nodes hold the same state and compares it.
func (c *testCluster) agree() {
	c.t.Helper()
	waitFor(c.t, func() bool {
		var first StateHash
		for i, n := range c.all() {
			if n.store == nil {
				continue
			}
			h, err := n.store.StateHash(context.Background())
			if err != nil {
				c.t.Fatal(err)
			}
			if i == 0 || first.Index == 0 {
				first = h
			}
			if h.Index != first.Index {
				return false
			}
			if h.Sum != first.Sum {
				c.t.Fatalf("%s: state differs at entry %d", n.address, h.Index)
			}
		}
		return true
	})
}

func TestClusterWritesOnEveryNode(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	for i, n := range nodes {
		for seq := range conversation.Seq(20) {
			mustAppend(t, n.store, step(conv(i), seq, 1))
			if got := len(mustEntries(t, n.store, conv(i))); got != int(seq)+1 {
				t.Fatalf("%s: %d entries can be read after append %d was acknowledged", n.address, got, seq+1)
			}
		}
	}
	// One conversation from node to node.
	for seq := range conversation.Seq(30) {
		n := nodes[seq%3]
		epoch, err := n.store.Claim(t.Context(), conv(9))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(mustEntries(t, n.store, conv(9))); got != int(seq) {
			t.Fatalf("%s: %d entries after a claim, %d were acknowledged", n.address, got, seq)
		}
		a := step(conv(9), seq, 1)
		a.Epoch = epoch
		mustAppend(t, n.store, a)
		stale := step(conv(9), seq+1, 1)
		stale.Epoch = epoch - 1
		if err := nodes[(seq+1)%3].store.Append(t.Context(), stale); !errors.Is(err, ErrFenced) {
			t.Fatalf("append under an old epoch on another node = %v, want %v", err, ErrFenced)
		}
	}
	c.agree()
	for _, n := range nodes {
		checkInvariants(t, n.store)
	}
}
