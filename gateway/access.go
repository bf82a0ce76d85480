package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerCSRF      = "X-Colloquy-CSRF"
	headerSignature = "X-Hub-Signature-256"
	headerInbox     = "X-Inbox-Id"
)

// admitRequest applies a route's policy. It is the only way from a request to
// a handler.
func (g *Gateway) admitRequest(w http.ResponseWriter, r *http.Request, rt *route) (caller, error) {
	switch rt.access {
	case accessPublic, accessSocket:
		return caller{}, nil
	case accessOrigin:
		return caller{}, g.shareWith(w, r, func(origin string) bool { return g.anyInboxAllows(r, origin) })
	case accessVisitor, accessStream:
		return g.admitVisitor(w, r)
	case accessAgent:
		return g.admitAgent(w, r)
	case accessAdmin:
		who, err := g.admitAgent(w, r)
		if err == nil && who.agent.agent.Role != conversation.RoleAdmin {
			err = conversation.Refuse(conversation.CodeForbidden, "this is for admins")
		}
		return who, err
	case accessIngress:
		return g.admitIngress(r)
	case accessNobody:
	}
	return caller{}, conversation.Refuse(conversation.CodeForbidden, "this route is not open to anybody")
}

// bearer finds the token of an Authorization header.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func errNoCredential() error {
	return conversation.Refuse(conversation.CodeUnauthenticated, "no credential came with the request")
}

func (g *Gateway) admitVisitor(w http.ResponseWriter, r *http.Request) (caller, error) {
	token := bearer(r)
	if token == "" {
		return caller{}, errNoCredential()
	}
	v, err := g.checkVisitor(token, time.Now())
	if err != nil {
		return caller{}, err
	}
	in, err := g.opts.Inboxes.Inbox(v.inbox)
	if err != nil {
		return caller{}, err
	}
	return caller{visitor: v}, g.shareWith(w, r, func(origin string) bool {
		return allowsOrigin(&in, origin, g.sameOrigin(r, origin))
	})
}

