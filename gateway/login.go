package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// profileView is who is logged in.
type profileView struct {
	wire.Profile
	Presence conversation.Presence `json:"presence"`
	Drafts   bool                  `json:"drafts,omitempty"`  // the server drafts replies
	Files    *fileLimits           `json:"files,omitempty"`   // nil = none are taken
	Shadows  bool                  `json:"shadows,omitempty"` // and shows this agent what another intent engine would say
}

func (g *Gateway) profileView(a conversation.Agent) profileView {
	return profileView{
		Profile: *profileOf(a), Presence: g.presences.of(a.ID), Drafts: g.opts.Drafts != nil,
		Files: g.fileLimits(), Shadows: g.opts.Shadows != nil && a.Role == conversation.RoleAdmin,
	}
}

func (g *Gateway) profile(w http.ResponseWriter, _ *http.Request, who caller) error {
	return answer(w, http.StatusOK, g.profileView(who.agent.agent))
}

// login opens a session. Wrong passwords, unknown and disabled accounts are
// one and the same answer, after the same work.
func (g *Gateway) login(w http.ResponseWriter, r *http.Request, _ caller) error {
	var b struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if err := g.checkLoginOrigin(r); err != nil {
		return err
	}
	now := time.Now()
	email := normalEmail(b.Email)
	if err := g.limitLogin(r, email, now); err != nil {
		return err
	}
	a, err := g.opts.Agents.AgentByEmail(email)
	if err != nil && !errors.Is(err, conversation.ErrNotFound) {
		return err
	}
	stored := a.PasswordHash
	if err != nil || a.Disabled {
		stored = ""
	}
	ok, err := g.checkPassword(r.Context(), stored, b.Password)
	if err != nil {
		return err
	}
	if !ok {
		g.metrics.logins.WithLabelValues("refused").Inc()
		return conversation.Refuse(conversation.CodeUnauthenticated, "the e-mail address or the password is wrong")
	}
	value, expires, err := g.openSession(a, now)
	if err != nil {
		return err
	}
	g.metrics.logins.WithLabelValues("granted").Inc()
	g.setSessionCookie(w, r, value, expires)
	return answer(w, http.StatusOK, g.profileView(a))
}

// checkLoginOrigin keeps other sites from logging somebody in as somebody
// else.
func (g *Gateway) checkLoginOrigin(r *http.Request) error {
	if origin := r.Header.Get("Origin"); origin != "" && !g.sameOrigin(r, origin) {
		return conversation.Refuse(conversation.CodeCSRF, "the request comes from another origin")
	}
	return nil
}

// limitLogin counts tries per account and per address, whether the account
// exists or not.
func (g *Gateway) limitLogin(r *http.Request, email string, now time.Time) error {
	byPeer, ok := g.loginsByPeer.take(prefixOf(g.peerOf(r)), now)
	byAccount, ok2 := g.loginsByAccount.take(email, now)
	if ok && ok2 {
		return nil
	}
	g.metrics.logins.WithLabelValues("limited").Inc()
	return &conversation.Error{Code: conversation.CodeRateLimited, Detail: "too many tries", After: max(byPeer, byAccount)}
}

func (g *Gateway) logout(w http.ResponseWriter, r *http.Request, who caller) error {
	if who.agent.session != "" {
		if err := g.revoke(r.Context(), who.agent.session, time.Now()); err != nil {
			return err
		}
	}
	g.setSessionCookie(w, r, "", time.Time{})
	return noContent(w)
}

// setupState says whether the first admin is still to be made.
func (g *Gateway) setupState(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return answer(w, http.StatusOK, map[string]bool{"open": !g.hasAdmin()})
}

func (g *Gateway) hasAdmin() bool {
	return slices.ContainsFunc(g.opts.Agents.Agents(), func(a conversation.Agent) bool { return a.Role == conversation.RoleAdmin })
}

// firstAdmin makes the first admin, for whoever has the token that setting up
// the server printed. It works once; afterwards the address is dead.
func (g *Gateway) firstAdmin(w http.ResponseWriter, r *http.Request, _ caller) error {
	var b struct {
		Token    string `json:"token"`
		Name     string `json:"name"`
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	now := time.Now()
	if err := g.limitLogin(r, "", now); err != nil {
		return err
	}
	g.setup.Lock()
	defer g.setup.Unlock()
	if g.hasAdmin() {
		return conversation.Refuse(conversation.CodeNotFound, "there is nothing at this address")
	}
	cred, err := g.findCredential(sha256.Sum256([]byte(b.Token)), CredentialSetup, now)
	if err != nil {
		return err
	}
	a, err := newAgent(agentBody{Name: &b.Name, Email: &b.Email, Password: &b.Password})
	if err != nil {
		return err
	}
	a.Role = conversation.RoleAdmin
	// The token goes first: if the rest fails, a new one can be printed, but
	// two admins can never come of one.
	if err := g.opts.Credentials.DeleteCredential(r.Context(), cred.ID); err != nil {
		return err
	}
	if a, err = g.opts.Agents.PutAgent(r.Context(), a); err != nil {
		return errors.Join(err, g.restore(r.Context(), cred))
	}
	value, expires, err := g.openSession(a, now)
	if err != nil {
		return err
	}
	g.setSessionCookie(w, r, value, expires)
	return answer(w, http.StatusCreated, g.profileView(a))
}

func (g *Gateway) restore(ctx context.Context, c Credential) error {
	return g.opts.Credentials.PutCredential(ctx, c)
}

// changePassword sets a new password and ends all other sessions.
func (g *Gateway) changePassword(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Current string `json:"current"`
		New     string `json:"new"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	now := time.Now()
	a := who.agent.agent
	if err := g.limitLogin(r, normalEmail(a.Email), now); err != nil {
		return err
	}
	ok, err := g.checkPassword(r.Context(), a.PasswordHash, b.Current)
	if err != nil {
		return err
	}
	if !ok {
		return conversation.Refuse(conversation.CodeForbidden, "the current password is wrong")
	}
	if a.PasswordHash, err = HashPassword(b.New); err != nil {
		return err
	}
	a.SessionEpoch++
	if a, err = g.opts.Agents.PutAgent(r.Context(), a); err != nil {
		return err
	}
	value, expires, err := g.openSession(a, now)
	if err != nil {
		return err
	}
	g.setSessionCookie(w, r, value, expires)
	return noContent(w)
}

func normalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// checkEmail takes a plain address, nothing around it.
func checkEmail(s string) (string, error) {
	s = normalEmail(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 {
		return "", conversation.Refuse(conversation.CodeInvalid, "email is not an e-mail address")
	}
	return s, nil
}

const maxNameBytes = 100

func checkName(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxNameBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", conversation.Refusef(conversation.CodeInvalid, "name has 1 to %d bytes without control characters", maxNameBytes)
	}
	return s, nil
}
