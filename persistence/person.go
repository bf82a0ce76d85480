package persistence

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// Person is everything under which the journal knows somebody.
type Person struct {
	Contacts      []conversation.ContactID // those that were merged, the one that stands for all first
	Conversations []conversation.ConversationID
	Names         []PersonName

	inboxes map[conversation.ContactID]conversation.InboxID // in which each contact is one
}

// PersonName is what a provider calls a person.
type PersonName struct {
	Inbox   conversation.InboxID
	Channel conversation.ChannelKind
	Peer    string
}

// Person gathers what there is of a contact and of all whom it was merged with.
// What was erased before is not in it.
func (s *Store) Person(ctx context.Context, id conversation.ContactID) (*Person, error) {
	p := &Person{Contacts: s.MergedContacts(id), inboxes: make(map[conversation.ContactID]conversation.InboxID)}
	for _, c := range p.Contacts {
		for _, in := range s.Inboxes() {
			current, err := s.Current(ctx, conversation.ContactKey{Inbox: in.ID, Contact: c})
			if err == nil && !current.IsZero() {
				p.inboxes[c] = in.ID
				err = s.addTalks(ctx, p, current)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// addTalks adds a conversation and all before it.
func (s *Store) addTalks(ctx context.Context, p *Person, id conversation.ConversationID) error {
	for !id.IsZero() {
		state, err := s.Load(ctx, id)
		if err != nil {
			return err
		}
		if state.Started() && !state.Gone {
			p.Conversations = append(p.Conversations, id)
			name := PersonName{Inbox: state.Inbox, Channel: state.Channel, Peer: state.Peer}
			if name.Peer != "" && !slices.Contains(p.Names, name) {
				p.Names = append(p.Names, name)
			}
		}
		id = state.Previous
	}
	return nil
}

// leastName is how long a provider's name must be to be looked for in bytes that
// nobody could read: a shorter one is found anywhere.
const leastName = 4

// wrote reports whether a dead letter is to the person or from them. Of a delivery
// that nobody could read it is taken for a sign that the provider's name is in it.
func (p *Person) wrote(l *conversation.DeadLetter) bool {
	if l.Message != nil {
		return slices.Contains(p.Contacts, l.Message.Contact) || slices.Contains(p.Conversations, l.Message.Conversation)
	}
	var event struct {
		Channel conversation.ChannelKind `json:"channel"`
		Peer    string                   `json:"peer"`
	}
	if l.Event != nil && json.Unmarshal(l.Event, &event) != nil {
		return false
	}
	return slices.ContainsFunc(p.Names, func(n PersonName) bool {
		switch {
		case n.Inbox != l.Inbox:
			return false
		case l.Event != nil:
			return event.Peer == n.Peer
		case l.Delivery == nil || len(n.Peer) < leastName:
			return false
		}
		written, err := json.Marshal(n.Peer)
		return bytes.Contains(l.Delivery.Body, []byte(n.Peer)) || err == nil && bytes.Contains(l.Delivery.Body, written[1:len(written)-1])
	})
}

// dropLetters lets the dead letters of a person go.
func (s *Store) dropLetters(ctx context.Context, p *Person) (int, error) {
	n := 0
	for _, id := range s.letterIDs() {
		l, err := s.DeadLetter(ctx, id)
		if err == nil && p.wrote(&l) {
			err = s.DeleteDeadLetter(ctx, id)
			n++
		}
		if err != nil && !isGone(err) {
			return n, fmt.Errorf("drop a dead letter: %w", err)
		}
	}
	return n, nil
}
