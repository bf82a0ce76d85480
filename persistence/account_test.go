package persistence

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// Accounts and how far their messages were fetched survive a restart; a cursor
// that another node has moved is not set back, and goes with its account.
func TestAccounts(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	ctx := t.Context()
	const kind, inbox = conversation.ChannelTelegram, conversation.InboxID("shop")
	if _, err := s.Account(kind, inbox); !errors.Is(err, ErrNotFound) {
		t.Errorf("Account = %v, want not found", err)
	}
	a := conversation.Account{Inbox: inbox, Kind: kind, Settings: map[string]string{"api_url": "x"}, Sealed: []byte{1, 0, 255}}
	a, err := s.PutAccount(ctx, a)
	if err != nil || a.Version != 1 {
		t.Fatalf("PutAccount = %+v, %v", a, err)
	}
	other := a
	other.Inbox, other.Version = "desk", 0
	if other, err = s.PutAccount(ctx, other); err != nil {
		t.Fatal(err)
	}
	stale := a
	stale.Version, stale.Sealed = 0, nil
	if _, err := s.PutAccount(ctx, stale); !errors.Is(err, ErrConflict) {
		t.Errorf("PutAccount of a second one = %v, want a conflict", err)
	}
	if cursor, version, err := s.Cursor(ctx, kind, inbox); cursor != nil || version != 0 || err != nil {
		t.Errorf("Cursor = %q, %d, %v, want none", cursor, version, err)
	}
	if err := s.SetCursor(ctx, kind, inbox, 0, []byte("10")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetCursor(ctx, kind, inbox, 0, []byte("5")); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("SetCursor behind another = %v, want a conflict", err)
	}
	s = reopen(t, s)
	diff(t, "accounts", []conversation.Account{other, a}, s.Accounts())
	if cursor, version, err := s.Cursor(ctx, kind, inbox); string(cursor) != "10" || version != 1 || err != nil {
		t.Errorf("Cursor = %q, %d, %v, want the first", cursor, version, err)
	}
	if err := s.DeleteAccount(ctx, a); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAccount(ctx, other); err != nil { // has no cursor
		t.Fatal(err)
	}
	if cursor, _, err := s.Cursor(ctx, kind, inbox); cursor != nil || err != nil {
		t.Errorf("Cursor = %q, %v after the account was deleted", cursor, err)
	}
	if got := s.Accounts(); len(got) != 0 {
		t.Errorf("Accounts = %v, want none", got)
	}
	if err := s.DeleteAccount(ctx, a); !errors.Is(err, ErrNotFound) {
		t.Errorf("DeleteAccount twice = %v, want not found", err)
	}
}
