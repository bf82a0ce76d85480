package traces

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// sample makes a trace that began n seconds after the epoch's billionth.
func sample(n int) *Trace {
	began := time.Unix(1_000_000_000+int64(n), 0).UTC()
	t := &Trace{Summary: Summary{
		ID: conversation.TraceID{1, byte(n), byte(n >> 8)}, Conversation: conversation.ConversationID{9, byte(n % 3)}, Inbox: "shop",
		Channel: conversation.ChannelWeb, Reason: flight.ReasonSlow, Began: began, Took: float64(n),
	}}
	t.add([]flight.Record{
		{Trace: t.ID, Span: conversation.SpanID{1}, Name: "gateway.in", Node: "a", Start: began, Took: 9 * time.Millisecond},
		{Trace: t.ID, Span: conversation.SpanID{2}, Parent: conversation.SpanID{1}, Name: "turn", Node: "b", Start: began.Add(time.Millisecond), Took: 7 * time.Millisecond},
	})
	return t
}

func open(t *testing.T, dir string, most int, size int64) *store {
	t.Helper()
	s, err := openStore(dir, most, size)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func files(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestStoreSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 100, 1<<20)
	for _, n := range []int{3, 1, 2} {
		if err := s.put(sample(n)); err != nil {
			t.Fatal(err)
		}
	}
	// What a crash may leave, and what is none of its business.
	for name, content := range map[string]string{"1-cut.json": "{", "0000000000000000001-00.json": "{}", "notes.txt": "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, 100, 1<<20)
	list := s.list(Query{})
	if len(list) != 3 || list[0].ID != sample(3).ID || list[2].ID != sample(1).ID {
		t.Fatalf("after a restart the list is %+v, want the three, newest first", list)
	}
	if n := files(t, dir); n != 4 {
		t.Errorf("%d files are left, want three traces and the notes", n)
	}
	got, err := s.get(sample(2).ID)
	if err != nil || len(got.All) != 2 || got.All[1].Took != 7*time.Millisecond || got.Nodes[1] != "b" {
		t.Errorf("get = %+v, %v", got, err)
	}
	if _, err := s.get(conversation.TraceID{7}); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("get of an unknown trace = %v, want class not found", err)
	}
}

func TestStoreIsBounded(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]struct {
		most int
		size int64
	}{"by number": {5, 1 << 20}, "by bytes": {1000, 6000}} {
		dir := t.TempDir()
		s := open(t, dir, bound.most, bound.size)
		for n := range 50 {
			if err := s.put(sample(n)); err != nil {
				t.Fatal(err)
			}
		}
		n, size := s.stored()
		if n == 0 || n > bound.most || size > bound.size || files(t, dir) != n {
			t.Errorf("%s: %d traces of %d bytes in %d files", name, n, size, files(t, dir))
		}
		if list := s.list(Query{}); list[0].ID != sample(49).ID {
			t.Errorf("%s: the newest is gone", name)
		}
		if n, _ := open(t, dir, 2, bound.size).stored(); n != 2 {
			t.Errorf("%s: %d are left under a smaller bound, want 2", name, n)
		}
	}
}

func TestSameTraceIsStoredOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 10, 1<<20)
	later := sample(1)
	later.Began = later.Began.Add(time.Hour)
	for _, tr := range []*Trace{sample(1), sample(2), sample(1), later} {
		if err := s.put(tr); err != nil {
			t.Fatal(err)
		}
	}
	if list := s.list(Query{}); len(list) != 2 || list[0].ID != later.ID || files(t, dir) != 2 {
		t.Errorf("the list is %+v in %d files, want the two", list, files(t, dir))
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 100, 1<<20)
	for n := range 12 {
		tr := sample(n)
		if n%4 == 0 {
			tr.Failed, tr.Channel, tr.Inbox = true, conversation.ChannelWebhook, "desk"
		}
		if err := s.put(tr); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		q    Query
		want int
	}{
		"all":          {Query{}, 12},
		"limit":        {Query{Limit: 5}, 5},
		"conversation": {Query{Conversation: conversation.ConversationID{9, 1}}, 4},
		"channel":      {Query{Channel: conversation.ChannelWebhook}, 3},
		"inbox":        {Query{Inboxes: []conversation.InboxID{"desk", "other"}}, 3},
		"slow":         {Query{Least: 8 * time.Millisecond}, 4},
		"failed":       {Query{Failed: true, Least: 3 * time.Millisecond}, 2},
	} {
		if got := s.list(c.q); len(got) != c.want {
			t.Errorf("%s: %d traces, want %d", name, len(got), c.want)
		}
	}
}

func TestMergeTakesTheFullerPart(t *testing.T) {
	t.Parallel()
	part, whole := sample(1).Summary, sample(1).Summary
	part.Spans = 1
	got := Merge(Query{Limit: 2}, []Summary{part, sample(2).Summary}, []Summary{whole, sample(3).Summary})
	if len(got) != 2 || got[0].ID != sample(3).ID || got[1].ID != sample(2).ID {
		t.Errorf("Merge = %+v, want the two newest", got)
	}
	if got := Merge(Query{}, []Summary{part}, []Summary{whole}); len(got) != 1 || got[0].Spans != 2 {
		t.Errorf("Merge = %+v, want the fuller part", got)
	}
}
