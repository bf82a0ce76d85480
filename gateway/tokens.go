package gateway

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// rotationOverlap is how long an inbox's older tokens work on, so that
	// whoever uses them has time to change.
	rotationOverlap = 24 * time.Hour
	maxTokenDays    = 3650
	maxTokens       = 20 // of one agent
)

// tokenView is a token in lists; the token itself is shown once, when made.
type tokenView struct {
	ID        string    `json:"id"`
	Token     string    `json:"token,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// NewToken makes a token of a kind: the text to hand out and the credential to
// store.
func NewToken(kind CredentialKind, now time.Time) (string, Credential) {
	token := randomName(string(kind) + "_")
	return token, Credential{
		ID: randomName("crd_")[:24], Kind: kind, Hash: sha256.Sum256([]byte(token)), CreatedAt: now.UTC().Truncate(time.Millisecond),
	}
}

func (g *Gateway) ownTokens(id conversation.AgentID) []Credential {
	var own []Credential
	for _, c := range g.opts.Credentials.Credentials() {
		if c.Kind == CredentialAgent && c.Agent == id {
			own = append(own, c)
		}
	}
	return own
}

func (g *Gateway) listTokens(w http.ResponseWriter, _ *http.Request, who caller) error {
	var out []tokenView
	for _, c := range g.ownTokens(who.agent.agent.ID) {
		out = append(out, tokenView{ID: c.ID, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt})
	}
	return answer(w, http.StatusOK, newPage(out, ""))
}

func (g *Gateway) createToken(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Days int `json:"days"`
	}
	if err := optionalBody(r, &b); err != nil {
		return err
	}
	if b.Days < 0 || b.Days > maxTokenDays {
		return conversation.Refusef(conversation.CodeInvalid, "days is 0, for ever, to %d", maxTokenDays)
	}
	if len(g.ownTokens(who.agent.agent.ID)) >= maxTokens {
		return conversation.Refusef(conversation.CodeConflict, "an agent has at most %d tokens", maxTokens)
	}
	token, c := NewToken(CredentialAgent, time.Now())
	c.Agent = who.agent.agent.ID
	if b.Days > 0 {
		c.ExpiresAt = c.CreatedAt.AddDate(0, 0, b.Days)
	}
	if err := g.opts.Credentials.PutCredential(r.Context(), c); err != nil {
		return err
	}
	return answer(w, http.StatusCreated, tokenView{ID: c.ID, Token: token, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt})
}

func (g *Gateway) deleteToken(w http.ResponseWriter, r *http.Request, who caller) error {
	for _, c := range g.ownTokens(who.agent.agent.ID) {
		if c.ID == r.PathValue("token") {
			if err := g.opts.Credentials.DeleteCredential(r.Context(), c.ID); err != nil {
				return err
			}
			return noContent(w)
		}
	}
	return conversation.Refuse(conversation.CodeNotFound, "there is no such token")
}

// secretView is an inbox's new credential; both are shown only here.
type secretView struct {
	Inbox         conversation.InboxID `json:"inbox_id"`
	Token         string               `json:"token"`
	SigningSecret string               `json:"signing_secret"`
	OldUntil      time.Time            `json:"old_until,omitzero"`
}

// rotateSecret makes a new token for an inbox and lets the older ones end
// after a while.
func (g *Gateway) rotateSecret(w http.ResponseWriter, r *http.Request, _ caller) error {
	in, err := g.pathInbox(r)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	token, c := NewToken(CredentialInbox, now)
	c.Inbox = in.ID
	if err := g.opts.Credentials.PutCredential(r.Context(), c); err != nil {
		return err
	}
	v := secretView{Inbox: in.ID, Token: token, SigningSecret: g.signingSecret(c)}
	until := now.Add(rotationOverlap)
	for _, old := range g.opts.Credentials.Credentials() {
		if old.Kind != CredentialInbox || old.Inbox != in.ID || old.ID == c.ID {
			continue
		}
		if old.ExpiresAt.IsZero() || old.ExpiresAt.After(until) {
			old.ExpiresAt = until
			if err := g.opts.Credentials.PutCredential(r.Context(), old); err != nil {
				return err
			}
		}
		v.OldUntil = until
	}
	return answer(w, http.StatusCreated, v)
}
