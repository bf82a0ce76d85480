package persistence

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// The simulation runs a cluster in memory under load and does to it what happens
// to machines: power cuts of one or all, lost disks, cut networks. Whatever was
// acknowledged must be on every node when all is well again.

var (
	simSeeds  = flag.Int("sim-seeds", 2, "how many seeds the simulation runs")
	simFirst  = flag.Uint64("sim-first", 0, "the first seed")
	simFaults = flag.Int("sim-faults", 8, "faults of a seed")
	simAcks   = flag.Int64("sim-acks", 4000, "acknowledged appends of a seed, at least")
	simLoad   = flag.Int("sim-writers", 96, "writers at a time")
	simSide   = flag.Int("sim-parallel", 2, "seeds at a time")
)

// simulation is one run.
type simulation struct {
	c     *testCluster
	rng   *rand.Rand
	books *simLedger
	stop  atomic.Bool // something is wrong
	quiet atomic.Bool // the writers may go
	// round is raised when the power of all nodes is cut: what was acknowledged
	// while their disks were copied is gone by right, and the writers look anew.
	// While it is odd, they wait.
	round  atomic.Int64
	acks   atomic.Int64
	faults map[string]int
	trace  []string
	failed func(format string, args ...any)

	sabotage simSabotage
}

// simSabotage is what proves that a simulation can fail; zero = none.
type simSabotage struct {
	unsynced  bool // logs say that they are synced, and are not
	forgetful bool // when the power of all is cut, the disks have forgotten the last writes
}

// simLedger is what the writers were promised.
type simLedger struct {
	mu     sync.Mutex
	acked  map[conversation.ConversationID][]string // texts in order
	epochs map[conversation.ConversationID]uint64
}

func newSimLedger() *simLedger {
	return &simLedger{
		acked: make(map[conversation.ConversationID][]string), epochs: make(map[conversation.ConversationID]uint64),
	}
}

// ack takes an acknowledgment; the lock is held.
func (l *simLedger) ack(id conversation.ConversationID, at conversation.Seq, texts []string) error {
	have := l.acked[id]
	if conversation.Seq(len(have)) != at {
		return fmt.Errorf("%s: version %d is acknowledged after %d", id, at+1, len(have))
	}
	l.acked[id] = append(have, texts...)
	return nil
}

// claimed takes the epoch of a claim, which must be a new one.
func (l *simLedger) claimed(id conversation.ConversationID, epoch uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch <= l.epochs[id] {
		return fmt.Errorf("%s: epoch %d after %d", id, epoch, l.epochs[id])
	}
	l.epochs[id] = epoch
	return nil
}

func (l *simLedger) version(id conversation.ConversationID) conversation.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return conversation.Seq(len(l.acked[id]))
}

