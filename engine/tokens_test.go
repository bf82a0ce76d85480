package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// tokenAPI is WeChat's interface as far as tokens go: stable_token gives everybody
// the same one until somebody forces another, and what is sent with another than
// the newest is refused.
type tokenAPI struct {
	mu struct {
		sync.Mutex
		newest         int
		asked, forced  int
		sent, refused  int
		credentialsBad bool
	}
}

func (a *tokenAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r.URL.Path {
	case "/cgi-bin/stable_token":
		var body struct {
			Force bool `json:"force_refresh"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		a.mu.asked++
		if body.Force {
			a.mu.forced++
		}
		if a.mu.credentialsBad {
			_, _ = io.WriteString(w, `{"errcode":40125,"errmsg":"invalid appsecret"}`)
			return
		}
		if body.Force || a.mu.newest == 0 {
			a.mu.newest++
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"T%d","expires_in":7200}`, a.mu.newest)
	case "/cgi-bin/message/custom/send":
		if r.URL.Query().Get("access_token") != fmt.Sprintf("T%d", a.mu.newest) {
			a.mu.refused++
			_, _ = io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
			return
		}
		a.mu.sent++
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

// tokenCount is what the provider was asked.
type tokenCount struct{ Asked, Forced, Sent, Refused int }

func (a *tokenAPI) count() tokenCount {
	a.mu.Lock()
	defer a.mu.Unlock()
	return tokenCount{Asked: a.mu.asked, Forced: a.mu.forced, Sent: a.mu.sent, Refused: a.mu.refused}
}

// ended lets the newest token end before its time, as when somebody else forces
// another.
func (a *tokenAPI) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.newest++
}

// sendByAll has each node send so many messages at once, and gives the errors.
func sendByAll(t *testing.T, nodes []*Engine, each int) map[channels.Class]int {
	t.Helper()
	var mu sync.Mutex
	got := map[channels.Class]int{}
	var wg sync.WaitGroup
	for _, e := range nodes {
		d := e.channels.Configurable()[conversation.ChannelWeChat]
		for range each {
			wg.Go(func() {
				_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: "house", Peer: "openid-1", Text: "hello"}})
				mu.Lock()
				defer mu.Unlock()
				got[channels.ClassOf(err)]++
			})
		}
	}
	wg.Wait()
	return got
}

// oneTokenForAll has nodes use an account whose token ends before its time: the
// provider is asked for one, and forced to give another once, whatever the number
// of nodes is.
func oneTokenForAll(t *testing.T, api *tokenAPI, nodes []*Engine) {
	t.Helper()
	const each = 20
	all := each * len(nodes)
	if diff := cmp.Diff(map[channels.Class]int{"": all}, sendByAll(t, nodes, each)); diff != "" {
		t.Errorf("the first messages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tokenCount{Asked: 1, Sent: all}, api.count()); diff != "" {
		t.Fatalf("after the first messages (-want +got):\n%s", diff)
	}
	api.ended()
	for i := range nodes { // each node meets the token that has ended
		if diff := cmp.Diff(map[channels.Class]int{channels.Auth: 1}, sendByAll(t, nodes[i:i+1], 1)); diff != "" {
			t.Errorf("a message with the old token on node %d (-want +got):\n%s", i, diff)
		}
	}
	if diff := cmp.Diff(map[channels.Class]int{"": all}, sendByAll(t, nodes, each)); diff != "" {
		t.Errorf("the messages behind them (-want +got):\n%s", diff)
	}
	want := tokenCount{Asked: 2, Forced: 1, Sent: 2 * all, Refused: len(nodes)}
	if diff := cmp.Diff(want, api.count()); diff != "" {
		t.Errorf("in all (-want +got):\n%s", diff)
	}
}

func wechatSettings(api string) map[string]string {
	return map[string]string{"app_id": "wx1", "token": "t0ken", "app_secret": "s3cret", "api_url": api}
}

func TestOneTokenOnANode(t *testing.T) {
	t.Parallel()
	var log record
	var provider tokenAPI
	srv, _ := inside(t, provider.ServeHTTP)
	e, api := withAccounts(t, &log)
	put := call{method: "PUT", path: "/v1/inboxes/house/channels/wechat", body: map[string]any{"settings": wechatSettings(srv.URL)}}
	api.want(http.StatusCreated, put, nil)
	oneTokenForAll(t, &provider, []*Engine{e})

	// Other settings are another account, and what the provider says of it is told.
	provider.mu.Lock()
	provider.mu.credentialsBad = true
	provider.mu.Unlock()
	api.want(http.StatusOK, put, nil)
	if diff := cmp.Diff(map[channels.Class]int{channels.Auth: 1}, sendByAll(t, []*Engine{e}, 1)); diff != "" {
		t.Errorf("with a secret that is not taken (-want +got):\n%s", diff)
	}
	if s := log.String(); strings.Contains(s, "s3cret") || strings.Contains(s, `"T1"`) {
		t.Error("the log holds a secret or a token")
	}
}

func TestTokenCodec(t *testing.T) {
	t.Parallel()
	for _, msg := range []any{
		&tokenAsk{State: "a", Refused: "b"}, &tokenAsk{State: "a"},
		&tokenGiven{Text: "T1"}, &tokenGiven{Class: channels.Limited, Scope: channels.ScopeAccount, Code: "errcode_45009", After: 5},
	} {
		data, err := tokenCodec().Encode(msg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokenCodec().Decode(data)
		if diff := cmp.Diff(msg, got); err != nil || diff != "" {
			t.Errorf("Decode(Encode(%+v)): %v\n%s", msg, err, diff)
		}
	}
	if _, err := tokenCodec().Encode(&tokenGot{}); err == nil {
		t.Error("what stays on its node is encoded")
	}
	for _, data := range []string{"", "\x01", "\x02\x01{}", "\x01\x09{}", "\x01\x01{", "\x01\x02[]"} {
		if got, err := tokenCodec().Decode([]byte(data)); err == nil {
			t.Errorf("Decode(%q) = %+v, want an error", data, got)
		}
	}
}
