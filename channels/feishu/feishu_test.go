package feishu

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	key   = "test key" // of Feishu's documentation
	token = "v=rvs3nT2dWcDWHZu9ZJrbGdHWGmMqHGqC"
)

func driver(t testing.TB, rt http.RoundTripper) *Driver {
	t.Helper()
	d, err := New(channeltest.Options(rt, map[string]string{"app_id": "cli_1", "app_secret": "s3cret", "verification_token": token, "encrypt_key": key}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// encrypt is the other side of decrypt, as the documentation has it.
func encrypt(t testing.TB, plain []byte) string {
	t.Helper()
	sum := sha256.Sum256([]byte(key))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	b := make([]byte, aes.BlockSize)
	_, _ = rand.Read(b)
	b = append(append(b, plain...), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, b[:aes.BlockSize]).CryptBlocks(b[aes.BlockSize:], b[aes.BlockSize:])
	return base64.StdEncoding.EncodeToString(b)
}

func envelope(t testing.TB, plain []byte) []byte {
	t.Helper()
	return []byte(`{"encrypt":"` + encrypt(t, plain) + `"}`)
}

func sign(t testing.TB, plain []byte, _ time.Time) channeltest.Delivery {
	t.Helper()
	b := envelope(t, plain)
	sum := sha256.Sum256([]byte("1700000000" + "n0nce" + key + string(b)))
	h := http.Header{}
	h.Set("X-Lark-Request-Timestamp", "1700000000")
	h.Set("X-Lark-Request-Nonce", "n0nce")
	h.Set("X-Lark-Signature", hex.EncodeToString(sum[:]))
	return channeltest.Delivery{Header: h, Body: b}
}

// event is the recorded shape of an event with a message.
func event(t testing.TB, m channeltest.Message, more map[string]any) []byte {
	t.Helper()
	content, err := json.Marshal(map[string]string{"text": m.Text})
	if err != nil {
		t.Fatal(err)
	}
	inner := map[string]any{
		"message_id": m.Ref, "create_time": "1609073151345", "chat_id": m.Peer, "chat_type": "p2p", "message_type": "text", "content": string(content),
	}
	if m.Kind != "" {
		inner["message_type"], inner["content"] = m.Kind, `{"image_key":"img_v2_xxx"}`
	}
	maps.Copy(inner, more)
	b, err := json.Marshal(map[string]any{
		"schema": "2.0",
		"header": map[string]any{"event_id": "5e3702a84e847582be8db7fb73283c02", "event_type": "im.message.receive_v1", "token": token, "app_id": "cli_1"},
		"event": map[string]any{
			"sender":  map[string]any{"sender_id": map[string]any{"open_id": "ou_84aad35d084aa403a838cf73ee18467"}, "sender_type": "user"},
			"message": inner,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	pathToken = "/open-apis/auth/v3/tenant_access_token/internal"
	pathSend  = "/open-apis/im/v1/messages"
	tokens    = `{"code":0,"msg":"ok","tenant_access_token":"t-1","expire":7200}`
)

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, &channeltest.Calls{Answers: map[string]string{pathToken: tokens}, Rest: rt})
		},
		Markdown: "Now or later (https://example.com/a_b), 2*3*4",
		Account:  channeltest.Inbox, Peer: "oc_5ce6d572455d361153b7cb51da133945", Ref: func(i int) string { return fmt.Sprintf("om_5ce6d572455d361153b7cb5%d", 1000+i) },
		Features: channeltest.Features{Inbound: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, event(t, m[0], nil), at)
		},
		Sign: sign, SignatureHeaders: []string{"X-Lark-Signature", "X-Lark-Request-Timestamp", "X-Lark-Request-Nonce"},
		Decode: decode, ClassOf: channels.StatusClass, Taken: `{"code":0,"msg":"success","data":{"message_id":"om_1"}}`, Media: media(),
	}
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if r.URL.String() != "https://open.feishu.cn"+pathSend+"?receive_id_type=chat_id" || r.Header.Get("Authorization") != "Bearer t-1" {
		t.Errorf("called %s with %v", r.URL, r.Header)
	}
	var got struct {
		To      string `json:"receive_id"`
		Type    string `json:"msg_type"`
		Content string `json:"content"`
		UUID    string `json:"uuid"`
	}
	var content struct {
		Text string `json:"text"`
	}
	if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal([]byte(got.Content), &content)); err != nil || got.Type != "text" || len(got.UUID) > 50 {
		t.Fatalf("got %s, %v", b, err)
	}
	return channeltest.Sent{Peer: got.To, Text: content.Text, Key: got.UUID}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

func TestVector(t *testing.T) {
	if got, ok := decrypt(key, "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk="); !ok || string(got) != "hello world" {
		t.Errorf("decrypt = %q, %t, want hello world", got, ok)
	}
	for _, s := range []string{"", "%", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 40)), base64.StdEncoding.EncodeToString(make([]byte, 16))} {
		if got, ok := decrypt(key, s); ok {
			t.Errorf("decrypt(%q) = %q", s, got)
		}
	}
}

