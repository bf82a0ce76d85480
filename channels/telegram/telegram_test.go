package telegram_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/telegram"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	inbox  = "shop"
	token  = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw" // of Telegram's documentation
	secret = "0f-Secret_Token"
)

func driver(t testing.TB, rt http.RoundTripper, values map[string]string) *telegram.Driver {
	t.Helper()
	d, err := telegram.New(channels.ProviderOptions{
		Client: &http.Client{Transport: rt},
		Accounts: func(_ context.Context, id conversation.InboxID) (channels.Account, error) {
			if id != inbox {
				return channels.Account{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return channels.NewAccount("1", values), nil
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return d
}

func signed(_ testing.TB, body []byte, _ time.Time) channeltest.Delivery {
	return channeltest.Delivery{Header: http.Header{"X-Telegram-Bot-Api-Secret-Token": {secret}}, Body: body}
}

// update is the recorded shape of an update with a message.
func update(t testing.TB, m channeltest.Message) []byte {
	t.Helper()
	chat, err := strconv.ParseInt(m.Peer, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.ParseInt(m.Ref, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	message := map[string]any{
		"message_id": 1365, "date": 1441645532,
		"from": map[string]any{"id": chat, "is_bot": false, "first_name": "Test", "username": "Testusername", "language_code": "de"},
		"chat": map[string]any{"id": chat, "first_name": "Test", "username": "Testusername", "type": "private"},
	}
	if m.Kind == "" {
		message["text"] = m.Text
	} else {
		message[m.Kind] = map[string]any{"file_id": "AwADBAADbXXXXXXXXXXXGBdhD2l6_XX"}
	}
	b, err := json.Marshal(map[string]any{"update_id": id, "message": message})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func classOf(status int) channels.Class {
	switch status {
	case 401, 404:
		return channels.Auth
	case 403:
		return channels.Gone
	case 408, 409, 500, 503:
		return channels.Retry
	case 429:
		return channels.Limited
	}
	switch status / 100 {
	case 2:
		return ""
	case 5:
		return channels.Unknown
	}
	return channels.Permanent
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt, map[string]string{"token": token, "secret_token": secret})
		},
		Markdown: "Now or later, 2*3*4",
		Account:  inbox, Peer: "1111111", Ref: func(i int) string { return strconv.Itoa(10_000 + i) },
		Features: channeltest.Features{Inbound: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return signed(t, update(t, m[0]), at)
		},
		Pulled: &channeltest.Pulled{Provider: updatesFor, New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt, map[string]string{"token": token})
		}},
		Sign: signed, SignatureHeaders: []string{"X-Telegram-Bot-Api-Secret-Token"},
		Signed: func([]byte) (int, int) { return 0, 0 }, // the secret covers no body
		Decode: decode, ClassOf: classOf, Taken: `{"ok":true,"result":{"message_id":77}}`,
		Media: &channeltest.Media{
			Name: "订单.pdf", Answer: serveFile, Arrived: documentIn,
			Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
				t.Helper()
				m.Kind, m.Text = "document", ""
				b := bytes.Replace(update(t, m), []byte(`{"file_id":"AwADBAADbXXXXXXXXXXXGBdhD2l6_XX"}`),
					[]byte(`{"file_id":"BQADAgADbXXX","file_unique_id":"u1","file_name":"订单.pdf","mime_type":"application/pdf","file_size":21}`), 1)
				return signed(t, b, at)
			},
		},
	}
}

// updates are what getUpdates gives, from an offset on.
type updates struct {
	t    testing.TB
	list [][]byte // with ids from firstUpdate on
}

const firstUpdate = 10_000

func updatesFor(t testing.TB, messages []channeltest.Message) http.RoundTripper {
	t.Helper()
	u := &updates{t: t}
	for _, m := range messages {
		u.list = append(u.list, update(t, m))
	}
	return u
}

func (u *updates) RoundTrip(r *http.Request) (*http.Response, error) {
	var ask struct{ Offset, Limit int }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.URL.Path != "/bot"+token+"/getUpdates" || ask.Limit < 1 || ask.Limit > 100 {
		u.t.Errorf("%s with %+v, %v", r.URL.Path, ask, err)
	}
	rest := u.list[min(max(ask.Offset-firstUpdate, 0), len(u.list)):]
	body := `{"ok":true,"result":[` + string(bytes.Join(rest[:min(ask.Limit, len(rest))], []byte(","))) + `]}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// serveFile is the Bot API's side of files, as its documentation shows it.
func serveFile(t testing.TB, r *http.Request, body, content []byte) (int, []byte) {
	t.Helper()
	switch r.URL.Path {
	case "/bot" + token + "/getFile":
		if !bytes.Contains(body, []byte("BQADAgADbXXX")) {
			t.Errorf("asked for %s", body)
		}
		return 200, []byte(`{"ok":true,"result":{"file_id":"BQADAgADbXXX","file_unique_id":"u1","file_size":21,"file_path":"documents/file 1.pdf"}}`)
	case "/file/bot" + token + "/documents/file 1.pdf":
		return 200, content
	case "/bot" + token + "/sendDocument":
		return 200, []byte(`{"ok":true,"result":{"message_id":78}}`)
	}
	t.Errorf("called %s", r.URL)
	return 404, nil
}

func documentIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	fields, name, _, content := channeltest.FormFile(t, calls[len(calls)-1], "document")
	return fields["chat_id"], name, content
}

// TestKindsOfFiles: the largest picture is taken, and an animation once.
func TestKindsOfFiles(t *testing.T) {
	t.Parallel()
	d := driver(t, nil, map[string]string{"token": token, "secret_token": secret})
	for name, tc := range map[string]struct{ fields, source, declared, text string }{
		"photo":     {`"photo":[{"file_id":"small","width":90},{"file_id":"large","width":1280,"file_size":5}],"caption":"look"`, "large", "image/jpeg", "look"},
		"voice":     {`"voice":{"file_id":"v","duration":3,"mime_type":"audio/ogg"}`, "v", "audio/ogg", ""},
		"animation": {`"animation":{"file_id":"g"},"document":{"file_id":"g","mime_type":"video/mp4"}`, "g", "video/mp4", ""},
		"video":     {`"video":{"file_id":"f"}`, "f", "video/mp4", ""},
	} {
		body := `{"update_id":7,"message":{"message_id":1,"chat":{"id":11,"type":"private"},"from":{"id":11,"first_name":"T"},` + tc.fields + `}}`
		h := http.Header{"X-Telegram-Bot-Api-Secret-Token": {secret}}
		events, _, err := d.Receive(t.Context(), channels.Request{Method: http.MethodPost, Header: h, Account: inbox}, []byte(body))
		if err != nil || len(events) != 1 || len(events[0].Files) != 1 {
			t.Errorf("%s: %+v, %v", name, events, err)
			continue
		}
		if f := events[0].Files[0]; f.Source != tc.source || f.Type != tc.declared || string(events[0].Text) != tc.text || events[0].Unsupported != "" {
			t.Errorf("%s: %+v", name, events[0])
		}
	}
}

// TestFilePathsDoNotClimb: the token goes to no other place.
func TestFilePathsDoNotClimb(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "../../x", "a/../b", "/etc", "//evil.example/x"} {
		calls := 0
		d := driver(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			calls++
			b, err := json.Marshal(map[string]any{"ok": true, "result": map[string]string{"file_path": p}})
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, err
		}), map[string]string{"token": token})
		if _, err := d.Fetch(t.Context(), inbox, "f"); channels.ClassOf(err) != channels.Permanent || calls != 1 {
			t.Errorf("the path %q: %v after %d calls", p, err, calls)
		}
	}
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if want := "https://api.telegram.org/bot" + token + "/sendMessage"; r.URL.String() != want {
		t.Errorf("called %s, want %s", r.URL, want)
	}
	var got struct {
		Chat int64  `json:"chat_id"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	return channeltest.Sent{Peer: strconv.FormatInt(got.Chat, 10), Text: got.Text}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

// api answers calls to the Bot API in order.
type api struct {
	t       *testing.T
	answers []string
	status  int
	calls   []map[string]any
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		a.t.Errorf("Decode: %v", err)
	}
	a.calls = append(a.calls, body)
	answer := a.answers[0]
	if len(a.answers) > 1 {
		a.answers = a.answers[1:]
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// What is fetched is remembered by the offset, which is presented next time.
func TestPull(t *testing.T) {
	one := update(t, channeltest.Message{Peer: "42", Ref: "900", Text: "hello"})
	two := update(t, channeltest.Message{Peer: "-7", Ref: "901", Kind: "sticker"})
	a := &api{t: t, status: 200, answers: []string{
		`{"ok":true,"result":[` + string(one) + `,` + string(two) + `,{"update_id":902,"my_chat_member":{}},{"update_id":903,"message":{"text":"of nobody"}},{"update_id":904,"message":{"chat":{"id":"x"}}}]}`, `{"ok":true,"result":[]}`,
	}}
	d := driver(t, a, map[string]string{"token": token})
	got, err := d.Pull(t.Context(), channels.Pull{Account: inbox})
	if err != nil {
		t.Fatalf("Pull: %v", err)
	}
	if len(got.Events) != 4 || got.Events[0].Text != "hello" || got.Events[0].Ref != "900" || got.Events[1].Peer != "-7" || got.Events[1].Unsupported != "sticker" {
		t.Errorf("Pull gave %+v", got.Events)
	}
	if string(got.Events[2].Unreadable) != `{"text":"of nobody"}` || string(got.Events[3].Unreadable) != `{"chat":{"id":"x"}}` {
		t.Errorf("what cannot be read is given as %+v", got.Events[2:])
	}
	if string(got.Cursor) != "905" {
		t.Errorf("cursor %q, want 905: the update without a message is done with too", got.Cursor)
	}
	if _, err := d.Pull(t.Context(), channels.Pull{Account: inbox, Cursor: got.Cursor}); err != nil {
		t.Fatalf("Pull: %v", err)
	}
	if a.calls[0]["offset"] != nil || a.calls[1]["offset"] != 905.0 {
		t.Errorf("offsets %v and %v, want none and 905", a.calls[0]["offset"], a.calls[1]["offset"])
	}
}

func TestPullOfAWebhook(t *testing.T) {
	d := driver(t, &api{t: t}, map[string]string{"token": token, "secret_token": secret})
	if _, err := d.Pull(t.Context(), channels.Pull{Account: inbox}); !errors.Is(err, channels.ErrDelivered) {
		t.Errorf("Pull error = %v, want ErrDelivered", err)
	}
}

// An account without a secret takes no deliveries: anybody could make them.
func TestNoSecretNoDelivery(t *testing.T) {
	d := driver(t, &api{t: t}, map[string]string{"token": token})
	body := update(t, channeltest.Message{Peer: "1", Ref: "2", Text: "x"})
	_, _, err := d.Receive(t.Context(), channels.Request{Account: inbox, Header: http.Header{"X-Telegram-Bot-Api-Secret-Token": {""}}}, body)
	if !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("Receive error = %v, want unauthenticated", err)
	}
}

// The error answers are those of Telegram's documentation.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   channels.SendError
	}{
		{
			"flood", 429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`,
			channels.SendError{Class: channels.Limited, Code: "http_429", After: 35 * time.Second},
		},
		{
			"blocked", 403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`,
			channels.SendError{Class: channels.Gone, Code: "http_403"},
		},
		{
			"no chat", 400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`,
			channels.SendError{Class: channels.Gone, Code: "http_400"},
		},
		{
			"bad request", 400, `{"ok":false,"error_code":400,"description":"Bad Request: message text is empty"}`,
			channels.SendError{Class: channels.Permanent, Code: "http_400"},
		},
		{
			"token", 401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`,
			channels.SendError{Class: channels.Auth, Scope: channels.ScopeAccount, Code: "http_401"},
		},
		{"no word", 200, `{"ok":false}`, channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := driver(t, &api{t: t, status: c.status, answers: []string{c.body}}, map[string]string{"token": token})
			_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: inbox, Peer: "1", Text: "x"}})
			var got *channels.SendError
			if !errors.As(err, &got) || *got != c.want {
				t.Errorf("Send error = %+v, want %+v", err, c.want)
			}
			if strings.Contains(err.Error(), "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw") {
				t.Error("the error holds the token")
			}
		})
	}
}

