package persistence

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	o := testOptions(vfs.NewMem())
	o.Now = func() time.Time { return now }
	s := openTest(t, o)
	put := func(inbox conversation.InboxID, at time.Time, reason string) string {
		t.Helper()
		id, err := s.PutDeadLetter(t.Context(), conversation.DeadLetter{
			Inbox: inbox, Channel: "line", Direction: conversation.DirectionIn, At: at, Reason: reason,
			Delivery: &conversation.DeadDelivery{Method: "POST", Body: []byte("\xff{")},
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	list := func(inbox conversation.InboxID, cursor string, limit int) (reasons []string, next string) {
		t.Helper()
		letters, next, err := s.DeadLetters(t.Context(), inbox, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range letters {
			reasons = append(reasons, l.Reason)
		}
		return reasons, next
	}
	first := put("shop", now.Add(-2*time.Hour), "one")
	put("my-desk", now.Add(-time.Hour), "two")
	put("shop", now, "three")

	l, err := s.DeadLetter(t.Context(), first)
	if err != nil || l.ID != first || l.Reason != "one" || string(l.Delivery.Body) != "\xff{" {
		t.Errorf("the letter is %+v, %v", l, err)
	}
	if got, _ := list("", "", 10); !slices.Equal(got, []string{"three", "two", "one"}) {
		t.Errorf("all letters: %v", got)
	}
	if got, _ := list("my-desk", "", 10); !slices.Equal(got, []string{"two"}) {
		t.Errorf("letters of my-desk: %v", got)
	}
	page, next := list("", "", 2)
	rest, end := list("", next, 2)
	if !slices.Equal(append(page, rest...), []string{"three", "two", "one"}) || end != "" {
		t.Errorf("pages %v and %v, then %q", page, rest, end)
	}
	if err := s.DeleteDeadLetter(t.Context(), first); err != nil {
		t.Error(err)
	}
	if _, err := s.DeadLetter(t.Context(), first); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("a letter that went = %v", err)
	}
	now = now.Add(conversation.DeadLetterTTL - 30*time.Minute)
	if err := s.sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if got, _ := list("", "", 10); !slices.Equal(got, []string{"three"}) {
		t.Errorf("after their time: %v", got)
	}
}

// The list has a bound: the oldest letters make room.
func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	began := time.Now()
	for i := range conversation.MaxDeadLetters + 3 {
		_, err := s.PutDeadLetter(t.Context(), conversation.DeadLetter{Inbox: "shop", At: began.Add(time.Duration(i) * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
	}
	ids := s.letterIDs()
	if len(ids) != conversation.MaxDeadLetters || !letterBefore(ids[0], began.Add(4*time.Millisecond)) || letterBefore(ids[0], began.Add(3*time.Millisecond)) {
		t.Errorf("%d letters, the oldest %s", len(ids), ids[0])
	}
}
