package persistence

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/colloquyhq/colloquy/conversation"
)

// spot is where a conversation stands in lists.
type spot struct {
	inbox  conversation.InboxID
	status conversation.Status
	minute int
}

// put stores a conversation with what its list row is made of.
func put(t testing.TB, s *Store, n int, at spot) {
	t.Helper()
	state, err := s.Load(t.Context(), conv(n))
	if err != nil {
		t.Fatal(err)
	}
	a := step(conv(n), state.Version, 1)
	a.Head.Inbox, a.Head.Status = at.inbox, at.status
	a.Head.LastActivity = testStart.Add(time.Duration(at.minute) * time.Minute)
	mustAppend(t, s, a)
}

func listAll(t testing.TB, s *Store, q ListQuery) []conversation.Head {
	t.Helper()
	var out []conversation.Head
	for range 1000 {
		heads, next, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		out = append(out, heads...)
		if q.Cursor = next; next == "" {
			return out
		}
		if len(heads) == 0 {
			t.Fatal("an empty page with a next one")
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func numbers(heads []conversation.Head) []int {
	out := []int{}
	for _, h := range heads {
		out = append(out, int(h.ID[15])-1)
	}
	return out
}

func TestListIsNewestFirstByInboxAndStatus(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	put(t, s, 0, spot{"sales", conversation.StatusOpen, 5})
	put(t, s, 1, spot{"sales", conversation.StatusPending, 9})
	put(t, s, 2, spot{"sales-2", conversation.StatusOpen, 7})
	put(t, s, 3, spot{"support", conversation.StatusOpen, 1})
	put(t, s, 4, spot{"support", conversation.StatusClosed, 7})
	put(t, s, 5, spot{"sales", conversation.StatusOpen, 2})
	put(t, s, 5, spot{"sales", conversation.StatusOpen, 11})
	put(t, s, 3, spot{"support", conversation.StatusResolved, 3})
	open := []conversation.Status{conversation.StatusOpen}
	for name, c := range map[string]struct {
		q    ListQuery
		want []int
	}{
		"all":                {ListQuery{}, []int{5, 1, 2, 4, 0, 3}},
		"one inbox":          {ListQuery{Inboxes: []conversation.InboxID{"sales"}}, []int{5, 1, 0}},
		"open":               {ListQuery{Status: open}, []int{5, 2, 0}},
		"open of one":        {ListQuery{Inboxes: []conversation.InboxID{"sales"}, Status: open}, []int{5, 0}},
		"two, one twice":     {ListQuery{Inboxes: []conversation.InboxID{"support", "sales-2", "support"}}, []int{2, 4, 3}},
		"unknown inbox":      {ListQuery{Inboxes: []conversation.InboxID{"nobody"}}, []int{}},
		"nobody is in there": {ListQuery{Status: []conversation.Status{conversation.StatusSnoozed}}, []int{}},
	} {
		for _, limit := range []int{0, 1, 2, 3} {
			c.q.Limit = limit
			diff(t, fmt.Sprintf("%s by %d", name, limit), c.want, numbers(listAll(t, s, c.q)))
		}
	}
	if _, _, err := s.List(t.Context(), ListQuery{Cursor: "nonsense"}); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("List with a bad cursor = %v, want a refusal", err)
	}
}

// TestListShowsNothingTwiceWhileThingsMove reads pages while conversations
// become active, change status and appear.
func TestListShowsNothingTwiceWhileThingsMove(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s, err := Open(testOptions(vfs.NewMem()))
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		statuses := conversation.Statuses()
		minute := 0
		touch := func(n int) {
			minute += rapid.IntRange(0, 1).Draw(r, "minutes")
			put(t, s, n, spot{"sales", rapid.SampledFrom(statuses).Draw(r, "status"), minute})
		}
		for n := range 12 {
			touch(n)
		}
		minute++
		moved := make(map[int]bool)
		var seen []conversation.ConversationID
		q := ListQuery{Limit: rapid.IntRange(1, 5).Draw(r, "limit")}
		for {
			heads, next, err := s.List(t.Context(), q)
			if err != nil {
				r.Fatal(err)
			}
			for _, h := range heads {
				if slices.Contains(seen, h.ID) {
					r.Fatalf("%s comes twice", h.ID)
				}
				seen = append(seen, h.ID)
			}
			if next == "" {
				break
			}
			q.Cursor = next
			n := rapid.IntRange(0, 14).Draw(r, "touched")
			touch(n)
			moved[n] = true
		}
		for n := range 12 {
			if !moved[n] && !slices.Contains(seen, conv(n)) {
				r.Fatalf("conversation %d, which did not move, was not shown", n)
			}
		}
	})
}

// Within a second a conversation keeps its place in the index, and a page is in
// order all the same.
func TestListWithinASecond(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	rows := func() (keys []string) {
		err := s.buffer.settle()
		if err != nil {
			t.Fatal(err)
		}
		err = scan(s.db, prefixBounds(tagPrefix(tagList), nil), func(key, _ []byte) (bool, error) {
			keys = append(keys, string(key))
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	active := func(n int, after time.Duration) {
		t.Helper()
		state, err := s.Load(t.Context(), conv(n))
		if err != nil {
			t.Fatal(err)
		}
		a := step(conv(n), state.Version, 1)
		a.Head.Inbox, a.Head.Status, a.Head.LastActivity = "sales", conversation.StatusOpen, testStart.Truncate(time.Second).Add(after)
		mustAppend(t, s, a)
	}
	active(0, 0)
	active(1, 100*time.Millisecond)
	active(2, 200*time.Millisecond)
	before := rows()
	active(1, 300*time.Millisecond)
	active(0, 999*time.Millisecond)
	diff(t, "rows of the index", before, rows())
	diff(t, "list", []int{0, 1, 2}, numbers(listAll(t, s, ListQuery{})))
	active(2, time.Second)
	diff(t, "list", []int{2, 0, 1}, numbers(listAll(t, s, ListQuery{})))
	diff(t, "list since a second", []int{2}, numbers(listAll(t, s, ListQuery{Since: testStart.Truncate(time.Second).Add(time.Second)})))
	if len(rows()) != 3 {
		t.Errorf("%d rows for three conversations", len(rows()))
	}
	checkInvariants(t, s)
}
