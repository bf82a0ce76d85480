package logfile

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// snapper takes pictures of a disk as a power cut would leave it, in the moment
// before something is synced, renamed or removed.
type snapper struct {
	vfs.FS

	disk *vfs.MemFS
	rng  *rand.Rand
	took *vfs.MemFS // the last picture
	in   int        // so many occasions from now; negative = none
}

func (s *snapper) occasion() {
	if s.in--; s.in != 0 {
		return
	}
	s.took = s.disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 30, 60, 100}[s.rng.IntN(4)], RNG: rand.New(rand.NewPCG(s.rng.Uint64(), 1)),
	})
}

type snapFile struct {
	vfs.File

	s *snapper
}

func (f snapFile) SyncData() error { f.s.occasion(); return f.File.SyncData() }
func (f snapFile) Sync() error     { f.s.occasion(); return f.File.Sync() }

func (s *snapper) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.OpenReadWrite(name, c, opts...)
	return snapFile{File: f, s: s}, err
}

func (s *snapper) OpenDir(name string) (vfs.File, error) {
	f, err := s.FS.OpenDir(name)
	return snapFile{File: f, s: s}, err
}

func (s *snapper) Rename(from, to string) error { s.occasion(); return s.FS.Rename(from, to) }
func (s *snapper) Remove(name string) error     { s.occasion(); return s.FS.Remove(name) }

// model is what a log has to be.
type model struct {
	entries     map[uint64]string // those that were acknowledged, and not dropped
	first, last uint64
	note        string
	gone        uint64 // up to here everything was dropped from the front, and may be there again
	loose       bool   // the end was dropped, and may be there again
}

func (m *model) clone() *model {
	c := *m
	c.entries = maps.Clone(m.entries)
	return &c
}

func (m *model) cut(from uint64) {
	for i := from; i <= m.last; i++ {
		delete(m.entries, i)
	}
	if m.last = min(m.last, from-1); m.last < m.first {
		m.first, m.last = 0, 0
	}
}

// step does one thing to a log and to the model.
func (m *model) step(t *testing.T, l *Log, rng *rand.Rand, round int) {
	t.Helper()
	switch n := rng.IntN(20); {
	case n < 12:
		first := m.last + 1
		switch {
		case m.last == 0:
			first += uint64(rng.IntN(500))
		case rng.IntN(4) == 0:
			first -= min(uint64(rng.IntN(6)), m.last-m.first)
		}
		count := 1 + rng.IntN(6)
		put(t, l, first, round, count)
		m.cut(first)
		for i := range uint64(count) {
			m.entries[first+i] = text(first+i, round)
		}
		if m.first == 0 {
			m.first = first
		}
		m.last, m.loose = first+uint64(count)-1, false
	case n < 15:
		if err := l.SetNote([]byte(text(0, round))); err != nil {
			t.Fatal(err)
		}
		m.note = text(0, round)
	case n < 17 && m.last > 0:
		to := m.first + uint64(rng.IntN(int(m.last-m.first)+1))
		if to == m.last {
			return // raft drops everything by a reset
		}
		l.Forget(rng.IntN(2) == 0)
		if err := l.DropFront(to); err != nil {
			t.Fatal(err)
		}
		for i := m.first; i <= to; i++ {
			delete(m.entries, i)
		}
		m.first, m.gone = to+1, to
	case n == 17 && m.last > m.first:
		from := m.first + 1 + uint64(rng.IntN(int(m.last-m.first)))
		l.DropBack(from)
		m.cut(from)
		m.loose = true
	case n == 18:
		if rng.IntN(3) > 0 {
			return
		}
		l.Forget(rng.IntN(2) == 0)
		if err := l.Reset(); err != nil {
			t.Fatal(err)
		}
		*m = model{entries: map[uint64]string{}, note: m.note}
	default:
		l.Renew()
	}
}

// check compares an opened log with the model of before a step and after it:
// either may be on the disk, and what lies between.
func check(t *testing.T, l *Log, before, after *model) {
	t.Helper()
	if n := string(l.Note()); n != before.note && n != after.note {
		t.Fatalf("note = %q, want %q or %q", n, before.note, after.note)
	}
	for index, value := range after.entries {
		if before.entries[index] != value {
			continue // not acknowledged yet, or not any more
		}
		want(t, l, index, value)
	}
	for i := l.First(); i != 0 && i <= l.Last(); i++ {
		got, err := l.Read(i)
		if err != nil {
			t.Fatalf("Read(%d) = %v", i, err)
		}
		old, now := before.entries[i], after.entries[i]
		known := string(got) == old || string(got) == now
		if !known && i > max(before.gone, after.gone) && !before.loose && !after.loose {
			t.Fatalf("entry %d is %q, want %q or %q", i, got, old, now)
		}
	}
}

// TestNothingAcknowledgedIsLost cuts the power in the middle of what a log does,
// again and again: it always opens, and holds what it has to.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	cuts := 0
	for seed := range uint64(60) {
		rng := newRand(seed)
		disk := vfs.NewCrashableMem()
		m := &model{entries: map[uint64]string{}}
		for life := range 12 {
			s := &snapper{FS: disk, disk: disk, rng: rng, in: -1}
			l, err := Open(Options{Dir: "log", FS: s, SegmentBytes: 600})
			if err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			check(t, l, m, m)
			m = adopt(t, l)
			s.in = 1 + rng.IntN(60)
			var before *model
			for round := 0; s.took == nil && round < 200; round++ {
				before = m.clone()
				m.step(t, l, rng, life*1000+round)
			}
			if s.took == nil {
				t.Fatal("the power was never cut")
			}
			cuts++
			after := mustOpen(t, s.took)
			check(t, after, before, m)
			m = adopt(t, after)
			if err := after.Close(); err != nil {
				t.Fatal(err)
			}
			_ = l.Close() // of the life that goes on without us
			disk = crashable(s.took)
		}
	}
	t.Logf("%d power cuts", cuts)
}

// crashable gives a disk that can lose its power again; all that is on it stays.
func crashable(fs *vfs.MemFS) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{})
}

// adopt makes a model of what a log holds.
func adopt(t *testing.T, l *Log) *model {
	t.Helper()
	m := &model{entries: map[uint64]string{}, note: string(l.Note()), first: l.First(), last: l.Last()}
	for i := m.first; i != 0 && i <= m.last; i++ {
		b, err := l.Read(i)
		if err != nil {
			t.Fatal(err)
		}
		m.entries[i] = string(b)
	}
	return m
}