func (l *simLedger) copy() map[conversation.ConversationID][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

const simConversations = 4 // of a writer

// simWriter writes to conversations of its own, on whatever node is there.
type simWriter struct {
	*simulation

	n     int
	rng   *rand.Rand
	known map[conversation.ConversationID]conversation.Seq
	epoch map[conversation.ConversationID]uint64
	round int64
	count int
}

func (w *simWriter) run() {
	for !w.stop.Load() && !w.quiet.Load() {
		now := w.simulation.round.Load()
		if now%2 == 1 {
			_ = pause(context.Background(), time.Millisecond, nil) // the power is off
			continue
		}
		if now != w.round {
			w.round = now
			clear(w.known)
		}
		id := conv(w.n*simConversations + w.rng.IntN(simConversations))
		if err := w.write(id); err != nil {
			w.failed("writer %d: %w", w.n, err)
			return
		}
	}
}

// some gives a store that is up; nil when there is none, or none of the writer's
// round: what a latecomer wrote to one of the next would be in no books.
func (w *simWriter) some() *Store {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.simulation.round.Load() != w.round {
		return nil
	}
	names := slices.Sorted(maps.Keys(w.c.nodes))
	at := w.n % len(names)
	if w.rng.IntN(16) == 0 {
		at = w.rng.IntN(len(names))
	}
	for i := range names {
		if s := w.c.nodes[names[(at+i)%len(names)]].store; s != nil {
			return s
		}
	}
	return nil
}

// over reports that an attempt is to be given up.
func (w *simWriter) over() bool {
	return w.stop.Load() || w.quiet.Load() || w.simulation.round.Load() != w.round
}

func (w *simWriter) write(id conversation.ConversationID) error {
	at, known := w.known[id]
	if !known || w.rng.IntN(64) == 0 {
		var err error
		if at, err = w.claim(id); err != nil || w.over() {
			return err
		}
	}
	a := step(id, at, 1+w.rng.IntN(2))
	a.Epoch = w.epoch[id]
	var texts []string
	for i := range a.Entries {
		w.count++
		text := fmt.Sprintf("%d of round %d by %d", w.count, w.round, w.n)
		a.Entries[i].Event = conversation.MessageAccepted{Text: conversation.Text(text)}
		texts = append(texts, text)
	}
	for !w.over() {
		s := w.some()
		if s == nil {
			_ = pause(context.Background(), time.Millisecond, nil) // nothing is up
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := s.Append(ctx, a)
		cancel()
		switch {
		case err == nil:
			return w.stored(s, id, at, texts)
		case w.over():
		case errors.Is(err, ErrFenced):
			// A claim that was tried again may be stored twice, the first time
			// last. Then the owner has to claim anew, and with an append of which
			// nothing is known it finds out there what became of it.
			return w.fenced(id, at, texts)
		case errors.Is(err, ErrConflict):
			return fmt.Errorf("%s at %d: %w", id, at, err)
		default: // perhaps stored, so the same again, wherever
			_ = pause(context.Background(), time.Millisecond, nil) // a closed store says no at once
		}
	}
	return nil
}

func barrier(s *Store) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return s.Barrier(ctx)
}

// fenced claims a conversation again and looks whether the append is stored.
func (w *simWriter) fenced(id conversation.ConversationID, at conversation.Seq, texts []string) error {
	delete(w.known, id)
	for !w.over() {
		s := w.some()
		if s == nil || barrier(s) != nil {
			_ = pause(context.Background(), time.Millisecond, nil) // nothing is up
			continue
		}
		all, err := storedTexts(s, id)
		if err != nil {
			continue
		}
		if conversation.Seq(len(all)) == at+conversation.Seq(len(texts)) && all[at] == texts[0] {
			return w.stored(s, id, at, texts)
		}
		return nil
	}
	return nil
}

// stored looks whether what was acknowledged can be read, and remembers it.
func (w *simWriter) stored(s *Store, id conversation.ConversationID, at conversation.Seq, texts []string) error {
	if w.rng.IntN(32) == 0 {
		got, err := s.Entries(context.Background(), id, at, 1)
		if err == nil && len(got) == 0 {
			return fmt.Errorf("%s: entry %d is acknowledged and cannot be read: %w", id, at+1, errLost)
		}
	}
	w.books.mu.Lock()
	defer w.books.mu.Unlock()
	if w.simulation.round.Load() != w.round {
		return nil // the power went meanwhile
	}
	if err := w.books.ack(id, at, texts); err != nil {
		return err
	}
	w.known[id] = at + conversation.Seq(len(texts))
	w.acks.Add(1)
	return nil
}

// claim takes a conversation over and reads where it stands.
func (w *simWriter) claim(id conversation.ConversationID) (conversation.Seq, error) {
	for !w.over() {
		s := w.some()
		if s == nil {
			_ = pause(context.Background(), time.Millisecond, nil) // nothing is up
			continue
		}
		want := w.books.version(id)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		epoch, err := s.Claim(ctx, id)
		var state *conversation.State
		if err == nil {
			state, err = s.Load(ctx, id)
		}
		cancel()
		if err != nil {
			_ = pause(context.Background(), time.Millisecond, nil) // a closed store says no at once
			continue
		}
		if w.over() {
			return 0, nil
		}
		if state.Version < want {
			return 0, fmt.Errorf("%s: %d entries after a claim, %d were acknowledged: %w", id, state.Version, want, errLost)
		}
		if state.Version != want {
			return 0, fmt.Errorf("%s: %d entries after a claim, %d were acknowledged", id, state.Version, want)
		}
		w.known[id], w.epoch[id] = state.Version, epoch
		return state.Version, w.books.claimed(id, epoch)
	}
	return 0, nil
}

// pick gives a node that is up.
func (m *simulation) pick() *testNode {
	var up []*testNode
	for _, n := range m.c.all() {
		if n.store != nil {
			up = append(up, n)
		}
	}
	slices.SortFunc(up, func(a, b *testNode) int { return int(a.address[1]) - int(b.address[1]) })
	return up[m.rng.IntN(len(up))]
}

func (m *simulation) leaderOrAny() *testNode {
	for _, n := range m.c.all() {
		if n.store != nil && n.store.Leads() {
			return n
		}
	}
	return m.pick()
}

// someTime lets the cluster run on for a while.
func (m *simulation) someTime(most time.Duration) {
	_ = pause(context.Background(), time.Duration(m.rng.Int64N(int64(most))), nil)
}

// cutPower takes the disk of a node as a power cut would leave it.
func (m *simulation) cutPower(n *testNode) *vfs.MemFS {
	return n.fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 10, 50, 90, 100}[m.rng.IntN(5)], RNG: rand.New(rand.NewPCG(m.rng.Uint64(), 1)),
	})
}

