package persistence

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// testStart is when the tests' conversations happen.
var testStart = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// testOptions are small enough for many stores in one process.
func testOptions(fs vfs.FS) Options {
	return Options{
		Dir: "journal", FS: fs, CacheBytes: 4 << 20, MemTableBytes: 4 << 20,
		Logger: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return testStart },
	}
}

func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !s.halt.failed() {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

// reopen closes a store and opens its directory again.
func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
	return openTest(t, s.options)
}

func conv(n int) conversation.ConversationID {
	var id conversation.ConversationID
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

func contact(n int) conversation.ContactKey {
	var c conversation.ContactID
	c[0] = 2
	binary.BigEndian.PutUint64(c[8:], uint64(n)+1)
	return conversation.ContactKey{Inbox: "sales", Contact: c}
}

func message(seq conversation.Seq, text string) conversation.Entry {
	return conversation.Entry{
		Seq: seq, At: testStart.Add(time.Duration(seq) * time.Second),
		Event: conversation.MessageAccepted{Ref: conversation.Ref(fmt.Sprintf("r%d", seq)), Text: conversation.Text(text)},
	}
}

// step makes an append of n messages after expect.
func step(id conversation.ConversationID, expect conversation.Seq, n int) *conversation.Append {
	a := &conversation.Append{ID: id, Expect: expect}
	for i := range n {
		seq := expect + conversation.Seq(i) + 1
		a.Entries = append(a.Entries, message(seq, fmt.Sprintf("message %d of %s", seq, id)))
	}
	last := testStart
	if n > 0 {
		last = a.Entries[n-1].At
	}
	a.Head = conversation.Head{
		ID: id, Inbox: "sales", Channel: conversation.ChannelWeb, Contact: contact(int(id[15])).Contact,
		Status: conversation.StatusPending, Handler: conversation.HandlerBot, Queue: conversation.QueueNone,
		CreatedAt: testStart, LastActivity: last, Version: expect + conversation.Seq(n),
	}
	return a
}

func mustAppend(t testing.TB, s *Store, a *conversation.Append) {
	t.Helper()
	if err := s.Append(t.Context(), a); err != nil {
		t.Fatalf("Append(%s after %d) = %v", a.ID, a.Expect, err)
	}
}

func mustEntries(t testing.TB, s *Store, id conversation.ConversationID) []conversation.Entry {
	t.Helper()
	got, err := s.Entries(t.Context(), id, 0, 0)
	if err != nil {
		t.Fatalf("Entries(%s) = %v", id, err)
	}
	return got
}

func diff(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

func TestAppendedEntriesAreThereAfterReopen(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	id := conv(1)
	first, second := step(id, 0, 2), step(id, 2, 1)
	mustAppend(t, s, first)
	mustAppend(t, s, second)
	want := append(append([]conversation.Entry(nil), first.Entries...), second.Entries...)
	diff(t, "entries", want, mustEntries(t, s, id))
	head, err := s.Head(t.Context(), id)
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	diff(t, "head", second.Head, head)

	node := s.Identity()
	s = reopen(t, s)
	diff(t, "entries after reopen", want, mustEntries(t, s, id))
	diff(t, "identity", node, s.Identity())
	mustAppend(t, s, step(id, 3, 1))
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { benchmarkAppend(b, writers) })
	}
}

// benchmarkAppend writes messages of 300 bytes, each writer to conversations of
// its own, with everything that an ordinary message brings along.
func benchmarkAppend(b *testing.B, writers int) {
	o := testOptions(vfs.Default)
	o.Dir, o.MemTableBytes, o.CacheBytes = b.TempDir(), DefaultMemTableBytes, DefaultCacheBytes
	s := openTest(b, o)
	text := strings.Repeat("hello there ", 25)
	b.ReportAllocs()
	b.ResetTimer()
	start, cpu := time.Now(), cpuTime(b)
	done := make(chan error, writers)
	for w := range writers {
		go func() { done <- writeMany(b.Context(), s, w, b.N/writers+1, text) }()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	n := float64((b.N/writers + 1) * writers)
	b.ReportMetric(n/time.Since(start).Seconds(), "appends/s")
	b.ReportMetric(float64(cpuTime(b)-cpu)/n, "cpu-ns/append")
}

func writeMany(ctx context.Context, s *Store, w, n int, text string) error {
	const perConversation = 50
	var a *conversation.Append
	for i := range n {
		seq := conversation.Seq(i % perConversation)
		id := conv(w<<20 + i/perConversation)
		a = step(id, seq, 0)
		a.Entries = []conversation.Entry{{
			Seq: seq + 1, At: testStart.Add(time.Duration(i) * time.Second),
			Event: conversation.MessageAccepted{Ref: conversation.Ref(fmt.Sprint("ref", i)), Text: conversation.Text(text)},
		}}
		a.Head.LastActivity, a.Head.Preview = a.Entries[0].At, conversation.Text(text[:160])
		a.Refs = []conversation.RefRow{{Ref: conversation.Ref(fmt.Sprint("ref", i)), Seq: seq + 1}}
		if err := s.Append(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
