package slack_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/slack"
	"github.com/colloquyhq/colloquy/conversation"
)

// The secret of Slack's documentation.
const secret = "8f742231b10e8888abcd99yyyzzz85a5"

func driver(t testing.TB, rt http.RoundTripper) *slack.Driver {
	t.Helper()
	d, err := slack.New(channeltest.Options(rt, map[string]string{"bot_token": "xoxb-1", "signing_secret": secret}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func signature(timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("v0:" + timestamp + ":"))
	_, _ = mac.Write(body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

func sign(_ testing.TB, body []byte, at time.Time) channeltest.Delivery {
	ts := strconv.FormatInt(at.Unix(), 10)
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", ts)
	h.Set("X-Slack-Signature", signature(ts, body))
	return channeltest.Delivery{Header: h, Body: body}
}

// event is the recorded shape of an event with a message.
func event(t testing.TB, inner map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"token": "XXYYZZ", "team_id": "T123ABC456", "api_app_id": "A123ABC456", "type": "event_callback",
		"event_id": "Ev123ABC456", "event_time": 1355517523, "event": inner,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func direct(m channeltest.Message) map[string]any {
	e := map[string]any{
		"type": "message", "channel": m.Peer, "channel_type": "im", "user": "U2147483697", "ts": strings.TrimPrefix(m.Ref, m.Peer+"-"),
		"text": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(m.Text),
	}
	if m.Kind != "" {
		e["subtype"] = m.Kind
	}
	return e
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt)
		},
		Markdown: "*Now* _or_ later (https://example.com/a_b), 2*3*4",
		Account:  channeltest.Inbox, Peer: "D024BE91L", Ref: func(i int) string { return "D024BE91L-1355517523.0000" + strconv.Itoa(10+i) },
		Features: channeltest.Features{Inbound: true, Clock: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, event(t, direct(m[0])), at)
		},
		Sign: sign, SignatureHeaders: []string{"X-Slack-Request-Timestamp", "X-Slack-Signature"},
		Decode: decode, ClassOf: channels.StatusClass, Taken: `{"ok":true,"ts":"1503435956.000247"}`, Media: media(),
	}
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if r.URL.String() != "https://slack.com/api/chat.postMessage" || r.Header.Get("Authorization") != "Bearer xoxb-1" {
		t.Errorf("called %s with %v", r.URL, r.Header)
	}
	var got struct {
		Channel string `json:"channel"`
		Text    string `json:"text"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.Text, "<>") {
		t.Errorf("the text %q holds control characters of Slack's", got.Text)
	}
	return channeltest.Sent{Peer: got.Channel, Text: strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(got.Text)}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

func receive(t *testing.T, d channeltest.Delivery, at time.Time) ([]channels.Event, channels.Ack, error) {
	t.Helper()
	return driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox, At: at}, d.Body)
}

// The example of Slack's documentation is a form, not an event: what counts is
// that the signature fits, which a refusal for the body says.
func TestVector(t *testing.T) {
	const body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", "1531420618")
	h.Set("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")
	at := time.Unix(1531420618, 0).Add(time.Minute)
	if _, _, err := receive(t, channeltest.Delivery{Header: h, Body: []byte(body)}, at); conversation.CodeOf(err) != conversation.CodeBadJSON {
		t.Errorf("Receive error = %v, want one about the body", err)
	}
	if _, _, err := receive(t, channeltest.Delivery{Header: h, Body: []byte(body + "x")}, at); !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("Receive error = %v, want unauthenticated", err)
	}
}

// What the tests sign in Slack's name, Slack's own package takes for Slack's.
func TestSlacksPackageTakesOurSignatures(t *testing.T) {
	body := event(t, direct(channeltest.Message{Peer: "D1", Ref: "D1-1", Text: "你好 <b>"}))
	encoded := base64.StdEncoding.EncodeToString(body)
	good := signature("1531420618", body)
	got := channeltest.Node(t, "signatures.mjs", "slack", secret, encoded, "1531420618 "+good, "slack", secret, encoded, "1531420619 "+good)
	if strings.Join(got, " ") != "right wrong" {
		t.Errorf("@slack/bolt says %v, want right and wrong", got)
	}
}

func TestAddressIsVerified(t *testing.T) {
	now := time.Now()
	body := []byte(`{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`)
	events, ack, err := receive(t, sign(t, body, now), now)
	if err != nil || len(events) != 0 || string(ack.Body) != "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P" || ack.Type != "text/plain" {
		t.Errorf("Receive = %v, %+v, %v", events, ack, err)
	}
}

// What should be a message and is none is kept.
func TestUnreadable(t *testing.T) {
	now := time.Now()
	for name, e := range map[string]map[string]any{
		"nobody":            {"type": "message", "channel": "C1", "ts": "1"},
		"no channel":        {"type": "message", "user": "U1", "ts": "1"},
		"no time":           {"type": "message", "user": "U1", "channel": "C1"},
		"a list for a text": {"type": "message", "user": "U1", "channel": "C1", "ts": "1", "text": []string{"a"}},
		"too long a name":   {"type": "message", "user": "U1", "channel": "C1", "ts": strings.Repeat("1", 300)},
	} {
		events, _, err := receive(t, sign(t, event(t, e), now), now)
		if err != nil || len(events) != 1 || !strings.Contains(string(events[0].Unreadable), `"type":"message"`) || events[0].Peer != "" {
			t.Errorf("%s: Receive = %+v, %v", name, events, err)
		}
	}
}

func TestEvents(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name       string
		event      map[string]any
		peer, text string // empty = no event
		ref        conversation.Ref
	}{
		{"first of a thread", map[string]any{"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "ts": "5.1", "text": "hi"}, "C1/5.1", "hi", "C1-5.1"},
		{"in a thread", map[string]any{"type": "message", "channel": "C1", "user": "U1", "ts": "5.2", "thread_ts": "5.1", "text": "more"}, "C1/5.1", "more", "C1-5.2"},
		{"mention", map[string]any{"type": "app_mention", "channel": "C1", "user": "U1", "ts": "5.1", "text": "<@U0LAN0Z89> hi"}, "C1/5.1", "hi", "C1-5.1"},
		{"our own", map[string]any{"type": "message", "channel": "C1", "user": "U9", "bot_id": "B1", "ts": "5.3", "text": "hi"}, "", "", ""},
		{"changed", map[string]any{"type": "message", "subtype": "message_changed", "channel": "C1", "user": "U9", "ts": "5.3"}, "", "", ""},
		{"joined", map[string]any{"type": "message", "subtype": "channel_join", "channel": "C1", "user": "U9", "ts": "5.3", "text": "x"}, "", "", ""},
		{"reaction", map[string]any{"type": "reaction_added", "user": "U9"}, "", "", ""},
		{"nobody's news", map[string]any{"type": "message", "subtype": "reminder_add", "channel": "C1", "ts": "1"}, "", "", ""},
		{"a channel that is an object", map[string]any{"type": "channel_created", "channel": map[string]any{"id": "C1"}}, "", "", ""},
	} {
		events, _, err := receive(t, sign(t, event(t, c.event), now), now)
		if err != nil || len(events) != min(1, len(c.peer)) {
			t.Errorf("%s: Receive = %+v, %v", c.name, events, err)
			continue
		}
		if len(events) == 1 && (events[0].Peer != c.peer || string(events[0].Text) != c.text || events[0].Ref != c.ref) {
			t.Errorf("%s: Receive = %+v, text %q", c.name, events[0], string(events[0].Text))
		}
	}
}

func TestAnswerGoesIntoTheThread(t *testing.T) {
	calls := &channeltest.Calls{Answers: map[string]string{"/api/chat.postMessage": `{"ok":true,"ts":"6.1"}`, "/api/auth.test": `{"ok":true,"team":"Shop"}`}}
	d := driver(t, calls)
	id, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "C1/5.1", Text: "yes"}})
	if err != nil || id != "6.1" || calls.Made[0].Body != `{"channel":"C1","text":"yes","thread_ts":"5.1"}` {
		t.Errorf("Send = %q, %v with %s", id, err, calls.Made[0].Body)
	}
	if name, err := d.Check(t.Context(), channeltest.Inbox); err != nil || name != "Shop" {
		t.Errorf("Check = %q, %v", name, err)
	}
}

func TestErrorWords(t *testing.T) {
	for word, want := range map[string]channels.Class{
		"ratelimited": channels.Limited, "invalid_auth": channels.Auth, "token_revoked": channels.Auth, "channel_not_found": channels.Gone,
		"is_archived": channels.Gone, "msg_too_long": channels.Permanent, "internal_error": channels.Retry, "fatal_error": channels.Unknown, "": channels.Unknown,
	} {
		d := driver(t, &channeltest.Calls{Answers: map[string]string{"/api/chat.postMessage": `{"ok":false,"error":"` + word + `"}`}})
		_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "C1", Text: "x"}})
		if got := channels.ClassOf(err); got != want {
			t.Errorf("%q: class %s, want %s", word, got, want)
		}
	}
}
