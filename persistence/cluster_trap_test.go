package persistence

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/colloquyhq/colloquy/conversation"
)

// power is the disk of a node as a power cut would leave it now.
func power(n *testNode, seed uint64) *vfs.MemFS {
	return n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: rand.New(rand.NewPCG(seed, 1))})
}

func (c *testCluster) tryStart(address string) (*testNode, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.start(ctx, address)
}

// remove takes a node out. Where the lead moves, or a node does not answer for a
// moment, it is asked for again.
func (c *testCluster) remove(by *testNode, node string) {
	c.t.Helper()
	waitFor(c.t, func() bool {
		err := by.store.RemoveServer(context.Background(), node, RemoveAny)
		var refused *RefusedError
		if err != nil && !errors.As(err, &refused) && !errors.Is(err, errAgain) {
			c.t.Fatalf("RemoveServer = %v", err)
		}
		return err == nil
	})
}

// appendMany appends one entry after the other from where a conversation stands.
func appendMany(t testing.TB, s *Store, id conversation.ConversationID, n int) {
	t.Helper()
	if _, err := s.Claim(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	state, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := s.Claim(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		a := step(id, state.Version+conversation.Seq(i), 1)
		a.Epoch = epoch
		mustAppend(t, s, a)
	}
}

// TestWipedNodeComesBackAsAnother replaces the disk of a node: what comes back
// at its address is a new node, which gets the vote of the old one.
func TestWipedNodeComesBackAsAnother(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	appendMany(t, nodes[0].store, conv(1), 20)
	n := c.follower()
	old := n.store.identity.Node
	c.halt(n)
	n.fs = vfs.NewCrashableMem()
	c.mustStart(n.address)
	if now := n.store.identity.Node; now == old {
		t.Fatal("an empty disk kept the identity of the lost one")
	}
	waitFor(t, func() bool {
		servers, err := c.leader().store.Servers(t.Context())
		if err != nil || len(servers) != 3 {
			return false
		}
		for _, v := range servers {
			if !v.Voter || !v.Reachable || v.Node == old {
				return false
			}
		}
		return true
	})
	waitFor(t, func() bool { return n.store.roster.get(old).removed })
	if got := len(mustEntries(t, n.store, conv(1))); got != 20 {
		t.Errorf("the new node has %d entries, want 20", got)
	}
	c.agree()
}

// TestOldCopyOfADiskIsRefused brings a node back on a copy of its disk that was
// taken before it acknowledged more.
func TestOldCopyOfADiskIsRefused(t *testing.T) {
	t.Parallel()
	for name, restarts := range map[string]bool{"taken before a restart": true, "taken in the same run": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t)
			c.grow(3)
			lead := c.leader()
			n := c.otherThan(lead)
			appendMany(t, lead.store, conv(1), 5)
			old := power(n, 1)
			if restarts {
				c.halt(n)
				c.mustStart(n.address)
			}
			appendMany(t, n.store, conv(1), 200)
			waitFor(t, func() bool { // until the leader, which may have become another one, has looked at it
				now := c.leader()
				if now == n {
					_ = n.store.TransferLeadership(t.Context()) // or in the next round
					return false
				}
				return now.store.cluster.books.keeps(n.store.identity.Node)+20 >= n.store.raft.LastIndex()
			})
			young := n.fs
			c.halt(n)
			n.fs = old
			if _, err := c.tryStart(n.address); !errors.Is(err, ErrOldDisk) {
				t.Fatalf("Open of an old copy = %v, want %v", err, ErrOldDisk)
			}
			n.fs = young
			c.mustStart(n.address)
			c.agree()
		})
	}
}

func TestRemovedNodeTakesNoPartAnyMore(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(3)
	n := c.follower()
	node := n.store.identity.Node
	var refused *RefusedError
	if err := n.store.RemoveServer(t.Context(), node, RemoveSilent); !errors.As(err, &refused) {
		t.Errorf("RemoveServer of a node at work = %v, want a refusal", err)
	}
	if err := n.store.RemoveServer(t.Context(), "nobody", RemoveAny); !errors.As(err, &refused) {
		t.Errorf("RemoveServer of an unknown node = %v, want a refusal", err)
	}
	c.remove(c.otherThan(n), node)
	select {
	case err := <-n.ended:
		n.ended <- err
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("Run of a removed node = %v, want %v", err, ErrRemoved)
		}
	case <-time.After(patience):
		t.Fatal("the removed node goes on")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.store.Append(ctx, step(conv(1), 0, 1)); !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("Append on a removed node = %v, want unavailable", err)
	}
	c.halt(n)
	if _, err := c.tryStart(n.address); !errors.Is(err, ErrRemoved) {
		t.Errorf("Open of a removed node = %v, want %v", err, ErrRemoved)
	}
	// One more, and there is no quorum: the leader alone is none of two.
	other := c.follower()
	lost := other.store.identity.Node
	c.halt(other)
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.all()[0].store.orAny(c).RemoveServer(ctx, lost, RemoveSilent); err == nil {
		t.Error("a node was removed without a quorum")
	}
}

// orAny gives s, or the store of any node that is up.
func (s *Store) orAny(c *testCluster) *Store {
	if s != nil {
		return s
	}
	for _, n := range c.all() {
		if n.store != nil {
			return n.store
		}
	}
	return nil
}

func TestDirectoryOfAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	c, other := newTestCluster(t), newTestCluster(t)
	c.grow(1)
	stranger := other.mustStart("x1")
	appendMany(t, stranger.store, conv(1), 3)
	other.halt(stranger)
	c.nodes["x1"] = &testNode{address: "x1", fs: stranger.fs}
	if _, err := c.tryStart("x1"); !errors.Is(err, ErrOtherCluster) {
		t.Errorf("Open of a directory of another cluster = %v, want %v", err, ErrOtherCluster)
	}
}

func TestVersionsTooFarApartDoNotMix(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(1)
	for version, want := range map[string]bool{"v1.3.9": true, "v1.4.0": false, "v2.2.0": false, "2026-dev": true} {
		c.change = func(o *Options) { o.Cluster.Version = version }
		n, err := c.tryStart("n-" + version)
		if (err == nil) != want {
			t.Errorf("version %s joined = %v, want %v", version, err, want)
		}
		c.halt(n)
	}
}

// TestNodeThatLagsGetsASnapshot stops a node until the log does not reach back
// to where it was, and starts it while the others go on.
func TestNodeThatLagsGetsASnapshot(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.change = func(o *Options) { o.SnapshotEvery = 64 << 10 }
	c.grow(3)
	n := c.follower()
	appendMany(t, n.store, conv(1), 3)
	c.halt(n)
	lead := c.leader()
	at := lead.store.raft.LastIndex()
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for seq := conversation.Seq(0); !stop.Load(); seq++ {
				if err := lead.store.Append(t.Context(), step(conv(10+w), seq, 1)); err != nil {
					t.Errorf("Append = %v", err)
					return
				}
			}
		})
	}
	waitFor(t, func() bool { first, _ := lead.store.logs.FirstIndex(); return first > at })
	c.mustStart(n.address)
	waitFor(t, func() bool { return counted(t, n.store) > 0 })
	appendMany(t, n.store, conv(1), 3)
	stop.Store(true)
	writers.Wait()
	c.agree()
	checkInvariants(t, n.store)
	if got := len(mustEntries(t, n.store, conv(1))); got != 6 {
		t.Errorf("%d entries, want 6", got)
	}
}

// TestNodeKnowsForHowLongNobodyLeads takes the majority away and gives it back.
func TestNodeKnowsForHowLongNobodyLeads(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	n := nodes[0]
	waitFor(t, func() bool { return n.store.Leaderless() == 0 })
	c.halt(nodes[1])
	c.halt(nodes[2])
	waitFor(t, func() bool { return n.store.Leaderless() > 0 })
	was := n.store.Leaderless()
	waitFor(t, func() bool { return n.store.Leaderless() > was })
	c.mustStart(nodes[1].address)
	waitFor(t, func() bool { return n.store.Leaderless() == 0 })
	appendMany(t, n.store, conv(1), 1)
}

