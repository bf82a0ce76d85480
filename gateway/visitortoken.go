package gateway

import (
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	visitorTokenLife = 24 * time.Hour
	// visitorTokenGrace is how long after its end a token still says who the
	// visitor was, when a new one is asked for.
	visitorTokenGrace = 30 * 24 * time.Hour
)

// visitorID is a visitor as a token names one.
type visitorID struct {
	inbox   conversation.InboxID
	contact conversation.ContactID
	expires int64 // Unix seconds
}

func (v *visitorID) key() conversation.ContactKey {
	return conversation.ContactKey{Inbox: v.inbox, Contact: v.contact}
}

// visitorToken makes a token for a contact.
func (g *Gateway) visitorToken(v visitorID, now time.Time) (string, time.Time, error) {
	expires := now.Add(visitorTokenLife).Truncate(time.Second)
	token, err := g.visitorTokens.sign(claims{
		Subject: v.contact.String(), Inbox: v.inbox, Issued: now.Unix(), Expires: expires.Unix(),
	})
	return token, expires, err
}

// IssueVisitorToken makes a visitor's token, for programs that act as one.
func (g *Gateway) IssueVisitorToken(inbox conversation.InboxID, contact conversation.ContactID, now time.Time) (string, error) {
	token, _, err := g.visitorToken(visitorID{inbox: inbox, contact: contact}, now)
	return token, err
}

// checkVisitor verifies a visitor's token.
// Errors: class [conversation.ErrUnauthenticated].
func (g *Gateway) checkVisitor(token string, now time.Time) (*visitorID, error) {
	c, err := g.visitorTokens.check(token, now)
	if err != nil {
		return nil, err
	}
	return g.visitorOf(c)
}

// identifyVisitor verifies a visitor's token for a connection.
func (g *Gateway) identifyVisitor(token string, now time.Time) (*identity, error) {
	v, err := g.checkVisitor(token, now)
	if err != nil {
		return nil, err
	}
	return &identity{visitorID: *v}, nil
}

// renewableVisitor also takes a token that ended not too long ago.
func (g *Gateway) renewableVisitor(token string, now time.Time) (*visitorID, error) {
	c, err := g.visitorTokens.check(token, now)
	if err != nil {
		expired := conversation.CodeOf(err) == conversation.CodeTokenExpired
		if !expired || now.Sub(time.Unix(c.Expires, 0)) > visitorTokenGrace {
			return nil, err
		}
	}
	return g.visitorOf(c)
}

func (g *Gateway) visitorOf(c claims) (*visitorID, error) {
	contact, err := conversation.ParseContactID(c.Subject)
	if err != nil || contact.IsZero() {
		return nil, errBadToken()
	}
	in, err := g.opts.Inboxes.Inbox(c.Inbox)
	if err != nil {
		if errors.Is(err, conversation.ErrNotFound) {
			return nil, errBadToken() // the inbox is gone
		}
		return nil, err
	}
	// The directory's own name is kept instead of a copy for every visitor.
	return &visitorID{inbox: in.ID, contact: contact, expires: c.Expires}, nil
}