// shareWith lets pages of a foreign origin read the answer, if allowed says
// so. Credentials of the browser are never shared: visitors bring a token.
func (g *Gateway) shareWith(w http.ResponseWriter, r *http.Request, allowed func(origin string) bool) error {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if !allowed(origin) {
		return conversation.Refuse(conversation.CodeOrigin, "pages of this origin may not do this")
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", headerRequestID+", Retry-After, "+headerReplayed)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return nil
}

// preflight answers a browser that asks before it sends.
func (g *Gateway) preflight(w http.ResponseWriter, r *http.Request, routes []route) {
	a := routes[0].access
	shared := a == accessOrigin || a == accessVisitor || a == accessStream
	origin := r.Header.Get("Origin")
	if shared && origin != "" && g.anyInboxAllows(r, origin) {
		h := w.Header()
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, "+headerLastEventID+", Prefer, "+headerRequestID)
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// admitAgent takes a bearer token, else the session cookie. A cookie is sent
// by the browser whatever page asks, so writes with one must also show that
// they come from our page.
func (g *Gateway) admitAgent(w http.ResponseWriter, r *http.Request) (caller, error) {
	now := time.Now()
	if token := bearer(r); token != "" {
		a, err := g.checkBearer(token, now)
		return caller{agent: a}, err
	}
	value := g.sessionCookie(r)
	if value == "" {
		return caller{}, errNoCredential()
	}
	a, c, err := g.checkSession(value, now)
	if err != nil {
		return caller{}, err
	}
	if err := g.checkForgery(r); err != nil {
		return caller{}, err
	}
	g.slideSession(w, r, a, c, now)
	return caller{agent: a}, nil
}

// checkForgery refuses writes that another site could have caused. A page
// cannot set the header across origins without asking first, and we never say
// yes to that.
func (g *Gateway) checkForgery(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if r.Header.Get(headerCSRF) == "" {
		return conversation.Refuse(conversation.CodeCSRF, "the header "+headerCSRF+" is missing")
	}
	if origin := r.Header.Get("Origin"); origin != "" && !g.sameOrigin(r, origin) {
		return conversation.Refuse(conversation.CodeCSRF, "the request comes from another origin")
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return nil
	}
	return conversation.Refuse(conversation.CodeCSRF, "the request comes from another site")
}

// slideEvery is how old a cookie gets before it is renewed by use.
const slideEvery = time.Hour

func (g *Gateway) slideSession(w http.ResponseWriter, r *http.Request, a *agentID, c claims, now time.Time) {
	if now.Sub(time.Unix(c.Issued, 0)) < slideEvery {
		return
	}
	value, expires, err := g.signSession(a.agent, a.session, time.Unix(c.Began, 0), now)
	if err == nil && expires.After(now) {
		g.setSessionCookie(w, r, value, expires)
	}
}

// admitIngress takes an inbox's token, or a signature over the body. Without
// either it is refused, unless the operator named an inbox for that.
func (g *Gateway) admitIngress(r *http.Request) (caller, error) {
	now := time.Now()
	token, signature := bearer(r), r.Header.Get(headerSignature)
	switch {
	case token != "":
		cred, err := g.findCredential(sha256.Sum256([]byte(token)), CredentialInbox, now)
		if err != nil {
			return caller{}, err
		}
		return g.ingress(r, cred.Inbox)
	case r.Header.Get("Authorization") != "":
		return caller{}, errBadToken()
	case len(r.Header.Values(headerSignature)) > 0:
		return g.admitSigned(r, signature, now)
	case g.opts.InsecureIngress != "":
		return g.ingress(r, g.opts.InsecureIngress)
	}
	return caller{}, &conversation.Error{
		Code: conversation.CodeUnauthenticated, Detail: "no credential came with the request",
		Hint: "send Authorization: Bearer ibx_… or " + headerSignature + " with " + headerInbox,
	}
}

func (g *Gateway) ingress(r *http.Request, inbox conversation.InboxID) (caller, error) {
	in, err := g.opts.Inboxes.Inbox(inbox)
	if err != nil {
		return caller{}, errBadToken()
	}
	body, err := readRaw(r)
	return caller{inbox: in, body: body}, err
}

// admitSigned checks X-Hub-Signature-256 over the body as it came, with the
// signing secret of each live token of the inbox that the request names.
func (g *Gateway) admitSigned(r *http.Request, signature string, now time.Time) (caller, error) {
	name := r.Header.Get(headerInbox)
	if name == "" {
		name = r.URL.Query().Get("inbox_id")
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(signature, "sha256="))
	if err != nil || len(sum) != sha256.Size || !strings.HasPrefix(signature, "sha256=") || name == "" {
		return caller{}, &conversation.Error{
			Code: conversation.CodeUnauthenticated, Detail: "the signature is not sha256= and 64 hexadecimal digits, or no inbox is named",
			Hint: "name the inbox in " + headerInbox,
		}
	}
	body, err := readRaw(r)
	if err != nil {
		return caller{}, err
	}
	for _, c := range g.opts.Credentials.Credentials() {
		live := c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt)
		if c.Kind != CredentialInbox || string(c.Inbox) != name || !live {
			continue
		}
		mac := hmac.New(sha256.New, []byte(g.signingSecret(c)))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), sum) {
			in, err := g.opts.Inboxes.Inbox(c.Inbox)
			if err != nil {
				return caller{}, errBadToken()
			}
			return caller{inbox: in, body: body}, nil
		}
	}
	return caller{}, errBadToken()
}

// signingSecret derives the secret that belongs to an inbox's token. Only the
// token's hash is stored, and a hash cannot sign; this way nothing more needs
// to be kept.
func (g *Gateway) signingSecret(c Credential) string {
	mac := hmac.New(sha256.New, g.hookKey)
	mac.Write(c.Hash[:])
	return "whsec_" + hex.EncodeToString(mac.Sum(nil))
}