// counted is how many snapshots a store has installed.
func counted(t testing.TB, s *Store) float64 {
	t.Helper()
	var m dto.Metric
	if err := s.metrics.installs.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestReplacementGoesOnAfterAPowerCut cuts the power while the state of a node
// is replaced by a received one.
func TestReplacementGoesOnAfterAPowerCut(t *testing.T) {
	t.Parallel()
	from := openTest(t, testOptions(vfs.NewMem()))
	fill(t, from, 40)
	if err := from.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	metas, err := from.snapshots.List()
	if err != nil {
		t.Fatal(err)
	}
	meta, src, err := from.snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(src)
	if err = errors.Join(err, src.Close()); err != nil {
		t.Fatal(err)
	}
	want := dump(t, from)
	disk := vfs.NewCrashableMem()
	o := testOptions(disk)
	to := openTest(t, o)
	fill(t, to, 2)
	sink, err := to.snapshots.Create(1, meta.Index, meta.Term, meta.Configuration, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	mark, err := to.snapshots.replacing()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(setDurably(to.db, replacingKey(), mark), to.snapshots.dropState(), to.db.Flush()); err != nil {
		t.Fatal(err)
	}
	o.FS = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(3, 4))})
	db, err := pebble.Open(o.Dir, &pebble.Options{FS: o.FS, Logger: pebbleLogger{logger: o.Logger}})
	if err != nil {
		t.Fatal(err)
	}
	s := newSnapshots(db, o.FS, o.Dir, newHalt(o.Logger, func(string) {}))
	if err := s.resume(); err != nil {
		t.Fatalf("resume = %v", err)
	}
	if d := cmp.Diff(want, dumpRows(t, db)); d != "" {
		t.Errorf("state differs (-want +got):\n%s", d)
	}
	if m, err := s.stored(); err != nil || m == nil || m.Index != meta.Index {
		t.Errorf("mark = %+v, %v", m, err)
	}
	if err := s.resume(); err != nil {
		t.Errorf("resume of nothing = %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// TestCutsLoseNothing cuts the leader's ways in every direction while all nodes
// write.
func TestCutsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(c *testCluster, lead, other string, cut bool){
		"leader alone": func(c *testCluster, lead, _ string, cut bool) { c.net.isolate(lead, c.addressList(), cut) },
		"leader not heard": func(c *testCluster, lead, _ string, cut bool) {
			for _, a := range c.addressList() {
				if a != lead {
					c.net.cutWay(lead, a, cut)
				}
			}
		},
		"leader hears nothing": func(c *testCluster, lead, _ string, cut bool) {
			for _, a := range c.addressList() {
				if a != lead {
					c.net.cutWay(a, lead, cut)
				}
			}
		},
		"one way to one follower":   func(c *testCluster, lead, other string, cut bool) { c.net.cutWay(lead, other, cut) },
		"one way from one follower": func(c *testCluster, lead, other string, cut bool) { c.net.cutWay(other, lead, cut) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t)
			nodes := c.grow(3)
			lead := c.leader()
			other := c.otherThan(lead)
			var acked [3]atomic.Int64
			var stop atomic.Bool
			var writers sync.WaitGroup
			for i, n := range nodes {
				writers.Go(func() {
					for seq := conversation.Seq(0); !stop.Load(); seq++ {
						if err := n.store.Append(t.Context(), step(conv(i), seq, 1)); err != nil {
							t.Errorf("%s: Append = %v", n.address, err)
							return
						}
						acked[i].Store(int64(seq) + 1)
					}
				})
			}
			reach := func(what string, which func(i int) bool) {
				t.Helper()
				var goal [3]int64
				for i := range goal {
					goal[i] = acked[i].Load() + 20
				}
				start := time.Now()
				waitFor(t, func() bool {
					for i := range goal {
						if which(i) && acked[i].Load() < goal[i] {
							return false
						}
					}
					return true
				})
				t.Logf("%s: 20 appends within %v", what, time.Since(start))
			}
			all := func(int) bool { return true }
			reach("before", all)
			cut(c, lead.address, other.address, true)
			reach("cut", func(i int) bool { return nodes[i] != lead && nodes[i] != other })
			cut(c, lead.address, other.address, false)
			reach("mended", all)
			stop.Store(true)
			writers.Wait()
			c.agree()
			for i := range nodes {
				if got := len(mustEntries(t, nodes[0].store, conv(i))); int64(got) < min(acked[i].Load(), maxPage) {
					t.Errorf("%d entries, %d were acknowledged", got, acked[i].Load())
				}
			}
		})
	}
}