func (m *simulation) powerOfOne() {
	n := m.pick()
	if m.rng.IntN(3) == 0 {
		n = m.leaderOrAny()
	}
	// Nothing that it says after the cut may get out.
	m.c.net.kill(n.address)
	fs := m.cutPower(n)
	m.c.halt(n)
	n.fs = fs
	m.someTime(200 * time.Millisecond)
	m.begin(n.address)
}

// begin starts a node again.
func (m *simulation) begin(address string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := m.c.start(ctx, address); err != nil {
		m.failed("start %s: %w; what replicates:\n%s", address, err, replicating())
	}
}

// replicating gives the stacks of the goroutines that send entries to others, for
// a node that nothing reaches although the others are well.
func replicating() string {
	buf := make([]byte, 8<<20)
	var out []string
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "raft.(*Raft).replicate(") || strings.Contains(g, "raft.(*Raft).pipelineReplicate(") || strings.Contains(g, "installSnapshot(") {
			out = append(out, g)
		}
	}
	return strings.Join(out, "\n\n")
}

// powerOfAll cuts all nodes at once. What was promised before must be there
// after it.
func (m *simulation) powerOfAll() {
	nodes := m.c.all()
	var disks []*vfs.MemFS
	if m.sabotage.forgetful {
		for _, n := range nodes {
			disks = append(disks, m.cutPower(n))
		}
		for goal := m.acks.Load() + 500; m.acks.Load() < goal && !m.stop.Load(); {
			_ = pause(context.Background(), time.Millisecond, nil) // the load goes on
		}
	}
	promised := m.books.copy()
	// What one of them says after its disk was copied must not reach another whose
	// disk is copied later: an entry would be committed by copies that have never
	// been together.
	for _, n := range nodes {
		m.c.net.kill(n.address)
	}
	if !m.sabotage.forgetful {
		for _, n := range nodes {
			disks = append(disks, m.cutPower(n))
		}
	}
	m.books.mu.Lock()
	m.round.Add(1)
	m.books.mu.Unlock()
	for i, n := range nodes {
		m.c.halt(n)
		n.fs = disks[i]
	}
	var opened sync.WaitGroup
	for _, n := range nodes {
		opened.Go(func() { m.begin(n.address) })
	}
	opened.Wait()
	if !m.stop.Load() {
		m.reset(m.pick().store, promised)
	}
}

// reset compares a node with what was promised and makes what it has the books.
func (m *simulation) reset(s *Store, promised map[conversation.ConversationID][]string) {
	if err := s.Barrier(context.Background()); err != nil {
		m.failed("barrier: %w", err)
		return
	}
	m.books.mu.Lock()
	defer m.books.mu.Unlock()
	for i := range *simLoad * simConversations {
		id := conv(i)
		texts, err := storedTexts(s, id)
		if err == nil {
			err = begins(texts, promised[id])
		}
		if err != nil {
			m.failed("after a power cut of all: %s: %w", id, err)
			return
		}
		m.books.acked[id] = texts
	}
	clear(m.books.epochs) // claims that were acknowledged during the cut are gone too
	m.round.Add(1)
}

func storedTexts(s *Store, id conversation.ConversationID) ([]string, error) {
	var out []string
	for {
		es, err := s.Entries(context.Background(), id, conversation.Seq(len(out)), 0)
		if err != nil || len(es) == 0 {
			return out, err
		}
		for _, e := range es {
			m, ok := e.Event.(conversation.MessageAccepted)
			if !ok || e.Seq != conversation.Seq(len(out))+1 {
				return out, fmt.Errorf("entry %d is not what was written", e.Seq)
			}
			out = append(out, string(m.Text))
		}
	}
}

// begins looks whether all that was acknowledged is there, in order.
func begins(stored, acked []string) error {
	if len(stored) < len(acked) {
		return fmt.Errorf("%d entries, %d were acknowledged: %w", len(stored), len(acked), errLost)
	}
	for i := range acked {
		if stored[i] != acked[i] {
			return fmt.Errorf("entry %d is %q, acknowledged was %q: %w", i+1, stored[i], acked[i], errLost)
		}
	}
	return nil
}