func receive(t *testing.T, d channeltest.Delivery) ([]channels.Event, channels.Ack, error) {
	t.Helper()
	return driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox}, d.Body)
}

func TestAddressIsVerified(t *testing.T) {
	check := func(token string) channeltest.Delivery { // not signed
		return channeltest.Delivery{Body: envelope(t, []byte(`{"challenge":"ajls384kdjx98XX","token":"`+token+`","type":"url_verification"}`))}
	}
	if _, ack, err := receive(t, check(token)); err != nil || string(ack.Body) != `{"challenge":"ajls384kdjx98XX"}` {
		t.Errorf("Receive = %s, %v", ack.Body, err)
	}
	if _, ack, err := receive(t, check("another")); !errors.Is(err, conversation.ErrUnauthenticated) || ack.Body != nil {
		t.Errorf("with another token: %s, %v", ack.Body, err)
	}
	plain := channeltest.Delivery{Body: []byte(`{"challenge":"x","token":"` + token + `","type":"url_verification"}`)}
	if _, _, err := receive(t, plain); !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("not encrypted: %v", err)
	}
}

func TestEvents(t *testing.T) {
	m := channeltest.Message{Peer: "oc_1", Ref: "om_1", Text: "@_user_1 hello @_user_2"}
	mentions := map[string]any{"mentions": []any{map[string]any{"key": "@_user_1", "name": "Bot"}, map[string]any{"key": "@_user_2", "name": "Tom"}}}
	events, _, err := receive(t, sign(t, event(t, m, mentions), time.Time{}))
	if err != nil || len(events) != 1 || events[0].Text != "@Bot hello @Tom" || events[0].Metadata["open_id"] == "" {
		t.Errorf("Receive = %+v, %v", events, err)
	}
	app := bytes.Replace(event(t, m, nil), []byte(`"sender_type":"user"`), []byte(`"sender_type":"app"`), 1)
	if events, _, err := receive(t, sign(t, app, time.Time{})); err != nil || len(events) != 0 {
		t.Errorf("of an app: %+v, %v", events, err)
	}
	for _, change := range [][2]string{{`"message_id":"om_1"`, `"message_id":""`}, {`"chat_id":"oc_1"`, `"chat_id":7`}, {`"message_id":"om_1"`, `"x":"om_1"`}} {
		odd := bytes.Replace(event(t, m, nil), []byte(change[0]), []byte(change[1]), 1)
		if events, _, err := receive(t, sign(t, odd, time.Time{})); err != nil || len(events) != 1 || string(events[0].Unreadable) != string(odd) {
			t.Errorf("with %s: %+v, %v", change[1], events, err)
		}
	}
	other := bytes.Replace(event(t, m, nil), []byte(token), []byte("another"), 1)
	if _, _, err := receive(t, sign(t, other, time.Time{})); !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("with another token: %v", err)
	}
}

func TestErrorCodes(t *testing.T) {
	for code, want := range map[int]channels.Class{
		99991663: channels.Auth, 99991400: channels.Limited, 230020: channels.Limited, 230002: channels.Gone, 230001: channels.Permanent,
	} {
		for _, status := range []int{200, 400} {
			rest := &channeltest.Calls{Answers: map[string]string{pathSend: fmt.Sprintf(`{"code":%d,"msg":"canary"}`, code)}, Status: status}
			d := driver(t, &channeltest.Calls{Answers: map[string]string{pathToken: tokens}, Rest: rest})
			_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "oc_1", Text: "x"}})
			if got := channels.ClassOf(err); got != want {
				t.Errorf("code %d with status %d: class %s, want %s", code, status, got, want)
			}
		}
	}
	refused := driver(t, &channeltest.Calls{Answers: map[string]string{pathToken: `{"code":10014,"msg":"app secret invalid"}`}})
	if _, err := refused.Check(t.Context(), channeltest.Inbox); channels.ClassOf(err) != channels.Auth {
		t.Errorf("Check with a wrong secret = %v", err)
	}
}

func TestNobodyIsMentioned(t *testing.T) {
	rest := &channeltest.Calls{Answers: map[string]string{pathSend: `{"code":0,"data":{"message_id":"om_7"}}`}}
	d := driver(t, &channeltest.Calls{Answers: map[string]string{pathToken: tokens}, Rest: rest})
	id, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "oc_1", Text: `<at user_id="all">all</at>`}})
	if err != nil || id != "om_7" || bytes.Contains([]byte(rest.Made[0].Body), []byte("<at ")) {
		t.Errorf("Send = %q, %v with %s", id, err, rest.Made[0].Body)
	}
}
