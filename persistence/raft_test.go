package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence/logfile"
)

// fill appends to a few conversations.
func fill(t testing.TB, s *Store, rounds int) {
	t.Helper()
	for n := range 5 {
		state, err := s.Load(t.Context(), conv(n))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rounds {
			a := step(conv(n), state.Version+conversation.Seq(i), 1)
			a.Contact, a.NextDue = contact(n), testStart
			a.Outbox = []conversation.Outbound{{Conversation: a.ID, Message: a.Head.Version}}
			mustAppend(t, s, a)
		}
	}
}

// dump is all state of a store, row by row.
func dump(t testing.TB, s *Store) map[string]string {
	t.Helper()
	if err := s.buffer.settle(); err != nil {
		t.Fatal(err)
	}
	return dumpRows(t, s.db)
}

func dumpRows(t testing.TB, db pebble.Reader) map[string]string {
	t.Helper()
	rows := make(map[string]string)
	for _, tag := range stateTags() {
		err := scan(db, prefixBounds(tagPrefix(tag), nil), func(key, value []byte) (bool, error) {
			rows[string(key)] = string(value)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func TestRestartsKeepEverything(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, s *Store){
		"no snapshot": func(*testing.T, *Store) {},
		"snapshot": func(t *testing.T, s *Store) {
			t.Helper()
			if err := s.raft.Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
		},
		"snapshot and truncation": func(t *testing.T, s *Store) {
			t.Helper()
			fill(t, s, trailingEntries/2)
			if err := s.raft.Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
			if h := s.Health(t.Context()); h.LogEntries > trailingEntries+1 {
				t.Errorf("%d raft entries after truncation, want at most %d", h.LogEntries, trailingEntries+1)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, testOptions(vfs.NewMem()))
			for range 4 {
				fill(t, s, 5)
				prepare(t, s)
				fill(t, s, 2)
				want := dump(t, s)
				s = reopen(t, s)
				got := dump(t, s)
				// The entries of the restart itself move the applied index.
				delete(want, string(appliedKey()))
				delete(got, string(appliedKey()))
				diff(t, "state", want, got)
				checkInvariants(t, s)
			}
			// Restarts without writes: each leaves entries in the raft log that do
			// not move the applied index.
			for range trailingEntries {
				s = reopen(t, s)
			}
			prepare(t, s)
			s = reopen(t, s)
			fill(t, s, 1)
		})
	}
}

// TestLogIsTruncatedByItsSize lets the log grow until the background truncates.
func TestLogIsTruncatedByItsSize(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	o.SnapshotEvery = 64 << 10
	s := openTest(t, o)
	fill(t, s, 100)
	waitFor(t, func() bool {
		fill(t, s, 5)
		first, err := s.logs.FirstIndex()
		return err == nil && first > 100
	})
	s = reopen(t, s)
	checkInvariants(t, s)
}

// TestStateStreamMovesEverything sends the state of one node to another, as
// raft does with a follower that is too far behind.
func TestStateStreamMovesEverything(t *testing.T) {
	t.Parallel()
	from := openTest(t, testOptions(vfs.NewMem()))
	fill(t, from, 40)
	if _, err := from.PutInbox(t.Context(), conversation.Inbox{ID: "sales"}); err != nil {
		t.Fatal(err)
	}
	if err := from.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	fill(t, from, 1)
	metas, err := from.snapshots.List()
	if err != nil || len(metas) != 1 {
		t.Fatalf("List = %v, %v", metas, err)
	}
	meta, src, err := from.snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := dump(t, from)
	fill(t, from, 3) // not in the stream
	content, err := io.ReadAll(src)
	if err = errors.Join(err, src.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != meta.Size {
		t.Errorf("the stream has %d bytes, %d were announced", len(content), meta.Size)
	}

	to := receive(t, meta, content)
	diff(t, "state", want, dump(t, to))
	checkInvariants(t, to)
	if _, err := to.Inbox("sales"); err != nil {
		t.Errorf("the directory was not read again: %v", err)
	}
	got, err := to.snapshots.List()
	if err != nil || len(got) != 1 || got[0].Index != meta.Index {
		t.Errorf("mark of the receiver = %v, %v", got, err)
	}
	older := &storedMark{SnapshotMeta: raft.SnapshotMeta{ID: "old", Index: meta.Index - 1}}
	if err := to.snapshots.put(older); err != nil {
		t.Fatal(err)
	}
	if got, err := to.snapshots.List(); err != nil || got[0].Index != meta.Index {
		t.Errorf("an older mark replaced the newer one: %v, %v", got, err)
	}
}

// receive replaces the state of a fresh store by a stream, without its raft.
func receive(t *testing.T, meta *raft.SnapshotMeta, content []byte) *Store {
	t.Helper()
	to := openTest(t, testOptions(vfs.NewMem()))
	fill(t, to, 2) // to be dropped
	sub := to.Watch(10)
	sink, err := to.snapshots.Create(1, meta.Index, meta.Term, meta.Configuration, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(sink, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	_, src, err := to.snapshots.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(to.machine.Restore(src), src.Close()); err != nil {
		t.Fatalf("Restore = %v", err)
	}
	if _, ok := <-sub.C(); ok || !sub.Lost() {
		t.Error("watchers were not told that they lost the thread")
	}
	return to
}

func TestDamagedStateStreamIsRefused(t *testing.T) {
	t.Parallel()
	from := openTest(t, testOptions(vfs.NewMem()))
	fill(t, from, 3)
	if err := from.buffer.settle(); err != nil {
		t.Fatal(err)
	}
	stream, _, err := openStream(from.db.NewSnapshot(), nil)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(stream)
	if err = errors.Join(err, stream.Close()); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-10] },
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"empty":   func([]byte) []byte { return nil },
		"newer":   func(b []byte) []byte { b[1] = 9; return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(vfs.NewMem())
			to := openTest(t, o)
			if _, err := to.snapshots.replaceState(bytes.NewReader(damage(bytes.Clone(content)))); err == nil {
				t.Fatal("a damaged stream was taken")
			}
			if err := to.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(o); !errors.Is(err, ErrCorrupt) {
				t.Errorf("Open of a half-replaced state = %v, want %v", err, ErrCorrupt)
				if err == nil {
					_ = s.Close()
				}
			}
		})
	}
}

func TestLogStoreKeepsEntriesAsTheyAre(t *testing.T) {
	t.Parallel()
	o := logfile.Options{FS: vfs.NewMem(), Dir: "log"}
	h := newHalt(slog.New(slog.DiscardHandler), func(string) {})
	open := func() *logStore {
		files, err := logfile.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLogStore(files, h, 1<<20, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	for i := range uint64(3) {
		if err := l.StoreLog(&raft.Log{Index: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := l.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	var logs []*raft.Log
	for i := range uint64(10) {
		logs = append(logs, &raft.Log{
			Index: last + 100 + i, Term: 7, Type: raft.LogBarrier, Data: fmt.Appendf(nil, "data %d", i),
			Extensions: bytes.Repeat([]byte("x"), int(i)), AppendedAt: testStart,
		})
	}
	if err := l.DeleteRange(1, last); err != nil {
		t.Fatal(err)
	}
	if err := l.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
	for _, want := range logs {
		var got raft.Log
		if err := l.GetLog(want.Index, &got); err != nil {
			t.Fatal(err)
		}
		if len(want.Extensions) == 0 {
			want.Extensions = nil
		}
		diff(t, "entry", *want, got)
	}
	if err := l.DeleteRange(logs[8].Index, logs[9].Index); err != nil { // a conflicting tail
		t.Fatal(err)
	}
	if err := l.GetLog(logs[9].Index, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("GetLog of what was deleted = %v, want %v", err, raft.ErrLogNotFound)
	}
	if err := l.StoreLog(&raft.Log{Index: logs[8].Index, Term: 8}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.SetUint64([]byte("term"), 8), l.Set([]byte("vote"), []byte("me")), l.files.Close()); err != nil {
		t.Fatal(err)
	}
	l = open()
	first, _ := l.FirstIndex()
	last, _ = l.LastIndex()
	if first != logs[0].Index || last != logs[8].Index || !l.has(logs[8].Index, 8) || !l.has(logs[7].Index, 7) {
		t.Errorf("log from %d to %d, want %d to %d", first, last, logs[0].Index, logs[8].Index)
	}
	if n, err := l.GetUint64([]byte("term")); err != nil || n != 8 {
		t.Errorf("term = %d, %v, want 8", n, err)
	}
	if v, err := l.Get([]byte("vote")); err != nil || string(v) != "me" {
		t.Errorf("vote = %q, %v", v, err)
	}
}