// wipe replaces a disk by an empty one, when nothing else is missing: more than
// one lost disk of three is more than three copies can bear.
func (m *simulation) wipe() {
	m.healed()
	n := m.pick()
	if m.rng.IntN(3) == 0 {
		n = m.leaderOrAny()
	}
	m.c.halt(n)
	n.fs = vfs.NewCrashableMem()
	m.someTime(100 * time.Millisecond)
	m.begin(n.address)
	m.healed()
}

func (m *simulation) partition() {
	n := m.pick()
	if m.rng.IntN(2) == 0 {
		n = m.leaderOrAny()
	}
	m.c.net.isolate(n.address, m.c.addressList(), true)
	m.someTime(600 * time.Millisecond)
	m.c.net.isolate(n.address, m.c.addressList(), false)
}

func (m *simulation) oneWay() {
	from, to := m.pick(), m.pick()
	if m.rng.IntN(2) == 0 {
		from, to = to, m.leaderOrAny()
	}
	m.c.net.cutWay(from.address, to.address, true)
	m.someTime(600 * time.Millisecond)
	m.c.net.cutWay(from.address, to.address, false)
}

// restart stops a node in order and starts it again, the leader after it gave
// the leadership away.
func (m *simulation) restart() {
	n := m.pick()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = n.store.TransferLeadership(ctx) // it may have nobody to give it to now
	m.c.halt(n)
	m.begin(n.address)
}

// healed waits until three nodes vote, all of them there and level.
func (m *simulation) healed() {
	ok := func() bool {
		var lead *Store
		for _, n := range m.c.all() {
			if n.store == nil {
				return false
			}
			if n.store.Leads() {
				lead = n.store
			}
			// Everybody has to know who votes: a change that only the leader knows
			// could be lost with it.
			if h := n.store.Health(context.Background()); h.Voters != 3 || len(n.store.configuration().Servers) != 3 {
				return false
			}
		}
		if lead == nil {
			return false
		}
		servers, err := lead.Servers(context.Background())
		if err != nil || len(servers) != 3 {
			return false
		}
		for _, v := range servers {
			if !v.Voter || !v.Reachable || v.Last+1000 < lead.raft.LastIndex() {
				return false
			}
		}
		return true
	}
	// The writers go on, and may be all that a busy machine has time for.
	deadline := time.Now().Add(3 * time.Minute)
	for !m.stop.Load() && !ok() {
		if time.Now().After(deadline) {
			m.failed("the cluster does not heal%s", m.standings())
			return
		}
		_ = pause(context.Background(), 5*time.Millisecond, nil) // looked at again
	}
}

// standings says where the nodes are, for whoever has to find out why they do not
// get level.
func (m *simulation) standings() string {
	var b strings.Builder
	for _, n := range m.c.all() {
		s := n.store
		if s == nil {
			fmt.Fprintf(&b, "; %s is down", n.address)
			continue
		}
		h := s.Health(context.Background())
		fmt.Fprintf(&b, "; %s (%s): %s, log from %d to %d, %d voters, %v", n.address, s.identity.Node[:4], s.cluster.standing(),
			s.logs.files.First(), s.logs.files.Last(), h.Voters, s.configuration().Servers)
		if s.Leads() {
			servers, err := s.Servers(context.Background())
			fmt.Fprintf(&b, ", sees %+v %v", servers, err)
		}
	}
	return b.String()
}

// verify compares every node with the books, byte for byte, and with the others.
func (m *simulation) verify() {
	m.healed()
	m.c.agree()
	for _, n := range m.c.all() {
		for id, acked := range m.books.copy() {
			texts, err := storedTexts(n.store, id)
			if err == nil {
				err = begins(texts, acked)
			}
			if err != nil {
				m.failed("%s: %s: %w", n.address, id, err)
				return
			}
		}
		if _, err := inspect(n.store); err != nil {
			m.failed("%s: %w", n.address, err)
		}
	}
}

// simReport is what a run did.
type simReport struct {
	Seeds  int            `json:"seeds"`
	Faults int            `json:"faults"`
	Kinds  map[string]int `json:"kinds"`
	Acked  int64          `json:"acked"`
	Sent   int            `json:"snapshots"` // whole states that one node took from another
	Failed int            `json:"failed"`    // seeds
	Lost   int            `json:"lost"`      // seeds that missed what was acknowledged
	Took   string         `json:"took"`
}

