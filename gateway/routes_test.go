package gateway

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestEveryRouteHasAPolicy walks the table: a policy on each line, and nobody
// gets past it with nothing, or with a credential of the wrong kind.
func TestEveryRouteHasAPolicy(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	visitor, agent := h.visitorToken("shop", conversation.ContactID{1}), h.agentToken("mei")
	inbox, _ := h.inboxToken("shop")
	seen := make(map[string]bool)
	public := 0
	for _, rt := range table() {
		name := rt.method + " " + rt.path
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
		path := strings.NewReplacer("{id}", id.String(), "{inbox}", "shop", "{agent}", "mei", "{token}", "crd_x", "{attachment}", conversation.AttachmentID{1}.String()).Replace(rt.path)
		try := func(token string) answered {
			c := call{method: rt.method, path: path, body: "{}"}
			if rt.method == http.MethodGet {
				c.body = ""
			}
			if token != "" {
				c.headers = bearerOf(token)
			}
			return h.do(c)
		}
		refuses := map[string]string{"nothing": "", "rubbish": "x"}
		switch rt.access {
		case accessNobody:
			t.Errorf("%s has no policy", name)
		case accessPublic, accessOrigin:
			public++
			continue
		case accessSocket:
			if a := try(""); a.status != 400 {
				t.Errorf("%s without an upgrade = %d, want 400", name, a.status)
			}
			continue
		case accessVisitor, accessStream:
			refuses["an agent's token"], refuses["an inbox's token"] = agent, inbox
		case accessAgent:
			refuses["a visitor's token"], refuses["an inbox's token"] = visitor, inbox
		case accessAdmin:
			refuses["a visitor's token"], refuses["an inbox's token"] = visitor, inbox
			if a := try(agent); a.status != 403 {
				t.Errorf("%s by an agent who is no admin = %d, want 403", name, a.status)
			}
		case accessIngress:
			refuses["a visitor's token"], refuses["an agent's token"] = visitor, agent
		}
		for what, token := range refuses {
			a := try(token)
			if a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %s = %d %s, want 401", name, what, a.status, a.body)
			}
		}
	}
	if public != 6 {
		t.Errorf("%d routes are public; a new one needs a look, then this number", public)
	}
}

func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.want(h.do(call{method: "GET", path: "/v1/nothing"}), 404, conversation.CodeNotFound)
	h.want(h.do(call{method: "GET", path: "/v1/channels/telegram/shop"}), 404, conversation.CodeNotFound)
	a := h.do(call{method: "DELETE", path: "/v1/conversations"})
	h.want(a, 405, conversation.CodeInvalid)
	if got := a.header.Get("Allow"); got != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow = %q", got)
	}
	for _, path := range []string{"/install", "/register", "/.git/config", "/..%2f..%2fetc/passwd", "/%00"} {
		if a := h.do(call{method: "GET", path: path}); a.status != 404 {
			t.Errorf("%s = %d, want 404", path, a.status)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, path := range []string{"/", "/v1/profile", "/v1/nothing", "/widget.js"} {
		a := h.do(call{method: "GET", path: path, headers: map[string]string{"X-Request-Id": "abc-123"}})
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") == "" || a.header.Get("X-Request-Id") != "abc-123" {
			t.Errorf("%s: headers %v", path, a.header)
		}
	}
	for _, bad := range []string{strings.Repeat("a", 65), "a b", "x<script>"} {
		if got := h.do(call{method: "GET", path: "/", headers: map[string]string{"X-Request-Id": bad}}).header.Get("X-Request-Id"); got == bad || !strings.HasPrefix(got, "req_") {
			t.Errorf("request id %q came back as %q", bad, got)
		}
	}
	a := h.do(call{method: "GET", path: "/", headers: map[string]string{"X-Forwarded-Proto": "https"}})
	if a.header.Get("Strict-Transport-Security") != "" {
		t.Error("a forged X-Forwarded-Proto was believed")
	}
}

func TestPanicIsAProblem(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.bot = func(conversation.Inbound) *conversation.ReplyComposed {
		panic("secret of the stack")
	}
	token, _ := h.inboxToken("shop")
	a := h.do(call{method: "POST", path: "/webhook", body: `{"user":"u","text":"x"}`, headers: bearerOf(token)})
	h.want(a, 500, conversation.CodeInternal)
	if strings.Contains(string(a.body), "secret") || strings.Contains(string(a.body), "goroutine") {
		t.Errorf("the panic came out: %s", a.body)
	}
}

