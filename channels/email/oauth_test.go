package email

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// issuer is a provider's token server, which gives token-1, token-2 and so on, and
// knows which of them is good.
type issuer struct {
	rotates bool // every answer brings a new refresh token, and the old one is over
	url     string

	mu      sync.Mutex
	refresh string
	given   int
	good    string
	refuse  string // answer with this error
	asked   []url.Values
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	p := &issuer{refresh: "refresh-0"}
	srv := httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *issuer) answer(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = r.ParseForm() // what is no form has no values
	p.asked = append(p.asked, r.PostForm)
	refuse := p.refuse
	if r.PostForm.Get("grant_type") != "refresh_token" || r.PostForm.Get("refresh_token") != p.refresh {
		refuse = "invalid_grant"
	}
	if refuse != "" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": refuse}) //nolint:errchkjson // to a test
		return
	}
	p.given++
	p.good = "token-" + string(rune('0'+p.given))
	answer := map[string]any{"access_token": p.good, "expires_in": 3600, "token_type": "Bearer"}
	if p.rotates {
		p.refresh = "refresh-" + string(rune('0'+p.given))
		answer["refresh_token"] = p.refresh
	}
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // to a test
}

// takes reports whether a token is good.
func (p *issuer) takes(user, token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return user == "shop@example.com" && token != "" && token == p.good
}

// revoke ends the present token.
func (p *issuer) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good = ""
}

func (p *issuer) tokens() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.given
}

func (p *issuer) settings() map[string]string {
	return map[string]string{
		settingPassword: "", settingTokenURL: p.url, settingClientID: "app-1", settingClientSecret: "app-secret", settingRefresh: "refresh-0", settingScope: "mail",
	}
}

// saslServer makes the server's side of a way to log in.
func (p *issuer) saslServer(mech string, in func() error) sasl.Server {
	if mech == mechXOAuth2 {
		return &xoauth2Server{p: p, in: in}
	}
	return sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
		if !p.takes(o.Username, o.Token) || in() != nil {
			return &sasl.OAuthBearerError{Status: "invalid_token"}
		}
		return nil
	})
}

// xoauth2Server says what is wrong before it says no, as the providers do.
type xoauth2Server struct {
	p      *issuer
	in     func() error
	failed bool
}

// Next implements [sasl.Server].
func (x *xoauth2Server) Next(response []byte) (challenge []byte, done bool, err error) {
	if x.failed {
		return nil, true, &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeAuthenticationFailed}
	}
	if response == nil {
		return []byte{}, false, nil
	}
	user, rest, _ := strings.Cut(strings.TrimPrefix(string(response), "user="), "\x01auth=Bearer ")
	token, ok := strings.CutSuffix(rest, "\x01\x01")
	if ok && x.p.takes(user, token) {
		return nil, true, x.in()
	}
	x.failed = true
	return []byte(`{"status":"400"}`), false, nil
}

// tokenSession is a session of an IMAP server that takes tokens only.
type tokenSession struct {
	imapserver.Session

	p    *issuer
	mech string
}

// AuthenticateMechanisms implements [imapserver.SessionSASL].
func (s *tokenSession) AuthenticateMechanisms() []string { return []string{s.mech} }

// Authenticate implements [imapserver.SessionSASL].
func (s *tokenSession) Authenticate(string) (sasl.Server, error) {
	return s.p.saslServer(s.mech, func() error { return s.Login("shop@example.com", "secret") }), nil
}

// tokenBox is a mailbox that is opened with tokens.
func tokenBox(t *testing.T, p *issuer, mech string) *postbox {
	t.Helper()
	box := &postbox{}
	box.renumber(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.address = l.Addr().String()
	box.server = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			users := imapmemserver.New()
			users.AddUser(box.user.Load())
			return &tokenSession{users.NewSession(), p, mech}, nil, nil
		},
		InsecureAuth: true,
	})
	ended := make(chan struct{})
	go func() { defer close(ended); _ = box.server.Serve(l) }()
	t.Cleanup(func() { _ = box.server.Close(); <-ended })
	return box
}

// tokenOffice is a submission server that takes tokens only.
type tokenOffice struct {
	p    *issuer
	mech string
	mu   sync.Mutex
	got  int
}

type tokenClerk struct {
	*clerk

	o *tokenOffice
}

func (o *tokenOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &tokenClerk{&clerk{&postOffice{}, c}, o}, nil
}
func (c *tokenClerk) AuthMechanisms() []string { return []string{c.o.mech} }