// TestWritesGoOnSoonAfterTheLeaderDies measures the gap that a writer on a
// follower sees.
func TestWritesGoOnSoonAfterTheLeaderDies(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(3)
	writer := c.follower()
	longest := time.Duration(0)
	var halted sync.WaitGroup
	for seq := range conversation.Seq(200) {
		if seq == 50 {
			// The lead may have been given to the writer's node meanwhile.
			lead := c.leader()
			if lead == writer {
				writer = c.otherThan(lead)
			}
			halted.Go(func() { c.halt(lead) })
		}
		start := time.Now()
		mustAppend(t, writer.store, step(conv(1), seq, 1))
		longest = max(longest, time.Since(start))
	}
	halted.Wait()
	t.Logf("longest gap %v", longest)
	if longest > time.Minute {
		t.Errorf("writes stopped for %v", longest)
	}
}

// TestFounderThatLosesItsDiskFirst wipes the only voter before the second node
// has received anything: nothing was acknowledged to it, and it joins whoever is
// there then.
func TestFounderThatLosesItsDiskFirst(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	first := c.mustStart("n1")
	c.net.mu.Lock()
	c.net.refuse["n2/raft"] = true
	c.net.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	joined := make(chan error, 1)
	go func() {
		_, err := c.start(ctx, "n2")
		joined <- err
	}()
	waitFor(t, func() bool { return len(first.store.configuration().Servers) == 2 })
	c.halt(first)
	cancel()
	if err := <-joined; err == nil {
		t.Fatal("n2 is level with nobody")
	}
	c.net.mu.Lock()
	c.net.refuse["n2/raft"] = false
	c.net.mu.Unlock()
	first.fs = vfs.NewCrashableMem()
	c.mustStart("n1")
	c.mustStart("n2")
	c.awaitVoters(2)
	c.agree()
}

// TestTwoNodesStopWhenOneIsLost and go on with the one that is recovered.
func TestTwoNodesStopWhenOneIsLost(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(2)
	appendMany(t, nodes[1].store, conv(1), 10)
	lost := c.leader()
	kept := c.otherThan(lost)
	c.halt(lost)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := kept.store.Append(ctx, step(conv(2), 0, 1)); err == nil {
		t.Fatal("one of two acknowledges")
	}
	waitFor(t, func() bool { return !kept.store.Health(t.Context()).Quorum })
	c.halt(kept)
	if _, err := recoverDir(kept.fs, "nowhere", testStart); err == nil {
		t.Error("recovery of a directory that is not there")
	}
	r, err := recoverDir(kept.fs, "journal", testStart)
	if err != nil {
		t.Fatalf("Recover = %v", err)
	}
	if len(r.Dropped) != 1 || !r.Dropped[0].Voter || r.Dropped[0].Address != lost.address || r.Last < r.Applied {
		t.Errorf("recovery = %+v", r)
	}
	if _, err := recoverDir(kept.fs, "journal", testStart); !errors.Is(err, ErrNothingToRecover) {
		t.Errorf("second recovery = %v, want %v", err, ErrNothingToRecover)
	}
	c.mustStart(kept.address)
	if got := len(mustEntries(t, kept.store, conv(1))); got != 10 {
		t.Errorf("%d entries after recovery, want 10", got)
	}
	appendMany(t, kept.store, conv(1), 5)
	if _, err := c.tryStart(lost.address); !errors.Is(err, ErrOtherCluster) {
		t.Errorf("Open of the node left behind = %v, want %v", err, ErrOtherCluster)
	}
	lost.fs = vfs.NewCrashableMem()
	c.mustStart(lost.address)
	c.awaitVoters(2)
	c.agree()
}

