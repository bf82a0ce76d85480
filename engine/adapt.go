package engine

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/persistence"
)

// The adapters of this file let siblings meet that do not know each other. They
// translate names and nothing else.

// lists is the journal as [actors.Lists].
type lists struct{ store *persistence.Store }

// Heads implements [actors.Lists].
func (l lists) Heads(ctx context.Context, q actors.HeadsQuery) ([]conversation.Head, string, error) {
	return l.store.List(ctx, persistence.ListQuery{
		Inboxes: q.Inboxes, Status: q.Status, Since: q.Since, Only: q.Only, Cursor: q.Cursor, Limit: q.Limit,
	})
}

// Due implements [actors.Lists].
func (l lists) Due(ctx context.Context, until time.Time, limit int) ([]conversation.ConversationID, error) {
	return l.store.Due(ctx, until, limit)
}

// Unsent implements [actors.Lists]. Its cursor is the message id of the last row.
func (l lists) Unsent(ctx context.Context, cursor string, limit int) ([]conversation.Outbound, string, error) {
	var after persistence.OutboxCursor
	if cursor != "" {
		id, seq, err := conversation.ParseMessageID(cursor)
		if err != nil {
			return nil, "", err
		}
		after = persistence.OutboxCursor{Conversation: id, Message: seq}
	}
	rows, next, err := l.store.Outbox(ctx, after, limit)
	if err != nil || len(rows) < limit || next.IsZero() {
		return rows, "", err
	}
	return rows, conversation.MessageID(next.Conversation, next.Message), nil
}

// library is the packs as [actors.Library].
type library struct{ *intent.Library }

// SlotValue implements [actors.Library].
func (l library) SlotValue(packs []string, name string, text conversation.Text) (string, bool) {
	for _, e := range l.Extract(packs, text) {
		if e.Name == name {
			return e.Value, true
		}
	}
	return "", false
}

// sender is the channels as [actors.Sender].
type sender struct {
	channels *channels.Sender
	letters  *letters
}

// Send implements [actors.Sender].
func (s sender) Send(ctx context.Context, out conversation.Outbound, attempt int, first time.Time) actors.Attempt {
	id, err := s.channels.Send(ctx, out)
	if err == nil {
		return actors.Attempt{Result: conversation.DeliverySent, ProviderID: id}
	}
	step, detail := s.channels.Next(out, err, attempt, first)
	if step.Result != conversation.DeliveryPending {
		s.letters.keepMessage(ctx, out, detail)
	}
	return actors.Attempt{Result: step.Result, ProviderID: id, Detail: detail, RetryAt: step.At, Idle: channels.Idle(err), Held: channels.Held(err)}
}

// archive is the journal as [gateway.Journal].
type archive struct{ *persistence.Store }

// List implements [gateway.Journal].
func (a archive) List(ctx context.Context, q gateway.ListQuery) ([]conversation.Head, string, error) {
	return a.Store.List(ctx, persistence.ListQuery{Inboxes: q.Inboxes, Status: q.Status, Cursor: q.Cursor, Limit: q.Limit})
}

// credentials is the directory as [gateway.Credentials].
type credentials struct{ store *persistence.Store }

// CredentialByHash implements [gateway.Credentials].
func (c credentials) CredentialByHash(hash [32]byte) (gateway.Credential, error) {
	found, err := c.store.CredentialByHash(hash)
	return edgeCredential(found), err
}

// Credentials implements [gateway.Credentials].
func (c credentials) Credentials() []gateway.Credential {
	var out []gateway.Credential
	for _, s := range c.store.Credentials() {
		out = append(out, edgeCredential(s))
	}
	return out
}

// PutCredential implements [gateway.Credentials].
func (c credentials) PutCredential(ctx context.Context, g gateway.Credential) error {
	_, err := c.store.PutCredential(ctx, persistence.Credential{
		ID: g.ID, Kind: persistence.CredentialKind(g.Kind), Hash: g.Hash[:], Inbox: g.Inbox, Agent: g.Agent,
		CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt, Version: g.Version,
	})
	return err
}

// DeleteCredential implements [gateway.Credentials].
func (c credentials) DeleteCredential(ctx context.Context, id string) error {
	return c.store.DeleteCredential(ctx, id)
}

func edgeCredential(s persistence.Credential) gateway.Credential {
	g := gateway.Credential{
		ID: s.ID, Kind: gateway.CredentialKind(s.Kind), Inbox: s.Inbox, Agent: s.Agent, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt,
		Version: s.Version,
	}
	copy(g.Hash[:], s.Hash)
	return g
}
