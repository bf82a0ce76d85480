package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	sessionLife = 12 * time.Hour      // without use
	sessionMax  = 30 * 24 * time.Hour // altogether

	// The __Host- prefix makes browsers refuse the cookie unless it is secure
	// and bound to this very host. Plain HTTP has no such cookies, so a
	// console on loopback gets another name.
	secureCookie = "__Host-colloquy"
	plainCookie  = "colloquy_session"
)

// agentID is an agent as a cookie or token names one.
type agentID struct {
	agent   conversation.Agent
	session string    // of a cookie; empty for a token
	epoch   uint64    // of the agent's sessions when the cookie was made
	token   [32]byte  // hash of the token; zero for a cookie
	expires time.Time // zero = never
}

// openSession makes the cookie value of a new session.
func (g *Gateway) openSession(a conversation.Agent, now time.Time) (string, time.Time, error) {
	return g.signSession(a, randomName("ses_"), now, now)
}

func (g *Gateway) signSession(a conversation.Agent, id string, began, now time.Time) (string, time.Time, error) {
	expires := now.Add(sessionLife)
	if last := began.Add(sessionMax); expires.After(last) {
		expires = last
	}
	value, err := g.sessions.sign(claims{
		Subject: string(a.ID), ID: id, Epoch: a.SessionEpoch, Issued: now.Unix(), Began: began.Unix(), Expires: expires.Unix(),
	})
	return value, expires, err
}

// checkSession verifies a cookie value against the agent as they are now.
// Errors: class [conversation.ErrUnauthenticated].
func (g *Gateway) checkSession(value string, now time.Time) (*agentID, claims, error) {
	c, err := g.sessions.check(value, now)
	if err != nil {
		return nil, c, err
	}
	id := &agentID{session: c.ID, epoch: c.Epoch, expires: time.Unix(c.Expires, 0)}
	id.agent.ID = conversation.AgentID(c.Subject)
	if err := g.refreshAgent(id, now); err != nil {
		return nil, c, err
	}
	return id, c, nil
}

// refreshAgent looks the agent up again and says whether they still are who
// they were: not disabled, the sessions not ended, the token not revoked.
//
// Errors: class [conversation.ErrUnauthenticated].
func (g *Gateway) refreshAgent(id *agentID, now time.Time) error {
	a, err := g.opts.Agents.Agent(id.agent.ID)
	if err != nil {
		if errors.Is(err, conversation.ErrNotFound) {
			return errBadToken()
		}
		return err
	}
	if a.Disabled || !id.expires.IsZero() && !now.Before(id.expires) {
		return errBadToken()
	}
	if id.session == "" {
		if _, err := g.findCredential(id.token, CredentialAgent, now); err != nil {
			return err
		}
	} else if a.SessionEpoch != id.epoch || g.isRevoked(id.session) {
		return errBadToken()
	}
	id.agent = a
	return nil
}

// checkBearer verifies an agent's token.
// Errors: class [conversation.ErrUnauthenticated].
func (g *Gateway) checkBearer(token string, now time.Time) (*agentID, error) {
	if len(token) > maxTokenBytes {
		return nil, errBadToken()
	}
	id := &agentID{token: sha256.Sum256([]byte(token))}
	cred, err := g.findCredential(id.token, CredentialAgent, now)
	if err != nil {
		return nil, err
	}
	id.agent.ID, id.expires = cred.Agent, cred.ExpiresAt
	return id, g.refreshAgent(id, now)
}

// identifyAgent verifies an agent's token for a connection.
func (g *Gateway) identifyAgent(token string, now time.Time) (*identity, error) {
	a, err := g.checkBearer(token, now)
	if err != nil {
		return nil, err
	}
	return &identity{agent: a}, nil
}

// findCredential finds a live credential of a kind by its hash.
// Errors: class [conversation.ErrUnauthenticated].
func (g *Gateway) findCredential(hash [32]byte, kind CredentialKind, now time.Time) (Credential, error) {
	c, err := g.opts.Credentials.CredentialByHash(hash)
	if err != nil {
		if errors.Is(err, conversation.ErrNotFound) {
			return c, errBadToken()
		}
		return c, err
	}
	if c.Kind != kind || !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt) {
		return Credential{}, errBadToken()
	}
	return c, nil
}

// revoke remembers until its end that a session was logged out.
func (g *Gateway) revoke(ctx context.Context, session string, now time.Time) error {
	hash := sha256.Sum256([]byte(session))
	err := g.opts.Credentials.PutCredential(ctx, Credential{
		ID: "rev_" + hex.EncodeToString(hash[:8]), Kind: CredentialRevoked, Hash: hash,
		CreatedAt: now.UTC().Truncate(time.Millisecond), ExpiresAt: now.UTC().Truncate(time.Millisecond).Add(sessionLife),
	})
	if err != nil && g.isRevoked(session) {
		return nil // two logouts at once
	}
	return err
}

// forgetRevoked drops the memory of sessions that have ended by themselves.
func (g *Gateway) forgetRevoked(ctx context.Context, now time.Time) {
	for _, c := range g.opts.Credentials.Credentials() {
		if c.Kind != CredentialRevoked || now.Before(c.ExpiresAt) {
			continue
		}
		if err := g.opts.Credentials.DeleteCredential(ctx, c.ID); err != nil && !errors.Is(err, conversation.ErrNotFound) {
			g.log.Warn("ended session not forgotten", slog.Any("err", err))
			return // the next round tries again
		}
	}
}

func (g *Gateway) isRevoked(session string) bool {
	c, err := g.opts.Credentials.CredentialByHash(sha256.Sum256([]byte(session)))
	return err == nil && c.Kind == CredentialRevoked
}

// setSessionCookie sets the cookie under the name that fits the connection.
func (g *Gateway) setSessionCookie(w http.ResponseWriter, r *http.Request, value string, expires time.Time) {
	c := &http.Cookie{ //nolint:gosec // Secure is taken off below, only where there is no TLS
		Name: secureCookie, Value: value, Path: "/", Expires: expires, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode,
	}
	if !g.isHTTPS(r) {
		c.Name, c.Secure = plainCookie, false
	}
	if value == "" {
		c.Expires, c.MaxAge = time.Time{}, -1
	}
	http.SetCookie(w, c)
}

// sessionCookie finds the cookie value. The plain name counts only where the
// secure one is impossible.
func (g *Gateway) sessionCookie(r *http.Request) string {
	name := secureCookie
	if !g.isHTTPS(r) {
		name = plainCookie
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// randomName makes an unguessable name with a prefix.
func randomName(prefix string) string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return prefix + hex.EncodeToString(b[:])
}

// newConnName draws the name of a connection.
func newConnName() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.BigEndian.Uint64(b[:])
}
