package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func mustOpen(t testing.TB, fs vfs.FS) *Log {
	t.Helper()
	l, err := Open(Options{Dir: "log", FS: fs, SegmentBytes: 600})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// reopen closes a log and opens it again.
func reopen(t testing.TB, l *Log, fs vfs.FS) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, fs)
}

// put appends entries whose bytes say which they are.
func put(t testing.TB, l *Log, first uint64, round, n int) {
	t.Helper()
	if _, err := l.Append(first, n, func(b []byte, i int) []byte { return append(b, text(first+uint64(i), round)...) }); err != nil {
		t.Fatal(err)
	}
}

func text(index uint64, round int) string {
	return fmt.Sprintf("entry %d of round %d %s", index, round, strings.Repeat("x", int(index*7)%90))
}

func want(t testing.TB, l *Log, index uint64, value string) {
	t.Helper()
	if got, err := l.Read(index); err != nil || string(got) != value {
		t.Fatalf("Read(%d) = %q, %v, want %q", index, got, err, value)
	}
}

func wantRange(t testing.TB, l *Log, first, last uint64) {
	t.Helper()
	if l.First() != first || l.Last() != last {
		t.Fatalf("the log goes from %d to %d, want %d to %d", l.First(), l.Last(), first, last)
	}
}

func TestEntriesOutliveAClose(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	wantRange(t, l, 0, 0)
	for i := range 20 {
		put(t, l, uint64(3*i+5), i, 3)
	}
	if err := errors.Join(l.SetNote([]byte("first")), l.SetNote([]byte("second")), l.Close()); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, fs)
	wantRange(t, l, 5, 64)
	for i := range uint64(60) {
		want(t, l, i+5, text(i+5, int(i)/3))
	}
	if got := string(l.Note()); got != "second" {
		t.Errorf("note = %q", got)
	}
	for _, index := range []uint64{0, 4, 65} {
		if _, err := l.Read(index); !errors.Is(err, ErrNotFound) {
			t.Errorf("Read(%d) = %v, want %v", index, err, ErrNotFound)
		}
	}
	if _, err := l.Append(66, 1, func(b []byte, _ int) []byte { return b }); err == nil {
		t.Error("an append left a gap")
	}
	if _, err := l.Append(0, 1, func(b []byte, _ int) []byte { return b }); err == nil {
		t.Error("an entry got the number zero")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(65, 1, func(b []byte, _ int) []byte { return b }); err == nil {
		t.Error("a closed log takes entries")
	}
}

func TestWhatIsReplacedStaysReplaced(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	put(t, l, 1, 1, 30)
	put(t, l, 31, 1, 30)
	l.DropBack(20)
	wantRange(t, l, 1, 19)
	put(t, l, 20, 2, 5)
	put(t, l, 15, 3, 2) // without a word before
	for range 2 {
		wantRange(t, l, 1, 16)
		want(t, l, 14, text(14, 1))
		want(t, l, 16, text(16, 3))
		l = reopen(t, l, fs)
	}
}

func TestTheFrontGoesWithItsFiles(t *testing.T) {
	t.Parallel()
	for _, reuse := range []bool{true, false} {
		fs := vfs.NewMem()
		l := mustOpen(t, fs)
		for i := range uint64(60) {
			put(t, l, i+1, 1, 1)
		}
		files := l.Segments()
		l.Forget(!reuse)
		if err := l.DropFront(40); err != nil {
			t.Fatal(err)
		}
		wantRange(t, l, 41, 60)
		if now := l.Segments(); now >= files/2 {
			t.Errorf("%d of %d files are left", now, files)
		}
		names, err := fs.List("log")
		if err != nil {
			t.Fatal(err)
		}
		spares := len(names) - l.Segments()
		if reuse && spares != maxSpares || !reuse && spares != 0 {
			t.Errorf("reuse %t: %d files are kept to be written over", reuse, spares)
		}
		for i := range uint64(60) {
			put(t, l, i+61, 2, 1)
		}
		// Nothing that was in a file before is in it now.
		l = reopen(t, l, fs)
		if l.Last() != 120 || l.First() > 41 {
			t.Errorf("the log goes from %d to %d", l.First(), l.Last())
		}
		for i := l.First(); i <= 120; i++ {
			want(t, l, i, text(i, 1+int(i-1)/60))
		}
	}
}

