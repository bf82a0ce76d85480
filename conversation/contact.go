package conversation

import (
	"slices"
	"time"
)

// ContactRecord is what is known of a contact besides its conversations. Contacts
// that were merged are a tree: each points to the one that it went into, and the
// one at the top stands for all. A conversation stays under the contact with
// which it began, so that taking a contact out again restores everything.
type ContactRecord struct {
	ID      ContactID       `json:"id"`
	Inbox   InboxID         `json:"inbox_id"`
	Into    ContactID       `json:"into,omitzero"` // the contact that this one was merged into; zero = none
	Claims  []ContactClaim  `json:"claims,omitempty"`
	History []ContactChange `json:"history,omitempty"` // oldest first, the newest [MaxContactHistory]
	Version uint64          `json:"version"`           // of the document
}

// ClaimKind is a kind of what a contact says about who they are.
type ClaimKind string

// The kinds of claims.
const (
	ClaimUser  ClaimKind = "user_id" // the operator's own name of a signed-in user
	ClaimEmail ClaimKind = "email"
	ClaimPhone ClaimKind = "phone" // digits with the country, no sign
)

// ContactClaim says who a contact is. Only a verified one was proved by somebody
// who knows: the operator's server by a signature, or a provider. Nobody is ever
// merged because of the others.
type ContactClaim struct {
	Kind     ClaimKind `json:"kind"`
	Value    string    `json:"value"`
	Verified bool      `json:"verified"`
	Source   string    `json:"source"` // widget, provider, conversation
	At       time.Time `json:"at,omitzero"`
}

// ContactChange is a line of the record's history.
type ContactChange struct {
	At     time.Time `json:"at"`
	By     AgentID   `json:"by"`
	Action string    `json:"action"` // merged, split, erased
	Other  ContactID `json:"contact,omitzero"`
}

// What is done to contacts.
const (
	ContactMerged = "merged"
	ContactSplit  = "split"
	ContactErased = "erased"
)

// Limits of contacts.
const (
	MaxContactHistory = 50
	MaxContactClaims  = 20
	MaxMergedContacts = 50  // that stand under one
	MaxClaimBytes     = 256 // of a value
)

// ContactSuggestion says that two contacts may be the same person, because one
// claims what was verified of the other.
type ContactSuggestion struct {
	Contact ContactID    `json:"contact"`
	Inbox   InboxID      `json:"inbox_id"`
	Claim   ContactClaim `json:"claim"` // as this contact makes it
}

// Note adds a line to the history.
func (r *ContactRecord) Note(c ContactChange) {
	r.History = append(slices.Clone(r.History), c)
	if n := len(r.History) - MaxContactHistory; n > 0 {
		r.History = r.History[n:]
	}
}

// Claim adds a claim and reports whether that changes anything: a verified one
// replaces the same one that was not, and the oldest go when there are too many.
func (r *ContactRecord) Claim(c ContactClaim) bool {
	claims := slices.Clone(r.Claims)
	i := slices.IndexFunc(claims, func(o ContactClaim) bool { return o.Kind == c.Kind && o.Value == c.Value })
	switch {
	case i >= 0 && (claims[i].Verified || !c.Verified):
		return false
	case i >= 0:
		claims[i] = c
	default:
		claims = append(claims, c)
		claims = claims[max(0, len(claims)-MaxContactClaims):]
	}
	r.Claims = claims
	return true
}
