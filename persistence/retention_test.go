package persistence

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// age is a conversation that had its last activity so long ago.
type age struct {
	inbox  conversation.InboxID
	status conversation.Status
	ago    time.Duration
}

// aged stores a conversation.
func aged(t testing.TB, s *Store, n int, is age) {
	t.Helper()
	at := s.options.Now().Add(-is.ago)
	a := step(conv(n), 0, 0)
	a.Entries = []conversation.Entry{
		{Seq: 1, At: at, Event: conversation.ConversationStarted{
			Inbox: is.inbox, Channel: conversation.ChannelWeb, Contact: contact(n).Contact, Status: conversation.StatusOpen,
		}},
		{Seq: 2, At: at, Event: conversation.StatusChanged{From: conversation.StatusOpen, To: is.status}},
	}
	a.Head = fold(a).Head()
	a.Contact = conversation.ContactKey{Inbox: is.inbox, Contact: contact(n).Contact}
	mustAppend(t, s, a)
}

func keeps(t testing.TB, s *Store, inbox conversation.InboxID, after time.Duration) {
	t.Helper()
	in, _ := s.Inbox(inbox) // zero makes a new one
	in.ID, in.Name, in.Retention.ResolvedAfter = inbox, "x", conversation.Span(after)
	if _, err := s.PutInbox(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func erasedOnes(t testing.TB, s *Store, n int) []int {
	t.Helper()
	var out []int
	for i := range n {
		state, err := s.Load(t.Context(), conv(i))
		if err != nil {
			t.Fatal(err)
		}
		if state.Gone {
			out = append(out, i)
		}
	}
	return out
}

// What is done goes when its time is over: by the setting of its inbox, counted
// from its last activity, and not while a hold stands.
func TestConversationsGoWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := openTest(t, testOptions(vfs.NewMem()))
	keeps(t, s, "sales", 180*day)
	keeps(t, s, "legal", 0)
	for n, c := range []age{
		{"sales", conversation.StatusResolved, 181 * day},
		{"sales", conversation.StatusClosed, 400 * day},
		{"sales", conversation.StatusResolved, 180 * day}, // not over: to the moment
		{"sales", conversation.StatusOpen, 400 * day},
		{"sales", conversation.StatusSnoozed, 400 * day},
		{"legal", conversation.StatusResolved, 4000 * day},
		{"sales", conversation.StatusResolved, 300 * day}, // held
		{"sales", conversation.StatusResolved, 300 * day}, // of a contact that is held
	} {
		aged(t, s, n, c)
	}
	for _, on := range []string{conv(6).String(), contact(7).Contact.String()} {
		if err := s.PutHold(t.Context(), on, conversation.Hold{By: "ada", At: testStart}); err != nil {
			t.Fatal(err)
		}
	}
	want := []Overdue{{Inbox: "sales", Before: testStart.Add(-180 * day), Conversations: 2, Held: 2}}
	got, err := s.Overdue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "what is overdue", want, got)
	if gone := erasedOnes(t, s, 8); len(gone) != 0 {
		t.Fatalf("counting erased %v", gone)
	}
	if n, err := s.SweepOverdue(t.Context()); err != nil || n != 2 {
		t.Fatalf("SweepOverdue = %d, %v", n, err)
	}
	diff(t, "what is erased", []int{0, 1}, erasedOnes(t, s, 8))
	if log := mustEntries(t, s, conv(0)); len(log) != 1 || log[0].Event.(conversation.ConversationErased).Reason != conversation.ErasedRetention { //nolint:forcetypeassert // a test may panic
		t.Errorf("%+v is left", log)
	}
	if n, err := s.SweepOverdue(t.Context()); err != nil || n != 0 {
		t.Errorf("SweepOverdue again = %d, %v", n, err)
	}
	for _, on := range []string{conv(6).String(), contact(7).Contact.String()} {
		if err := s.DropHold(t.Context(), on); err != nil {
			t.Fatal(err)
		}
	}
	keeps(t, s, "legal", 3999*day)
	if n, err := s.SweepOverdue(t.Context()); err != nil || n != 3 {
		t.Errorf("without holds, and with another setting: %d, %v", n, err)
	}
	checkInvariants(t, s)
}

// The leader does it by itself, for all, and more than is looked for at a time.
func TestTheLeaderSweepsWhatIsOverdue(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.change = func(o *Options) { scrubbing(o) }
	c.grow(3)
	lead := c.leader()
	keeps(t, lead.store, "sales", 180*24*time.Hour)
	const many = overdueAtOnce + 20
	for n := range many {
		aged(t, lead.store, n, age{"sales", conversation.StatusResolved, time.Duration(200+n) * 24 * time.Hour})
	}
	c.agree()
	follower := c.follower()
	if err := follower.store.sweepOverdue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gone := erasedOnes(t, lead.store, many); len(gone) != 0 && !follower.store.Leads() {
		t.Errorf("a follower erased %d", len(gone))
	}
	waitFor(t, func() bool { // on a busy machine the lead may change meanwhile
		lead := c.leader().store
		if err := lead.sweepOverdue(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(erasedOnes(t, lead, many)) == many
	})
	c.agree()
	for _, n := range c.all() {
		if gone := erasedOnes(t, n.store, many); len(gone) != many {
			t.Errorf("%s: %d of %d are erased", n.address, len(gone), many)
		}
		waitFor(t, func() bool { // the slow pass comes, too
			left, err := value(n.store.db, scrubKey(), func([]byte) error { return nil })
			return err == nil && !left
		})
	}
}
