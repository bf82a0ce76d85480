package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// session logs an agent in over HTTP with a password that is set first.
func (h *harness) session(id conversation.AgentID) []*http.Cookie {
	h.t.Helper()
	hash, err := HashPassword(testPassword)
	if err != nil {
		h.t.Fatal(err)
	}
	h.changeAgent(id, func(a *conversation.Agent) { a.PasswordHash = hash })
	a := h.do(call{method: "POST", path: "/v1/auth/login", body: fmt.Sprintf(`{"email":"%s@example.com","password":%q}`, id, testPassword)})
	h.want(a, 200, "")
	if a.json(h.t).str("id") != string(id) || len(a.cookies) != 1 {
		h.t.Fatalf("login answered %s with %d cookies", a.body, len(a.cookies))
	}
	return a.cookies
}

var csrf = map[string]string{headerCSRF: "1"}

func TestLogin(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.LoginsPerMinute = 100 })
	cookies := h.session("mei")
	c := cookies[0]
	if c.Name != plainCookie || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Errorf("cookie on plain HTTP: %+v", c)
	}
	a := h.do(call{method: "GET", path: "/v1/profile", cookies: cookies})
	h.want(a, 200, "")
	if m := a.json(t); m.str("email") != "mei@example.com" || m.str("role") != "agent" || strings.Contains(string(a.body), "argon2") {
		t.Errorf("profile %s", a.body)
	}
	h.changeAgent("bob", func(b *conversation.Agent) { b.Disabled = true })
	var texts []string
	for _, body := range []string{
		`{"email":"mei@example.com","password":"wrong password"}`, `{"email":"nobody@example.com","password":"wrong password"}`,
		`{"email":"bob@example.com","password":"` + testPassword + `"}`, `{"email":"mei@example.com","password":""}`, `{}`,
		`{"email":"mei@example.com","password":"` + strings.Repeat("x", 600) + `"}`,
	} {
		a := h.do(call{method: "POST", path: "/v1/auth/login", body: body})
		h.want(a, 401, conversation.CodeUnauthenticated)
		texts = append(texts, a.json(t).str("detail"))
		if len(a.cookies) != 0 {
			t.Error("a refused login set a cookie")
		}
	}
	for _, s := range texts[1:] {
		if s != texts[0] {
			t.Errorf("refusals can be told apart: %q", texts)
		}
	}
	h.want(h.do(call{method: "POST", path: "/v1/auth/login", body: `{}`, headers: map[string]string{"Origin": "https://evil.example"}}), 403, conversation.CodeCSRF)
}

func TestLoginLimit(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.LoginsPerMinute = 3 })
	for range 3 {
		h.want(h.do(call{method: "POST", path: "/v1/auth/login", body: `{"email":"no@example.com","password":"x"}`}), 401, "")
	}
	var a answered
	eventually(t, "a login too many is refused", func() bool { // the fourth, unless the first three took 20 s
		a = h.do(call{method: "POST", path: "/v1/auth/login", body: `{"email":"no@example.com","password":"x"}`})
		return a.status != 401
	})
	h.want(a, 429, conversation.CodeRateLimited)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestForgery: a cookie alone writes nothing.
func TestForgery(t *testing.T) {
	t.Parallel()
	h := start(t)
	cookies := h.session("ada")
	id := h.store.start("shop", conversation.ContactID{1}).String()
	for _, rt := range table() {
		if rt.method == http.MethodGet || rt.access != accessAgent && rt.access != accessAdmin {
			continue
		}
		path := strings.NewReplacer("{id}", id, "{inbox}", "shop", "{agent}", "mei", "{token}", "crd_x").Replace(rt.path)
		for name, headers := range map[string]map[string]string{
			"no header":      {},
			"empty header":   {headerCSRF: ""},
			"foreign origin": {headerCSRF: "1", "Origin": "https://evil.example"},
			"null origin":    {headerCSRF: "1", "Origin": "null"},
			"cross-site":     {headerCSRF: "1", "Sec-Fetch-Site": "cross-site"},
			"sibling site":   {headerCSRF: "1", "Sec-Fetch-Site": "same-site"},
		} {
			if a := h.do(call{method: rt.method, path: path, body: "{}", headers: headers, cookies: cookies}); a.status != 403 {
				t.Errorf("%s %s with %s = %d %s, want 403", rt.method, rt.path, name, a.status, a.body)
			}
		}
	}
	a := h.do(call{method: "POST", path: "/v1/conversations/" + id + "/claim", headers: map[string]string{headerCSRF: "1", "Origin": h.url, "Sec-Fetch-Site": "same-origin"}, cookies: cookies})
	h.want(a, 200, "")
}

