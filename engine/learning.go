package engine

import (
	"context"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/learning"
	"github.com/colloquyhq/colloquy/persistence"
)

// openLearning makes what draws from conversations what the packs lack.
func (e *Engine) openLearning() error {
	var err error
	e.learning, err = learning.New(learning.Options{
		Journal: books{e.store}, Library: e.library, Directory: e.store, Owns: e.actors.OwnsInbox,
		Logger: e.opts.Logger, Registerer: e.registry,
	})
	return err
}

// books is the journal as [learning.Journal].
type books struct{ *persistence.Store }

// Since implements [learning.Journal].
func (b books) Since(ctx context.Context, at time.Time, cursor string, limit int) ([]conversation.Head, string, error) {
	return b.List(ctx, persistence.ListQuery{Since: at, Cursor: cursor, Limit: limit})
}

// Doc implements [learning.Journal].
func (b books) Doc(ctx context.Context, kind, id string) ([]byte, uint64, error) {
	d, err := b.Store.Doc(ctx, kind, id)
	if errors.Is(err, conversation.ErrNotFound) {
		return nil, 0, nil
	}
	return d.Data, d.Version, err
}
