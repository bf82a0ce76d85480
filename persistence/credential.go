package persistence

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// CredentialKind says what a credential opens.
type CredentialKind string

// The kinds of credentials.
const (
	CredentialInbox    CredentialKind = "ibx"   // a system that sends for an inbox
	CredentialPersonal CredentialKind = "pat"   // an agent's programs
	CredentialSetup    CredentialKind = "setup" // the first admin
)

// Credential is a secret that opens the door, known only by its hash.
type Credential struct {
	ID        string               `json:"id"`
	Kind      CredentialKind       `json:"kind"`
	Name      string               `json:"name,omitempty"`
	Hash      []byte               `json:"hash"` // SHA-256 of the secret
	Inbox     conversation.InboxID `json:"inbox,omitempty"`
	Agent     conversation.AgentID `json:"agent,omitempty"`
	CreatedAt time.Time            `json:"created_at"`
	ExpiresAt time.Time            `json:"expires_at,omitzero"` // zero = never
	Version   uint64               `json:"version"`
}

func (c *Credential) hash() (h [sha256.Size]byte) {
	copy(h[:], c.Hash)
	return h
}

// CredentialByHash finds a credential by the SHA-256 of its secret. Whether it
// has expired is for the caller to see. Errors: [ErrNotFound].
func (s *Store) CredentialByHash(hash [sha256.Size]byte) (Credential, error) {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	id, ok := s.directory.mu.hashes[hash]
	if !ok {
		return Credential{}, fmt.Errorf("credential: %w", ErrNotFound)
	}
	return s.directory.mu.credentials[id], nil
}

// Credentials gives all credentials, oldest first.
func (s *Store) Credentials() []Credential {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.directory.mu.credentials), func(a, b Credential) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}

// PutCredential writes a credential whose stored version is the one it carries,
// where 0 makes a new one.
func (s *Store) PutCredential(ctx context.Context, c Credential) (Credential, error) {
	if len(c.Hash) != sha256.Size {
		return c, conversation.Refusef(conversation.CodeInvalid, "a credential's hash has %d bytes, not %d", sha256.Size, len(c.Hash))
	}
	version, err := s.putJSON(ctx, &document{kind: docCredential, id: c.ID, expect: c.Version}, c)
	if err != nil {
		return c, err
	}
	c.Version = version
	return c, nil
}

// DeleteCredential removes a credential; it opens nothing any more when this
// returns. Errors: [ErrNotFound].
func (s *Store) DeleteCredential(ctx context.Context, id string) error {
	return s.DeleteDoc(ctx, docCredential, id, 0)
}

// maxSecretBytes bounds a secret.
const maxSecretBytes = 1024

// Secret gives n random bytes that are made on the first use of the name and
// are the same ever after, on every node.
func (s *Store) Secret(ctx context.Context, name string, n int) ([]byte, error) {
	if n < 16 || n > maxSecretBytes {
		return nil, conversation.Refusef(conversation.CodeInvalid, "a secret of %d bytes; 16 to %d are possible", n, maxSecretBytes)
	}
	d, err := s.Doc(ctx, docSecret, name)
	if isGone(err) {
		fresh := make([]byte, n)
		_, _ = rand.Read(fresh) // never fails
		if _, err = s.PutDoc(ctx, docSecret, name, 0, fresh); err == nil {
			return fresh, nil
		}
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		d, err = s.Doc(ctx, docSecret, name)
	}
	if err != nil {
		return nil, err
	}
	if len(d.Data) != n {
		return nil, conversation.Refusef(conversation.CodeConflict, "secret %s has %d bytes, not %d", name, len(d.Data), n)
	}
	return d.Data, nil
}