// TestSessionsDie: logout, a new password and a disabled account end sessions
// at once, over HTTP and on sockets.
func TestSessionsDie(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*harness, []*http.Cookie){
		"logout": func(h *harness, c []*http.Cookie) {
			h.want(h.do(call{method: "POST", path: "/v1/auth/logout", headers: csrf, cookies: c}), 204, "")
		},
		"password": func(h *harness, c []*http.Cookie) {
			body := fmt.Sprintf(`{"current":%q,"new":"another long password"}`, testPassword)
			a := h.do(call{method: "POST", path: "/v1/profile/password", body: body, headers: csrf, cookies: c})
			h.want(a, 204, "")
			h.want(h.do(call{method: "GET", path: "/v1/profile", cookies: a.cookies}), 200, "")
		},
		"disabled": func(h *harness, _ []*http.Cookie) {
			h.want(h.do(call{method: "PATCH", path: "/v1/agents/mei", body: `{"disabled":true}`, headers: bearerOf(h.agentToken("ada"))}), 200, "")
		},
		"role": func(h *harness, _ []*http.Cookie) {
			h.want(h.do(call{method: "PATCH", path: "/v1/agents/mei", body: `{"role":"admin"}`, headers: bearerOf(h.agentToken("ada"))}), 200, "")
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			cookies := h.session("mei")
			c := dialRaw(t, h.addr, "/v1/ws", "Origin: "+h.url, "Cookie: "+cookies[0].Name+"="+cookies[0].Value)
			c.say(hello)
			if w := c.expect("welcome"); w.str("agent", "id") != "mei" {
				t.Fatalf("welcome %v", w)
			}
			end(h, cookies)
			if got := c.closeCode(); got != int(wire.CloseForced) {
				t.Errorf("socket closed with %d, want %d", got, wire.CloseForced)
			}
			h.want(h.do(call{method: "GET", path: "/v1/profile", cookies: cookies}), 401, conversation.CodeUnauthenticated)
		})
	}
}

// TestEndedSessionsAreForgotten: what was logged out is remembered until it
// would have ended anyway.
func TestEndedSessionsAreForgotten(t *testing.T) {
	t.Parallel()
	h := start(t)
	cookies := h.session("mei")
	h.want(h.do(call{method: "POST", path: "/v1/auth/logout", headers: csrf, cookies: cookies}), 204, "")
	token := h.agentToken("mei")
	h.gw.forgetRevoked(context.Background(), time.Now().Add(sessionLife-time.Minute))
	if n := len(h.dir.Credentials()); n != 2 {
		t.Errorf("%d credentials, want the token and the ended session", n)
	}
	h.gw.forgetRevoked(context.Background(), time.Now().Add(sessionLife+time.Minute))
	if n := len(h.dir.Credentials()); n != 1 {
		t.Errorf("%d credentials, want the token", n)
	}
	h.want(h.get(token, "/v1/profile"), 200, "")
}

// TestSessionSlides: use renews the cookie, but not beyond the last day.
func TestSessionSlides(t *testing.T) {
	t.Parallel()
	h := start(t)
	a, _ := h.dir.Agent("mei")
	at := time.Now()
	value := func(began, issued time.Time) []*http.Cookie {
		v, _, err := h.gw.signSession(a, "ses_x", began, issued)
		if err != nil {
			t.Fatal(err)
		}
		return []*http.Cookie{{Name: plainCookie, Value: v}}
	}
	tests := []struct {
		name           string
		began, issued  time.Duration
		status, renews int
	}{
		{"fresh", time.Minute, time.Minute, 200, 0},
		{"used after two hours", 2 * time.Hour, 2 * time.Hour, 200, 1},
		{"not used for long", 13 * time.Hour, 13 * time.Hour, 401, 0},
		{"near its last day", sessionMax - time.Hour, 2 * time.Hour, 200, 1},
		{"beyond its last day", sessionMax + time.Minute, 2 * time.Hour, 401, 0},
	}
	for _, tc := range tests {
		got := h.do(call{method: "GET", path: "/v1/profile", cookies: value(at.Add(-tc.began), at.Add(-tc.issued))})
		if got.status != tc.status || len(got.cookies) != tc.renews {
			t.Errorf("%s: %d with %d cookies, want %d with %d", tc.name, got.status, len(got.cookies), tc.status, tc.renews)
		}
	}
}

