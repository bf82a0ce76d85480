package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

func greeter(conversation.Inbound) *conversation.ReplyComposed {
	return &conversation.ReplyComposed{
		Text: "您好", Buttons: []conversation.Button{{Label: "订单", Text: "查订单"}},
		Bot: conversation.Provenance{Intent: "greet", Confidence: 0.93, Model: "m1"},
	}
}

func hook(token, body string) call {
	headers := map[string]string{"X-Channel-Type": "wechat"}
	if token != "" {
		headers["Authorization"] = "Bearer " + token
	}
	return call{method: "POST", path: "/webhook", body: body, headers: headers}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.bot = greeter
	token, _ := h.inboxToken("shop")
	body := `{"user":"openid-1","text":"你好","metadata":{"city":"上海","age":7,"vip":true,"none":null,"more":{"a":[1]}},"id":"m-1","timestamp":1763886615,"later":"ignored"}`
	first := h.do(hook(token, body))
	h.want(first, 200, "")
	m := first.json(t)
	if m.str("reply", "text") != "您好" || m.str("reply", "intent") != "greet" || m.at("reply", "confidence") != 0.93 || m.str("reply", "model") != "m1" || m.num("seq") != 2 ||
		!strings.HasPrefix(m.str("message_id"), "msg_") || !bytes.Contains(first.body, []byte(`"buttons":[{"label":"订单","text":"查订单"}]`)) {
		t.Errorf("answer %s", first.body)
	}
	if first.header.Get(headerReplayed) != "" {
		t.Errorf("first answer %v", first.header)
	}
	in := h.store.inbounds[0]
	if in.Channel != conversation.ChannelWeChat || in.Peer != "openid-1" || in.Ref != "m-1" || in.Wait != defaultWait || in.Inbox != "shop" {
		t.Errorf("inbound %+v", in)
	}
	want := map[string]string{"city": "上海", "age": "7", "vip": "true", "more": `{"a":[1]}`, "sent_at": "2025-11-23T08:30:15Z"}
	if fmt.Sprint(in.Metadata) != fmt.Sprint(want) {
		t.Errorf("metadata %v, want %v", in.Metadata, want)
	}
	again := h.do(hook(token, body))
	if again.status != 200 || !bytes.Equal(again.body, first.body) || again.header.Get(headerReplayed) != "true" {
		t.Errorf("repeated: %d %s %v, want the same bytes and the header", again.status, again.body, again.header)
	}
	if a, b := h.gw.ContactOf("shop", "wechat", "u"), h.gw.ContactOf("shop", "email", "u"); a == b || a != h.gw.ContactOf("shop", "wechat", "u") {
		t.Error("contacts are not derived from inbox, channel and user")
	}
	if h.gw.ContactOf("ab", "c", "u") == h.gw.ContactOf("a", "bc", "u") {
		t.Error("the parts of a contact run into each other")
	}
}

// What is said to one message is one reply, and its model is named for a question back
// as well, which has no intent.
func TestWebhookReplyNamesItsModel(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.bot = func(conversation.Inbound) *conversation.ReplyComposed {
		return &conversation.ReplyComposed{Text: "Which of these?", Bot: conversation.Provenance{Confidence: 0.5, Model: "39062d53f938cfeb"}}
	}
	token, _ := h.inboxToken("shop")
	first := h.do(hook(token, `{"user":"u","text":"x","id":"m-1"}`))
	h.want(first, 200, "")
	if want := []byte(`"reply":{"text":"Which of these?","confidence":0.5,"model":"39062d53f938cfeb"}`); !bytes.Contains(first.body, want) {
		t.Errorf("answer %s, want %s in it", first.body, want)
	}
	replies := []conversation.Message{{Text: "a"}, {Text: "b", Bot: &conversation.Provenance{Model: "m2"}}, {Text: "c", Bot: &conversation.Provenance{Intent: "greet", Model: "m3"}}}
	if got := replyOf(replies); got.Text != "a\n\nb\n\nc" || got.Model != "m2" || got.Intent != "greet" {
		t.Errorf("reply %+v, want one text, the first model and the first intent", got)
	}
}

// Names of fields are read as the standard library reads them: capitals do not
// matter, escapes do not either, and null is as good as nothing.
func TestWebhookNames(t *testing.T) {
	t.Parallel()
	h := start(t)
	token, _ := h.inboxToken("shop")
	body := `{"User":"u","TEXT":"x \u00e9","\u0069d":"m-9","metadata":null,"attachments":null,"timestamp":null}`
	h.want(h.do(hook(token, body)), 202, "")
	if in := h.store.inbounds[0]; in.Peer != "u" || in.Text != "x é" || in.Ref != "m-9" || in.Metadata != nil {
		t.Errorf("inbound %+v", in)
	}
}

// TestWebhookManyAtOnce: fifty deliveries of one message are one message.
func TestWebhookManyAtOnce(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.bot = greeter
	token, _ := h.inboxToken("shop")
	bodies := make([][]byte, 50)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() { bodies[i] = h.do(hook(token, `{"user":"u","text":"x","id":"same"}`)).body })
	}
	wg.Wait()
	for _, b := range bodies {
		if !bytes.Equal(b, bodies[0]) {
			t.Fatalf("%s and %s", b, bodies[0])
		}
	}
	if n := len(h.store.logs[conversation.ConversationID{0xc0, 1}]); n != 3 {
		t.Errorf("%d entries, want start, message and reply", n)
	}
}

