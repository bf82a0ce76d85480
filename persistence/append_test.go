package persistence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestAppendRefusesAnotherVersion(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	id := conv(1)
	mustAppend(t, s, step(id, 0, 2))
	other := step(id, 1, 1)
	other.Entries[0].Event = conversation.MessageAccepted{Ref: "other", Text: "something else"}
	for name, a := range map[string]*conversation.Append{
		"behind, with other entries": other,
		"ahead":                      step(id, 5, 1),
		"no entries":                 step(id, 1, 0),
	} {
		err := s.Append(t.Context(), a)
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Have != 2 || !errors.Is(err, ErrConflict) {
			t.Errorf("%s: Append = %v, want a conflict at 2", name, err)
		}
		if code := conversation.CodeOf(err); code != conversation.CodeVersionMismatch {
			t.Errorf("%s: code = %s", name, code)
		}
	}
	if got := len(mustEntries(t, s, id)); got != 2 {
		t.Errorf("%d entries after refused appends, want 2", got)
	}
	checkInvariants(t, s)
}

func TestAppendTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	id := conv(1)
	mustAppend(t, s, step(id, 0, 2))
	mustAppend(t, s, step(id, 0, 2))
	mustAppend(t, s, step(id, 2, 1))
	mustAppend(t, s, step(id, 0, 2)) // also when others came after
	if got := len(mustEntries(t, s, id)); got != 3 {
		t.Errorf("%d entries, want 3", got)
	}
	if _, err := s.Claim(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, step(id, 2, 1)) // stored is stored, whoever owns it now
	s = reopen(t, s)
	mustAppend(t, s, step(id, 2, 1))
	more := step(id, 1, 3) // the second is stored, the others are new
	if err := s.Append(t.Context(), more); !errors.Is(err, ErrFenced) {
		t.Errorf("Append of half-stored entries = %v, want %v", err, ErrFenced)
	}
}

func TestConcurrentCopiesOfAnAppendAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	var copies sync.WaitGroup
	for seq := range conversation.Seq(40) {
		for range 8 {
			copies.Go(func() {
				if err := s.Append(t.Context(), step(conv(1), seq, 1)); err != nil {
					t.Errorf("copy of %d: %v", seq, err)
				}
			})
		}
		copies.Wait()
	}
	if got := len(mustEntries(t, s, conv(1))); got != 40 {
		t.Errorf("%d entries, want 40", got)
	}
	checkInvariants(t, s)
}

func TestClaimFencesOlderOwners(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	id := conv(1)
	first, err := s.Claim(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context(), id); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("Head of a conversation that was only claimed = %v, want not found", err)
	}
	a := step(id, 0, 1)
	a.Epoch = first
	mustAppend(t, s, a)
	second, err := s.Claim(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if second <= first {
		t.Fatalf("epochs %d, %d do not rise", first, second)
	}
	stale := step(id, 1, 1)
	stale.Epoch = first
	err = s.Append(t.Context(), stale)
	if !errors.Is(err, ErrFenced) || !errors.Is(err, conversation.ErrUnavailable) || conversation.CodeOf(err) != conversation.CodeFenced {
		t.Errorf("Append under an old epoch = %v, want fenced", err)
	}
	state := &conversation.State{ID: id, Version: 1}
	if err := s.SaveState(t.Context(), state, first); !errors.Is(err, ErrFenced) {
		t.Errorf("SaveState under an old epoch = %v, want fenced", err)
	}
	s = reopen(t, s)
	if err := s.Append(t.Context(), stale); !errors.Is(err, ErrFenced) {
		t.Errorf("Append under an old epoch after reopen = %v, want fenced", err)
	}
	stale.Epoch = second
	mustAppend(t, s, stale)
	third, err := s.Claim(t.Context(), id)
	if err != nil || third <= second {
		t.Errorf("Claim = %d, %v after %d", third, err, second)
	}
	checkInvariants(t, s)
}

