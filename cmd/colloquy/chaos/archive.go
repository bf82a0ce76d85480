package chaos

import (
	"context"
	"errors"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// openReplica opens what a node that does not run has on its disk.
func openReplica(m *member) (named, error) {
	s, err := persistence.Open(persistence.Options{Dir: m.dir})
	if err != nil {
		return named{}, err
	}
	return named{m.number, &archive{s}}, nil
}

// archive is a [replica] on a disk.
type archive struct{ store *persistence.Store }

// Conversations implements [replica].
func (a *archive) Conversations(ctx context.Context, visit func(conversation.ConversationID) error) error {
	for cursor := ""; ; {
		heads, next, err := a.store.List(ctx, persistence.ListQuery{Inbox: lab.Inbox, Cursor: cursor, Limit: page})
		if err != nil {
			return err
		}
		for _, h := range heads {
			if err := visit(h.ID); err != nil {
				return err
			}
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// Entries implements [replica].
func (a *archive) Entries(
	ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int,
) ([]conversation.Entry, error) {
	return a.store.Entries(ctx, id, after, limit)
}

// Applied implements [replica].
func (a *archive) Applied() uint64 { return a.store.Health(context.Background()).Applied }

// StateHash implements [replica].
func (*archive) StateHash(context.Context) (string, error) { return "", nil }

// Close implements [replica].
func (a *archive) Close() error { return a.store.Close() }

func closeAll(replicas []named) error {
	var errs []error
	for _, r := range replicas {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