// TestClusterGrowsAndShrinks goes from one node to five and back to three, under
// writes.
func TestClusterGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(5)
	appendMany(t, nodes[4].store, conv(1), 10)
	sixth := c.mustStart("n6")
	appendMany(t, sixth.store, conv(1), 10)
	if h := sixth.store.Health(t.Context()); h.Voters != 5 {
		t.Errorf("%d voters of six nodes, want 5", h.Voters)
	}
	for range 2 {
		victim := c.leader() // also the leader can be removed
		var by *testNode
		for _, n := range c.all() {
			if n != victim && n.store != nil {
				by = n
			}
		}
		c.remove(by, victim.store.identity.Node)
		c.halt(victim)
	}
	waitFor(t, func() bool { h := c.leader().store.Health(t.Context()); return h.Voters == 3 || h.Voters == 4 })
	appendMany(t, c.follower().store, conv(1), 10)
	c.agree()
}

func TestLeadershipIsGivenAway(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(3)
	lead := c.leader()
	heir := c.otherThan(lead)
	// The others have an election's time to take over, which a busy machine may
	// not give them; then it is tried again.
	until := func(done func() bool, move func() error) {
		t.Helper()
		waitFor(t, func() bool {
			if err := move(); err != nil && !errors.Is(err, errAgain) {
				t.Fatalf("the leadership was not moved: %v", err)
			}
			return done()
		})
	}
	until(func() bool { return c.leader() != lead }, func() error { return lead.store.TransferLeadership(t.Context()) })
	until(func() bool { return heir.store.Leads() }, func() error { return lead.store.MoveLeadership(t.Context(), heir.store.identity.Node) })
	mustAppend(t, lead.store, step(conv(1), 0, 1))
}

// TestOpeningSaysWhatItWaitsFor starts one of three.
func TestOpeningSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	for _, n := range nodes {
		c.halt(n)
	}
	var said atomic.Pointer[string]
	c.change = func(o *Options) { o.Progress = func(reason string) { said.Store(&reason) } }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.start(ctx, "n1")
		ended <- err
	}()
	waitFor(t, func() bool { p := said.Load(); return p != nil && *p == "waiting for a quorum: 1 of 3 voters answer" })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want it to end with its context", err)
	}
	// All together, from cold.
	c.change = nil
	start := time.Now()
	var opened sync.WaitGroup
	for _, n := range nodes {
		opened.Go(func() {
			if _, err := c.tryStart(n.address); err != nil {
				t.Errorf("start %s: %v", n.address, err)
			}
		})
	}
	opened.Wait()
	t.Logf("three nodes level after %v", time.Since(start))
	c.agree()
}

// TestWatchersOnAllNodesSeeTheSame compares the streams of commits.
func TestWatchersOnAllNodesSeeTheSame(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	var subs []*Subscription
	for _, n := range nodes {
		subs = append(subs, n.store.Watch(1000))
	}
	for i := range 30 {
		a := step(conv(i/10), conversation.Seq(i%10), 1)
		a.Contact, a.NextDue = contact(1), testStart.Add(time.Duration(i)*time.Second)
		a.Outbox = []conversation.Outbound{{Conversation: a.ID, Message: a.Head.Version, Text: "<out>", At: testStart}}
		a.Settled = []conversation.Seq{conversation.Seq(i + 1)}
		mustAppend(t, nodes[i%3].store, a)
	}
	for i := range 30 {
		first := <-subs[0].C()
		for _, s := range subs[1:] {
			if d := cmp.Diff(first, <-s.C()); d != "" {
				t.Fatalf("commit %d differs (-first +other):\n%s", i, d)
			}
		}
	}
}