func runSimulation(t *testing.T, seed uint64, sabotage simSabotage) (*simulation, error) {
	t.Helper()
	var first atomic.Pointer[error]
	c := newTestCluster(t)
	m := &simulation{c: c, rng: rand.New(rand.NewPCG(seed, 5)), books: newSimLedger(), faults: make(map[string]int), sabotage: sabotage}
	c.timing = Timing{Heartbeat: 150 * time.Millisecond, Election: 150 * time.Millisecond, Lease: 120 * time.Millisecond}
	c.change = func(o *Options) {
		o.MemTableBytes, o.SnapshotEvery, o.CacheBytes = 1<<20, 256<<10, 1<<20
		o.rowBuffer = 64 << 10
		if sabotage.unsynced {
			o.FS, o.Fatal = lazyDisk{FS: o.FS}, func(string) {}
		}
	}
	m.failed = func(format string, args ...any) {
		err := fmt.Errorf(format, args...)
		if first.CompareAndSwap(nil, &err) {
			m.stop.Store(true)
		}
	}
	c.grow(3)
	var writers sync.WaitGroup
	for n := range *simLoad {
		w := &simWriter{
			simulation: m, n: n, rng: rand.New(rand.NewPCG(seed, uint64(n)+100)),
			known: make(map[conversation.ConversationID]conversation.Seq), epoch: make(map[conversation.ConversationID]uint64),
		}
		writers.Go(w.run)
	}
	kinds := []struct {
		name string
		do   func()
	}{
		{"power_one", m.powerOfOne},
		{"power_one", m.powerOfOne},
		{"power_all", m.powerOfAll},
		{"wipe", m.wipe},
		{"partition", m.partition},
		{"one_way", m.oneWay},
		{"restart", m.restart},
	}
	for done := int64(1); done <= int64(*simFaults) && !m.stop.Load(); done++ {
		goal := *simAcks * done / int64(*simFaults)
		for m.acks.Load() < goal && !m.stop.Load() {
			_ = pause(context.Background(), time.Millisecond, nil) // the load goes on
		}
		k := kinds[m.rng.IntN(len(kinds))]
		m.faults[k.name]++
		m.trace = append(m.trace, fmt.Sprintf("%s at %d acks", k.name, m.acks.Load()))
		k.do()
	}
	m.quiet.Store(true)
	writers.Wait()
	if p := first.Load(); p != nil {
		return m, *p
	}
	m.verify()
	if p := first.Load(); p != nil {
		return m, *p
	}
	return m, nil
}

func TestSimulation(t *testing.T) { //nolint:tparallel // the seeds are; the report waits for them
	t.Parallel()
	if testing.Short() {
		*simSeeds, *simFaults, *simAcks = min(*simSeeds, 1), min(*simFaults, 3), min(*simAcks, 300)
		*simLoad = min(*simLoad, 12)
	}
	start := time.Now()
	report := simReport{Seeds: *simSeeds, Kinds: make(map[string]int)}
	var mu sync.Mutex
	slots := make(chan struct{}, *simSide)
	t.Run("seeds", func(t *testing.T) {
		for i := range uint64(*simSeeds) {
			t.Run(fmt.Sprintf("seed=%d", *simFirst+i), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				m, err := runSimulation(t, *simFirst+i, simSabotage{})
				mu.Lock()
				defer mu.Unlock()
				for k, n := range m.faults {
					report.Kinds[k] += n
					report.Faults += n
				}
				report.Acked += m.acks.Load()
				report.Sent += m.c.installed()
				if err != nil {
					report.Failed++
					if errors.Is(err, errLost) {
						report.Lost++
					}
					t.Errorf("seed %d: %v; faults: %q", *simFirst+i, err, m.trace)
				}
			})
		}
	})
	report.Took = time.Since(start).Round(time.Second).String()
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("simulation: %s", text)
}

// TestSimulationSeesLoss proves that the simulation can fail, and that it is loss
// what it sees.
func TestSimulationSeesLoss(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the crash tests of one node have the same proof")
	}
	for _, c := range []struct {
		name     string
		sabotage simSabotage
		seen     []error
	}{
		// What is missing from the middle of a log, the nodes see themselves, and do not start.
		{"a log that is not synced", simSabotage{unsynced: true}, []error{errLost, ErrCorrupt, ErrOldDisk}},
		// Disks that have all forgotten the same are in order: only the books show it.
		{"disks that forget", simSabotage{forgetful: true}, []error{errLost}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(10) {
				_, err := runSimulation(t, seed, c.sabotage)
				if slices.ContainsFunc(c.seen, func(want error) bool { return errors.Is(err, want) }) {
					return
				}
				if err != nil {
					t.Logf("seed %d: %v", seed, err)
				}
			}
			t.Errorf("ten runs with %s, and nothing was missed", c.name)
		})
	}
}
