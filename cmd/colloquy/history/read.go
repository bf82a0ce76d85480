package history

import (
	"context"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// Journal is what is read. [persistence.Store] is the one.
type Journal interface {
	List(ctx context.Context, q persistence.ListQuery) (heads []conversation.Head, next string, err error)
	Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error)
	Load(ctx context.Context, id conversation.ConversationID) (*conversation.State, error)
	Inbox(id conversation.InboxID) (conversation.Inbox, error)
}

// entries reads a whole conversation.
func entries(ctx context.Context, j Journal, id conversation.ConversationID) ([]conversation.Entry, error) {
	var out []conversation.Entry
	for {
		page, err := j.Entries(ctx, id, conversation.Seq(len(out)), 0)
		if err != nil || len(page) == 0 {
			return out, err
		}
		out = append(out, page...)
	}
}

// each calls f with the conversations of an inbox that were active since a time,
// newest first. An empty inbox means all of them.
func each(ctx context.Context, j Journal, inbox conversation.InboxID, since time.Time, f func(*conversation.Head, []conversation.Entry) error) error {
	q := persistence.ListQuery{Since: since, Limit: persistence.MaxListLimit}
	if inbox != "" {
		q.Inboxes = []conversation.InboxID{inbox}
	}
	for {
		heads, next, err := j.List(ctx, q)
		if err != nil {
			return err
		}
		for i := range heads {
			list, err := entries(ctx, j, heads[i].ID)
			if err == nil {
				err = f(&heads[i], list)
			}
			if err != nil {
				return fmt.Errorf("conversation %s: %w", heads[i].ID, err)
			}
		}
		if q.Cursor = next; next == "" {
			return nil
		}
	}
}