func TestArchiveShowsWhatTheNodeHad(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(1)
	n := c.leader()
	for i := range 5 {
		appendMany(t, n.store, conv(i), 4)
	}
	want, err := n.store.StateHash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.halt(n)
	a, err := openArchive(n.fs, "journal")
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.StateHash(t.Context())
	if err != nil || got != want || a.Applied() != want.Index || a.Torn() {
		t.Errorf("hash of the archive = %+v, %v, want %+v", got, err, want)
	}
	count := 0
	err = a.Conversations(t.Context(), func(id conversation.ConversationID, version conversation.Seq) error {
		es, err := a.Entries(t.Context(), id, 0, 0)
		if len(es) != 4 || version != 4 {
			t.Errorf("%s: %d entries, version %d", id, len(es), version)
		}
		count++
		return err
	})
	if err != nil || count != 5 {
		t.Errorf("%d conversations, %v", count, err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	c.mustStart(n.address) // nothing was changed
}

func TestRepeatedRefIsRefusedForASuccessor(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	first := step(conv(1), 0, 1)
	first.Refs = []conversation.RefRow{{Ref: "m1", Seq: 1}}
	mustAppend(t, s, first)
	next := func(ref conversation.Ref) *conversation.Append {
		a := step(conv(2), 0, 1)
		a.Head.Contact, a.CheckRefs = first.Head.Contact, true
		a.Refs = []conversation.RefRow{{Ref: ref, Seq: 1}}
		return a
	}
	err := s.Append(t.Context(), next("m1"))
	var repeated *RepeatedRefError
	if !errors.As(err, &repeated) || !errors.Is(err, ErrConflict) || repeated.Conversation != conv(1) || repeated.Seq != 1 {
		t.Fatalf("Append of a repeated message = %v, want a conflict with entry 1", err)
	}
	if got := len(mustEntries(t, s, conv(2))); got != 0 {
		t.Errorf("%d entries of the refused append", got)
	}
	mustAppend(t, s, next("m2"))
	mustAppend(t, s, next("m2")) // sent twice
	// Both in one burst: whoever comes first has it.
	var both sync.WaitGroup
	var stored atomic.Int32
	for i := range 8 {
		both.Go(func() {
			a := step(conv(10+i), 0, 1)
			a.Head.Contact, a.CheckRefs = first.Head.Contact, true
			a.Refs = []conversation.RefRow{{Ref: "m3", Seq: 1}}
			switch err := s.Append(t.Context(), a); {
			case err == nil:
				stored.Add(1)
			case !errors.Is(err, ErrConflict):
				t.Errorf("Append = %v", err)
			}
		})
	}
	both.Wait()
	if stored.Load() != 1 {
		t.Errorf("a message was stored in %d conversations", stored.Load())
	}
	s = reopen(t, s)
	if err := s.Append(t.Context(), next("m1")); !errors.Is(err, ErrConflict) {
		t.Errorf("Append after reopen = %v, want a conflict", err)
	}
	checkInvariants(t, s)
}

// TestWipedDiskUnderItsOldIdentityLosesMessages is why that must not be: where
// the checks are left out, it does.
func TestWipedDiskUnderItsOldIdentityLosesMessages(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(3)
	lead := c.leader()
	var wiped, behind *testNode
	for _, n := range c.all() {
		switch {
		case n == lead:
		case wiped == nil:
			wiped = n
		default:
			behind = n
		}
	}
	c.halt(behind)
	appendMany(t, lead.store, conv(1), 10) // on two of three
	old := wiped.store.identity
	c.halt(wiped)
	c.halt(lead)
	wiped.fs = vfs.NewCrashableMem()
	db, err := pebble.Open("journal", &pebble.Options{
		FS: wiped.fs, FormatMajorVersion: formatVersion, Logger: pebbleLogger{logger: withDefaults(Options{}).Logger},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(storeIdentity(db, old), db.Close()); err != nil {
		t.Fatal(err)
	}
	c.change = func(o *Options) { o.sabotage.trustDisk = true }
	var opened sync.WaitGroup
	for _, n := range []*testNode{wiped, behind} {
		opened.Go(func() {
			if _, err := c.tryStart(n.address); err != nil {
				t.Errorf("start %s: %v", n.address, err)
			}
		})
	}
	opened.Wait()
	if t.Failed() {
		return
	}
	if got := len(mustEntries(t, behind.store, conv(1))); got != 0 {
		t.Errorf("%d entries are left of 10 acknowledged ones; the sabotage does nothing", got)
	}
}
