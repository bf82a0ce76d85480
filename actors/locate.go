package actors

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/colloquyhq/colloquy/conversation"
)

// ids derives the ids of conversations. The same contact in the same inbox
// always leads to the same first id and from there to the same successors, so
// that two messages that arrive at once, anywhere, meet in one conversation
// without asking anybody. The key keeps the ids unguessable.
type ids struct{ key []byte }

func (d ids) first(key conversation.ContactKey) conversation.ConversationID {
	return d.derive("first", []byte(key.Inbox), key.Contact[:])
}

func (d ids) successor(of conversation.ConversationID) conversation.ConversationID {
	return d.derive("next", of[:])
}

func (d ids) derive(parts0 string, parts ...[]byte) conversation.ConversationID {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(parts0))
	for _, p := range parts {
		mac.Write([]byte{0})
		mac.Write(p)
	}
	return conversation.ConversationID(mac.Sum(nil)[:16])
}

// locate finds the conversation that a visitor's message belongs to: the
// contact's current one, or the one that will be the first.
func (e *Engine) locate(key conversation.ContactKey) (conversation.ConversationID, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.o.AppendTimeout)
	defer cancel()
	id, err := e.o.Index.Current(ctx, key)
	if err != nil {
		return conversation.ConversationID{}, err
	}
	if id.IsZero() {
		id = e.ids.first(key)
	}
	return id, nil
}

// origin gathers what a first message needs to start a conversation.
func (e *Engine) origin(r *request) (conversation.Origin, error) {
	in := r.in
	inbox, err := e.o.Directory.Inbox(in.Inbox)
	if err != nil {
		return conversation.Origin{}, err
	}
	if !inbox.Serves(in.Channel) {
		return conversation.Origin{}, conversation.Refusef(conversation.CodeUnknownChannel, "inbox %s does not serve channel %q", inbox.ID, in.Channel)
	}
	return conversation.Origin{
		ID: r.id, Inbox: in.Inbox, Channel: in.Channel, Contact: in.Contact, Peer: in.Peer, Previous: r.previous,
		Bot: inbox.ServesBot() || e.behaviors.serves(inbox.ID), ReopenWindow: inbox.ReopenWindow, ReopenToHuman: inbox.ReopenToHuman,
	}, nil
}
