package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Where claims come from.
const (
	sourceWidget       = "widget"
	sourceProvider     = "provider"
	sourceConversation = "conversation"
)

const (
	leastPhone = 8  // digits, with the country
	mostPhone  = 15 // E.164
	maxTyped   = 5  // claims that are read out of one conversation
)

// claimsOf reads out of a conversation what the provider has proved of a contact,
// and what they have typed about themselves, which proves nothing.
func claimsOf(s *conversation.State) []conversation.ContactClaim {
	var out []conversation.ContactClaim
	if s.Channel == conversation.ChannelWhatsApp {
		out = append(out, conversation.ContactClaim{
			Kind: conversation.ClaimPhone, Value: s.Peer, Verified: true, Source: sourceProvider, At: s.CreatedAt,
		})
	}
	for i := range s.Recent {
		m := &s.Recent[i]
		if m.From != conversation.PartyVisitor {
			continue
		}
		for _, c := range typedClaims(string(m.Text)) {
			if c.At, c.Source = m.At, sourceConversation; !hasClaim(out, c) && len(out) < maxTyped {
				out = append(out, c)
			}
		}
	}
	return out
}

func hasClaim(list []conversation.ContactClaim, c conversation.ContactClaim) bool {
	for i := range list {
		if list[i].Kind == c.Kind && list[i].Value == c.Value {
			return true
		}
	}
	return false
}

// typedClaims finds email addresses and international phone numbers in a text.
func typedClaims(text string) (out []conversation.ContactClaim) {
	if !strings.ContainsAny(text, "@+") {
		return nil
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;:<>\"'，。；：！？、", r) }) {
		if email := claimEmail(strings.TrimRight(word, ".!?)")); email != "" {
			out = append(out, conversation.ContactClaim{Kind: conversation.ClaimEmail, Value: email})
		} else if phone := claimPhone(word); phone != "" {
			out = append(out, conversation.ContactClaim{Kind: conversation.ClaimPhone, Value: phone})
		}
	}
	return out
}

// claimEmail writes an address in the one way in which it is compared; empty for
// what is none.
func claimEmail(s string) string {
	name, domain, ok := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "@")
	if !ok || name == "" || strings.Contains(domain, "@") || !strings.Contains(strings.Trim(domain, "."), ".") || len(s) > conversation.MaxClaimBytes {
		return ""
	}
	return name + "@" + domain
}

// claimPhone writes a number with its country as digits; empty for what is none.
func claimPhone(s string) string {
	digits, ok := strings.CutPrefix(s, "+")
	digits = strings.NewReplacer("-", "", "(", "", ")", "", ".", "", "/", "").Replace(digits)
	if !ok || len(digits) < leastPhone || len(digits) > mostPhone || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return digits
}

// claimants gives the contacts of whom a claim is verified: by a record, or
// because the provider names its people by it.
func (g *Gateway) claimants(claim conversation.ContactClaim) []conversation.ContactID {
	out := g.opts.Book.VerifiedContacts(claim.Kind, claim.Value)
	if claim.Kind == conversation.ClaimPhone {
		for _, in := range g.opts.Inboxes.Inboxes() {
			out = append(out, g.contactOf(in.ID, conversation.ChannelWhatsApp, claim.Value))
		}
	}
	return out
}

// signedUser is who the operator's own server says that a visitor is.
type signedUser struct {
	ID        string `json:"id"`
	Email     string `json:"email"`
	Signature string `json:"signature"` // hex(HMAC-SHA256(signing secret of the inbox, id + "\n" + email))
}

// checkUser verifies what a page says about its visitor. A signature that is
// wrong or missing is refused: whoever could do without would be whom they like.
func (g *Gateway) checkUser(inbox conversation.InboxID, u *signedUser, now time.Time) error {
	if u.ID == "" || len(u.ID) > maxUserBytes || len(u.Email) > conversation.MaxClaimBytes || strings.ContainsAny(u.ID+u.Email, "\r\n\x00") {
		return conversation.Refusef(conversation.CodeInvalid, "user.id has 1 to %d bytes, user.email at most %d, both on one line", maxUserBytes, conversation.MaxClaimBytes)
	}
	given, err := hex.DecodeString(u.Signature)
	if err == nil {
		for _, secret := range g.SigningSecrets(inbox, now) {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(u.ID + "\n" + u.Email))
			if hmac.Equal(mac.Sum(nil), given) {
				return nil
			}
		}
	}
	return conversation.Refuse(conversation.CodeUnauthenticated, "user.signature is not made with the inbox's signing secret")
}

// signIn gives the contact of a user whom the operator's server has proved: the
// same on every device.
func (g *Gateway) signIn(ctx context.Context, inbox conversation.InboxID, u *signedUser, now time.Time) (conversation.ContactID, error) {
	if err := g.checkUser(inbox, u, now); err != nil {
		return conversation.ContactID{}, err
	}
	id := g.contactOf(inbox, conversation.ChannelWeb, u.ID)
	if g.opts.Book == nil {
		return id, nil
	}
	record := g.opts.Book.ContactRecord(id)
	record.Inbox = inbox
	changed := false
	for _, c := range []conversation.ContactClaim{
		{Kind: conversation.ClaimUser, Value: u.ID}, {Kind: conversation.ClaimEmail, Value: claimEmail(u.Email)},
	} {
		if c.Verified, c.Source, c.At = true, sourceWidget, now.UTC(); c.Value != "" && record.Claim(c) {
			changed = true
		}
	}
	if !changed {
		return id, nil
	}
	_, err := g.opts.Book.PutContactRecord(ctx, record)
	if conversation.CodeOf(err) == conversation.CodeVersionMismatch {
		return id, nil // another page of theirs was as fast
	}
	return id, err
}
