package whatsapp_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/whatsapp"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	secret = "It's a Secret to Everybody" // of the documentation of X-Hub-Signature-256
	number = "106540352242922"
)

func driver(t testing.TB, rt http.RoundTripper) *whatsapp.Driver {
	t.Helper()
	d, err := whatsapp.New(channeltest.Options(rt, map[string]string{
		"access_token": "EAAJB", "app_secret": secret, "verify_token": "meatyhamhock", "phone_number_id": number,
	}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func sign(_ testing.TB, body []byte, _ time.Time) channeltest.Delivery {
	h := http.Header{}
	h.Set("X-Hub-Signature-256", signature(body))
	return channeltest.Delivery{Header: h, Body: body}
}

// entry is the recorded shape of a notification, for one number.
func entry(number, value string) string {
	return `{"id":"102290129340398","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"` +
		number + `"},` + value + `}}]}`
}

// body spreads messages over two entries, as WhatsApp does when many come.
func body(t testing.TB, messages []channeltest.Message) []byte {
	t.Helper()
	list := func(messages []channeltest.Message) string {
		all := make([]map[string]any, len(messages))
		for i, m := range messages {
			all[i] = map[string]any{"from": m.Peer, "id": m.Ref, "timestamp": "1749416383", "type": "text", "text": map[string]any{"body": m.Text}}
			if m.Kind != "" {
				all[i] = map[string]any{"from": m.Peer, "id": m.Ref, "timestamp": "1749416383", "type": m.Kind, m.Kind: map[string]any{"id": "1003383421387256"}}
			}
		}
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return entry(number, `"contacts":[{"profile":{"name":"Sheena Nelson"},"wa_id":"`+messages[0].Peer+`"}],"messages":`+string(b))
	}
	entries := list(messages)
	if n := len(messages) / 2; n > 0 {
		entries = list(messages[:n]) + "," + list(messages[n:])
	}
	return []byte(`{"object":"whatsapp_business_account","entry":[` + entries + `]}`)
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt)
		},
		Markdown: "*Now* _or_ later (https://example.com/a_b), 2*3*4",
		Account:  channeltest.Inbox, Peer: "16505551234", Ref: func(i int) string { return "wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQ" + strconv.Itoa(1000+i) },
		Features: channeltest.Features{Inbound: true, Batch: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, body(t, m), at)
		},
		Sign: sign, SignatureHeaders: []string{"X-Hub-Signature-256"},
		Decode: decode, ClassOf: channels.StatusClass, Taken: `{"messaging_product":"whatsapp","messages":[{"id":"wamid.1"}]}`,
		Media: &channeltest.Media{
			Name: "receipt.pdf", Answer: serveMedia, Arrived: documentIn,
			Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
				t.Helper()
				b := bytes.Replace(body(t, []channeltest.Message{m}), []byte(`"type":"text"`),
					[]byte(`"type":"document","document":{"id":"1234567890","mime_type":"application/pdf","sha256":"x","filename":"receipt.pdf"}`), 1)
				return sign(t, b, at)
			},
		},
	}
}

const mediaHost = "lookaside.fbsbx.com"

// serveMedia is the Cloud API's side of files, as its documentation shows it.
func serveMedia(t testing.TB, r *http.Request, b, content []byte) (int, []byte) {
	t.Helper()
	if r.Header.Get("Authorization") != "Bearer EAAJB" {
		t.Errorf("%s came with %v", r.URL, r.Header)
	}
	switch {
	case r.URL.Path == "/v23.0/1234567890":
		return 200, []byte(`{"messaging_product":"whatsapp","url":"https://` + mediaHost + `/whatsapp_business/attachments/?mid=1","mime_type":"application/pdf","id":"1234567890"}`)
	case r.URL.Host == mediaHost:
		return 200, content
	case r.URL.Path == "/v23.0/"+number+"/media":
		return 200, []byte(`{"id":"4490709327384033"}`)
	case r.URL.Path == "/v23.0/"+number+"/messages":
		return 200, []byte(`{"messaging_product":"whatsapp","messages":[{"id":"wamid.2"}]}`)
	}
	t.Errorf("called %s with %s", r.URL, b)
	return 404, nil
}

func documentIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	fields, _, kind, content := channeltest.FormFile(t, calls[0], "file")
	if fields["messaging_product"] != "whatsapp" || fields["type"] != "application/pdf" || kind != "application/pdf" {
		t.Errorf("uploaded as %v, %s", fields, kind)
	}
	var said struct {
		To       string `json:"to"`
		Type     string `json:"type"`
		Key      string `json:"biz_opaque_callback_data"`
		Document struct {
			ID   string `json:"id"`
			Name string `json:"filename"`
		} `json:"document"`
	}
	if err := json.Unmarshal(calls[1].Body, &said); err != nil || said.Type != "document" || said.Document.ID != "4490709327384033" || said.Key == "" {
		t.Errorf("said %s, %v", calls[1].Body, err)
	}
	return said.To, said.Document.Name, content
}

// TestFilesThatWhatsAppDoesNotTake go as links.
func TestFilesThatWhatsAppDoesNotTake(t *testing.T) {
	t.Parallel()
	d := driver(t, nil)
	for _, f := range []conversation.Attachment{
		{Name: "a.gif", Type: "image/gif", Size: 10}, {Name: "a.png", Type: "image/png", Size: 6 << 20}, {Name: "a.mov", Type: "video/quicktime", Size: 10},
	} {
		_, err := d.SendFile(t.Context(), channels.Part{File: &channels.OutFile{Attachment: f}})
		if !errors.Is(err, channels.ErrUseLink) {
			t.Errorf("%s of %d bytes: %v", f.Type, f.Size, err)
		}
	}
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if r.URL.String() != "https://graph.facebook.com/v23.0/"+number+"/messages" || r.Header.Get("Authorization") != "Bearer EAAJB" {
		t.Errorf("called %s with %v", r.URL, r.Header)
	}
	var got struct {
		Product string `json:"messaging_product"`
		To      string `json:"to"`
		Type    string `json:"type"`
		Text    struct {
			Body string `json:"body"`
		} `json:"text"`
	}
	if err := json.Unmarshal(b, &got); err != nil || got.Product != "whatsapp" || got.Type != "text" {
		t.Fatalf("got %s, %v", b, err)
	}
	return channeltest.Sent{Peer: got.To, Text: got.Text.Body}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

func receive(t *testing.T, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	t.Helper()
	r.Account = channeltest.Inbox
	return driver(t, nil).Receive(t.Context(), r, body)
}

// The example of the documentation is no JSON: what counts is that the signature
// fits, which a refusal for the body says.
func TestVector(t *testing.T) {
	h := http.Header{}
	h.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if _, _, err := receive(t, channels.Request{Header: h}, []byte("Hello, World!")); conversation.CodeOf(err) != conversation.CodeBadJSON {
		t.Errorf("Receive error = %v, want one about the body", err)
	}
}

func TestWebhookIsVerified(t *testing.T) {
	q := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1158201444"}, "hub.verify_token": {"meatyhamhock"}}
	if _, ack, err := receive(t, channels.Request{Method: http.MethodGet, Query: q}, nil); err != nil || string(ack.Body) != "1158201444" || ack.Type != "text/plain" {
		t.Errorf("Receive = %+v, %v", ack, err)
	}
	for _, wrong := range []string{"", "meatyhamhoc", "x"} {
		q.Set("hub.verify_token", wrong)
		if _, _, err := receive(t, channels.Request{Method: http.MethodGet, Query: q}, nil); !errors.Is(err, conversation.ErrUnauthenticated) {
			t.Errorf("token %q: %v, want unauthenticated", wrong, err)
		}
	}
}

func TestKinds(t *testing.T) {
	const nobody = `{"id":"w4","type":"text"}`
	b := []byte(`{"entry":[` + entry("another", `"messages":[{"from":"1","id":"w0","type":"text","text":{"body":"to another number"}}]`) + "," +
		entry(number, `"messages":[{"from":"1","id":"w1","type":"button","button":{"text":"Yes","payload":"y"}},
			{"from":"1","id":"w2","type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"x","title":"Second"}}},
			{"from":"1","id":"w3","type":"reaction","reaction":{"emoji":"👍"}},`+nobody+`,{"from":{}}],"statuses":[7]`) + `]}`)
	events, ack, err := receive(t, channels.Request{Header: sign(t, b, time.Time{}).Header}, b)
	if err != nil || len(events) != 6 || events[0].Text != "Yes" || events[1].Text != "Second" || events[2].Unsupported != "reaction" {
		t.Fatalf("Receive = %+v, %v", events, err)
	}
	for i, raw := range []string{nobody, `{"from":{}}`, `7`} {
		if e := events[3+i]; string(e.Unreadable) != raw || e.Peer != "" || e.Receipt != nil {
			t.Errorf("%s: %+v", raw, e)
		}
	}
	if ack.Elsewhere != 1 {
		t.Errorf("%d messages are said to be for other accounts, want 1", ack.Elsewhere)
	}
}

// Messages that come together stand in the order of their times, and those of one
// second in that of the delivery.
func TestOrderOfABatch(t *testing.T) {
	said := func(id, at string) string {
		return `{"from":"1","id":"` + id + `"` + at + `,"type":"text","text":{"body":"x"}}`
	}
	at := func(s string) string { return `,"timestamp":"` + s + `"` }
	b := []byte(`{"entry":[` + entry(number, `"messages":[`+said("d", at("1749416385"))+","+said("e", "")+","+said("b", at("1749416384"))+`]`) + "," +
		entry(number, `"messages":[`+said("c", at("1749416384"))+","+said("a", at("999999999"))+","+said("f", at("1749416386"))+`]`) + `]}`)
	events, _, err := receive(t, channels.Request{Header: sign(t, b, time.Time{}).Header}, b)
	got := ""
	for _, e := range events {
		got += string(e.Ref)
	}
	if err != nil || got != "abcdef" {
		t.Errorf("the order is %q, %v, want abcdef", got, err)
	}
}

func TestStatusesAreReceipts(t *testing.T) {
	status := func(status, key, more string) string {
		return fmt.Sprintf(`{"id":"wamid.1","status":%q,"timestamp":"1750030073","recipient_id":"1","biz_opaque_callback_data":%q%s}`, status, key, more)
	}
	b := []byte(`{"entry":[` + entry(number, `"statuses":[`+status("sent", "k1", "")+","+status("delivered", "k1", "")+","+status("read", "k2", "")+","+
		status("failed", "k3", `,"errors":[{"code":131047,"title":"Re-engagement message"}]`)+","+status("read", "", "")+`]`) + `]}`)
	events, _, err := receive(t, channels.Request{Header: sign(t, b, time.Time{}).Header}, b)
	want := []channels.Receipt{
		{Key: "k1", Status: channels.ReceiptDelivered},
		{Key: "k2", Status: channels.ReceiptRead},
		{Key: "k3", Status: channels.ReceiptFailed, Detail: "window_closed: code_131047"},
	}
	if err != nil || len(events) != len(want) {
		t.Fatalf("Receive = %+v, %v", events, err)
	}
	for i, e := range events {
		if e.Receipt == nil || *e.Receipt != want[i] {
			t.Errorf("event %d = %+v, want the receipt %+v", i, e.Receipt, want[i])
		}
	}
}

func TestMessageCarriesItsKey(t *testing.T) {
	calls := &channeltest.Calls{Answers: map[string]string{
		"/v23.0/" + number + "/messages": `{"messages":[{"id":"wamid.9"}]}`, "/v23.0/" + number: `{"display_phone_number":"+1 555"}`,
	}}
	d := driver(t, calls)
	id, err := d.Send(t.Context(), channels.Part{Key: "msg_1-2", Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "1", Text: "x"}})
	var sent struct {
		Key string `json:"biz_opaque_callback_data"`
	}
	if jsonErr := json.Unmarshal([]byte(calls.Made[0].Body), &sent); err != nil || jsonErr != nil || id != "wamid.9" || sent.Key != "msg_1-2" {
		t.Errorf("Send = %q, %v with %s", id, err, calls.Made[0].Body)
	}
	if name, err := d.Check(t.Context(), channeltest.Inbox); err != nil || name != "+1 555" {
		t.Errorf("Check = %q, %v", name, err)
	}
}

func TestErrorCodes(t *testing.T) {
	for code, want := range map[int]channels.Class{
		190: channels.Auth, 10: channels.Auth, 200: channels.Auth, 130429: channels.Limited, 131056: channels.Limited, 131047: channels.WindowClosed,
		131026: channels.Gone, 131049: channels.Permanent, 131051: channels.Permanent, 131000: channels.Retry, 2: channels.Retry,
	} {
		answer := fmt.Sprintf(`{"error":{"message":"canary","type":"OAuthException","code":%d,"fbtrace_id":"A"}}`, code)
		d := driver(t, &channeltest.Calls{Answers: map[string]string{"/v23.0/" + number + "/messages": answer}, Status: 400})
		_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "1", Text: "x"}})
		var e *channels.SendError
		if !errors.As(err, &e) || e.Class != want || e.Code != "code_"+strconv.Itoa(code) {
			t.Errorf("code %d: %v, want class %s", code, err, want)
		}
	}
}