func TestWebhookWaits(t *testing.T) {
	t.Parallel()
	h := start(t)
	token, _ := h.inboxToken("shop")
	a := h.do(hook(token, `{"user":"u","text":"x"}`))
	h.want(a, 202, "")
	if bytes.Contains(a.body, []byte("reply")) {
		t.Errorf("answer %s", a.body)
	}
	tests := []struct {
		name, query, prefer string
		wait                time.Duration
	}{
		{"none", "?wait_ms=0", "", 0},
		{"milliseconds", "?wait_ms=1500", "", 1500 * time.Millisecond},
		{"too long", "?wait_ms=9999999", "", maxWait},
		{"preference", "", "respond-async, wait=3", 3 * time.Second},
		{"bad preference", "", "wait=soon", defaultWait},
	}
	for _, tc := range tests {
		c := hook(token, `{"user":"u","text":"x"}`)
		c.path += tc.query
		if tc.prefer != "" {
			c.headers["Prefer"] = tc.prefer
		}
		h.want(h.do(c), 202, "")
		if in := h.store.inbounds[len(h.store.inbounds)-1]; in.Wait != tc.wait {
			t.Errorf("%s: waits %v, want %v", tc.name, in.Wait, tc.wait)
		}
	}
	c := hook(token, `{"user":"u","text":"x"}`)
	c.path += "?wait_ms=soon"
	h.want(h.do(c), 400, conversation.CodeInvalid)
}

func TestWebhookRefuses(t *testing.T) { //nolint:tparallel // what was delivered is counted behind the subtests
	t.Parallel()
	h := start(t)
	token, _ := h.inboxToken("shop")
	long := strings.Repeat("x", 16<<10+1)
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	tests := []struct {
		name, body string
		status     int
		code       conversation.Code
	}{
		{"no body", ``, 400, conversation.CodeBadJSON},
		{"not JSON", `hello`, 400, conversation.CodeBadJSON},
		{"cut off", `{"user":"u","text":"x"`, 400, conversation.CodeBadJSON},
		{"two values", `{"user":"u","text":"x"}{}`, 400, conversation.CodeBadJSON},
		{"a list", `[]`, 400, conversation.CodeBadJSON},
		{"key twice", `{"user":"u","text":"x","text":"y"}`, 400, conversation.CodeBadJSON},
		{"key twice in metadata", `{"user":"u","text":"x","metadata":{"a":1,"a":2}}`, 400, conversation.CodeBadJSON},
		{"deep", `{"user":"u","text":"x","metadata":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`, 400, conversation.CodeBadJSON},
		{"invalid utf-8", "{\"user\":\"u\",\"text\":\"\xff\"}", 400, conversation.CodeBadJSON},
		{"NUL", `{"user":"u","text":"a\u0000"}`, 400, conversation.CodeBadText},
		{"NUL in the user", `{"user":"u\u0000","text":"a"}`, 400, conversation.CodeInvalid},
		{"no user", `{"text":"x"}`, 400, conversation.CodeInvalid},
		{"empty user", `{"user":"","text":"x"}`, 400, conversation.CodeInvalid},
		{"user as object", `{"user":{},"text":"x"}`, 400, conversation.CodeBadJSON},
		{"long user", `{"user":"` + strings.Repeat("u", 257) + `","text":"x"}`, 413, conversation.CodeTooLarge},
		{"no text", `{"user":"u"}`, 400, conversation.CodeEmptyText},
		{"null text", `{"user":"u","text":null}`, 400, conversation.CodeEmptyText},
		{"empty text", `{"user":"u","text":""}`, 400, conversation.CodeEmptyText},
		{"blank text", `{"user":"u","text":" \t\n"}`, 400, conversation.CodeEmptyText},
		{"text as number", `{"user":"u","text":5}`, 400, conversation.CodeBadJSON},
		{"long text", `{"user":"u","text":"` + long + `"}`, 413, conversation.CodeTextTooLong},
		{"huge", `{"user":"u","text":"` + strings.Repeat("x", 300<<10) + `"}`, 413, conversation.CodeTooLarge},
		{"long id", `{"user":"u","text":"x","id":"` + strings.Repeat("i", 129) + `"}`, 413, conversation.CodeTooLarge},
		{"id as list", `{"user":"u","text":"x","id":[1]}`, 400, conversation.CodeBadJSON},
		{"metadata as list", `{"user":"u","text":"x","metadata":[1]}`, 400, conversation.CodeBadJSON},
		{"much metadata", `{"user":"u","text":"x","metadata":{` + strings.Join(many, ",") + `}}`, 413, conversation.CodeTooMuchMetadata},
		{"long metadata", `{"user":"u","text":"x","metadata":{"a":"` + strings.Repeat("x", 5000) + `"}}`, 413, conversation.CodeTooMuchMetadata},
		{"timestamp", `{"user":"u","text":"x","timestamp":"yesterday"}`, 400, conversation.CodeBadTime},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c := hook(token, tc.body)
			c.headers["Content-Type"] = "application/json"
			h.as(t).want(h.do(c), tc.status, tc.code)
		})
	}
	c := hook(token, `{"user":"u","text":"x"}`)
	for _, kind := range []string{"carrier-pigeon", "wechat,email", "../x"} {
		c.headers["X-Channel-Type"] = kind
		h.want(h.do(c), 400, conversation.CodeUnknownChannel)
	}
	bank, _ := h.inboxToken("bank")
	h.want(h.do(hook(bank, `{"user":"u","text":"x"}`)), 400, conversation.CodeUnknownChannel)
	if len(h.store.inbounds) != 0 {
		t.Errorf("%d refused messages were delivered", len(h.store.inbounds))
	}
}

