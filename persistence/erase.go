package persistence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// eraseTries is how often an erasure is tried that met a newer entry.
const eraseTries = 16

// Erased says what an erasure came to.
type Erased struct {
	Contacts      int `json:"contacts"`
	Conversations int `json:"conversations"`
	Files         int `json:"files"`
	Letters       int `json:"dead_letters"`
}

// ErasePerson erases everything of a person: conversations with their files, what
// waits to be sent, senders' ids, dead letters, claims about who they are. What
// stays is the place of each conversation, and a record of each contact that says
// when it was erased and by whom. Repeating it changes nothing, and it may be
// repeated after it failed half-way.
//
// Behind it, each node cuts its log and writes the files anew in which the rows lay.
//
// Errors: the code [conversation.CodeHeld] where a hold stands on any of it;
// nothing is erased then, unless the hold came in between.
func (s *Store) ErasePerson(ctx context.Context, p *Person, by conversation.AgentID) (Erased, error) {
	out := Erased{Contacts: len(p.Contacts)}
	if s.Held(p) {
		return Erased{}, errHeld()
	}
	var err error
	if out.Letters, err = s.dropLetters(ctx, p); err != nil {
		return out, err
	}
	for _, id := range p.Conversations {
		files, err := s.EraseConversation(ctx, id, conversation.ErasedContact, by)
		if err != nil {
			return out, err
		}
		out.Conversations++
		out.Files += files
	}
	for _, c := range p.Contacts {
		if err := s.forgetRecord(ctx, c, p.inboxes[c], by); err != nil {
			return out, err
		}
	}
	unsent, err := s.Forget(ctx, p.Contacts...)
	out.Files += unsent
	return out, err
}

// Forget drops the files that contacts handed in and never sent, gives how many,
// and has every node scrub. It ends an erasure, and follows one for what came late.
func (s *Store) Forget(ctx context.Context, contacts ...conversation.ContactID) (int, error) {
	total := 0
	for {
		n, err := s.queue.do(ctx, encodeForget(contacts), nil)
		if err != nil {
			return total, fmt.Errorf("forget a contact: %w", err)
		}
		total += int(n) //nolint:gosec // at most dropsAtOnce
		if n < dropsAtOnce {
			return total, nil
		}
	}
}

// forgetRecord leaves of what is known of a contact that it was erased.
func (s *Store) forgetRecord(ctx context.Context, id conversation.ContactID, in conversation.InboxID, by conversation.AgentID) error {
	var err error
	for range eraseTries {
		r := s.ContactRecord(id)
		if n := len(r.History); n == 1 && r.History[0].Action == conversation.ContactErased && len(r.Claims) == 0 && r.Into.IsZero() {
			return nil
		}
		r.Claims, r.History, r.Into, r.Inbox = nil, nil, conversation.ContactID{}, cmp.Or(r.Inbox, in)
		r.Note(conversation.ContactChange{At: s.options.Now().UTC(), By: by, Action: conversation.ContactErased})
		if _, err = s.PutContactRecord(ctx, r); err == nil || !errors.Is(err, ErrConflict) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, err)
	}
	return nil
}

// EraseConversation erases a conversation and gives how many files went with it.
// One that is erased already, or that never was, is no error. Whoever runs it is
// fenced.
//
// Errors: the code [conversation.CodeHeld] while a hold stands.
func (s *Store) EraseConversation(
	ctx context.Context, id conversation.ConversationID, reason conversation.ErasureReason, by conversation.AgentID,
) (files int, err error) {
	for range eraseTries {
		state, err := s.Load(ctx, id)
		if err != nil {
			return files, err
		}
		if !state.Started() || state.Gone {
			return files, nil
		}
		n, err := s.erase(ctx, state, reason, by)
		files += n
		switch {
		case err == nil:
			return files, nil
		case errors.Is(err, errFilesFirst):
			if n, err = s.DropFiles(ctx, id); err != nil {
				return files, err
			}
			files += n
		case conversation.CodeOf(err) == conversation.CodeHeld || !errors.Is(err, ErrConflict):
			return files, fmt.Errorf("erase %s: %w", id, err)
		}
	}
	return files, fmt.Errorf("erase %s: it goes on too fast: %w", id, ErrUnavailable)
}

func (s *Store) erase(
	ctx context.Context, state *conversation.State, reason conversation.ErasureReason, by conversation.AgentID,
) (int, error) {
	now := s.options.Now().UTC().Truncate(time.Millisecond)
	if now.Before(state.LastActivity) {
		now = state.LastActivity
	}
	left := conversation.Entry{Seq: state.Version + 1, At: now, Event: state.Erased(reason, by)}
	place := conversation.State{ID: state.ID}
	place.Apply(left)
	a := &conversation.Append{ID: state.ID, Expect: state.Version, Entries: []conversation.Entry{left}, Head: place.Head()}
	op, err := s.enc.encodeErase(a)
	if err != nil {
		return 0, err
	}
	n, err := s.queue.do(ctx, op, a)
	return int(n), err //nolint:gosec // at most dropsAtOnce
}
