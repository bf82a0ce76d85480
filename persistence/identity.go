package persistence

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// directoryFormat is the version of the layout of a directory as a whole. It
// goes up when a program of before could not read, or would damage, what a
// program of after has written.
//
// In format 1 the raft log lay in the database; see [moveLog].
const directoryFormat = 2

// stateFormat is the version of what one node sends to another, which a node
// must know to join.
const stateFormat = 1

// Identity says which node a directory belongs to. It is made with the
// directory and lives and dies with it: a node whose disk was replaced is
// another node, because it has forgotten what it acknowledged.
type Identity struct {
	Node     string    `json:"node"`
	Cluster  string    `json:"cluster"`
	Format   int       `json:"format"`
	Created  time.Time `json:"created"`
	Restored *Origin   `json:"restored,omitempty"` // set when the directory was made from a backup
	Starts   uint64    `json:"starts,omitempty"`   // as a node of a cluster; see [ErrOldDisk]
}

// Origin says from which backup a directory was made.
type Origin struct {
	Node   string    `json:"node"`
	Backup time.Time `json:"backup"` // when it was taken
	At     time.Time `json:"at"`     // when it was restored
}

func newIdentity(now time.Time) Identity {
	return Identity{
		Node: randomName(), Cluster: randomName(), Format: directoryFormat, Created: now.UTC().Truncate(time.Millisecond),
	}
}

func randomName() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// loadIdentity reads the identity of a directory; false when it has none.
func loadIdentity(db *pebble.DB) (Identity, bool, error) {
	rec, closer, err := db.Get(nodeKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return Identity{}, false, nil
	}
	if err != nil {
		return Identity{}, false, fmt.Errorf("read identity: %w", err)
	}
	var id Identity
	err = decodeJSON(tagNode, rec, &id)
	if err = errors.Join(err, closer.Close()); err != nil {
		return Identity{}, false, fmt.Errorf("read identity: %w", err)
	}
	if id.Format > directoryFormat {
		return Identity{}, false, fmt.Errorf(
			"directory of format %d, this program knows %d: %w", id.Format, directoryFormat, ErrNewerFormat)
	}
	return id, true, nil
}

func storeIdentity(db *pebble.DB, id Identity) error {
	rec, err := newEncoders().appendJSON(nil, tagNode, id)
	if err != nil {
		return err
	}
	return setDurably(db, nodeKey(), rec)
}

// setDurably writes a row, and all that were written before, to the disk. The
// database has no log of its own: what is not in its tables yet is there again
// after a power cut by way of the raft log only.
func setDurably(db *pebble.DB, key, rec []byte) error {
	if err := db.Set(key, rec, pebble.NoSync); err != nil {
		return err
	}
	return db.Flush()
}

// ensureIdentity reads the identity, and makes one for an empty directory.
func ensureIdentity(db *pebble.DB, now time.Time) (Identity, error) {
	id, ok, err := loadIdentity(db)
	if err != nil || ok {
		return id, err
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return id, err
	}
	used := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return id, err
	}
	if used {
		return id, fmt.Errorf("%w: a database without identity", ErrCorrupt)
	}
	id = newIdentity(now)
	return id, storeIdentity(db, id)
}