// TestCookieNeedsAnOrigin: without one nobody knows which page opened it.
func TestCookieNeedsAnOrigin(t *testing.T) {
	t.Parallel()
	h := start(t)
	cookies := h.session("mei")
	c := dialRaw(t, h.addr, "/v1/ws", "Cookie: "+cookies[0].Name+"="+cookies[0].Value)
	c.say(hello)
	if got := c.closeCode(); got != int(wire.CloseInvalidToken) {
		t.Errorf("closed with %d, want %d", got, wire.CloseInvalidToken)
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.dir.mu.Lock()
	delete(h.dir.agents, "ada")
	h.dir.mu.Unlock()
	token, c := NewToken(CredentialSetup, time.Now())
	if err := h.dir.PutCredential(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	body := func(token, password string) string {
		return fmt.Sprintf(`{"token":%q,"name":"Root","email":"Root@Example.com","password":%q}`, token, password)
	}
	setup := func(b string) answered { return h.do(call{method: "POST", path: "/v1/auth/setup", body: b}) }
	if m := h.do(call{method: "GET", path: "/v1/auth/setup"}).json(t); m.at("open") != true {
		t.Errorf("setup %v, want open", m)
	}
	h.want(setup(body("setup_wrong", testPassword)), 401, conversation.CodeUnauthenticated)
	h.want(setup(body(h.agentToken("mei"), testPassword)), 401, conversation.CodeUnauthenticated)
	h.want(setup(body(token, "short")), 400, conversation.CodeInvalid)
	results := make(chan answered, 2)
	for range 2 {
		go func() { results <- setup(body(token, testPassword)) }()
	}
	first, second := <-results, <-results
	if first.status+second.status != 201+404 {
		t.Errorf("two at once = %d and %d, want 201 and 404", first.status, second.status)
	}
	if first.status != 201 {
		first = second
	}
	if m := first.json(t); m.str("role") != "admin" || m.str("email") != "root@example.com" || m.str("id") != "root" {
		t.Errorf("first admin %v", m)
	}
	h.want(h.do(call{method: "GET", path: "/v1/profile", cookies: first.cookies}), 200, "")
	h.want(setup(body(token, testPassword)), 404, conversation.CodeNotFound)
	if m := h.do(call{method: "GET", path: "/v1/auth/setup"}).json(t); m.at("open") != false {
		t.Errorf("setup %v, want closed", m)
	}
}

func TestPasswordHashes(t *testing.T) {
	t.Parallel()
	h := start(t)
	hash, err := HashPassword(testPassword)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("HashPassword = %q, %v", hash, err)
	}
	tests := []struct {
		name, stored, password string
		want                   bool
	}{
		{"right", hash, testPassword, true},
		{"wrong", hash, testPassword + "x", false},
		{"empty", hash, "", false},
		{"no account", "", testPassword, false},
		{"another algorithm", "$2a$10$abcdefghijklmnopqrstuu", testPassword, false},
		{"plain text", testPassword, testPassword, false},
		{"too greedy", strings.Replace(hash, "m=19456", "m=4194304", 1), testPassword, false},
		{"no key", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "", false},
		{"cut off", hash[:len(hash)-20], testPassword, false},
	}
	for _, tc := range tests {
		got, err := h.gw.checkPassword(context.Background(), tc.stored, tc.password)
		if err != nil || got != tc.want {
			t.Errorf("%s: %v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
	for _, bad := range []string{"", "123456789", strings.Repeat("x", 513)} {
		if _, err := HashPassword(bad); conversation.CodeOf(err) != conversation.CodeInvalid {
			t.Errorf("HashPassword of %d bytes = %v", len(bad), err)
		}
	}
}

// TestTokensCannotBeForged changes every part of a token.
func TestTokensCannotBeForged(t *testing.T) {
	t.Parallel()
	h := start(t)
	at := time.Now()
	good := h.visitorToken("shop", conversation.ContactID{1})
	if _, err := h.gw.checkVisitor(good, at); err != nil {
		t.Fatal(err)
	}
	head, tag, _ := strings.Cut(good, ".")
	sign := func(c claims) string {
		s, err := h.gw.visitorTokens.sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	session, err := h.gw.sessions.sign(claims{Subject: (conversation.ContactID{1}).String(), Inbox: "shop", Issued: at.Unix(), Expires: at.Unix() + 60})
	if err != nil {
		t.Fatal(err)
	}
	who := (conversation.ContactID{1}).String()
	otherKey, err := newSigner("vst_", "widget", []byte(strings.Repeat("k", 32))).sign(claims{Subject: who, Inbox: "shop", Issued: at.Unix(), Expires: at.Unix() + 60})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"empty": "", "no tag": head, "empty tag": head + ".", "alg none": head + "." + strings.Repeat("A", len(tag)), "twice": good + "." + tag,
		"padded tag": good + "=", "prefix": strings.Replace(good, "vst_", "ses_", 1), "console session": session, "another key": otherKey,
		"session as visitor": strings.Replace(session, "ses_", "vst_", 1), "huge": "vst_" + strings.Repeat("A", 1<<20) + ".A",
		"no expiry":         sign(claims{Subject: who, Inbox: "shop", Issued: at.Unix()}),
		"from the future":   sign(claims{Subject: who, Inbox: "shop", Issued: at.Unix() + 3600, Expires: at.Unix() + 7200}),
		"expired":           sign(claims{Subject: who, Inbox: "shop", Issued: at.Unix() - 7200, Expires: at.Unix() - 1}),
		"inbox that is not": sign(claims{Subject: who, Inbox: "gone", Issued: at.Unix(), Expires: at.Unix() + 60}),
		"nobody":            sign(claims{Inbox: "shop", Issued: at.Unix(), Expires: at.Unix() + 60}),
		"bad contact":       sign(claims{Subject: "ctc_x", Inbox: "shop", Issued: at.Unix(), Expires: at.Unix() + 60}),
	}
	for i := range len(good) {
		b := []byte(good)
		b[i] ^= 1
		tests[fmt.Sprintf("bit in byte %d", i)] = string(b)
	}
	for name, token := range tests {
		if v, err := h.gw.checkVisitor(token, at); err == nil {
			t.Errorf("%s: taken as %v", name, v)
		} else if class := conversation.CodeOf(err).Row().Status; class != 401 {
			t.Errorf("%s: %v, want a 401", name, err)
		}
	}
}

func TestAgentTokens(t *testing.T) {
	t.Parallel()
	h := start(t)
	admin := bearerOf(h.agentToken("ada"))
	a := h.do(call{method: "POST", path: "/v1/tokens", body: `{"days":1}`, headers: admin})
	h.want(a, 201, "")
	made := a.json(t)
	if !strings.HasPrefix(made.str("token"), "pat_") {
		t.Fatalf("token %v", made)
	}
	h.want(h.do(call{method: "GET", path: "/v1/profile", headers: bearerOf(made.str("token"))}), 200, "")
	if list := h.do(call{method: "GET", path: "/v1/tokens", headers: admin}); strings.Contains(string(list.body), made.str("token")) {
		t.Error("the list shows a token")
	}
	h.want(h.do(call{method: "DELETE", path: "/v1/tokens/" + made.str("id"), headers: bearerOf(h.agentToken("mei"))}), 404, "")
	h.want(h.do(call{method: "DELETE", path: "/v1/tokens/" + made.str("id"), headers: admin}), 204, "")
	h.want(h.do(call{method: "GET", path: "/v1/profile", headers: bearerOf(made.str("token"))}), 401, "")
}

func TestPeerAddress(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	tests := []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1"},
		{"10.0.0.1:5", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:5", "6.6.6.6, 198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:5", "198.51.100.7, 10.0.0.2", "198.51.100.7"},
		{"10.0.0.1:5", "rubbish", "10.0.0.1"},
		{"10.0.0.1:5", "rubbish, 198.51.100.7", "198.51.100.7"},
		{"[::1]:5", "2001:db8::7", "2001:db8::7"},
		{"[::ffff:10.0.0.1]:5", "198.51.100.7", "198.51.100.7"},
	}
	for _, tc := range tests {
		r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{"X-Forwarded-For": {tc.forwarded}, "Cf-Connecting-Ip": {"6.6.6.6"}}}
		if got := h.gw.peerOf(r).String(); got != tc.want {
			t.Errorf("peer of %s with %q = %s, want %s", tc.remote, tc.forwarded, got, tc.want)
		}
	}
	if a, b := prefixOf(netip.MustParseAddr("2001:db8::1")), prefixOf(netip.MustParseAddr("2001:db8::ffff")); a != b {
		t.Errorf("two addresses of one customer count apart: %v %v", a, b)
	}
}
