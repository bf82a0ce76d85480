package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"

	"github.com/colloquyhq/colloquy/conversation"
)

// replica is what one node has on its disk, read while nobody writes.
type replica interface {
	// Conversations visits every conversation, in the order of the ids.
	Conversations(ctx context.Context, visit func(conversation.ConversationID) error) error
	// Entries gives up to limit entries after a seq, oldest first.
	Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error)
	// Applied is the place in the journal of the cluster up to which this
	// node's state goes.
	Applied() uint64
	// StateHash is a sum over the whole state.
	StateHash(ctx context.Context) (string, error)
	Close() error
}

// page is how many entries are read at a time.
const page = 4096

// readLog reads a whole conversation.
func readLog(ctx context.Context, r replica, id conversation.ConversationID) ([]conversation.Entry, error) {
	var out []conversation.Entry
	for {
		after := conversation.Seq(0)
		if len(out) > 0 {
			after = out[len(out)-1].Seq
		}
		entries, err := r.Entries(ctx, id, after, page)
		if err != nil {
			return nil, fmt.Errorf("entries of %s: %w", id, err)
		}
		out = append(out, entries...)
		if len(entries) < page {
			return out, nil
		}
	}
}

// digest is a sum over the entries of a log.
func digest(log []conversation.Entry) (string, error) {
	h := sha256.New()
	for i := range log {
		if err := addEntry(h, &log[i]); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func addEntry(h hash.Hash, e *conversation.Entry) error {
	raw, err := json.Marshal(e.Event)
	if err != nil {
		return fmt.Errorf("encode entry %d: %w", e.Seq, err)
	}
	_, err = fmt.Fprintf(h, "%d %d %s %d ", e.Seq, e.At.UnixMilli(), e.Event.Kind(), len(raw))
	if err != nil {
		return err
	}
	_, err = h.Write(raw)
	return err
}
