package persistence

import (
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// Contacts are merged and taken apart again, also after a restart; no circle can
// be made, and there is a bound.
func TestContactRecords(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	id := func(n byte) conversation.ContactID { return conversation.ContactID{n} }
	into := func(child, parent byte) error {
		r := s.ContactRecord(id(child))
		r.Inbox, r.Into = "shop", conversation.ContactID{}
		if parent != 0 {
			r.Into = id(parent)
		}
		_, err := s.PutContactRecord(t.Context(), r)
		return err
	}
	want := func(of byte, members ...byte) {
		t.Helper()
		got := s.MergedContacts(id(of))
		var ids []conversation.ContactID
		for _, m := range members {
			ids = append(ids, id(m))
		}
		if !slices.Equal(got, ids) {
			t.Errorf("contact %d stands with %v, want %v", of, got, ids)
		}
	}
	for _, pair := range [][2]byte{{2, 1}, {3, 2}, {4, 1}} {
		if err := into(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	want(3, 1, 2, 4, 3)
	want(9, 9)
	for _, parent := range []byte{1, 2, 3} {
		if err := into(1, parent); !errors.Is(err, ErrConflict) && conversation.CodeOf(err) != conversation.CodeConflict {
			t.Errorf("1 into %d, which stands under it: %v", parent, err)
		}
	}
	stale := s.ContactRecord(id(2))
	if err := into(2, 0); err != nil {
		t.Fatal(err)
	}
	want(3, 2, 3)
	want(4, 1, 4)
	if _, err := s.PutContactRecord(t.Context(), stale); !errors.Is(err, ErrConflict) {
		t.Errorf("a record that somebody changed meanwhile: %v", err)
	}

	r := s.ContactRecord(id(3))
	r.Claim(conversation.ContactClaim{Kind: conversation.ClaimEmail, Value: "a@example.com", Verified: true})
	r.Claim(conversation.ContactClaim{Kind: conversation.ClaimEmail, Value: "typed@example.com"})
	if _, err := s.PutContactRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	want(3, 2, 3)
	if got := s.VerifiedContacts(conversation.ClaimEmail, "a@example.com"); !slices.Equal(got, []conversation.ContactID{id(3)}) {
		t.Errorf("the verified address belongs to %v", got)
	}
	if got := s.VerifiedContacts(conversation.ClaimEmail, "typed@example.com"); len(got) != 0 {
		t.Errorf("an address that was only typed belongs to %v", got)
	}

	var err error
	for n := byte(10); n < 10+conversation.MaxMergedContacts && err == nil; n++ {
		err = into(n, 1)
	}
	if conversation.CodeOf(err) != conversation.CodeTooLarge || len(s.MergedContacts(id(1))) != conversation.MaxMergedContacts {
		t.Errorf("%d are merged, then %v", len(s.MergedContacts(id(1))), err)
	}
}
