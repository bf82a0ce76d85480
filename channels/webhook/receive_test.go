package webhook_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
)

// receive gives a signed body to the driver.
func receive(t *testing.T, a webhook.Account, b string, extra http.Header) ([]channels.Event, channels.Ack, error) {
	t.Helper()
	now := time.Unix(goldenTime, 0)
	a.Secrets = []webhook.Secret{secret(t, secretNew)}
	d := signed(t, secretNew, "msg_1", []byte(b), now)
	maps.Copy(d.Header, extra)
	return driver(t, nil, a).Receive(t.Context(), channels.Request{
		Method: http.MethodPost, Header: d.Header, Account: inbox, At: now,
	}, d.Body)
}

func TestReceive(t *testing.T) {
	many := strings.Repeat("x", conversation.MaxRefBytes+1)
	for _, c := range []struct {
		name   string
		body   string
		header http.Header
		want   []channels.Event
		code   conversation.Code
	}{
		{
			name: "all fields",
			body: `{"user":"u1","text":"hi","id":"m1","channel":"wechat","metadata":{"a":"b","n":3.50,"t":true,"z":null}}`,
			want: []channels.Event{{
				Channel: "wechat", Peer: "u1", Ref: "m1", Text: "hi", Metadata: map[string]string{"a": "b", "n": "3.50", "t": "true"},
			}},
		},
		{name: "the delivery's id stands in", body: `{"user":"u1","text":"hi"}`, want: []channels.Event{{Peer: "u1", Ref: "msg_1", Text: "hi"}}},
		{
			name: "in a batch with its place", body: ` [{"user":"u1","text":"a"},{"user":"u1","text":"b","id":"m2"}]`,
			want: []channels.Event{{Peer: "u1", Ref: "msg_1/0", Text: "a"}, {Peer: "u1", Ref: "m2", Text: "b"}},
		},
		{name: "type text", body: `{"user":"u1","text":"hi","type":"text"}`, want: []channels.Event{{Peer: "u1", Ref: "msg_1", Text: "hi"}}},
		{name: "type image", body: `{"user":"u1","type":"image"}`, want: []channels.Event{{
			Peer: "u1", Ref: "msg_1", Unsupported: "image", Metadata: map[string]string{channels.MetadataRaw: `{"user":"u1","type":"image"}`},
		}}},
		{name: "type of next year in a batch", body: `[{"user":"u1","text":"a"}, {"user":"u1","type":"hologram","metadata":{"a":"b"}}]`, want: []channels.Event{
			{Peer: "u1", Ref: "msg_1/0", Text: "a"},
			{Peer: "u1", Ref: "msg_1/1", Unsupported: "hologram", Metadata: map[string]string{
				"a": "b", channels.MetadataRaw: `{"user":"u1","type":"hologram","metadata":{"a":"b"}}`,
			}},
		}},
		{name: "unknown fields are ignored", body: `{"user":"u1","text":"hi","later":[1]}`, want: []channels.Event{{Peer: "u1", Ref: "msg_1", Text: "hi"}}},
		{
			name: "the header agrees", body: `{"user":"u1","text":"hi","channel":"wechat"}`, header: http.Header{"X-Channel-Type": {"wechat"}},
			want: []channels.Event{{Channel: "wechat", Peer: "u1", Ref: "msg_1", Text: "hi"}},
		},
		{name: "the header claims more than the body", body: `{"user":"u1","text":"hi"}`, header: http.Header{"X-Channel-Type": {"wechat"}}, code: conversation.CodeUnknownChannel},
		{name: "unknown channel", body: `{"user":"u1","text":"hi","channel":"fax"}`, code: conversation.CodeUnknownChannel},
		{name: "no user", body: `{"text":"hi"}`, code: conversation.CodeInvalid},
		{name: "our own event sent back", body: `{"type":"message.created","data":{"text":"hi"}}`, code: conversation.CodeInvalid},
		{name: "long id", body: `{"user":"u1","text":"hi","id":"` + many + `"}`, code: conversation.CodeBadRef},
		{name: "nested metadata", body: `{"user":"u1","text":"hi","metadata":{"a":{"b":1}}}`, code: conversation.CodeInvalid},
		{name: "many keys", body: `{"user":"u1","text":"hi","metadata":{` + keys(33) + `}}`, code: conversation.CodeTooMuchMetadata},
		{name: "empty batch", body: `[]`, code: conversation.CodeInvalid},
		{name: "large batch", body: `[` + strings.Repeat(`{"user":"u","text":"t"},`, 100) + `{"user":"u","text":"t"}]`, code: conversation.CodeInvalid},
		{name: "one bad of a batch", body: `[{"user":"u1","text":"a"},{"text":"b"}]`, code: conversation.CodeInvalid},
		{name: "not JSON", body: `user=u1&text=hi`, code: conversation.CodeBadJSON},
		{name: "wrong type", body: `{"user":1,"text":"hi"}`, code: conversation.CodeBadJSON},
		{name: "not UTF-8", body: "{\"user\":\"u1\",\"text\":\"\xff\"}", code: conversation.CodeBadText},
		{name: "negative wait", body: `{"user":"u1","text":"hi","wait_ms":-1}`, code: conversation.CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := receive(t, webhook.Account{CallbackURL: callback}, c.body, c.header)
			if c.code != "" {
				if err == nil || conversation.CodeOf(err) != c.code {
					t.Fatalf("Receive error = %v, want code %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatalf("Receive: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Receive differs (-want +got):\n%s", diff)
			}
		})
	}
}

func keys(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	return strings.Join(all, ",")
}

func TestReceiveWait(t *testing.T) {
	for _, c := range []struct {
		name, body string
		callback   string
		want       time.Duration
	}{
		{"asked for", `{"user":"u","text":"t","wait_ms":1500}`, callback, 1500 * time.Millisecond},
		{"asked for too much", `{"user":"u","text":"t","wait_ms":9000000000000000000}`, callback, 10 * time.Second},
		{"not asked for", `{"user":"u","text":"t"}`, callback, 0},
		{"no other way to reply", `{"user":"u","text":"t"}`, "", 5 * time.Second},
		{"declined, no other way", `{"user":"u","text":"t","wait_ms":0}`, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ack, err := receive(t, webhook.Account{CallbackURL: c.callback}, c.body, nil)
			if err != nil || ack.Wait != c.want {
				t.Errorf("Wait = %s, %v, want %s", ack.Wait, err, c.want)
			}
		})
	}
}