func (c *tokenClerk) Auth(string) (sasl.Server, error) {
	return c.o.p.saslServer(c.o.mech, func() error { return nil }), nil
}

func (c *tokenClerk) Data(r io.Reader) error {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	c.o.got++
	_, err := io.Copy(io.Discard, r)
	return err
}

func (o *tokenOffice) serve(t *testing.T) map[string]string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(o)
	s.Domain, s.AllowInsecureAuth = "example.com", true
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return map[string]string{settingSMTP: l.Addr().String(), settingSMTPSecurity: securityNone}
}

// Both servers are logged in to with one token, in either way, which is got once
// and kept; one that is taken back before its time is got anew at once.
func TestLoginWithTokens(t *testing.T) {
	t.Parallel()
	for _, mech := range []string{mechBearer, mechXOAuth2} {
		t.Run(mech, func(t *testing.T) {
			t.Parallel()
			p := newIssuer(t)
			box, office := tokenBox(t, p, mech), &tokenOffice{p: p, mech: mech}
			settings := p.settings()
			maps.Copy(settings, box.settings(nil))
			maps.Copy(settings, office.serve(t))
			o, s := answering(conversation.PartyBot, "Hello", map[string]string{metaMessageID: "q@example.org"})
			d := newDriver(t, dialAnywhere, known{s.ID: s}, settings)
			for range 2 {
				if name, err := d.Check(t.Context(), inbox); err != nil || name != "shop@example.com" {
					t.Fatalf("Check = %q, %v", name, err)
				}
			}
			if _, err := d.Send(t.Context(), channels.Part{Outbound: *o}); err != nil {
				t.Fatalf("Send: %v", err)
			}
			if n := p.tokens(); n != 1 || office.got != 1 {
				t.Errorf("%d tokens for four logins and %d mails, want one of each", n, office.got)
			}
			if q := p.asked[0]; q.Get("client_id") != "app-1" || q.Get("client_secret") != "app-secret" || q.Get("scope") != "mail" {
				t.Errorf("the provider was asked with %v", q)
			}
			p.revoke()
			if _, err := newSubmission(t.Context(), dialAnywhere, mustMailbox(t, d).smtp, "token-1", "example.com"); mech == mechBearer && channels.ClassOf(err) != channels.Auth {
				t.Errorf("the submission server refuses a token with %v", err)
			}
			if _, err := d.Check(t.Context(), inbox); err != nil {
				t.Errorf("after the token was taken back: %v", err)
			}
			if n := p.tokens(); n != 2 {
				t.Errorf("%d tokens, want another one", n)
			}
		})
	}
}

func mustMailbox(t *testing.T, d *Driver) mailbox {
	t.Helper()
	box, err := d.mailbox(t.Context(), inbox)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// What the token's server says is told: the account is wrong, or only not now.
func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		refuse, code string
		class        channels.Class
	}{
		{"invalid_grant", "oauth_invalid_grant", channels.Auth},
		{"invalid_client", "oauth_invalid_client", channels.Auth},
		{"something_else", "http_400", channels.Permanent},
	} {
		p := newIssuer(t)
		p.refuse = tc.refuse
		d := newDriver(t, dialAnywhere, nil, p.settings())
		_, err := d.Check(t.Context(), inbox)
		var e *channels.SendError
		if !errors.As(err, &e) || e.Class != tc.class || e.Code != tc.code {
			t.Errorf("%s: %v, want %s %s", tc.refuse, err, tc.class, tc.code)
		}
		if err != nil && (strings.Contains(err.Error(), "refresh-0") || strings.Contains(err.Error(), "app-secret")) {
			t.Errorf("%s: a secret is in the error: %v", tc.refuse, err)
		}
	}
	p := newIssuer(t)
	office := &postOffice{}
	settings := p.settings()
	maps.Copy(settings, office.serve(t))
	maps.Copy(settings, newPostbox(t).settings(nil))
	_, err := newDriver(t, dialAnywhere, nil, settings).Check(t.Context(), inbox)
	if e := (*channels.SendError)(nil); !errors.As(err, &e) || e.Code != "imap_no_oauth" {
		t.Errorf("a server that takes no tokens: %v", err)
	}
}

