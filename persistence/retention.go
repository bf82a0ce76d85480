package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// Bounds of a sweep for conversations whose time is over.
const (
	overdueAtOnce = 256    // looked for at a time
	overdueSweep  = 10_000 // erased in one sweep; the rest waits for the next
)

// Overdue counts the conversations of an inbox whose time is over.
type Overdue struct {
	Inbox         conversation.InboxID `json:"inbox_id"`
	Before        time.Time            `json:"before"`        // their last activity was
	Conversations int                  `json:"conversations"` // that go with the next sweep
	Held          int                  `json:"held"`          // that would go, but for a hold
}

// Overdue counts, for each inbox that does not keep its conversations for ever,
// those that go with the next sweep. It erases nothing.
func (s *Store) Overdue(ctx context.Context) ([]Overdue, error) {
	out := []Overdue{}
	for _, in := range s.Inboxes() {
		if in.Retention.ResolvedAfter <= 0 {
			continue
		}
		o := Overdue{Inbox: in.ID, Before: s.keptSince(&in)}
		err := s.eachOverdue(ctx, in.ID, o.Before, func(h *conversation.Head) bool {
			if s.directory.held(h.ID, h.Contact) {
				o.Held++
			} else {
				o.Conversations++
			}
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("count overdue conversations of %s: %w", in.ID, err)
		}
		out = append(out, o)
	}
	return out, nil
}

// keptSince is when the last activity of a conversation must have been for it to
// be kept.
func (s *Store) keptSince(in *conversation.Inbox) time.Time {
	return s.options.Now().UTC().Add(-time.Duration(in.Retention.ResolvedAfter))
}

// SweepOverdue erases conversations whose time is over, and gives how many. It
// does so on whichever node it is called.
func (s *Store) SweepOverdue(ctx context.Context) (int, error) {
	total := 0
	for _, in := range s.Inboxes() {
		if in.Retention.ResolvedAfter <= 0 {
			continue
		}
		n, err := s.sweepInbox(ctx, in.ID, s.keptSince(&in), overdueSweep-total)
		total += n
		if err != nil {
			return total, fmt.Errorf("erase overdue conversations of %s: %w", in.ID, err)
		}
	}
	return total, nil
}

// sweepOverdue is [Store.SweepOverdue] for the node that does it for all.
func (s *Store) sweepOverdue(ctx context.Context) error {
	if !s.Leads() {
		return nil
	}
	n, err := s.SweepOverdue(ctx)
	if n > 0 {
		s.logger.Info("conversations erased because their time was over", "count", n)
	}
	return err
}

// sweepInbox erases at most limit conversations, the oldest first.
func (s *Store) sweepInbox(ctx context.Context, inbox conversation.InboxID, before time.Time, limit int) (int, error) {
	n := 0
	for n < limit {
		var due []conversation.ConversationID
		err := s.eachOverdue(ctx, inbox, before, func(h *conversation.Head) bool {
			if !s.directory.held(h.ID, h.Contact) {
				due = append(due, h.ID)
			}
			return len(due) < min(overdueAtOnce, limit-n)
		})
		if err != nil || len(due) == 0 {
			return n, err
		}
		erased := 0
		for _, id := range due {
			gone, err := s.eraseOverdue(ctx, id, before)
			if err != nil {
				return n + erased, err
			}
			if gone {
				erased++
			}
		}
		if n += erased; erased == 0 {
			return n, nil // all of them have come back to life, or are held now
		}
	}
	return n, nil
}

// eraseOverdue erases a conversation, unless it has come back to life meanwhile.
func (s *Store) eraseOverdue(ctx context.Context, id conversation.ConversationID, before time.Time) (bool, error) {
	state, err := s.Load(ctx, id)
	if err != nil || !over(state.Status) || !state.LastActivity.Before(before) || state.Gone {
		return false, err
	}
	_, err = s.erase(ctx, state, conversation.ErasedRetention, "")
	if errors.Is(err, errFilesFirst) {
		if _, err = s.DropFiles(ctx, id); err == nil {
			_, err = s.erase(ctx, state, conversation.ErasedRetention, "")
		}
	}
	if errors.Is(err, conversation.ErrConflict) {
		return false, nil // somebody wrote, or put a hold on it
	}
	return err == nil, err
}

// over reports whether a conversation of a status is done.
func over(status conversation.Status) bool {
	return status == conversation.StatusResolved || status == conversation.StatusClosed
}

// eachOverdue walks the conversations of an inbox that are done and had their
// last activity before a time, the oldest of each status first, until visit says
// no.
func (s *Store) eachOverdue(
	ctx context.Context, inbox conversation.InboxID, before time.Time, visit func(*conversation.Head) bool,
) error {
	done, err := s.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, status := range []conversation.Status{conversation.StatusResolved, conversation.StatusClosed} {
		more, err := eachOldest(s.db, appendListPrefix(nil, inbox, status), before.UnixMilli(), func(h *conversation.Head) bool {
			return ctx.Err() == nil && visit(h)
		})
		if err != nil || !more {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}

// eachOldest walks one stretch of the list index backwards. It reports whether
// visit wants more.
func eachOldest(db pebble.Reader, prefix []byte, before int64, visit func(*conversation.Head) bool) (bool, error) {
	it, err := db.NewIter(prefixBounds(prefix, nil))
	if err != nil {
		return false, err
	}
	more := true
	for ok := it.Last(); ok && more && err == nil && bytes.HasPrefix(it.Key(), prefix); ok = it.Prev() {
		var p listPlace
		if p, err = readListPlace(it.Key()); err != nil || p.activity >= before {
			break
		}
		var h conversation.Head
		if h, err = readHead(valuesOf(db), p.id); err == nil {
			more = visit(&h)
		} else if isGone(err) {
			err = nil // it went while we looked
		}
	}
	return more, errors.Join(err, it.Error(), it.Close())
}
