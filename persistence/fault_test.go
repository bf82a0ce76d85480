package persistence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestFailedSyncEndsTheStore lets the fsync of the raft log fail: the
// process is ended, and the append that waited for it is not acknowledged.
func TestFailedSyncEndsTheStore(t *testing.T) {
	t.Parallel()
	var failing atomic.Bool
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		if failing.Load() && sync && strings.HasSuffix(op.Path, ".seg") {
			return errorfs.ErrInjected
		}
		return nil
	})
	disk := vfs.NewCrashableMem()
	o := testOptions(errorfs.Wrap(disk, inject))
	var fatal atomic.Int32
	o.Fatal = func(string) { fatal.Add(1) }
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, step(conv(1), 0, 1))
	failing.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = s.Append(ctx, step(conv(1), 1, 1))
	if !errors.Is(err, conversation.ErrUnknown) || ctx.Err() != nil {
		t.Errorf("Append on a failing disk = %v, want unknown, before the deadline", err)
	}
	if fatal.Load() != 1 {
		t.Errorf("Fatal was called %d times, want once", fatal.Load())
	}
	if err := s.Append(ctx, step(conv(2), 0, 1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Append after the failure = %v, want %v", err, ErrUnavailable)
	}
	if _, err := s.Head(ctx, conv(1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Head after the failure = %v, want %v", err, ErrUnavailable)
	}
	if h := s.Health(ctx); !h.Failed {
		t.Errorf("Health after the failure = %+v", h)
	}
	if err := s.Run(ctx); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Run after the failure = %v, want %v", err, ErrUnavailable)
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, 2))})
	failing.Store(false)
	_ = s.Close() // says what it likes, the disk failed
	r := openTest(t, testOptions(after))
	if v := checkInvariants(t, r)[conv(1)]; v < 1 {
		t.Errorf("version after the failure = %d, the first append was acknowledged", v)
	}
}

// TestDamagedLogIsFoundAtOpen flips one bit in the middle of the raft
// log: opening must fail, not forget what comes after.
func TestDamagedLogIsFoundAtOpen(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s, err := Open(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	for i := range conversation.Seq(500) {
		mustAppend(t, s, step(conv(1), i, 1))
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir := logDir(after, "journal")
	names, err := after.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for _, name := range names {
		flipped += flipMiddle(t, after, after.PathJoin(dir, name))
	}
	if flipped == 0 {
		t.Fatalf("no log to damage among %v", names)
	}
	s, err = Open(testOptions(after))
	if err == nil {
		v := checkInvariants(t, s)[conv(1)]
		_ = s.Close()
		t.Fatalf("Open of a damaged log is silent; %d of 500 entries are left", v)
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open of a damaged log = %v, want %v", err, ErrCorrupt)
	}
}

// flipMiddle flips a bit in the middle of a file that is large enough.
func flipMiddle(t *testing.T, fs vfs.FS, path string) int {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < 64<<10 {
		return 0
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], info.Size()/2); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], info.Size()/2); err != nil {
		t.Fatal(err)
	}
	return 1
}

func TestOneDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"memory": testOptions(vfs.NewMem()), "disk": diskOptions(t.TempDir())} {
		s := openTest(t, o)
		second, err := Open(o)
		if !errors.Is(err, ErrLocked) {
			t.Errorf("%s: second Open = %v, want %v", name, err, ErrLocked)
		}
		if err == nil {
			_ = second.Close()
		}
		mustAppend(t, s, step(conv(1), 0, 1))
	}
}

func TestDirectoryOfANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	s := openTest(t, o)
	id := s.Identity()
	id.Format++
	if err := storeIdentity(s.db, id); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), fmt.Sprintf("format %d", directoryFormat+1)) {
		t.Errorf("Open = %v, want %v", err, ErrNewerFormat)
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	db, err := pebble.Open(o.Dir, &pebble.Options{FS: o.FS, Logger: pebbleLogger{logger: o.Logger}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("key"), nil, nil), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open of another program's database = %v, want %v", err, ErrCorrupt)
	}
}

func TestJournalDirectoryIsClosedToOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	openTest(t, diskOptions(dir))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != dirMode {
		t.Errorf("mode = %v, %v, want %o", info.Mode(), err, dirMode)
	}
}

func TestOptionsNameEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Open(Options{QueueLength: -1, RefTTL: 100 * 24 * time.Hour})
	if err == nil {
		t.Fatal("Open took bad options")
	}
	for _, want := range []string{"dir is empty", "size is negative", "ref TTL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

// TestFullQueueRefusesAtOnce holds the log up until the queue is full.
func TestFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var closed atomic.Bool
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if closed.Load() && sync && strings.HasSuffix(op.Path, ".seg") {
			<-gate
		}
		return nil
	})
	o := testOptions(errorfs.Wrap(vfs.NewMem(), inject))
	o.QueueLength = 4
	s := openTest(t, o)
	closed.Store(true)
	const writers = maxInFlight*maxEntryOps + maxEntryOps + 10
	errs := make(chan error, writers)
	for n := range writers {
		go func() { errs <- s.Append(t.Context(), step(conv(n), 0, 1)) }()
	}
	first := <-errs // nothing can be stored, so the first answer is a refusal
	if !errors.Is(first, ErrOverloaded) || !errors.Is(first, conversation.ErrOverloaded) {
		t.Errorf("Append to a full queue = %v, want %v", first, ErrOverloaded)
	}
	closed.Store(false)
	close(gate)
	stored := 0
	for range writers - 1 {
		if err := <-errs; err == nil {
			stored++
		} else if !errors.Is(err, ErrOverloaded) {
			t.Errorf("Append = %v", err)
		}
	}
	if v := checkInvariants(t, s); len(v) != stored {
		t.Errorf("%d stored, %d acknowledged", len(v), stored)
	}
}

// TestAppendGivenUpWhileUnderWayIsUnknown lets a context end during the fsync.
func TestAppendGivenUpWhileUnderWayIsUnknown(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var closed atomic.Bool
	syncing := make(chan struct{}, 100)
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if closed.Load() && sync && strings.HasSuffix(op.Path, ".seg") {
			syncing <- struct{}{}
			<-gate
		}
		return nil
	})
	s := openTest(t, testOptions(errorfs.Wrap(vfs.NewMem(), inject)))
	closed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- s.Append(ctx, step(conv(1), 0, 1)) }()
	<-syncing
	go func() { second <- s.Append(ctx, step(conv(2), 0, 1)) }()
	cancel()
	if err := <-first; !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append given up during its fsync = %v, want %v", err, ErrUnknown)
	}
	if err := <-second; !errors.Is(err, conversation.ErrUnknown) && !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("Append given up in the queue = %v", err)
	}
	closed.Store(false)
	close(gate)
	mustAppend(t, s, step(conv(1), 0, 1)) // the same again
	if got := len(mustEntries(t, s, conv(1))); got != 1 {
		t.Errorf("%d entries, want 1", got)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	mustAppend(t, s, step(conv(1), 0, 1))
	go func() { ended <- s.Run(t.Context()) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run of a closed store = %v", err)
	}
}

func TestStateTagsAreSortedAndDistinct(t *testing.T) {
	t.Parallel()
	tags := append(stateTags(), tagLog, tagRaft, tagNode)
	slices.Sort(tags)
	if len(slices.Compact(slices.Clone(tags))) != len(tags) {
		t.Errorf("a tag is there twice in %q", tags)
	}
}
