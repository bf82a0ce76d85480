package line_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/line"
	"github.com/colloquyhq/colloquy/conversation"
)

const secret = "8c570fa6dd201bb328f1c1eac23a96d8" // of LINE's documentation

func driver(t testing.TB, rt http.RoundTripper) *line.Driver {
	t.Helper()
	d, err := line.New(channeltest.Options(rt, map[string]string{"channel_access_token": "t0ken", "channel_secret": secret}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func sign(_ testing.TB, body []byte, _ time.Time) channeltest.Delivery {
	h := http.Header{}
	h.Set("X-Line-Signature", signature(body))
	return channeltest.Delivery{Header: h, Body: body}
}

// body is the recorded shape of a delivery.
func body(t testing.TB, messages []channeltest.Message) []byte {
	t.Helper()
	events := make([]any, len(messages))
	for i, m := range messages {
		inner := map[string]any{"type": "text", "id": "468789577898262530", "quoteToken": "q3Plxr4AgKd...", "text": m.Text}
		if m.Kind != "" {
			inner = map[string]any{"type": m.Kind, "id": "354718705033693859"}
		}
		events[i] = map[string]any{
			"type": "message", "message": inner, "timestamp": 1692251666727 + i, "source": map[string]any{"type": "user", "userId": m.Peer},
			"replyToken": "38ef843bde154d9b91c21320ffd17a0f", "mode": "active", "webhookEventId": m.Ref,
			"deliveryContext": map[string]any{"isRedelivery": false},
		}
	}
	b, err := json.Marshal(map[string]any{"destination": "xxxxxxxxxx", "events": events})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// classOf says what LINE's statuses mean: 409 is a repetition that was taken the
// first time.
func classOf(status int) channels.Class {
	if status == http.StatusConflict {
		return ""
	}
	return channels.StatusClass(status)
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt)
		},
		Markdown: "Now or later (https://example.com/a_b), 2*3*4",
		Account:  channeltest.Inbox, Peer: "U80696558e1aa831", Ref: func(i int) string { return "01H810YECXQQZ37VAXPF6H" + strconv.Itoa(1000+i) },
		Features: channeltest.Features{Inbound: true, Batch: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, body(t, m), at)
		},
		Sign: sign, SignatureHeaders: []string{"X-Line-Signature"},
		Decode: decode, ClassOf: classOf, Taken: `{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b..."}]}`,
		Media: &channeltest.Media{
			Name: "receipt.pdf", Links: true,
			Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
				t.Helper()
				m.Kind = "file"
				b := bytes.Replace(body(t, []channeltest.Message{m}), []byte(`"id":"354718705033693859"`),
					[]byte(`"id":"354718705033693859","fileName":"receipt.pdf","fileSize":2138`), 1)
				return sign(t, b, at)
			},
			Answer: func(t testing.TB, r *http.Request, _, content []byte) (int, []byte) {
				t.Helper()
				if r.Header.Get("Authorization") != "Bearer t0ken" {
					t.Errorf("%s came with %v", r.URL, r.Header)
				}
				switch r.URL.String() {
				case "https://api-data.line.me/v2/bot/message/354718705033693859/content":
					return 200, content
				case "https://api.line.me/v2/bot/message/push":
					return 200, []byte(`{"sentMessages":[{"id":"1"}]}`)
				}
				t.Errorf("called %s", r.URL)
				return 404, nil
			},
			Arrived: func(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
				t.Helper()
				sent := decode(t, calls[0].Request, calls[0].Body)
				return sent.Peer, "", sent.Text
			},
		},
	}
}