func TestWebhookCredentials(t *testing.T) { //nolint:tparallel // what was delivered is counted behind the subtests
	t.Parallel()
	h := start(t)
	body := `{"user":"u","text":"x"}`
	token, cred := h.inboxToken("shop")
	_, other := h.inboxToken("bank")
	sign := func(c Credential, body string) string {
		mac := hmac.New(sha256.New, []byte(h.gw.signingSecret(c)))
		mac.Write([]byte(body))
		return "sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	good := sign(cred, body)
	tests := []struct {
		name    string
		headers map[string]string
		status  int
	}{
		{"nothing", nil, 401},
		{"token", map[string]string{"Authorization": "Bearer " + token}, 202},
		{"token in other case", map[string]string{"Authorization": "bearer " + token}, 202},
		{"another scheme", map[string]string{"Authorization": "Basic " + token}, 401},
		{"wrong token", map[string]string{"Authorization": "Bearer ibx_x"}, 401},
		{"signature", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": good}, 202},
		{"signature without an inbox", map[string]string{"X-Hub-Signature-256": good}, 401},
		{"signature for another inbox", map[string]string{"X-Inbox-Id": "bank", "X-Hub-Signature-256": good}, 401},
		{"signature of another inbox", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": sign(other, body)}, 401},
		{"signature of another body", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": sign(cred, body+" ")}, 401},
		{"signature with an empty secret", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(hmac.New(sha256.New, nil).Sum(nil))}, 401},
		{"empty signature", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": ""}, 401},
		{"short signature", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": good[:30]}, 401},
		{"sha1", map[string]string{"X-Inbox-Id": "shop", "X-Hub-Signature-256": strings.Replace(good, "sha256", "sha1", 1)}, 401},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if a := h.do(call{method: "POST", path: "/webhook", body: body, headers: tc.headers}); a.status != tc.status {
				t.Errorf("status %d, want %d: %s", a.status, tc.status, a.body)
			}
		})
	}
	if n := len(h.store.inbounds); n != 3 {
		t.Errorf("%d messages were delivered, want 3", n)
	}
	if got := h.gw.SigningSecrets("shop", time.Now()); len(got) != 1 || got[0] != h.gw.signingSecret(cred) {
		t.Errorf("SigningSecrets = %v", got)
	}
	if got := h.gw.SigningSecrets("nowhere", time.Now()); len(got) != 0 {
		t.Errorf("SigningSecrets of no inbox = %v", got)
	}
}

func TestInsecureIngress(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.InsecureIngress = "shop" })
	h.want(h.do(hook("", `{"user":"u","text":"x"}`)), 202, "")
	h.want(h.do(hook("ibx_wrong", `{"user":"u","text":"x"}`)), 401, "") // a wrong credential is not none
	if in := h.store.inbounds; len(in) != 1 || in[0].Inbox != "shop" {
		t.Errorf("inbounds %v", in)
	}
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	h := start(t)
	old, _ := h.inboxToken("shop")
	a := h.do(call{method: "POST", path: "/v1/inboxes/shop/rotate_secret", headers: bearerOf(h.agentToken("ada"))})
	h.want(a, 201, "")
	m := a.json(t)
	if !strings.HasPrefix(m.str("token"), "ibx_") || !strings.HasPrefix(m.str("signing_secret"), "whsec_") || m.str("old_until") == "" {
		t.Fatalf("answer %s", a.body)
	}
	for _, token := range []string{old, m.str("token")} {
		h.want(h.do(hook(token, `{"user":"u","text":"x"}`)), 202, "")
	}
	c, err := h.dir.CredentialByHash(sha256.Sum256([]byte(old)))
	if err != nil || c.ExpiresAt.IsZero() {
		t.Fatalf("the old token has no end: %+v %v", c, err)
	}
	c.ExpiresAt = time.Now().Add(-time.Second)
	if err := h.dir.PutCredential(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	h.want(h.do(hook(old, `{"user":"u","text":"x"}`)), 401, "")
	if list := h.do(call{method: "GET", path: "/v1/inboxes", headers: bearerOf(h.agentToken("ada"))}); bytes.Contains(list.body, []byte("whsec_")) || bytes.Contains(list.body, []byte("ibx_")) {
		t.Error("the list of inboxes shows secrets")
	}
}