func TestReceiveUnknownInboxLooksLikeAWrongSignature(t *testing.T) {
	now := time.Now()
	b := []byte(`{"user":"u","text":"t"}`)
	d := signed(t, secretOld, "msg_1", b, now)
	drv := driver(t, nil, webhook.Account{Secrets: []webhook.Secret{secret(t, secretNew)}})
	var said []string
	for _, account := range []conversation.InboxID{inbox, "another"} {
		_, _, err := drv.Receive(t.Context(), channels.Request{Header: d.Header, Account: account, At: now}, b)
		if !errors.Is(err, conversation.ErrUnauthenticated) {
			t.Fatalf("%s: Receive error = %v, want class unauthenticated", account, err)
		}
		said = append(said, err.Error())
	}
	if said[0] != said[1] {
		t.Errorf("the errors differ: %q and %q", said[0], said[1])
	}
}

func TestCompose(t *testing.T) {
	id := conversation.ConversationID{1}
	good := channels.Outcome{Ref: "m1", Receipt: conversation.Receipt{
		Conversation: id, Seq: 7,
		Replies: []conversation.Message{{Seq: 9, Text: "a < b", InReplyTo: 7, Buttons: []conversation.Button{{Label: "Yes", Text: "yes"}}}},
	}}
	bad := channels.Outcome{Ref: "m2", Err: conversation.Refuse(conversation.CodeTextTooLong, "17000 bytes")}
	_, one, err := receive(t, webhook.Account{}, `{"user":"u","text":"t"}`, nil)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	_, many, err := receive(t, webhook.Account{}, `[{"user":"u","text":"t"},{"user":"u","text":"t"}]`, nil)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	receipt := `{"id":"m1","conversation_id":"` + id.String() + `","message_id":"` + conversation.MessageID(id, 7) + `","seq":7,` +
		`"replies":[{"message_id":"` + conversation.MessageID(id, 9) + `","seq":9,"text":"a < b","buttons":[{"label":"Yes","text":"yes"}],"in_reply_to_seq":7}]}`
	for _, c := range []struct {
		name     string
		ack      channels.Ack
		outcomes []channels.Outcome
		status   int
		body     string
	}{
		{"one", one, []channels.Outcome{good}, 200, receipt},
		{"one refused", one, []channels.Outcome{bad}, 413, ""},
		{
			"one of two refused", many,
			[]channels.Outcome{good, bad},
			200,
			`{"results":[` + receipt + `,{"id":"m2","code":"text_too_long","detail":"The text is over the limit."}]}`,
		},
		{"both refused", many, []channels.Outcome{bad, bad}, 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.ack.Compose(c.outcomes)
			if got.Status != c.status {
				t.Errorf("status %d, want %d", got.Status, c.status)
			}
			if c.body != "" && string(got.Body) != c.body {
				t.Errorf("body\n%s\nwant\n%s", got.Body, c.body)
			}
		})
	}
}