// TestPicturesAreFetchedByLINE: from an address, which must be https.
func TestPicturesAreFetchedByLINE(t *testing.T) {
	t.Parallel()
	var got []byte
	d := driver(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		var err error
		got, err = io.ReadAll(r.Body)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"sentMessages":[{"id":"7"}]}`)), Request: r}, err
	}))
	p := channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "U1"}, Key: "k", File: &channels.OutFile{
		Attachment: conversation.Attachment{Name: "a.png", Type: "image/png", Size: 10}, Link: "https://support.example.com/v1/files/x",
	}}
	if id, err := d.SendFile(t.Context(), p); err != nil || id != "7" {
		t.Fatalf("SendFile = %q, %v", id, err)
	}
	if want := `"messages":[{"originalContentUrl":"https://support.example.com/v1/files/x","previewImageUrl":"https://support.example.com/v1/files/x","type":"image"}]`; !strings.Contains(string(got), want) {
		t.Errorf("sent %s", got)
	}
	p.File.Link = "http://support.example.com/v1/files/x"
	if _, err := d.SendFile(t.Context(), p); !errors.Is(err, channels.ErrUseLink) {
		t.Errorf("without TLS: %v", err)
	}
}

// roundTrip is a function that is an [http.RoundTripper].
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if r.URL.String() != "https://api.line.me/v2/bot/message/push" || r.Header.Get("Authorization") != "Bearer t0ken" {
		t.Errorf("called %s with %v", r.URL, r.Header)
	}
	var got struct {
		To       string `json:"to"`
		Messages []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(b, &got); err != nil || len(got.Messages) != 1 || got.Messages[0].Type != "text" {
		t.Fatalf("got %s, %v", b, err)
	}
	key := r.Header.Get("X-Line-Retry-Key")
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(key) {
		t.Errorf("the retry key %q is no UUID", key)
	}
	return channeltest.Sent{Peer: got.To, Text: got.Messages[0].Text, Key: key}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

// The signature in the tests of LINE's own package.
//
// Source: line-bot-sdk-nodejs, test/validate-signature.spec.ts.
func TestVector(t *testing.T) {
	d, err := line.New(channeltest.Options(nil, map[string]string{"channel_access_token": "t0ken", "channel_secret": "test_secret"}))
	if err != nil {
		t.Fatal(err)
	}
	for signature, right := range map[string]bool{
		"t7Hn4ZDHqs6e+wdvI5TyQIvzie0DmMUmuXEBqyyE/tM=": true,
		"t7Hn4ZDHqs6e+wdvi5TyQivzie0DmMUmuXEBqyyE/tM=": false, // theirs, too
	} {
		r := channels.Request{Header: http.Header{"X-Line-Signature": {signature}}, Account: channeltest.Inbox}
		_, _, err := d.Receive(t.Context(), r, []byte(`{"hello":"world"}`))
		if right != (err == nil) || !right && !errors.Is(err, conversation.ErrUnauthenticated) {
			t.Errorf("%s: Receive error = %v, want it taken: %v", signature, err, right)
		}
	}
}

// What the tests sign in LINE's name, LINE's own package takes for LINE's.
func TestLinesPackageTakesOurSignatures(t *testing.T) {
	b := body(t, []channeltest.Message{{Peer: "U1", Ref: "1", Text: "你好"}})
	got := channeltest.Node(t, "signatures.mjs", "line", secret, base64.StdEncoding.EncodeToString(b), signature(b),
		"line", secret, base64.StdEncoding.EncodeToString(append(b, ' ')), signature(b))
	if strings.Join(got, " ") != "right wrong" {
		t.Errorf("@line/bot-sdk says %v, want right and wrong", got)
	}
}

func TestEvents(t *testing.T) {
	b := []byte(`{"events":[
		{"type":"follow","webhookEventId":"e1","source":{"type":"user","userId":"U1"},"replyToken":"r"},
		{"type":"message","webhookEventId":"e2","mode":"standby","source":{"userId":"U1"},"message":{"type":"text","text":"to another"}},
		{"type":"message","webhookEventId":"e3","mode":"active","source":{"type":"group","groupId":"G1","userId":"U1"},"replyToken":"r3","message":{"type":"text","text":"in a group"}},
		{"type":"postback","webhookEventId":"e4","source":{"userId":"U1"},"postback":{"data":"prices"}}]}`)
	d := sign(t, b, time.Time{})
	events, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox}, d.Body)
	if err != nil || len(events) != 2 || events[0].Peer != "G1" || events[0].Ref != "e3" || events[0].ReplyTo != "r3" || events[1].Text != "prices" {
		t.Errorf("Receive = %+v, %v", events, err)
	}
	odd := []string{
		`{"type":"message","webhookEventId":"e5","message":{"type":"text","text":"of nobody"}}`,
		`{"type":"message","webhookEventId":"e6","source":{"userId":"U1"},"message":["text"]}`,
		`{"type":"message","webhookEventId":7,"source":{"userId":"U1"},"message":{"type":"text","text":"x"}}`,
		`{"type":"postback","webhookEventId":"e8","postback":{"data":"prices"}}`,
	}
	good := `{"type":"message","webhookEventId":"e9","source":{"userId":"U1"},"message":{"type":"text","text":"good"}}`
	d = sign(t, []byte(`{"events":[`+strings.Join(odd, ",")+","+good+`,{"type":"activated"}]}`), time.Time{})
	events, _, err = driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox}, d.Body)
	if err != nil || len(events) != len(odd)+1 || events[len(odd)].Text != "good" {
		t.Fatalf("Receive = %+v, %v", events, err)
	}
	for i, raw := range odd {
		if string(events[i].Unreadable) != raw {
			t.Errorf("%s: %+v", raw, events[i])
		}
	}
	empty := sign(t, []byte(`{"destination":"x","events":[]}`), time.Time{}) // the check of the address
	if events, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Header: empty.Header, Account: channeltest.Inbox}, empty.Body); err != nil || len(events) != 0 {
		t.Errorf("Receive = %+v, %v", events, err)
	}
}

const (
	pathReply = "/v2/bot/message/reply"
	pathPush  = "/v2/bot/message/push"
)

func send(t *testing.T, d *line.Driver, replyTo string) error {
	t.Helper()
	_, err := d.Send(t.Context(), channels.Part{
		Key: "msg_1", ReplyTo: replyTo,
		Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "U1", Text: "x", Buttons: []conversation.Button{{Label: strings.Repeat("长", 30), Text: "yes"}}},
	})
	return err
}

// A reply costs nothing and goes first; when its token is not taken the message
// is pushed; a reply that may have been taken is not repeated.
func TestReplyBeforePush(t *testing.T) {
	both := &channeltest.Calls{Answers: map[string]string{pathReply: `{"sentMessages":[{"id":"1"}]}`, pathPush: "{}"}}
	if err := send(t, driver(t, both), "r1"); err != nil || len(both.Made) != 1 || !strings.HasSuffix(both.Made[0].URL, pathReply) {
		t.Errorf("Send: %v, calls %+v, want one reply", err, both.Made)
	}
	if !strings.Contains(both.Made[0].Body, `"label":"`+strings.Repeat("长", 20)+`"`) || both.Made[0].Header.Get("X-Line-Retry-Key") != "" {
		t.Errorf("sent %+v", both.Made[0])
	}
	old := &channeltest.Calls{Answers: map[string]string{pathReply: `{"message":"Invalid reply token"}`}, Status: 400}
	err := send(t, driver(t, old), "r1")
	if len(old.Made) != 2 || !strings.HasSuffix(old.Made[1].URL, pathPush) || channels.ClassOf(err) != channels.Permanent {
		t.Errorf("Send: %v, calls %+v, want a reply and a push", err, old.Made)
	}
	lost := &channeltest.Calls{Answers: map[string]string{pathReply: "{}"}, Status: 502}
	var e *channels.SendError
	if err := send(t, driver(t, lost), "r1"); !errors.As(err, &e) || e.Class != channels.Unknown || !e.Once || len(lost.Made) != 1 {
		t.Errorf("Send: %+v, want unknown and once", err)
	}
	if err := send(t, driver(t, lost), ""); !errors.As(err, &e) || e.Once {
		t.Errorf("Send: %+v, want a push that may be repeated", err)
	}
}

func TestQuotaOfTheMonth(t *testing.T) {
	calls := &channeltest.Calls{Answers: map[string]string{pathPush: `{"message":"You have reached your monthly limit."}`}, Status: 429}
	var e *channels.SendError
	if err := send(t, driver(t, calls), ""); !errors.As(err, &e) || e.Class != channels.Limited || e.Code != "monthly_limit" || e.After != time.Hour || e.Scope != channels.ScopeAccount {
		t.Errorf("Send: %+v", err)
	}
}
