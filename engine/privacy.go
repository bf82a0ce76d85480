package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// eraseRounds is how often an erasure looks again whether the person has written
// meanwhile.
const eraseRounds = 3

// privacy is the journal as [gateway.Privacy], with the documents beside it that
// the journal does not know.
type privacy struct{ *persistence.Store }

// EraseContact implements [gateway.Privacy].
func (p privacy) EraseContact(ctx context.Context, id conversation.ContactID, by conversation.AgentID) (gateway.ErasureReport, error) {
	var out gateway.ErasureReport
	for range eraseRounds {
		person, err := p.Person(ctx, id)
		if err != nil {
			return out, err
		}
		if out.Contacts > 0 && len(person.Conversations) == 0 {
			return out, nil
		}
		// Before the conversations: when they are gone, nothing leads there any more.
		if !p.Held(person) {
			if err := p.dropDocuments(ctx, person); err != nil {
				return out, err
			}
		}
		done, err := p.ErasePerson(ctx, person, by)
		out.Contacts = max(out.Contacts, done.Contacts)
		out.Conversations += done.Conversations
		out.Files += done.Files
		out.Letters += done.Letters
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// dropDocuments drops what is still to be fetched for a person, and messages that
// broke a grain of theirs.
func (p privacy) dropDocuments(ctx context.Context, person *persistence.Person) error {
	err := p.dropWhere(ctx, docFetch, func(d *persistence.Doc) bool {
		var f channels.Fetch
		return json.Unmarshal(d.Data, &f) == nil && slices.Contains(person.Contacts, f.Contact)
	})
	if err != nil {
		return err
	}
	return p.dropWhere(ctx, DocParked, func(d *persistence.Doc) bool {
		return slices.ContainsFunc(person.Conversations, func(id conversation.ConversationID) bool {
			return strings.HasSuffix(d.ID, "-"+id.String())
		})
	})
}

// dropWhere deletes the documents of a kind that match.
func (p privacy) dropWhere(ctx context.Context, kind string, match func(*persistence.Doc) bool) error {
	docs, err := p.Docs(ctx, kind)
	if err != nil {
		return err
	}
	for i := range docs {
		if !match(&docs[i]) {
			continue
		}
		if err := p.DeleteDoc(ctx, kind, docs[i].ID, 0); err != nil && !errors.Is(err, conversation.ErrNotFound) {
			return fmt.Errorf("erase: %w", err)
		}
	}
	return nil
}

// Overdue implements [gateway.Privacy].
func (p privacy) Overdue(ctx context.Context) ([]gateway.OverdueRow, error) {
	rows, err := p.Store.Overdue(ctx)
	out := make([]gateway.OverdueRow, len(rows))
	for i, r := range rows {
		out[i] = gateway.OverdueRow(r)
	}
	return out, err
}

// forget lets go of what this node has of a conversation that was erased, beside
// the journal.
func (e *Engine) forget(id conversation.ConversationID) {
	if e.traces != nil {
		e.traces.Forget(id)
	}
	e.shadows.forget(id)
}