// A provider that replaces the refresh token with every answer is followed: the new
// one is kept, and a node that still has the old one finds it.
func TestRefreshTokensThatAreReplaced(t *testing.T) {
	t.Parallel()
	p := newIssuer(t)
	p.rotates = true
	box := tokenBox(t, p, mechBearer)
	settings := p.settings()
	maps.Copy(settings, box.settings(nil))
	maps.Copy(settings, (&tokenOffice{p: p, mech: mechBearer}).serve(t))
	var mu sync.Mutex
	renewed := func(_ context.Context, id conversation.InboxID, setting, old, now string) error {
		mu.Lock()
		defer mu.Unlock()
		if id != inbox || setting != settingRefresh || settings[setting] != old {
			t.Errorf("renewed %s of %s from %s", setting, id, old)
		}
		settings[setting] = now
		return nil
	}
	accounts := func(context.Context, conversation.InboxID) (channels.Account, error) {
		mu.Lock()
		defer mu.Unlock()
		return channels.NewAccount("1", settingsOf(settings)), nil
	}
	nodes := make([]*Driver, 2)
	for i := range nodes {
		d, err := New(Options{
			Accounts: accounts, Dial: dialAnywhere, Client: http.DefaultClient, Load: known(nil).Load, Renewed: renewed,
			Key: func(context.Context) ([]byte, error) { return []byte("0123456789abcdef0123456789abcdef"), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = d
	}
	stale, err := nodes[1].mailbox(t.Context(), inbox) // read before the first node renews
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].Check(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	if token, err := nodes[1].bearer(t.Context(), inbox, &stale); err != nil || !p.takes("shop@example.com", token) {
		t.Errorf("the other node gets %q, %v", token, err)
	}
	if settings[settingRefresh] != "refresh-2" || p.tokens() != 2 {
		t.Errorf("%s is kept after %d tokens", settings[settingRefresh], p.tokens())
	}
}

func TestSettingsOfTokens(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change map[string]string
		bad    string
	}{
		"password":                  {nil, ""},
		"neither":                   {map[string]string{settingPassword: ""}, settingPassword},
		"google":                    {map[string]string{settingPassword: "", settingRefresh: "r", settingClientID: "c", settingOAuth: "google"}, ""},
		"microsoft":                 {map[string]string{settingPassword: "", settingRefresh: "r", settingClientID: "c", settingOAuth: "microsoft"}, ""},
		"another provider":          {map[string]string{settingRefresh: "r", settingClientID: "c", settingOAuth: "aol"}, settingOAuth},
		"no client":                 {map[string]string{settingRefresh: "r", settingOAuth: "google"}, settingClientID},
		"no provider":               {map[string]string{settingRefresh: "r", settingClientID: "c"}, settingTokenURL},
		"in clear":                  {map[string]string{settingRefresh: "r", settingClientID: "c", settingTokenURL: "http://login.example.com/token"}, settingTokenURL},
		"with a password in it":     {map[string]string{settingRefresh: "r", settingClientID: "c", settingTokenURL: "https://a:b@login.example.com/token"}, settingTokenURL},
		"a tenant's own":            {map[string]string{settingRefresh: "r", settingClientID: "c", settingOAuth: "microsoft", settingTokenURL: "https://login.microsoftonline.com/t/oauth2/v2.0/token"}, ""},
		"a rate":                    {map[string]string{settingRate: "500"}, ""},
		"a rate that is none":       {map[string]string{settingRate: "fast"}, settingRate},
		"a rate of nothing":         {map[string]string{settingRate: "0"}, settingRate},
		"a rate beyond any account": {map[string]string{settingRate: "100001"}, settingRate},
	} {
		d := newDriver(t, noDial, nil, nil)
		err := channels.CheckSettings(d, settingsOf(tc.change))
		if (err == nil) != (tc.bad == "") || err != nil && !strings.Contains(err.Error(), tc.bad) {
			t.Errorf("%s: %v, want it to be about %q", name, err, tc.bad)
		}
		if err != nil && conversation.CodeOf(err) != conversation.CodeInvalid {
			t.Errorf("%s: %v, want %s", name, err, conversation.CodeInvalid)
		}
	}
}

// An account's own rate takes the place of the usual one.
func TestPaceOfAnAccount(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]channels.Rate{
		"": {}, "60": {PerSec: 60.0 / 3600, Burst: 1}, "600": {PerSec: 600.0 / 3600, Burst: 10}, "100000": {PerSec: 100000.0 / 3600, Burst: mostBurst},
	} {
		d := newDriver(t, noDial, nil, map[string]string{settingRate: setting})
		got, own := d.Pace(t.Context(), inbox)
		if got != want || own != (setting != "") {
			t.Errorf("%q = %+v, %t, want %+v", setting, got, own, want)
		}
	}
	if _, own := newDriver(t, noDial, nil, nil).Pace(t.Context(), "nowhere"); own {
		t.Error("an inbox without an account has a pace of its own")
	}
}
