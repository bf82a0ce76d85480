package chaos

import (
	"context"
	"errors"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// openReplica opens what a node that does not run has on its disk.
func openReplica(m *member) (named, error) {
	a, err := persistence.OpenArchive(m.dir)
	if err != nil {
		return named{}, err
	}
	if a.Torn() {
		return named{}, errors.Join(errors.New("its state was being replaced when it ended"), a.Close())
	}
	return named{m.number, archive{a}}, nil
}

// archive is a [replica] on a disk.
type archive struct{ *persistence.Archive }

// Conversations implements [replica].
func (a archive) Conversations(ctx context.Context, visit func(conversation.ConversationID) error) error {
	return a.Archive.Conversations(ctx, func(id conversation.ConversationID, _ conversation.Seq) error { return visit(id) })
}

// StateHash implements [replica].
func (a archive) StateHash(ctx context.Context) (string, error) {
	h, err := a.Archive.StateHash(ctx)
	return h.Sum, err
}

func closeAll(replicas []named) error {
	var errs []error
	for _, r := range replicas {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
