package persistence

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// letterTail is how many random characters end the id of a dead letter. Before
// them stand its time, so that ids sort by age, and its inbox.
const letterTail = 8

func letterID(at time.Time, inbox conversation.InboxID) string {
	return fmt.Sprintf("%016x-%s-%s", at.UnixNano(), inbox, strings.ToLower(rand.Text()[:letterTail]))
}

// letterInbox reads the inbox out of an id; empty when it is none of ours.
func letterInbox(id string) conversation.InboxID {
	const head = 16 + 1
	if len(id) < head+1+letterTail {
		return ""
	}
	return conversation.InboxID(id[head : len(id)-1-letterTail])
}

// letterBefore reports whether a letter is older than a time.
func letterBefore(id string, t time.Time) bool { return id < fmt.Sprintf("%016x", t.UnixNano()) }

// letterIDs gives the ids of all dead letters, oldest first.
func (s *Store) letterIDs() []string {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.directory.mu.letters))
}

// PutDeadLetter keeps a letter and gives its id. When there are too many, the
// oldest go: several writers at once may leave one or two more for a moment.
func (s *Store) PutDeadLetter(ctx context.Context, l conversation.DeadLetter) (string, error) {
	ids := s.letterIDs()
	for len(ids) >= conversation.MaxDeadLetters {
		if err := s.DeleteDeadLetter(ctx, ids[0]); err != nil && !isGone(err) {
			return "", err
		}
		ids = ids[1:]
	}
	l.ID = letterID(l.At, l.Inbox)
	_, err := s.putJSON(ctx, &document{kind: docLetter, id: l.ID}, l)
	return l.ID, err
}

// DeadLetter gives a letter. Errors: [ErrNotFound].
func (s *Store) DeadLetter(ctx context.Context, id string) (conversation.DeadLetter, error) {
	var l conversation.DeadLetter
	d, err := s.Doc(ctx, docLetter, id)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(d.Data, &l); err != nil {
		return l, fmt.Errorf("%w: dead letter %s: %w", ErrCorrupt, id, err)
	}
	return l, nil
}

// DeadLetters gives up to limit letters, newest first, and the cursor of the next
// page. Empty inbox means all of them, empty cursor the beginning.
func (s *Store) DeadLetters(
	ctx context.Context, inbox conversation.InboxID, cursor string, limit int,
) (letters []conversation.DeadLetter, next string, err error) {
	for _, id := range slices.Backward(s.letterIDs()) {
		if inbox != "" && letterInbox(id) != inbox || cursor != "" && id >= cursor {
			continue
		}
		if len(letters) == limit {
			return letters, letters[limit-1].ID, nil
		}
		l, err := s.DeadLetter(ctx, id)
		switch {
		case isGone(err):
		case err != nil:
			return nil, "", err
		default:
			letters = append(letters, l)
		}
	}
	return letters, "", nil
}

// DeleteDeadLetter lets a letter go. Errors: [ErrNotFound].
func (s *Store) DeleteDeadLetter(ctx context.Context, id string) error {
	return s.DeleteDoc(ctx, docLetter, id, 0)
}

// sweepLetters lets the letters go whose time is over.
func (s *Store) sweepLetters(ctx context.Context) error {
	over := s.options.Now().Add(-conversation.DeadLetterTTL)
	for _, id := range s.letterIDs() {
		if !letterBefore(id, over) {
			return nil
		}
		if err := s.DeleteDeadLetter(ctx, id); err != nil && !isGone(err) {
			return err
		}
	}
	return nil
}