func TestLoadFoldsSnapshotAndTail(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	id := conv(1)
	empty, err := s.Load(t.Context(), id)
	if err != nil || empty == nil || empty.ID != id || empty.Version != 0 {
		t.Fatalf("Load of nothing = %+v, %v", empty, err)
	}
	want := &conversation.State{ID: id}
	fold := func(a *conversation.Append) {
		for _, e := range a.Entries {
			want.Apply(e)
		}
		want.ID = id
	}
	for seq := conversation.Seq(0); seq < 30; seq += 3 {
		a := step(id, seq, 3)
		fold(a)
		switch seq {
		case 9:
			a.State = want.Clone()
		case 18:
			mustAppend(t, s, a)
			if err := s.SaveState(t.Context(), want.Clone(), 0); err != nil {
				t.Fatal(err)
			}
			old := want.Clone()
			old.Version--
			if err := s.SaveState(t.Context(), old, 0); !errors.Is(err, ErrConflict) {
				t.Errorf("SaveState of an old version = %v, want a conflict", err)
			}
			continue
		}
		mustAppend(t, s, a)
		got, err := s.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, fmt.Sprintf("state at %d", seq+3), want, got)
	}
	s = reopen(t, s)
	got, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "state after reopen", want, got)
}

func TestRefsAreFoundUntilTheirDayIsOver(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	now := testStart
	o.Now = func() time.Time { return now }
	s := openTest(t, o)
	a := step(conv(1), 0, 2)
	a.Refs = []conversation.RefRow{{Ref: "first", Seq: 1}, {Ref: "", Seq: 1}, {Ref: "second", Seq: 2}}
	mustAppend(t, s, a)
	key := conversation.ContactKey{Inbox: a.Head.Inbox, Contact: a.Head.Contact}
	find := func(key conversation.ContactKey, ref conversation.Ref) conversation.Seq {
		t.Helper()
		id, seq, err := s.FindRef(t.Context(), key, ref)
		if err != nil {
			t.Fatalf("FindRef(%q) = %v", ref, err)
		}
		if (seq != 0) != (id == conv(1)) {
			t.Errorf("FindRef(%q) = %s, %d", ref, id, seq)
		}
		return seq
	}
	if find(key, "first") != 1 || find(key, "second") != 2 {
		t.Error("refs are not found")
	}
	if find(key, "fir") != 0 || find(key, "") != 0 || find(contact(77), "first") != 0 {
		t.Error("a ref is found that was never stored")
	}
	now = testStart.Add(7 * 24 * time.Hour)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if find(key, "first") != 1 {
		t.Error("the ref is gone before its time")
	}
	now = testStart.Add(9 * 24 * time.Hour)
	late := step(conv(1), 2, 1)
	late.Entries[0].At = now
	late.Refs = []conversation.RefRow{{Ref: "third", Seq: 3}}
	mustAppend(t, s, late)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if find(key, "first") != 0 || find(key, "third") != 3 {
		t.Error("after the sweep the old ref is there or the young one is not")
	}
	if found, err := s.anyRefBefore(t.Context(), dayOf(now)); found || err != nil {
		t.Errorf("rows of old refs are left: %v, %v", found, err)
	}
}