func TestBodyLimits(t *testing.T) { //nolint:tparallel // the subtests share one gateway
	t.Parallel()
	h := start(t)
	token := h.agentToken("ada")
	tests := []struct {
		name, body, kind string
		status           int
		code             conversation.Code
	}{
		{"too large", `{"name":"` + strings.Repeat("x", 20<<10) + `"}`, "application/json", 413, conversation.CodeTooLarge},
		{"a form", "name=x", "application/x-www-form-urlencoded", 400, conversation.CodeBadJSON},
		{"plain text", `{"name":"x"}`, "text/plain", 400, conversation.CodeBadJSON},
		{"no type", `{"name":"x"}`, " ", 400, conversation.CodeBadJSON},
		{"not JSON", `{`, "application/json", 400, conversation.CodeBadJSON},
		{"key twice", `{"name":"x","name":"y"}`, "application/json", 400, conversation.CodeBadJSON},
		{"deep", `{"name":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "application/json", 400, conversation.CodeBadJSON},
		{"unknown field", `{"session_epoch":7}`, "application/json", 400, conversation.CodeUnknownField},
		{"wrong type", `{"name":5}`, "application/json", 400, conversation.CodeBadJSON},
		{"a list", `[]`, "application/json", 400, conversation.CodeBadJSON},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			headers := bearerOf(token)
			headers["Content-Type"] = tc.kind
			h.as(t).want(h.do(call{method: "POST", path: "/v1/agents", body: tc.body, headers: headers}), tc.status, tc.code)
		})
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	h := start(t)
	srv := h.gw.Server()
	if srv.ReadHeaderTimeout != 5*time.Second || srv.MaxHeaderBytes != 8<<10 || srv.ReadTimeout == 0 || srv.WriteTimeout == 0 || srv.IdleTimeout == 0 {
		t.Errorf("limits of the server: %+v", srv)
	}
	a := h.do(call{method: "GET", path: "/", headers: map[string]string{"X-Big": strings.Repeat("x", 16<<10)}})
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a 16 KB header = %d, want 431", a.status)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := start(t)
	tests := []struct {
		path   string
		status int
		kind   string
		body   string
	}{
		{"/", 200, "text/html; charset=utf-8", "start"},
		{"/console/", 200, "text/html; charset=utf-8", "console"},
		{"/console", 200, "text/html; charset=utf-8", "console"},
		{"/console/conversations/7", 200, "text/html; charset=utf-8", "console"},
		{"/widget.js", 200, "text/javascript; charset=utf-8", "export"},
		{"/widget/", 200, "text/html; charset=utf-8", "widget"},
		{"/console/missing.js", 404, "application/problem+json", ""},
		{"/missing", 404, "application/problem+json", ""},
	}
	for _, tc := range tests {
		a := h.do(call{method: "GET", path: tc.path})
		if a.status != tc.status || a.header.Get("Content-Type") != tc.kind || !strings.Contains(string(a.body), tc.body) {
			t.Errorf("%s = %d %s %.60s", tc.path, a.status, a.header.Get("Content-Type"), a.body)
		}
		if tc.status != 200 {
			continue
		}
		if again := h.do(call{method: "GET", path: tc.path, headers: map[string]string{"If-None-Match": a.header.Get("ETag")}}); again.status != 304 {
			t.Errorf("%s with its tag = %d, want 304", tc.path, again.status)
		}
		if p := h.do(call{method: "POST", path: tc.path, body: "{}"}); p.status != 405 {
			t.Errorf("POST %s = %d, want 405", tc.path, p.status)
		}
	}
	console, widget := h.do(call{method: "GET", path: "/console/"}), h.do(call{method: "GET", path: "/widget/?inbox=shop"})
	if csp := console.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("console's policy %q", csp)
	}
	if csp := widget.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'self' https://shop.example") || widget.header.Get("X-Frame-Options") != "" {
		t.Errorf("widget's policy %q", csp)
	}
	for _, query := range []string{"", "?inbox=bank", "?inbox=nowhere", "?inbox=%0d%0aX:y"} {
		if csp := h.do(call{method: "GET", path: "/widget/" + query}).header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "frame-ancestors 'self'") {
			t.Errorf("%q may be framed by %q", query, csp)
		}
	}
	if got := h.do(call{method: "GET", path: "/assets/a-1.css"}).header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("a hashed file is kept by %q", got)
	}
	for _, path := range []string{"/widget.js", "/sdk/index.js"} {
		if got := h.do(call{method: "GET", path: path}).header; got.Get("Cross-Origin-Resource-Policy") != "cross-origin" || got.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s cannot be loaded by other pages: %v", path, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	h := start(t)
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	c.say(`{"t":"message.send","client_id":"m","text":"x"}`)
	c.expect("ack")
	problems, err := testutil.GatherAndLint(h.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		if len(f.GetMetric()) > 24 {
			t.Errorf("%s has %d series", f.GetName(), len(f.GetMetric()))
		}
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += "/" + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for key, want := range map[string]float64{
		"colloquy_gateway_connections/visitor": 1, "colloquy_gateway_connections/agent": 0, "colloquy_gateway_handshakes_total/upgraded": 1,
		"colloquy_gateway_frames_total/in/message": 1, "colloquy_gateway_frames_total/in/session": 1, "colloquy_gateway_frames_total/out/ack": 1,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s = %v (there: %v), want %v", key, v, ok, want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil || strings.Count(err.Error(), "is needed") != 7 {
		t.Errorf("New without collaborators = %v, want all seven named", err)
	}
	s, d := newMemoryStore(), newMemoryDirectory()
	o := Options{Conversations: s, Journal: s, Contacts: s, Inboxes: d, Agents: d, Credentials: d, Secrets: d}
	o.Limits.VisitorFrameBytes = 100
	if _, err := New(o); err == nil {
		t.Error("New took a frame limit below a message")
	}
	o.Limits.VisitorFrameBytes = 0
	o.Pages = fstest.MapFS{"index.html": {Data: []byte("x")}}
	if _, err := New(o); err != nil {
		t.Errorf("New with the defaults = %v", err)
	}
}

// TestRootLeadsToTheConsole: where there is no start page, agents come by.
func TestRootLeadsToTheConsole(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Pages = fstest.MapFS{"agent/index.html": {Data: []byte("agent")}} })
	if a := h.do(call{method: "GET", path: "/"}); a.status != http.StatusFound || a.header.Get("Location") != "/agent/" {
		t.Errorf("/ = %d to %q, want 302 to /agent/", a.status, a.header.Get("Location"))
	}
}
