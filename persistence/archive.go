package persistence

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// Archive is a look at the directory of a node that does not run. It changes
// nothing, and shows the state as it is on the disk: what the entries of the raft
// log made of it is in it up to [Archive.Applied], which is everything that was
// applied where the node was told to end, and less where it was killed.
type Archive struct {
	db       *pebble.DB
	identity Identity
	applied  position
	torn     bool
}

// OpenArchive opens the directory of a node that does not run. Errors:
// [ErrNoJournal] when nothing was ever stored there.
func OpenArchive(dir string) (*Archive, error) {
	a, err := openArchive(vfs.Default, dir)
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", dir, err)
	}
	return a, nil
}

func openArchive(fsys vfs.FS, dir string) (*Archive, error) {
	if err := present(fsys, dir); err != nil {
		return nil, err
	}
	o := withDefaults(Options{Dir: dir, FS: fsys, Logger: slog.New(slog.DiscardHandler), Fatal: func(string) {}})
	p := o.pebbleOptions(newHalt(o.Logger, o.Fatal))
	p.ReadOnly = true
	p.ErrorIfNotExists = true
	db, err := pebble.Open(dir, p)
	if err != nil {
		return nil, openError(err)
	}
	a := &Archive{db: db}
	if err := a.load(); err != nil {
		return nil, joinClose(err, db)
	}
	return a, nil
}

func (a *Archive) load() error {
	id, ok, err := loadIdentity(a.db)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: a database without identity", ErrCorrupt)
	}
	a.identity = id
	if _, err := value(a.db, appliedKey(), func(rec []byte) (err error) {
		a.applied, err = decodePosition(rec)
		return err
	}); err != nil {
		return err
	}
	a.torn, err = value(a.db, replacingKey(), func([]byte) error { return nil })
	return err
}

// Identity says which node the directory belongs to.
func (a *Archive) Identity() Identity { return a.identity }

// Applied is the index of the last raft entry that the state holds.
func (a *Archive) Applied() uint64 { return a.applied.index }

// Torn reports that the node ended while its state was being replaced by one
// that it received: the state is neither, until the node has run again.
func (a *Archive) Torn() bool { return a.torn }

// Conversations calls visit with every conversation that has entries and the seq
// of its newest one, by id, until visit returns an error.
func (a *Archive) Conversations(
	ctx context.Context, visit func(id conversation.ConversationID, version conversation.Seq) error,
) error {
	err := scan(a.db, prefixBounds(tagPrefix(tagHead), nil), func(key, rec []byte) (bool, error) {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		id, err := headKeyID(key)
		if err != nil {
			return false, err
		}
		r, _, err := decodeRow(rec)
		if err != nil || r.version == 0 {
			return err == nil, err
		}
		return true, visit(id, r.version)
	})
	if err != nil {
		return fmt.Errorf("read the conversations: %w", err)
	}
	return nil
}

// Entries gives up to limit entries of a conversation after a seq, oldest first.
// A limit of zero or less means as many as one call may read.
func (a *Archive) Entries(
	ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int,
) ([]conversation.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("entries of %s: %w", id, err)
	}
	out, err := readEntries(a.db, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("entries of %s: %w", id, err)
	}
	return out, nil
}

// StateHash reads the whole state and sums it up, as [Store.StateHash] does.
func (a *Archive) StateHash(ctx context.Context) (StateHash, error) {
	h, err := hashState(ctx, a.db)
	if err != nil {
		return h, fmt.Errorf("hash the state: %w", err)
	}
	return h, nil
}

// Close closes the files.
func (a *Archive) Close() error { return a.db.Close() }

// joinClose closes c and gives both errors.
func joinClose(err error, c io.Closer) error {
	if cerr := c.Close(); cerr != nil {
		return fmt.Errorf("%w; then %w", err, cerr)
	}
	return err
}