func TestNothingIsLeftOfWhatWasDroppedForGood(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	put(t, l, 1, 1, 10)
	if err := l.SetNote([]byte("vote")); err != nil {
		t.Fatal(err)
	}
	put(t, l, 11, 1, 40)
	if last := l.Renew(); last != 50 {
		t.Errorf("Renew = %d, want 50", last)
	}
	put(t, l, 51, 1, 2)
	l.Forget(true)
	if err := l.DropFront(50); err != nil {
		t.Fatal(err)
	}
	wantRange(t, l, 51, 52)
	names, err := fs.List("log")
	if err != nil || len(names) != 1 {
		t.Errorf("files = %v, %v, want one", names, err)
	}
	if err := l.Reset(); err != nil {
		t.Fatal(err)
	}
	wantRange(t, l, 0, 0)
	put(t, l, 1000, 1, 1) // far away
	for range 2 {
		wantRange(t, l, 1000, 1000)
		if got := string(l.Note()); got != "vote" {
			t.Errorf("note = %q", got)
		}
		l = reopen(t, l, fs)
	}
	l.DropBack(1) // everything: what follows may begin anywhere
	put(t, l, 5, 2, 1)
	l = reopen(t, l, fs)
	wantRange(t, l, 5, 5)
	put(t, l, 6, 2, 1)
	if err := l.DropFront(7); err != nil {
		t.Fatal(err)
	}
	put(t, l, 90, 3, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantRange(t, mustOpen(t, fs), 90, 90)
}

// TestEveryDamageIsFound flips every bit of a log that was closed, one after the
// other: either it is found, or nothing is missing.
func TestEveryDamageIsFound(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	for i := range 4 {
		put(t, l, uint64(5*i+1), 1, 5)
	}
	if err := errors.Join(l.SetNote([]byte("vote")), l.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("log")
	if err != nil || len(names) < 2 {
		t.Fatalf("files = %v, %v", names, err)
	}
	found := 0
	for _, name := range names {
		whole := contents(t, fs, name)
		for at := range whole {
			bad := bytes.Clone(whole)
			bad[at] ^= 1 << (at % 8)
			l, err := Open(Options{Dir: "log", FS: copyWith(t, fs, name, bad), ReadOnly: true})
			if errors.Is(err, ErrCorrupt) {
				found++
				continue
			}
			if err != nil {
				t.Fatalf("%s, byte %d: %v", name, at, err)
			}
			if l.First() != 1 || l.Last() != 20 || string(l.Note()) != "vote" {
				t.Fatalf("%s, byte %d: the log goes from %d to %d, note %q, and nobody says why", name, at, l.First(), l.Last(), l.Note())
			}
			for i := uint64(1); i <= 20; i++ {
				want(t, l, i, text(i, 1))
			}
			_ = l.Close()
		}
	}
	if found < 1000 {
		t.Errorf("%d damages were found", found)
	}
}

// TestATornBatchIsNoDamage lacks a piece in the middle of the last batch, as a power
// cut may leave it: nothing of it was acknowledged, and the log opens.
func TestATornBatchIsNoDamage(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	put(t, l, 1, 1, 2)
	put(t, l, 3, 1, 3)
	name := segmentName(1)
	torn := contents(t, fs, name)
	torn[l.segments[0].offsets[3]+recordBytes] ^= 1
	disk := copyWith(t, fs, name, torn)
	l = mustOpen(t, disk)
	wantRange(t, l, 1, 3)
	put(t, l, 4, 2, 1)
	l = reopen(t, l, disk)
	wantRange(t, l, 1, 4)
	want(t, l, 4, text(4, 2))
}

func contents(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open("log/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := readAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// copyWith copies a log and gives one file other contents.
func copyWith(t testing.TB, fs vfs.FS, name string, b []byte) vfs.FS {
	t.Helper()
	out := vfs.NewMem()
	if err := out.MkdirAll("log", 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		data := b
		if n != name {
			data = contents(t, fs, n)
		}
		f, err := out.Create("log/"+n, category)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(data)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestAMissingFileIsFound(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	for i := range 60 {
		put(t, l, uint64(i+1), 1, 1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("log")
	if err != nil || len(names) < 3 {
		t.Fatalf("files = %v, %v", names, err)
	}
	slices.Sort(names)
	if err := fs.Remove("log/" + names[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: "log", FS: fs}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open = %v, want %v", err, ErrCorrupt)
	}
}

func TestAFailedDiskIsNotTrustedAgain(t *testing.T) {
	t.Parallel()
	failing := false
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing && op.Kind == errorfs.OpFileSyncData {
			return errorfs.ErrInjected
		}
		return nil
	})
	var told []error
	l, err := Open(Options{Dir: "log", FS: errorfs.Wrap(vfs.NewMem(), inject), Failed: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	put(t, l, 1, 1, 1)
	failing = true
	for range 2 {
		if _, err := l.Append(2, 1, func(b []byte, _ int) []byte { return b }); !errors.Is(err, ErrFailed) {
			t.Errorf("Append on a failing disk = %v, want %v", err, ErrFailed)
		}
		failing = false // it would work again
	}
	if err := l.SetNote(nil); !errors.Is(err, ErrFailed) {
		t.Errorf("SetNote after a failure = %v, want %v", err, ErrFailed)
	}
	if err := l.Reset(); !errors.Is(err, ErrFailed) {
		t.Errorf("Reset after a failure = %v, want %v", err, ErrFailed)
	}
	if len(told) != 1 || !errors.Is(told[0], errorfs.ErrInjected) {
		t.Errorf("told of %v, want one failure", told)
	}
	wantRange(t, l, 1, 1)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadingChangesNothing(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	put(t, l, 1, 1, 40)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := fs.String()
	l, err := Open(Options{Dir: "log", FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	wantRange(t, l, 1, 40)
	want(t, l, 40, text(40, 1))
	if _, err := l.Append(41, 1, func(b []byte, _ int) []byte { return b }); err == nil {
		t.Error("a log for reading takes entries")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if after := fs.String(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	l, err = Open(Options{Dir: "nowhere", FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatalf("Open of no log for reading = %v", err)
	}
	wantRange(t, l, 0, 0)
}

// FuzzOpen opens a directory with any bytes in a file: it is an error or a log,
// and never a panic.
func FuzzOpen(f *testing.F) {
	fs := vfs.NewMem()
	l := mustOpen(f, fs)
	put(f, l, 1, 1, 3)
	if err := errors.Join(l.SetNote([]byte("vote")), l.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(contents(f, fs, segmentName(1)))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := copyWith(t, fs, segmentName(1), b)
		l, err := Open(Options{Dir: "log", FS: disk, SegmentBytes: 600})
		if err != nil {
			return
		}
		for i := l.First(); i <= l.Last() && i > 0 && i < l.First()+100; i++ {
			if _, err := l.Read(i); err != nil {
				t.Errorf("Read(%d) = %v", i, err)
			}
		}
		next := max(l.Last()+1, 1)
		if next == 0 {
			return
		}
		put(t, l, next, 1, 1)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if again := mustOpen(t, disk); again.Last() != next {
			t.Errorf("the log ends at %d, want %d", again.Last(), next)
		}
	})
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }
