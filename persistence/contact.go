package persistence

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// people is the directory's part about who is who. It is part of the state
// machine: what it refuses is refused on every node.
type people struct {
	records  map[conversation.ContactID]conversation.ContactRecord
	merged   map[conversation.ContactID][]conversation.ContactID // what went into a contact, sorted
	verified map[claimKey][]conversation.ContactID               // sorted
}

type claimKey struct {
	kind  conversation.ClaimKind
	value string
}

func newPeople() people {
	return people{
		records:  make(map[conversation.ContactID]conversation.ContactRecord),
		merged:   make(map[conversation.ContactID][]conversation.ContactID),
		verified: make(map[claimKey][]conversation.ContactID),
	}
}

func compareContacts(a, b conversation.ContactID) int { return slices.Compare(a[:], b[:]) }

// enter takes a record over in place of an older one.
func (c *people) enter(r *conversation.ContactRecord) {
	c.leave(r.ID)
	c.records[r.ID] = *r
	if !r.Into.IsZero() {
		c.merged[r.Into] = withContact(c.merged[r.Into], r.ID)
	}
	for _, claim := range r.Claims {
		if claim.Verified {
			key := claimKey{claim.Kind, claim.Value}
			c.verified[key] = withContact(c.verified[key], r.ID)
		}
	}
}

func (c *people) leave(id conversation.ContactID) {
	r, ok := c.records[id]
	if !ok {
		return
	}
	delete(c.records, id)
	without(c.merged, r.Into, id)
	for _, claim := range r.Claims {
		without(c.verified, claimKey{claim.Kind, claim.Value}, id)
	}
}

func withContact(list []conversation.ContactID, id conversation.ContactID) []conversation.ContactID {
	i, found := slices.BinarySearchFunc(list, id, compareContacts)
	if found {
		return list
	}
	return slices.Insert(slices.Clone(list), i, id)
}

func without[K comparable](m map[K][]conversation.ContactID, key K, id conversation.ContactID) {
	list := slices.DeleteFunc(slices.Clone(m[key]), func(o conversation.ContactID) bool { return o == id })
	if m[key] = list; len(list) == 0 {
		delete(m, key)
	}
}

// top gives the contact that stands for another.
func (c *people) top(id conversation.ContactID) conversation.ContactID {
	for range conversation.MaxMergedContacts + 1 { // a tree has no more levels than members
		into := c.records[id].Into
		if into.IsZero() {
			return id
		}
		id = into
	}
	return id
}

// under gives a contact and all that went into it, itself first.
func (c *people) under(id conversation.ContactID) []conversation.ContactID {
	out := []conversation.ContactID{id}
	for i := 0; i < len(out); i++ {
		out = append(out, c.merged[out[i]]...)
	}
	return out
}

// refuse says what is wrong with where a record wants to stand.
func (c *people) refuse(r *conversation.ContactRecord) error {
	if r.Into.IsZero() || c.records[r.ID].Into == r.Into {
		return nil
	}
	below := c.under(r.ID)
	if slices.Contains(below, c.top(r.Into)) || slices.Contains(below, r.Into) {
		return conversation.Refuse(conversation.CodeConflict, "a contact cannot go into one that went into it")
	}
	if n := len(c.under(c.top(r.Into))) + len(below); n > conversation.MaxMergedContacts {
		return conversation.Refusef(conversation.CodeTooLarge, "at most %d contacts are merged", conversation.MaxMergedContacts)
	}
	return nil
}

// ContactRecord gives what is known of a contact; one of version 0 when nothing
// is. What it points to is shared: callers must not change it.
func (s *Store) ContactRecord(id conversation.ContactID) conversation.ContactRecord {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	r, ok := s.directory.mu.people.records[id]
	if !ok {
		r.ID = id
	}
	return r
}

// MergedContacts gives the contact that stands for another, and all that it
// stands for, itself first.
func (s *Store) MergedContacts(id conversation.ContactID) []conversation.ContactID {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return s.directory.mu.people.under(s.directory.mu.people.top(id))
}

// VerifiedContacts gives the contacts of which a claim was verified.
func (s *Store) VerifiedContacts(kind conversation.ClaimKind, value string) []conversation.ContactID {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.Clone(s.directory.mu.people.verified[claimKey{kind, value}])
}

// PutContactRecord writes a record whose stored version is the one it carries,
// and gives it back with its new version. Errors: [ErrConflict], also when it
// would close a circle of merged contacts.
func (s *Store) PutContactRecord(ctx context.Context, r conversation.ContactRecord) (conversation.ContactRecord, error) {
	version, err := s.putJSON(ctx, &document{kind: docContact, id: r.ID.String(), expect: r.Version}, r)
	if err != nil {
		return r, err
	}
	r.Version = version
	return r, nil
}

// decodeContactRecord reads a record out of a document.
func decodeContactRecord(d *document) (conversation.ContactRecord, error) {
	r, err := decodeDoc[conversation.ContactRecord](d)
	if err != nil {
		return r, err
	}
	if r.ID, err = conversation.ParseContactID(d.id); err != nil {
		return r, fmt.Errorf("document of kind %s: %w", d.kind, err)
	}
	r.Version = cmp.Or(d.version, r.Version)
	return r, nil
}

// putContact takes a record over.
func (d *directory) putContact(doc *document) error {
	r, err := decodeContactRecord(doc)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.people.enter(&r)
	return nil
}
