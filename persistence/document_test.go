package persistence

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestDocumentsHaveVersions(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	ctx := t.Context()
	put := func(expect uint64, doc string, want uint64) {
		t.Helper()
		got, err := s.PutDoc(ctx, "view", "a", expect, []byte(doc))
		if err != nil || got != want {
			t.Errorf("PutDoc(%d) = %d, %v, want %d", expect, got, err, want)
		}
	}
	put(0, "one", 1)
	put(0, "one", 1) // the same again is no error
	put(1, "two", 2)
	for _, expect := range []uint64{0, 1, 3} {
		_, err := s.PutDoc(ctx, "view", "a", expect, []byte("three"))
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Have != 2 {
			t.Errorf("PutDoc(%d) = %v, want a conflict at 2", expect, err)
		}
	}
	if _, err := s.PutDoc(ctx, "view", "b", 0, nil); err != nil {
		t.Errorf("PutDoc of an empty document = %v", err)
	}
	if _, err := s.PutDoc(ctx, "views", "c", 0, []byte("other kind")); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	docs, err := s.Docs(ctx, "view")
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "documents", []Doc{{ID: "a", Version: 2, Data: []byte("two")}, {ID: "b", Version: 1, Data: []byte{}}}, docs)
	if err := s.DeleteDoc(ctx, "view", "a", 1); !errors.Is(err, ErrConflict) {
		t.Errorf("DeleteDoc at an old version = %v, want a conflict", err)
	}
	if err := s.DeleteDoc(ctx, "view", "a", 2); err != nil {
		t.Errorf("DeleteDoc = %v", err)
	}
	if err := s.DeleteDoc(ctx, "view", "a", 0); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("DeleteDoc twice = %v, want not found", err)
	}
	if _, err := s.Doc(ctx, "view", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Doc after delete = %v, want not found", err)
	}
	for _, bad := range [][2]string{{"", "a"}, {"a", ""}, {"a\x00", "b"}} {
		if _, err := s.PutDoc(ctx, bad[0], bad[1], 0, nil); !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("PutDoc(%q, %q) = %v, want a refusal", bad[0], bad[1], err)
		}
	}
	if _, err := s.PutDoc(ctx, "view", "big", 0, make([]byte, MaxDocBytes+1)); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("PutDoc of a huge document = %v, want too large", err)
	}
}

func TestWritersOfOneDocumentTakeTurns(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for done := 0; done < 10; {
				d, err := s.Doc(t.Context(), "counter", "x")
				if err != nil && !isGone(err) {
					t.Error(err)
					return
				}
				_, err = s.PutDoc(t.Context(), "counter", "x", d.Version, fmt.Appendf(nil, "%d of %d", done, w))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	if d, err := s.Doc(t.Context(), "counter", "x"); err != nil || d.Version != 80 {
		t.Errorf("version = %d, %v, want 80", d.Version, err)
	}
}

func TestDirectoryIsThereAfterReopen(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	ctx := t.Context()
	in, err := s.PutInbox(ctx, conversation.Inbox{ID: "sales", Name: "Sales", Packs: []string{"shop"}})
	if err != nil || in.Version != 1 {
		t.Fatalf("PutInbox = %+v, %v", in, err)
	}
	in.Name = "Sales & more"
	if in, err = s.PutInbox(ctx, in); err != nil || in.Version != 2 {
		t.Fatalf("PutInbox = %+v, %v", in, err)
	}
	if _, err := s.PutInbox(ctx, conversation.Inbox{ID: "sales"}); !errors.Is(err, ErrConflict) {
		t.Errorf("PutInbox of one that exists = %v, want a conflict", err)
	}
	if _, err := s.PutInbox(ctx, conversation.Inbox{ID: "Not a slug"}); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("PutInbox with a bad id = %v, want a refusal", err)
	}
	anna, err := s.PutAgent(ctx, conversation.Agent{ID: "anna", Email: "Anna@Example.com", Role: conversation.RoleAdmin, PasswordHash: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutAgent(ctx, conversation.Agent{ID: "bob", Email: "anna@example.com "}); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("PutAgent with the email of another = %v, want a conflict", err)
	}
	hash := sha256.Sum256([]byte("secret"))
	cred, err := s.PutCredential(ctx, Credential{ID: "c1", Kind: CredentialInbox, Hash: hash[:], Inbox: "sales", CreatedAt: testStart})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutCredential(ctx, Credential{ID: "c2", Hash: hash[:]}); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("PutCredential with a secret in use = %v, want a conflict", err)
	}
	if _, err := s.PutDoc(ctx, docAgent, "carl", 0, []byte("{")); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("PutDoc of an agent that is not JSON = %v, want a refusal", err)
	}
	check := func(s *Store) {
		t.Helper()
		got, err := s.Inbox("sales")
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "inbox", in, got)
		diff(t, "inboxes", []conversation.Inbox{in}, s.Inboxes())
		agent, err := s.AgentByEmail("ANNA@example.COM")
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "agent", anna, agent)
		diff(t, "agents", []conversation.Agent{anna}, s.Agents())
		c, err := s.CredentialByHash(hash)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "credential", cred, c)
		diff(t, "credentials", []Credential{cred}, s.Credentials())
	}
	check(s)
	s = reopen(t, s)
	check(s)
	anna.Email = "anna@new.example"
	if _, err := s.PutAgent(ctx, anna); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AgentByEmail("anna@example.com"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old address finds an agent: %v", err)
	}
	if err := s.DeleteCredential(ctx, "c1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CredentialByHash(hash); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted credential opens: %v", err)
	}
	if err := s.DeleteInbox(ctx, "sales", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Inbox("sales"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted inbox is found: %v", err)
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	var users sync.WaitGroup
	got := make([][]byte, 8)
	for i := range got {
		users.Go(func() {
			var err error
			if got[i], err = s.Secret(t.Context(), "cookies", 32); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()
	s = reopen(t, s)
	again, err := s.Secret(t.Context(), "cookies", 32)
	if err != nil || len(again) != 32 {
		t.Fatalf("Secret = %d bytes, %v", len(again), err)
	}
	for i := range got {
		if !bytes.Equal(got[i], again) {
			t.Errorf("user %d got another secret", i)
		}
	}
	other, err := s.Secret(t.Context(), "tokens", 32)
	if err != nil || bytes.Equal(other, again) {
		t.Errorf("two names have one secret, or %v", err)
	}
	if _, err := s.Secret(t.Context(), "cookies", 64); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("Secret of another length = %v, want a conflict", err)
	}
}

func TestHealthTellsOfTheDisk(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.Default)
	o.Dir = t.TempDir()
	s := openTest(t, o)
	for seq := range conversation.Seq(20) {
		mustAppend(t, s, step(conv(1), seq, 1))
	}
	h := s.Health(t.Context())
	if !h.Leader || h.Failed || h.Applied == 0 || h.DiskFreeBytes == 0 || h.DiskUsedBytes == 0 || h.FsyncP99 <= 0 || h.FsyncP99 > time.Minute {
		t.Errorf("Health = %+v", h)
	}
}
