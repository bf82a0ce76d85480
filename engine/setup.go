package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// SetupLife is how long the one-time token of [SetUp] is good.
const SetupLife = 24 * time.Hour

// Setup is what a first admin needs, shown once: only hashes are stored.
type Setup struct {
	Token   string               `json:"token"`             // makes the first admin
	Inbox   conversation.InboxID `json:"inbox,omitempty"`   // that was made, or was there
	Ingress string               `json:"ingress,omitempty"` // its credential; one from before is void
}

// SetUp prepares a journal without an admin for its first one, and makes an
// inbox if one is named. Errors: class conflict when there is an admin already,
// invalid for a bad inbox id.
func SetUp(ctx context.Context, s *persistence.Store, inbox string) (Setup, error) {
	var out Setup
	for _, a := range s.Agents() {
		if a.Role == conversation.RoleAdmin {
			return out, conversation.Refuse(conversation.CodeConflict, "it has an admin already; nothing was changed")
		}
	}
	var err error
	if inbox != "" {
		if out.Inbox, err = setUpInbox(ctx, s, inbox); err != nil {
			return out, err
		}
		ingress := persistence.Credential{ID: string(out.Inbox) + "-ingress", Kind: persistence.CredentialKind(gateway.CredentialInbox), Inbox: out.Inbox}
		if out.Ingress, err = PutToken(ctx, s, ingress); err != nil {
			return out, err
		}
	}
	out.Token, err = PutToken(ctx, s, persistence.Credential{
		ID: "setup", Kind: persistence.CredentialKind(gateway.CredentialSetup), ExpiresAt: time.Now().UTC().Add(SetupLife),
	})
	return out, err
}

func setUpInbox(ctx context.Context, s *persistence.Store, name string) (conversation.InboxID, error) {
	id, err := conversation.ParseInboxID(name)
	if err != nil {
		return id, err
	}
	if _, err = s.Inbox(id); errors.Is(err, conversation.ErrNotFound) {
		_, err = s.PutInbox(ctx, conversation.Inbox{ID: id, Name: name, Lang: "zh", Packs: []string{"ecommerce"}, Origins: []string{"self"}})
	}
	return id, err
}

// PutToken makes a token as the running node would, stores its hash in place of
// an older one of the same id, and gives its text.
func PutToken(ctx context.Context, s *persistence.Store, c persistence.Credential) (string, error) {
	token, _ := gateway.NewToken(gateway.CredentialKind(c.Kind), time.Now())
	return token, PutTokenText(ctx, s, c, token)
}

// PutTokenText is [PutToken] for a token whose text is given.
func PutTokenText(ctx context.Context, s *persistence.Store, c persistence.Credential, token string) error {
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
