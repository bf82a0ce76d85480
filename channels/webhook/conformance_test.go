package webhook_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	inbox     = "shop"
	secretNew = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretOld = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" // of the standard's documentation
	callback  = "https://bridge.example/callback?token=sesame"
)

func secret(t testing.TB, s string) webhook.Secret {
	t.Helper()
	parsed, err := webhook.ParseSecret(s)
	if err != nil {
		t.Fatalf("ParseSecret: %v", err)
	}
	return parsed
}

func driver(t testing.TB, rt http.RoundTripper, a webhook.Account) *webhook.Driver {
	t.Helper()
	d, err := webhook.New(webhook.Options{
		Client: &http.Client{Transport: rt},
		Accounts: func(_ context.Context, id conversation.InboxID) (webhook.Account, error) {
			if id != inbox {
				return webhook.Account{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return a, nil
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return d
}

// sender is the other side: the reference implementation of the standard.
func sender(t testing.TB, s string) *standardwebhooks.Webhook {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(s)
	if err != nil {
		t.Fatalf("NewWebhook: %v", err)
	}
	return wh
}

func signed(t testing.TB, key, id string, body []byte, at time.Time) channeltest.Delivery {
	t.Helper()
	signature, err := sender(t, key).Sign(id, at, body)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return channeltest.Delivery{Header: h, Body: body}
}

func body(t testing.TB, messages []channeltest.Message) []byte {
	t.Helper()
	all := make([]map[string]any, len(messages))
	for i, m := range messages {
		all[i] = map[string]any{"user": m.Peer, "id": m.Ref, "text": m.Text}
		if m.Kind != "" {
			all[i]["type"] = m.Kind
		}
	}
	var v any = all
	if len(all) == 1 {
		v = all[0]
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	return b
}

func classOf(status int) channels.Class {
	switch status {
	case 400, 405, 413, 415, 422:
		return channels.Permanent
	case 401, 403:
		return channels.Auth
	case 410:
		return channels.Gone
	case 429:
		return channels.Limited
	}
	switch status / 100 {
	case 2:
		return ""
	case 3:
		return channels.Permanent
	}
	return channels.Retry
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt, webhook.Account{
				CallbackURL: callback, Secrets: []webhook.Secret{secret(t, secretNew), secret(t, secretOld)},
			})
		},
		Account: inbox,
		Features: channeltest.Features{
			Inbound: true, Clock: true, Batch: true, Unsupported: true, Outbound: true, Timeout: channels.Retry,
		},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return signed(t, secretNew, "msg_delivery", body(t, m), at)
		},
		Sign: func(t testing.TB, b []byte, at time.Time) channeltest.Delivery {
			t.Helper()
			return signed(t, secretOld, "msg_hostile", b, at)
		},
		SignatureHeaders: []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature},
		Decode:           decode,
		ClassOf:          classOf,
		Media: &channeltest.Media{
			Name: "receipt.pdf", Links: true, Arrived: linkIn,
			Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
				t.Helper()
				b, err := json.Marshal(map[string]any{
					"id": m.Ref, "user": m.Peer, "attachments": []map[string]string{{"url": fileAt, "name": "receipt.pdf", "type": "application/pdf"}},
				})
				if err != nil {
					t.Fatal(err)
				}
				return signed(t, secretNew, "msg_file", b, at)
			},
			Answer: func(t testing.TB, r *http.Request, _, content []byte) (int, []byte) {
				t.Helper()
				if r.Method == http.MethodGet && r.URL.String() != fileAt {
					t.Errorf("fetched %s, want %s", r.URL, fileAt)
				}
				return 200, content
			},
		},
	}
}

const fileAt = "https://files.example.com/receipt.pdf?signature=abc"

// linkIn gives the address of the file in an event.
func linkIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	var e struct {
		Data struct {
			User        string `json:"user"`
			Attachments []struct {
				Name string `json:"name"`
				URL  string `json:"url"`
			} `json:"attachments"`
		} `json:"data"`
	}
	decode(t, calls[0].Request, calls[0].Body)
	if err := json.Unmarshal(calls[0].Body, &e); err != nil || len(e.Data.Attachments) != 1 {
		t.Fatalf("the event is %s, %v", calls[0].Body, err)
	}
	return e.Data.User, e.Data.Attachments[0].Name, e.Data.Attachments[0].URL
}

// TestAddressesOfFiles: what is no address of a file is refused before anything
// is stored.
func TestAddressesOfFiles(t *testing.T) {
	t.Parallel()
	s := suite()
	d := s.New(t, nil)
	at := time.Now()
	for _, bad := range []string{"", "file:///etc/passwd", "/receipt.pdf", "https://a:b@files.example.com/", "ftp://x/y", "https://" + strings.Repeat("x", 4096)} {
		b, err := json.Marshal(map[string]any{"user": "u", "attachments": []map[string]string{{"url": bad}}})
		if err != nil {
			t.Fatal(err)
		}
		in := s.Sign(t, b, at)
		_, _, err = d.Receive(t.Context(), channels.Request{Method: http.MethodPost, Header: in.Header, Account: inbox, At: at}, b)
		if conversation.CodeOf(err) != conversation.CodeBadAttachment {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// decode receives a call with the reference implementation.
func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	for _, key := range []string{secretNew, secretOld} {
		if err := sender(t, key).Verify(b, r.Header); err != nil {
			t.Errorf("the reference implementation refuses the call: %v", err)
		}
	}
	var got struct {
		Data struct {
			User string `json:"user"`
			Text string `json:"text"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	return channeltest.Sent{Peer: got.Data.User, Text: got.Data.Text, Key: r.Header.Get(standardwebhooks.HeaderWebhookID)}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }
