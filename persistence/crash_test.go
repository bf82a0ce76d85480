package persistence

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// ledger is what the writers of a crash test were promised.
type ledger struct {
	mu    sync.Mutex
	acked map[conversation.ConversationID]conversation.Seq
	tried map[conversation.ConversationID]conversation.Seq
	epoch map[conversation.ConversationID]uint64
}

func newLedger() *ledger {
	return &ledger{
		acked: make(map[conversation.ConversationID]conversation.Seq),
		tried: make(map[conversation.ConversationID]conversation.Seq),
		epoch: make(map[conversation.ConversationID]uint64),
	}
}

func (l *ledger) try(id conversation.ConversationID, seq conversation.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried[id] = max(l.tried[id], seq)
}

func (l *ledger) ack(id conversation.ConversationID, seq conversation.Seq, epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = max(l.acked[id], seq)
	l.epoch[id] = max(l.epoch[id], epoch)
}

// promised gives a copy of what was acknowledged so far.
func (l *ledger) promised() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := newLedger()
	c.acked, c.epoch = maps.Clone(l.acked), maps.Clone(l.epoch)
	return c
}

// check compares a store with what was promised before the power went.
func (l *ledger) check(s *Store, promised *ledger) error {
	versions, err := inspect(s)
	if err != nil {
		return err
	}
	for id, seq := range promised.acked {
		if versions[id] < seq {
			return fmt.Errorf("%s: acknowledged up to %d, stored up to %d: %w", id, seq, versions[id], errLost)
		}
	}
	for id, version := range versions {
		if version > l.tried[id] {
			return fmt.Errorf("%s: %d entries stored, %d ever sent", id, version, l.tried[id])
		}
		got, err := s.Entries(context.Background(), id, 0, 0)
		if err != nil {
			return err
		}
		for _, e := range got {
			want := message(e.Seq, fmt.Sprintf("message %d of %s", e.Seq, id))
			if !reflect.DeepEqual(e, want) {
				return fmt.Errorf("%s: entry %d is another one", id, e.Seq)
			}
		}
	}
	for id, epoch := range promised.epoch {
		now, err := s.Claim(context.Background(), id)
		if err != nil {
			return err
		}
		if now <= epoch {
			return fmt.Errorf("%s: claim gave epoch %d after %d", id, now, epoch)
		}
		l.ack(id, 0, now)
	}
	// What was acknowledged after the cut is gone by right.
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = versions
	return nil
}

var errLost = errors.New("an acknowledged entry is gone")

var crashSeeds = flag.Int("crash-seeds", 6, "how many seeds the crash test runs")

const (
	crashWriters       = 6
	crashConversations = 8 // a writer
)

// write appends to the conversations of one writer until the store ends.
func (l *ledger) write(ctx context.Context, s *Store, w int, rng *rand.Rand) error {
	next := make(map[conversation.ConversationID]conversation.Seq)
	for ctx.Err() == nil {
		id := conv(w*100 + rng.IntN(crashConversations))
		l.mu.Lock()
		epoch := l.epoch[id]
		l.mu.Unlock()
		seq, known := next[id]
		if !known {
			state, err := s.Load(ctx, id)
			if err != nil {
				return stopped(ctx, err)
			}
			seq = state.Version
		}
		a := step(id, seq, 1+rng.IntN(3))
		a.Epoch = epoch
		if rng.IntN(4) == 0 {
			a.NextDue = testStart.Add(time.Duration(rng.IntN(1000)) * time.Second)
		}
		last := a.Entries[len(a.Entries)-1].Seq
		if rng.IntN(8) == 0 {
			a.State = &conversation.State{ID: id}
			for _, e := range append(mustLoad(ctx, s, id), a.Entries...) {
				a.State.Apply(e)
			}
		}
		l.try(id, last)
		if err := s.Append(ctx, a); err != nil {
			return stopped(ctx, err)
		}
		l.ack(id, last, epoch)
		next[id] = last
	}
	return nil
}

func mustLoad(ctx context.Context, s *Store, id conversation.ConversationID) []conversation.Entry {
	es, _ := s.Entries(ctx, id, 0, 0)
	return es
}

// stopped swallows the errors of a store that was closed under a writer.
func stopped(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
	}
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// powerCut runs writers on s until some appends are acknowledged, then copies
// the disk as a power cut would leave it.
func powerCut(t *testing.T, l *ledger, fs *vfs.MemFS, s *Store, rng *rand.Rand) (*vfs.MemFS, *ledger) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers sync.WaitGroup
	var acks atomic.Int64
	for w := range crashWriters {
		r := rand.New(rand.NewPCG(rng.Uint64(), uint64(w)))
		writers.Go(func() {
			if err := l.write(ctx, s, w, r); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	goal := l.total() + int64(50+rng.IntN(400))
	waitFor(t, func() bool { acks.Store(l.total()); return acks.Load() >= goal })
	promised := l.promised()
	after := fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 10, 50, 90, 100}[rng.IntN(5)], RNG: rand.New(rand.NewPCG(rng.Uint64(), 1)),
	})
	cancel()
	writers.Wait()
	return after, promised
}

func (l *ledger) total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, seq := range l.acked {
		n += int64(seq)
	}
	return n
}

// patience is how long a test waits for what must happen, on a machine that has
// other things to do.
const patience = 2 * time.Minute

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("what was waited for did not come")
		}
		<-tick.C
	}
}

// crashOptions make flushes, truncations and log rotation happen all the time.
func crashOptions(fs vfs.FS) Options {
	o := testOptions(fs)
	o.MemTableBytes, o.SnapshotEvery, o.rowBuffer = 256<<10, 64<<10, 16<<10
	return o
}

func TestNothingAcknowledgedIsLostToPowerCuts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*crashSeeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			fs, l := vfs.NewCrashableMem(), newLedger()
			s, err := Open(crashOptions(fs))
			if err != nil {
				t.Fatal(err)
			}
			for cut := range 10 {
				after, promised := powerCut(t, l, fs, s, rng)
				if err := s.Close(); err != nil {
					t.Fatalf("Close = %v", err)
				}
				fs = after
				if s, err = Open(crashOptions(fs)); err != nil {
					t.Fatalf("seed %d, cut %d: Open = %v", seed, cut, err)
				}
				if err := l.check(s, promised); err != nil {
					t.Fatalf("seed %d, cut %d: %v", seed, cut, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatalf("Close = %v", err)
			}
		})
	}
}

// TestCrashCheckerSeesLoss proves that the test above can fail: when the raft
// log is not synced, it must.
func TestCrashCheckerSeesLoss(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 7))
	for range 40 {
		fs, l := vfs.NewCrashableMem(), newLedger()
		o := crashOptions(fs)
		o.MemTableBytes = 16 << 20 // a flush would put on the disk what the log lacks
		var lazy atomic.Bool
		o.FS = lazyDisk{FS: fs, lazy: &lazy}
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		lazy.Store(true)
		after, promised := powerCut(t, l, fs, s, rng)
		if err := s.Close(); err != nil {
			t.Fatalf("Close = %v", err)
		}
		o.FS = after
		s, err = Open(o)
		if errors.Is(err, ErrCorrupt) {
			continue // the log has seen it by itself: a file before another one is too short
		}
		if err != nil {
			t.Fatalf("Open = %v", err)
		}
		err = l.check(s, promised)
		if cerr := s.Close(); cerr != nil {
			t.Fatalf("Close = %v", cerr)
		}
		if errors.Is(err, errLost) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("forty power cuts on a log that is not synced, and nothing was missed")
}
