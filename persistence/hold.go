package persistence

import (
	"context"
	"errors"
	"maps"

	"github.com/colloquyhq/colloquy/conversation"
)

func errHeld() error {
	return conversation.Refuse(conversation.CodeHeld, "a hold stands on the conversation or its contact")
}

// putHold takes a hold over. The id is that of a contact or a conversation, as it
// is written.
func (d *directory) putHold(doc *document) error {
	h, err := decodeDoc[conversation.Hold](doc)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.holds[doc.id] = h
	return nil
}

// held reports whether a hold stands on a conversation, on its contact, or on
// whoever that contact was merged with. It is part of the state machine and looks
// at nothing but documents.
func (d *directory) held(id conversation.ConversationID, contact conversation.ContactID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.mu.holds) == 0 {
		return false
	}
	if _, held := d.mu.holds[id.String()]; held {
		return true
	}
	for _, c := range d.mu.people.under(d.mu.people.top(contact)) {
		if _, held := d.mu.holds[c.String()]; held {
			return true
		}
	}
	return false
}

// Held reports whether a hold stands on anything of a person.
func (s *Store) Held(p *Person) bool {
	for _, c := range p.Contacts {
		if s.directory.held(conversation.ConversationID{}, c) {
			return true
		}
	}
	for _, id := range p.Conversations {
		if s.directory.held(id, conversation.ContactID{}) {
			return true
		}
	}
	return false
}

// Hold gives the hold that stands on a contact or a conversation by itself, by its
// id as it is written.
func (s *Store) Hold(id string) (conversation.Hold, bool) {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	h, ok := s.directory.mu.holds[id]
	return h, ok
}

// Holds gives all holds that stand, by the ids that they stand on.
func (s *Store) Holds() map[string]conversation.Hold {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return maps.Clone(s.directory.mu.holds)
}

// PutHold has a hold stand on a contact or a conversation. One that stands already
// stays as it is.
func (s *Store) PutHold(ctx context.Context, id string, h conversation.Hold) error {
	_, err := s.putJSON(ctx, &document{kind: docHold, id: id}, h)
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// DropHold lifts a hold. Where none stands nothing changes.
func (s *Store) DropHold(ctx context.Context, id string) error {
	if err := s.DeleteDoc(ctx, docHold, id, 0); err != nil && !isGone(err) {
		return err
	}
	return nil
}
