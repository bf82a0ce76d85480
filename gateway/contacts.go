package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// ContactBook is what is known of who is who. Reads are cheap and from memory.
type ContactBook interface {
	// ContactRecord gives a record; one of version 0 when nothing is known.
	ContactRecord(id conversation.ContactID) conversation.ContactRecord
	// MergedContacts gives the contact that stands for another, and all that it
	// stands for, itself first.
	MergedContacts(id conversation.ContactID) []conversation.ContactID
	// VerifiedContacts gives the contacts of which a claim was verified.
	VerifiedContacts(kind conversation.ClaimKind, value string) []conversation.ContactID
	// PutContactRecord stores a record if its Version is the stored one. Errors:
	// class [conversation.ErrConflict], also for a circle of merged contacts.
	PutContactRecord(ctx context.Context, r conversation.ContactRecord) (conversation.ContactRecord, error)
}

const (
	// maxContactConversations bounds how far back the conversations of one
	// identity are listed.
	maxContactConversations = 20
	// mergeTries is how often a merge is tried that met another one.
	mergeTries = 3
)

// contactView is a contact with all the ways in which they came.
type contactView struct {
	ID            conversation.ContactID           `json:"id"` // the one that stands for all
	Identities    []identityView                   `json:"identities"`
	Claims        []conversation.ContactClaim      `json:"claims"`
	Conversations []wire.Summary                   `json:"conversations"` // newest activity first
	Suggestions   []conversation.ContactSuggestion `json:"suggestions"`   // who may be the same person
	History       []conversation.ContactChange     `json:"history"`
	Hold          *conversation.Hold               `json:"hold,omitempty"` // of any of the identities: nothing of the contact is erased
	Held          []conversation.ConversationID    `json:"held,omitempty"` // conversations with a hold of their own
}

// identityView is one way in which a contact came.
type identityView struct {
	Contact conversation.ContactID   `json:"contact"`
	Inbox   conversation.InboxID     `json:"inbox_id"`
	Channel conversation.ChannelKind `json:"channel,omitempty"`
	Peer    string                   `json:"peer,omitempty"` // the provider's name of them
}

// withContacts is a handler that needs the contact book.
func withContacts(h handler) handler {
	return needing(func(o *Options) bool { return o.Book != nil }, conversation.Refuse(conversation.CodeUnavailable, "this server keeps no records of contacts"), h)
}

// findContact gives the inbox of a contact that the agent may see.
func (g *Gateway) findContact(ctx context.Context, id conversation.ContactID, who caller) (conversation.InboxID, error) {
	record := g.opts.Book.ContactRecord(id)
	for _, in := range g.opts.Inboxes.Inboxes() {
		if !who.agent.agent.MaySee(in.ID) || record.Version > 0 && record.Inbox != in.ID {
			continue
		}
		current, err := g.opts.Contacts.Current(ctx, conversation.ContactKey{Inbox: in.ID, Contact: id})
		if err != nil && !errors.Is(err, conversation.ErrNotFound) {
			return "", err
		}
		if err == nil && !current.IsZero() || record.Inbox == in.ID {
			return in.ID, nil
		}
	}
	return "", errNoContact()
}

func errNoContact() error {
	return conversation.Refuse(conversation.CodeNotFound, "there is no such contact, or it is not yours to see")
}

func (g *Gateway) pathContact(r *http.Request, who caller) (conversation.ContactID, error) {
	id, err := conversation.ParseContactID(r.PathValue("contact"))
	if err != nil {
		return id, err
	}
	_, err = g.findContact(r.Context(), id, who)
	return id, err
}

func (g *Gateway) showContact(w http.ResponseWriter, r *http.Request, who caller) error {
	id, err := g.pathContact(r, who)
	if err != nil {
		return err
	}
	v, err := g.contactView(r.Context(), id, who)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, v)
}

// contactView gathers what the agent may see of a contact.
func (g *Gateway) contactView(ctx context.Context, id conversation.ContactID, who caller) (*contactView, error) {
	all := g.opts.Book.MergedContacts(id)
	v := &contactView{
		ID: all[0], Identities: []identityView{}, Claims: []conversation.ContactClaim{}, Conversations: []wire.Summary{},
		Suggestions: []conversation.ContactSuggestion{}, History: []conversation.ContactChange{},
	}
	for _, member := range all {
		inbox, err := g.findContact(ctx, member, who)
		if conversation.CodeOf(err) == conversation.CodeNotFound {
			continue // of an inbox that is not theirs
		}
		if err != nil {
			return nil, err
		}
		record := g.opts.Book.ContactRecord(member)
		v.Claims = append(v.Claims, record.Claims...)
		v.History = append(v.History, record.History...)
		if err := g.addIdentity(ctx, v, conversation.ContactKey{Inbox: inbox, Contact: member}); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(v.Conversations, func(a, b wire.Summary) int { return b.LastActivity.Compare(a.LastActivity) })
	slices.SortStableFunc(v.History, func(a, b conversation.ContactChange) int { return a.At.Compare(b.At) })
	g.addHolds(v, all)
	return v, g.suggest(ctx, v, all, who)
}

// addHolds says what of the contact must not be erased.
func (g *Gateway) addHolds(v *contactView, all []conversation.ContactID) {
	ids := make([]string, len(all))
	for i, id := range all {
		ids[i] = id.String()
	}
	v.Hold = g.hold(ids...)
	for i := range v.Conversations {
		if g.hold(v.Conversations[i].ID.String()) != nil {
			v.Held = append(v.Held, v.Conversations[i].ID)
		}
	}
}

// addIdentity adds what is known of one way in which the contact came: who the
// provider says they are, and their conversations back to the first.
func (g *Gateway) addIdentity(ctx context.Context, v *contactView, key conversation.ContactKey) error {
	identity := identityView{Contact: key.Contact, Inbox: key.Inbox}
	id, err := g.opts.Contacts.Current(ctx, key)
	if err != nil && !errors.Is(err, conversation.ErrNotFound) {
		return err
	}
	for range maxContactConversations {
		if id.IsZero() {
			break
		}
		s, err := g.opts.Journal.Load(ctx, id)
		if err != nil {
			return err
		}
		if !s.Started() {
			break
		}
		if s.Gone {
			id = s.Previous
			continue
		}
		if identity.Channel == "" {
			identity.Channel, identity.Peer = s.Channel, s.Peer
			v.Claims = append(v.Claims, claimsOf(s)...)
		}
		v.Conversations = append(v.Conversations, g.summary(s.Head()))
		id = s.Previous
	}
	v.Identities = append(v.Identities, identity)
	return nil
}

// suggest adds the contacts of whom something is verified that this one only
// claims. It suggests and does nothing.
func (g *Gateway) suggest(ctx context.Context, v *contactView, known []conversation.ContactID, who caller) error {
	for _, claim := range v.Claims {
		if claim.Verified {
			continue
		}
		for _, other := range g.claimants(claim) {
			if slices.Contains(known, other) {
				continue
			}
			inbox, err := g.findContact(ctx, other, who)
			if conversation.CodeOf(err) == conversation.CodeNotFound {
				continue
			}
			if err != nil {
				return err
			}
			known = append(slices.Clone(known), other)
			v.Suggestions = append(v.Suggestions, conversation.ContactSuggestion{Contact: other, Inbox: inbox, Claim: claim})
		}
	}
	return nil
}

// otherContact reads the contact that a body names.
func (g *Gateway) otherContact(r *http.Request, who caller) (conversation.ContactID, error) {
	var b struct {
		Contact string `json:"contact"`
	}
	if err := decodeBody(r, &b); err != nil {
		return conversation.ContactID{}, err
	}
	id, err := conversation.ParseContactID(b.Contact)
	if err != nil {
		return id, err
	}
	_, err = g.findContact(r.Context(), id, who)
	return id, err
}

// mergeContact has the body's contact go into the path's. Merging what is merged
// already changes nothing.
func (g *Gateway) mergeContact(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.changeContact(w, r, who, conversation.ContactMerged)
}

// splitContact takes the body's contact out again, with what had gone into it
// before.
func (g *Gateway) splitContact(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.changeContact(w, r, who, conversation.ContactSplit)
}

func (g *Gateway) changeContact(w http.ResponseWriter, r *http.Request, who caller, action string) error {
	id, err := g.pathContact(r, who)
	if err != nil {
		return err
	}
	other, err := g.otherContact(r, who)
	if err != nil {
		return err
	}
	change := g.merge
	if action == conversation.ContactSplit {
		change = g.split
	}
	for range mergeTries { // somebody may change the same record
		if err = change(r.Context(), id, other, who); conversation.CodeOf(err) != conversation.CodeVersionMismatch {
			break
		}
	}
	if err != nil {
		return err
	}
	g.log.Info("contacts changed", slog.String("action", action), slog.String("contact_id", id.String()),
		slog.String("other", other.String()), slog.String("agent_id", string(who.agent.agent.ID)))
	v, err := g.contactView(r.Context(), id, who)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, v)
}

// merge has the contact that stands for other go into the one that stands for id.
func (g *Gateway) merge(ctx context.Context, id, other conversation.ContactID, who caller) error {
	into, from := g.opts.Book.MergedContacts(id)[0], g.opts.Book.MergedContacts(other)[0]
	if into == from {
		return nil
	}
	if _, err := g.findContact(ctx, into, who); err != nil {
		return err
	}
	inbox, err := g.findContact(ctx, from, who)
	if err != nil {
		return err
	}
	record := g.opts.Book.ContactRecord(from)
	record.Inbox, record.Into = inbox, into
	return g.putContact(ctx, &record, conversation.ContactChange{By: who.agent.agent.ID, Action: conversation.ContactMerged, Other: into})
}

// split takes other out of the contact that it went into.
func (g *Gateway) split(ctx context.Context, id, other conversation.ContactID, who caller) error {
	record := g.opts.Book.ContactRecord(other)
	switch {
	case record.Into.IsZero() && id == other:
		return conversation.Refuse(conversation.CodeInvalid, "name the contact that was merged into this one")
	case record.Into.IsZero():
		return nil // it stands alone already
	case !slices.Contains(g.opts.Book.MergedContacts(id), other):
		return conversation.Refuse(conversation.CodeConflict, "the two are not merged")
	}
	was := record.Into
	record.Into = conversation.ContactID{}
	return g.putContact(ctx, &record, conversation.ContactChange{By: who.agent.agent.ID, Action: conversation.ContactSplit, Other: was})
}

func (g *Gateway) putContact(ctx context.Context, r *conversation.ContactRecord, c conversation.ContactChange) error {
	c.At = time.Now().UTC()
	r.Note(c)
	_, err := g.opts.Book.PutContactRecord(ctx, *r)
	return err
}
