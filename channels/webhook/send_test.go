package webhook_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
)

func part() channels.Part {
	o := conversation.Outbound{
		Conversation: conversation.ConversationID{1, 2}, Message: 8, Inbox: inbox, Channel: conversation.ChannelWeChat,
		Peer: "openid-1", From: conversation.PartyAgent, InReplyTo: 7, Text: "1 < 2 你好",
		Buttons: []conversation.Button{{Label: "Yes", Text: "yes"}},
		At:      time.Date(2026, 1, 2, 11, 4, 5, 678901234, time.FixedZone("", 8*3600)),
	}
	return channels.Part{Outbound: o, Key: conversation.MessageID(o.Conversation, o.Message), Last: true}
}

// A receiver on a real socket that uses the reference implementation.
func TestSendOverTheWire(t *testing.T) {
	var body, path string
	var redirected atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("POST /callback", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		for _, key := range []string{secretNew, secretOld} {
			if err := sender(t, key).Verify(b, r.Header); err != nil {
				t.Errorf("Verify: %v", err)
			}
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q, want application/json", got)
		}
		body, path = string(b), r.URL.String()
		_, _ = io.WriteString(w, `{"id":"wx-99"}`)
	})
	mux.HandleFunc("POST /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("POST /elsewhere", func(http.ResponseWriter, *http.Request) { redirected.Add(1) })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // of the test's own process

	account := webhook.Account{
		CallbackURL: server.URL + "/callback?token=sesame", Secrets: []webhook.Secret{secret(t, secretNew), secret(t, secretOld)},
	}
	id, err := driver(t, http.DefaultTransport, account).Send(t.Context(), part())
	if err != nil || id != "wx-99" {
		t.Errorf("Send = %q, %v, want wx-99", id, err)
	}
	p := part()
	want := `{"type":"message.created","timestamp":"2026-01-02T03:04:05.678Z","data":{"conversation_id":"` + p.Conversation.String() +
		`","message_id":"` + p.Key + `","seq":8,"channel":"wechat","user":"openid-1","text":"1 < 2 你好",` +
		`"buttons":[{"label":"Yes","text":"yes"}],"in_reply_to_seq":7,"from":"agent"}}`
	if body != want {
		t.Errorf("the receiver got\n%s\nwant\n%s", body, want)
	}
	if path != "/callback?token=sesame" {
		t.Errorf("path %q, want the query kept", path)
	}

	account.CallbackURL = server.URL + "/moved"
	_, err = driver(t, http.DefaultTransport, account).Send(t.Context(), part())
	var e *channels.SendError
	if !errors.As(err, &e) || e.Class != channels.Permanent || e.Code != "http_307" {
		t.Errorf("Send error = %v, want permanent http_307", err)
	}
	if n := redirected.Load(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

func TestSendNeedsAnAccount(t *testing.T) {
	s := []webhook.Secret{secret(t, secretNew)}
	for _, c := range []struct {
		name    string
		account webhook.Account
		code    string
	}{
		{"no address", webhook.Account{Secrets: s}, "no_callback_url"},
		{"no secret", webhook.Account{CallbackURL: callback}, "no_secret"},
		{"other scheme", webhook.Account{CallbackURL: "file:///etc/passwd", Secrets: s}, "bad_callback_url"},
		{"no scheme", webhook.Account{CallbackURL: "bridge.example/x", Secrets: s}, "bad_callback_url"},
		{"no host", webhook.Account{CallbackURL: "https:///x", Secrets: s}, "bad_callback_url"},
		{"password", webhook.Account{CallbackURL: "https://a:b@bridge.example/", Secrets: s}, "bad_callback_url"},
		{"not an address", webhook.Account{CallbackURL: "https://[::1/", Secrets: s}, "bad_callback_url"},
		{"control character", webhook.Account{CallbackURL: "https://bridge.example/\r\nX: y", Secrets: s}, "bad_callback_url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := driver(t, mustNotDial{t}, c.account).Send(t.Context(), part())
			var e *channels.SendError
			if !errors.As(err, &e) || e.Class != channels.Permanent || e.Code != c.code {
				t.Errorf("Send error = %v, want permanent %s", err, c.code)
			}
		})
	}
	p := part()
	p.Inbox = "another"
	_, err := driver(t, mustNotDial{t}, webhook.Account{CallbackURL: callback, Secrets: s}).Send(t.Context(), p)
	var e *channels.SendError
	if !errors.As(err, &e) || e.Class != channels.Permanent || e.Code != "no_account" {
		t.Errorf("Send error = %v, want permanent no_account", err)
	}
}

type mustNotDial struct{ t *testing.T }

func (m mustNotDial) RoundTrip(*http.Request) (*http.Response, error) {
	m.t.Error("a call was made")
	return nil, errors.New("refused")
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connect: connection refused")
}

// Customers put tokens into callback addresses.
func TestSendErrorsHideTheAddress(t *testing.T) {
	account := webhook.Account{CallbackURL: callback, Secrets: []webhook.Secret{secret(t, secretNew)}}
	_, err := driver(t, refusing{}, account).Send(t.Context(), part())
	if err == nil || strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "bridge.example") {
		t.Errorf("Send error = %v, want one without the address", err)
	}
}

func TestSendWhenAccountsAreDown(t *testing.T) {
	d, err := webhook.New(webhook.Options{
		Client: &http.Client{Transport: mustNotDial{t}},
		Accounts: func(context.Context, conversation.InboxID) (webhook.Account, error) {
			return webhook.Account{}, io.ErrClosedPipe
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	_, err = d.Send(t.Context(), part())
	var e *channels.SendError
	if !errors.As(err, &e) || e.Class != channels.Retry {
		t.Errorf("Send error = %v, want class retry", err)
	}
	_, _, err = d.Receive(t.Context(), channels.Request{}, nil)
	if !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("Receive error = %v, want class unavailable", err)
	}
}

func TestNewNeedsAClient(t *testing.T) {
	if _, err := webhook.New(webhook.Options{}); err == nil {
		t.Error("New succeeded without client and accounts")
	}
}
