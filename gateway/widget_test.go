package gateway

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const shopPage = "https://shop.example"

func (h *harness) widgetSession(inbox, token, origin string) answered {
	h.t.Helper()
	c := call{method: "POST", path: "/v1/widget/session", body: fmt.Sprintf(`{"inbox":%q,"token":%q}`, inbox, token), headers: map[string]string{}}
	if origin != "" {
		c.headers["Origin"] = origin
	}
	return h.do(c)
}

func TestWidgetSession(t *testing.T) { //nolint:tparallel // the subtests share one gateway
	t.Parallel()
	h := start(t)
	a := h.widgetSession("shop", "", shopPage)
	h.want(a, 201, "")
	if a.header.Get("Access-Control-Allow-Origin") != shopPage || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("headers %v", a.header)
	}
	m := a.json(t)
	end, err := time.Parse(time.RFC3339, m.str("expires_at"))
	if err != nil || time.Until(end) > 24*time.Hour || time.Until(end) < 23*time.Hour {
		t.Errorf("the token ends at %v (%v)", end, err)
	}
	if again := h.widgetSession("shop", m.str("token"), shopPage).json(t); again.str("contact") != m.str("contact") {
		t.Error("a valid token did not keep the visitor")
	}
	if other := h.widgetSession("shop", "", shopPage).json(t); other.str("contact") == m.str("contact") {
		t.Error("two visitors are one")
	}
	contact, err := conversation.ParseContactID(m.str("contact"))
	if err != nil {
		t.Fatal(err)
	}
	for age, keeps := range map[time.Duration]bool{25 * time.Hour: true, 30 * 24 * time.Hour: true, 32 * 24 * time.Hour: false} {
		old, err := h.gw.IssueVisitorToken("shop", contact, time.Now().Add(-age))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.widgetSession("shop", old, shopPage).json(t).str("contact"); (got == m.str("contact")) != keeps {
			t.Errorf("a token made %v ago keeps the visitor: %v, want %v", age, !keeps, keeps)
		}
	}
	bank := h.visitorToken("bank", contact)
	if got := h.widgetSession("shop", bank, shopPage).json(t).str("contact"); got == m.str("contact") {
		t.Error("a token of another inbox carried the visitor over")
	}
	for _, tc := range []struct {
		name, inbox, origin string
		status              int
		code                conversation.Code
	}{
		{"no origin", "shop", "", 403, conversation.CodeOrigin},
		{"foreign origin", "shop", "https://evil.example", 403, conversation.CodeOrigin},
		{"suffix", "shop", "https://shop.example.evil", 403, conversation.CodeOrigin},
		{"origin of another inbox", "bank", shopPage, 403, conversation.CodeOrigin},
		{"own origin, allowed", "shop", h.url, 201, ""},
		{"own origin, no list", "bank", h.url, 201, ""},
		{"unknown inbox", "nowhere", shopPage, 404, conversation.CodeNotFound},
		{"bad inbox", "../x", shopPage, 400, conversation.CodeBadID},
	} {
		t.Run(tc.name, func(t *testing.T) { h.as(t).want(h.widgetSession(tc.inbox, "", tc.origin), tc.status, tc.code) })
	}
}

func TestWidgetSessionLimit(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.SessionsPerMinute = 3 })
	for range 3 {
		h.want(h.widgetSession("shop", "", shopPage), 201, "")
	}
	h.want(h.widgetSession("shop", "", shopPage), 429, conversation.CodeRateLimited)
}

func TestWidgetPreflight(t *testing.T) {
	t.Parallel()
	h := start(t)
	ask := func(path, origin string) answered {
		return h.do(call{method: "OPTIONS", path: path, headers: map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"}})
	}
	if a := ask("/v1/widget/messages", shopPage); a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != shopPage {
		t.Errorf("preflight of a page on the list = %d %v", a.status, a.header)
	}
	for path, origin := range map[string]string{"/v1/widget/messages": "https://evil.example", "/v1/auth/login": shopPage, "/v1/conversations": shopPage} {
		if a := ask(path, origin); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight of %s from %s was granted", path, origin)
		}
	}
}

func TestWidgetOverHTTP(t *testing.T) {
	t.Parallel()
	h := start(t)
	token := h.visitorToken("shop", conversation.ContactID{1})
	h.want(h.get(token, "/v1/widget/conversations/current"), 404, conversation.CodeNotFound)
	if m := h.get(token, "/v1/widget/conversations/current/messages").json(t); fmt.Sprint(m.at("data")) != "[]" {
		t.Errorf("messages before any: %v", m)
	}
	a := h.post(token, "/v1/widget/messages", `{"text":"hello","client_id":"c1"}`)
	h.want(a, 201, "")
	again := h.post(token, "/v1/widget/messages", `{"text":"hello","client_id":"c1"}`)
	if !bytes.Equal(a.body, again.body) || again.header.Get(headerReplayed) != "true" {
		t.Errorf("posted twice: %s and %s", a.body, again.body)
	}
	h.want(h.get(token, "/v1/widget/conversations/current"), 200, "")
	if m := h.get(token, "/v1/widget/conversations/current/messages"); !bytes.Contains(m.body, []byte(`"text":"hello"`)) {
		t.Errorf("messages %s", m.body)
	}
	other := h.visitorToken("shop", conversation.ContactID{2})
	h.want(h.get(other, "/v1/widget/conversations/current"), 404, conversation.CodeNotFound)
	for _, bad := range []string{`{"text":"x","from":"agent"}`, `{"text":""}`, `{"text":"x","contact":"ctc_x"}`} {
		h.want(h.post(token, "/v1/widget/messages", bad), 400, "")
	}
	c := call{method: "POST", path: "/v1/widget/messages", body: `{"text":"x"}`, headers: bearerOf(token)}
	c.headers["Origin"] = "https://evil.example"
	h.want(h.do(c), 403, conversation.CodeOrigin)
}

func TestWidgetConfig(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.do(call{method: "GET", path: "/v1/widget/config?inbox=shop", headers: map[string]string{"Origin": shopPage}})
	h.want(a, 200, "")
	if m := a.json(t); m.str("name") != "Shop" || m.str("lang") != "zh" || m.at("bot") != true || bytes.Contains(a.body, []byte("origins")) {
		t.Errorf("config %s", a.body)
	}
	h.want(h.do(call{method: "GET", path: "/v1/widget/config?inbox=bank", headers: map[string]string{"Origin": shopPage}}), 403, conversation.CodeOrigin)
	h.want(h.do(call{method: "GET", path: "/v1/widget/config"}), 400, conversation.CodeBadID)
}
