package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// setupLife is how long the one-time token is good.
const setupLife = 24 * time.Hour

// initCmd is `colloquy init`.
type initCmd struct {
	configFlags

	Inbox string `help:"Also make a first inbox with this id, answered by the e-commerce pack, and print its ingress credential." placeholder:"ID"`
}

// Run implements the subcommand.
func (c *initCmd) Run(t *tool) error {
	s, err := c.openStore(t)
	if err != nil {
		return err
	}
	token, err := c.setUp(t, s)
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "One-time setup token, good for %v:\n\n  %s\n\nStart the node with `colloquy serve`, open /agent and enter it there to make the first admin.\n", setupLife, token)
	return err
}

func (c *initCmd) setUp(t *tool, s *persistence.Store) (string, error) {
	for _, a := range s.Agents() {
		if a.Role == conversation.RoleAdmin {
			return "", &failure{exitCheck, errors.New("this data directory has an admin already; nothing was changed")}
		}
	}
	if c.Inbox != "" {
		if err := c.makeInbox(t, s); err != nil {
			return "", err
		}
	}
	token := newToken(gateway.CredentialSetup)
	return token, putToken(t.ctx, s, persistence.Credential{ID: "setup", Kind: persistence.CredentialKind(gateway.CredentialSetup), ExpiresAt: time.Now().UTC().Add(setupLife)}, token)
}

func (c *initCmd) makeInbox(t *tool, s *persistence.Store) error {
	id, err := conversation.ParseInboxID(c.Inbox)
	if err != nil {
		return &failure{exitUsage, err}
	}
	if _, err := s.Inbox(id); errors.Is(err, conversation.ErrNotFound) {
		in := conversation.Inbox{ID: id, Name: c.Inbox, Lang: "zh", Packs: []string{"ecommerce"}, Origins: []string{"self"}}
		if _, err := s.PutInbox(t.ctx, in); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	token := newToken(gateway.CredentialInbox)
	if err := putToken(t.ctx, s, persistence.Credential{ID: string(id) + "-ingress", Kind: persistence.CredentialKind(gateway.CredentialInbox), Inbox: id}, token); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "Ingress credential of inbox %s, shown once; one that was printed before is void:\n\n  %s\n\n", id, token)
	return err
}

// newToken makes the text of a token as the running node would.
func newToken(kind gateway.CredentialKind) string {
	token, _ := gateway.NewToken(kind, time.Now())
	return token
}

// putToken stores the hash of a token, in place of an older one of the same id.
func putToken(ctx context.Context, s *persistence.Store, c persistence.Credential, token string) error {
	for _, old := range s.Credentials() {
		if old.ID == c.ID {
			c.Version = old.Version
		}
	}
	hash := sha256.Sum256([]byte(token))
	c.Hash, c.CreatedAt = hash[:], time.Now().UTC()
	_, err := s.PutCredential(ctx, c)
	return err
}

// openStore opens the journal for a command that works on a node at rest.
func (f *configFlags) openStore(t *tool) (*persistence.Store, error) {
	config, err := f.load(t, nil)
	if err != nil {
		return nil, err
	}
	s, err := persistence.Open(persistence.Options{Dir: config.DataDir})
	if errors.Is(err, persistence.ErrLocked) {
		return nil, fmt.Errorf("%s is in use by a running node; stop it first: %w", config.DataDir, err)
	}
	return s, err
}