func TestContactOutboxAndDueFollowTheAppend(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	key := contact(1)
	if id, err := s.Current(t.Context(), key); err != nil || !id.IsZero() {
		t.Errorf("Current of a stranger = %s, %v", id, err)
	}
	for n := range 5 {
		a := step(conv(n), 0, 3)
		a.Contact, a.NextDue = key, testStart.Add(time.Duration(10-n)*time.Minute)
		for seq := range conversation.Seq(3) {
			a.Outbox = append(a.Outbox, conversation.Outbound{
				Conversation: a.ID, Message: seq + 1, Inbox: "sales", Channel: conversation.ChannelWeChat, Peer: "p", Text: "<hi>", At: testStart,
			})
		}
		mustAppend(t, s, a)
	}
	s = reopen(t, s)
	if id, err := s.Current(t.Context(), key); err != nil || id != conv(4) {
		t.Errorf("Current = %s, %v, want the newest", id, err)
	}
	due := func(until time.Duration, n int) []conversation.ConversationID {
		t.Helper()
		ids, err := s.Due(t.Context(), testStart.Add(until), n)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	diff(t, "due", []conversation.ConversationID{conv(4), conv(3)}, due(7*time.Minute, 0))
	diff(t, "due, one", []conversation.ConversationID{conv(4)}, due(7*time.Minute, 1))
	late := step(conv(2), 3, 1)
	late.Contact, late.NextDue = key, testStart.Add(8*time.Minute)
	mustAppend(t, s, late)
	if id, err := s.Current(t.Context(), key); err != nil || id != conv(4) {
		t.Errorf("Current after a late entry of an older conversation = %s, %v, want %s", id, err, conv(4))
	}
	settle := step(conv(4), 3, 1)
	settle.Settled = []conversation.Seq{1, 3}
	mustAppend(t, s, settle) // and its timer is gone
	diff(t, "due after", []conversation.ConversationID{conv(3)}, due(7*time.Minute, 0))

	var got []string
	cursor := OutboxCursor{}
	for page := 0; ; page++ {
		rows, next, err := s.Outbox(t.Context(), cursor, 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%d/%d", r.Conversation[15], r.Message))
		}
		if cursor = next; cursor.IsZero() {
			break
		}
		if page > 10 {
			t.Fatal("the outbox does not end")
		}
	}
	diff(t, "outbox", "1/1 1/2 1/3 2/1 2/2 2/3 3/1 3/2 3/3 4/1 4/2 4/3 5/2", strings.Join(got, " "))
	checkInvariants(t, s)
}

func TestAppendRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	with := func(change func(*conversation.Append)) *conversation.Append {
		a := step(conv(1), 0, 1)
		change(a)
		return a
	}
	for name, a := range map[string]*conversation.Append{
		"no id":              step(conversation.ConversationID{}, 0, 1),
		"gap":                with(func(a *conversation.Append) { a.Entries[0].Seq = 2 }),
		"no event":           with(func(a *conversation.Append) { a.Entries[0].Event = nil }),
		"nothing":            step(conv(1), 0, 0),
		"NUL in the inbox":   with(func(a *conversation.Append) { a.Head.Inbox = "a\x00b" }),
		"state of elsewhere": with(func(a *conversation.Append) { a.State = &conversation.State{ID: conv(2), Version: 1} }),
		"too many entries":   step(conv(1), 0, maxEntries+1),
		"too large": with(func(a *conversation.Append) {
			a.Entries[0].Event = conversation.MessageAccepted{Text: conversation.Text(strings.Repeat("x", MaxAppendBytes))}
		}),
		"long ref": with(func(a *conversation.Append) {
			a.Refs = []conversation.RefRow{{Ref: conversation.Ref(strings.Repeat("x", 200)), Seq: 1}}
		}),
	} {
		err := s.Append(t.Context(), a)
		if !errors.Is(err, conversation.ErrInvalid) && !errors.Is(err, conversation.ErrTooLarge) {
			t.Errorf("%s: Append = %v, want a refusal", name, err)
		}
	}
	if v := checkInvariants(t, s); len(v) != 0 {
		t.Errorf("%d conversations after refusals", len(v))
	}
}

func TestAppendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Append(ctx, step(conv(1), 0, 1))
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append with a context that is over = %v, want not stored", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), step(conv(1), 0, 1)); !errors.Is(err, ErrClosed) || !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("Append after Close = %v, want %v", err, ErrClosed)
	}
	if _, err := s.Load(t.Context(), conv(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Load after Close = %v, want %v", err, ErrClosed)
	}
}

func TestLargeAppendsAreStored(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			a := step(conv(w), 0, 1)
			a.Entries[0].Event = conversation.MessageAccepted{Text: conversation.Text(strings.Repeat("y", 3<<20))}
			if err := s.Append(t.Context(), a); err != nil {
				t.Errorf("Append = %v", err)
			}
			if err := s.Append(t.Context(), step(conv(w), 1, 2000)); err != nil {
				t.Errorf("Append = %v", err)
			}
		})
	}
	writers.Wait()
	s = reopen(t, s)
	for id, v := range checkInvariants(t, s) {
		if v != 2001 {
			t.Errorf("%s has %d entries, want 2001", id, v)
		}
	}
}