func TestButtonsBecomeKeys(t *testing.T) {
	a := &api{t: t, status: 200, answers: []string{`{"ok":true,"result":{"message_id":5}}`}}
	d := driver(t, a, map[string]string{"token": token})
	id, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{
		Inbox: inbox, Peer: "1", Text: "Which?", Buttons: []conversation.Button{{Label: "Yes", Text: "yes"}},
	}})
	if err != nil || id != "5" {
		t.Fatalf("Send = %q, %v", id, err)
	}
	keys, err := json.Marshal(a.calls[0]["reply_markup"])
	if err != nil || string(keys) != `{"keyboard":[[{"text":"Yes"}]],"one_time_keyboard":true,"resize_keyboard":true}` {
		t.Errorf("reply_markup %s, %v", keys, err)
	}
}

// Marks become entities, whose places are counted in UTF-16 units; what is no mark
// arrives as it is.
func TestMarksBecomeEntities(t *testing.T) {
	a := &api{t: t, status: 200, answers: []string{`{"ok":true,"result":{"message_id":5}}`}}
	d := driver(t, a, map[string]string{"token": token})
	for _, text := range []string{"👍 **now *open***, `x*y` [here](https://example.com/a_b)", "2*3*4 in snake_case_here"} {
		if _, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: inbox, Peer: "1", Text: conversation.Text(text)}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := json.Marshal(a.calls[0]["entities"])
	const want = `[{"length":4,"offset":3,"type":"bold"},{"length":4,"offset":7,"type":"bold"},{"length":4,"offset":7,"type":"italic"},` +
		`{"length":3,"offset":13,"type":"code"},{"length":4,"offset":17,"type":"text_link","url":"https://example.com/a_b"}]`
	if text := a.calls[0]["text"]; text != "👍 now open, x*y here" || err != nil || string(got) != want {
		t.Errorf("text %q with the entities\n%s, want\n%s", text, got, want)
	}
	if c := a.calls[1]; c["entities"] != nil || c["text"] != "2*3*4 in snake_case_here" {
		t.Errorf("a text without marks was sent as %v", c)
	}
}

// A channel for texts takes less than 200 lines of code: the four methods of a
// driver, its settings and the translation of what comes. Fetching, files and styles
// are optional, and have files of their own.
func TestSizeOfADriver(t *testing.T) {
	lines := 0
	for _, name := range []string{"telegram.go", "update.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	if lines >= 200 {
		t.Errorf("%d lines of code, want less than 200", lines)
	}
}

// A bot that answers a bot would never end.
func TestOtherBotsAreNotHeard(t *testing.T) {
	d := driver(t, &api{t: t}, map[string]string{"token": token, "secret_token": secret})
	events, _, err := d.Receive(t.Context(), channels.Request{Account: inbox, Header: signed(t, nil, time.Time{}).Header},
		[]byte(`{"update_id":1,"message":{"from":{"id":2,"is_bot":true},"chat":{"id":3},"text":"hi"}}`))
	if err != nil || len(events) != 0 {
		t.Errorf("Receive = %v, %v, want no event", events, err)
	}
}

// roundTrip is a function that is an [http.RoundTripper].
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
