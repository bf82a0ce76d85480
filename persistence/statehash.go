package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// StateHash is a hash over everything that is the same on all nodes. Two nodes
// with the same index have the same sum.
type StateHash struct {
	Index uint64 // of the last raft entry applied
	Sum   string
}

// StateHash reads the whole state and sums it up.
func (s *Store) StateHash(ctx context.Context) (StateHash, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return StateHash{}, fmt.Errorf("hash the state: %w", err)
	}
	defer done()
	snap := s.db.NewSnapshot()
	h, err := hashState(ctx, snap)
	if err = errors.Join(err, snap.Close()); err != nil {
		return StateHash{}, fmt.Errorf("hash the state: %w", err)
	}
	return h, nil
}

func hashState(ctx context.Context, db pebble.Reader) (StateHash, error) {
	var h StateHash
	sum := sha256.New()
	var head []byte
	for _, tag := range stateTags() {
		rows := 0
		err := scan(db, prefixBounds(tagPrefix(tag), nil), func(key, rec []byte) (bool, error) {
			if rows++; rows%4096 == 0 && ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			head = binary.AppendUvarint(head[:0], uint64(len(key)))
			head = binary.AppendUvarint(head, uint64(len(rec)))
			sum.Write(head)
			sum.Write(key)
			sum.Write(rec)
			if tag != tagApplied {
				return true, nil
			}
			p, err := decodePosition(rec)
			h.Index = p.index
			return true, err
		})
		if err != nil {
			return StateHash{}, err
		}
	}
	h.Sum = hex.EncodeToString(sum.Sum(nil))
	return h, nil
}
