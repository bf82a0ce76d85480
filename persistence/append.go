package persistence

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// MaxAppendBytes bounds one append as it is stored.
	MaxAppendBytes = 8 << 20
	// maxEntries bounds the entries of one append.
	maxEntries = 4096
	// maxInboxBytes bounds what takes the place of an inbox in keys.
	maxInboxBytes = 64
)

// Claim makes the caller the owner of a conversation: appends of older owners
// are fenced from now on. It is also a read barrier: a [Store.Load] that follows
// sees everything that was ever acknowledged.
func (s *Store) Claim(ctx context.Context, id conversation.ConversationID) (epoch uint64, err error) {
	if id.IsZero() {
		return 0, conversation.Refuse(conversation.CodeBadID, "claim of no conversation")
	}
	epoch, err = s.queue.do(ctx, encodeClaim(id), nil)
	if err != nil {
		return 0, fmt.Errorf("claim %s: %w", id, err)
	}
	return epoch, nil
}

// Barrier returns when everything that was acknowledged before the call, on
// whatever node, can be read here.
func (s *Store) Barrier(ctx context.Context) error {
	if _, err := s.queue.do(ctx, []byte{byte(opNothing)}, nil); err != nil {
		return fmt.Errorf("read barrier: %w", err)
	}
	return nil
}

// Append stores one step of a conversation. It returns nil only when the step is
// durable and can be read here.
//
// It tries again by itself until ctx ends. The same append may be sent more than
// once: when its entries are stored already, byte for byte, that is success.
// The entries belong to the store from here on: watchers get them as they are,
// and nobody may change them.
//
// Errors: [ErrConflict] (read again), [ErrFenced] (stop), [ErrOverloaded] and
// [ErrUnavailable] (nothing is stored), [ErrUnknown] (perhaps it is).
func (s *Store) Append(ctx context.Context, a *conversation.Append) error {
	start := time.Now()
	err := s.append(ctx, a)
	s.metrics.count(err)
	s.metrics.appendSeconds.Observe(time.Since(start).Seconds())
	return err
}

func (s *Store) append(ctx context.Context, a *conversation.Append) error {
	if err := checkAppend(a); err != nil {
		return fmt.Errorf("append to %s: %w", a.ID, err)
	}
	var days uint32
	if a.CheckRefs {
		days = s.refAge()
	}
	op, err := s.enc.encodeAppend(make([]byte, 0, appendRoom), a, days)
	if err != nil {
		return fmt.Errorf("append to %s: %w", a.ID, err)
	}
	if len(op) > MaxAppendBytes {
		return fmt.Errorf("append to %s: %w", a.ID, conversation.Refusef(
			conversation.CodeTooLarge, "%d bytes in one append, the limit is %d", len(op), MaxAppendBytes))
	}
	if _, err := s.queue.do(ctx, op, a); err != nil {
		return fmt.Errorf("append %d entries to %s at %d: %w", len(a.Entries), a.ID, a.Expect, err)
	}
	return nil
}

// appendRoom is what most appends need, so that their encoding does not grow.
const appendRoom = 2 << 10

// checkAppend refuses what would make rows that cannot be read back.
func checkAppend(a *conversation.Append) error {
	switch {
	case a.ID.IsZero():
		return conversation.Refuse(conversation.CodeBadID, "no conversation is named")
	case len(a.Entries) > maxEntries:
		return conversation.Refusef(conversation.CodeTooLarge, "%d entries in one append, the limit is %d", len(a.Entries), maxEntries)
	case len(a.Entries) == 0 && a.Expect == 0:
		return conversation.Refuse(conversation.CodeInvalid, "a conversation starts with an entry")
	case a.State != nil && (a.State.ID != a.ID || a.State.Version != a.Expect+conversation.Seq(len(a.Entries))):
		return conversation.Refuse(conversation.CodeInvalid, "the state is not the one after the entries")
	}
	for i := range a.Entries {
		if want := a.Expect + conversation.Seq(i) + 1; a.Entries[i].Seq != want || a.Entries[i].Event == nil {
			return conversation.Refusef(conversation.CodeInvalid, "entry %d has seq %d, %d belongs there", i, a.Entries[i].Seq, want)
		}
	}
	for _, inbox := range []conversation.InboxID{a.Head.Inbox, a.Contact.Inbox} {
		if len(inbox) > maxInboxBytes || strings.IndexByte(string(inbox), 0) >= 0 {
			return conversation.Refuse(conversation.CodeBadID, "an inbox id is at most 64 bytes without NUL")
		}
	}
	if len(a.Head.Status) > maxInboxBytes || strings.IndexByte(string(a.Head.Status), 0) >= 0 {
		return conversation.Refuse(conversation.CodeInvalid, "a status is at most 64 bytes without NUL")
	}
	for _, r := range a.Refs {
		if len(r.Ref) > conversation.MaxRefBytes {
			return conversation.Refusef(conversation.CodeBadRef, "%d bytes, the limit is %d", len(r.Ref), conversation.MaxRefBytes)
		}
	}
	return nil
}

// fenced refuses, before anything is written down, what the state machine would
// refuse: the state of a conversation that was erased must not even get into the
// log.
func (s *Store) fenced(ctx context.Context, id conversation.ConversationID, epoch uint64) error {
	done, err := s.looking(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.buffer.lookup(appendHeadKey(nil, id), func(rec []byte) error {
		r, _, err := decodeRow(rec)
		if err == nil && epoch < r.epoch {
			err = fmt.Errorf("epoch %d, the claim of epoch %d came later: %w", epoch, r.epoch, ErrFenced)
		}
		return err
	})
	return err
}

// SaveState stores a snapshot of a conversation as it is at its newest entry, so
// that the next [Store.Load] has less to fold. A snapshot of another version is
// a conflict; that is no loss.
func (s *Store) SaveState(ctx context.Context, state *conversation.State, epoch uint64) error {
	if state.ID.IsZero() || state.Version == 0 {
		return conversation.Refuse(conversation.CodeInvalid, "the state of no conversation")
	}
	if err := s.fenced(ctx, state.ID, epoch); err != nil {
		return fmt.Errorf("save state of %s: %w", state.ID, err)
	}
	op, err := s.enc.encodeSaveState(state, epoch)
	if err != nil {
		return fmt.Errorf("save state of %s: %w", state.ID, err)
	}
	if len(op) > MaxAppendBytes {
		return fmt.Errorf("save state of %s: %w", state.ID, conversation.Refusef(
			conversation.CodeTooLarge, "%d bytes in one state, the limit is %d", len(op), MaxAppendBytes))
	}
	if _, err := s.queue.do(ctx, op, nil); err != nil {
		return fmt.Errorf("save state of %s at %d: %w", state.ID, state.Version, err)
	}
	return nil
}
