package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

const (
	botToken   = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
	channelKey = "wbIbSqr+CZLrvMx1Lmmm7UvBd4Vqw0k6p7EUNxvSqdk="
)

// botAPI is a small Bot API: updates to be fetched, and what the bot sent.
type botAPI struct {
	sent chan string

	mu struct {
		sync.Mutex
		updates []string
		offset  int
	}
}

func (b *botAPI) push(update string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.updates = append(b.mu.updates, update)
}

func (b *botAPI) forgotten() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.offset
}

func (b *botAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, ok := strings.CutPrefix(r.URL.Path, "/bot"+botToken+"/")
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var body struct {
		Offset int             `json:"offset"`
		Chat   json.RawMessage `json:"chat_id"`
		Text   string          `json:"text"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch method {
	case "getMe":
		_, _ = io.WriteString(w, `{"ok":true,"result":{"username":"shop_bot"}}`)
	case "getUpdates":
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mu.offset = max(b.mu.offset, body.Offset)
		_, _ = io.WriteString(w, `{"ok":true,"result":[`+strings.Join(b.mu.updates[min(b.mu.offset, len(b.mu.updates)):], ",")+`]}`)
	case "sendMessage":
		b.sent <- string(body.Chat) + ": " + body.Text
		_, _ = io.WriteString(w, `{"ok":true,"result":{"message_id":9}}`)
	}
}

func botUpdate(id int, text string) string {
	return fmt.Sprintf(`{"update_id":%d,"message":{"message_id":1,"from":{"id":77},"chat":{"id":77,"type":"private"},"text":%q}}`, id, text)
}

// withAccounts is a node that may keep accounts and reach a server of the test.
func withAccounts(t *testing.T, w io.Writer) (*Engine, packsAPI) {
	t.Helper()
	o := quietOptions(t, w)
	o.Config.Egress.AllowedCIDRs = []string{"127.0.0.0/8"}
	o.Config.Channels.Key = channelKey
	e, _ := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	return e, newAPI(t, e, conversation.RoleAdmin)
}

func next(t *testing.T, from <-chan string) string {
	t.Helper()
	return nextWithin(t, from, deadline)
}

func nextWithin(t *testing.T, from <-chan string, d time.Duration) string {
	t.Helper()
	select {
	case s := <-from:
		return s
	case <-time.After(d):
		t.Fatal("nothing was sent")
		return ""
	}
}

// post makes a delivery.
func post(t *testing.T, url string, header http.Header, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// An account is made through the API; then what visitors write is fetched, the
// bot answers, and the provider forgets what has been stored.
func TestAccountThatIsFetchedFrom(t *testing.T) {
	t.Parallel()
	var log record
	bot := &botAPI{sent: make(chan string, 16)}
	srv, _ := inside(t, bot.ServeHTTP)
	e, api := withAccounts(t, &log)
	bot.push(botUpdate(0, "when are you open"))

	const path = "/v1/inboxes/house/channels/telegram"
	var v gateway.AccountView
	api.want(http.StatusCreated, call{method: "PUT", path: path, body: map[string]any{"settings": map[string]string{"token": botToken, "api_url": srv.URL}}}, &v)
	if len(v.Secrets) != 1 || v.Secrets[0] != "token" || v.Settings["api_url"] != srv.URL || v.Settings["token"] != "" || v.Path == "" {
		t.Errorf("the account is shown as %+v", v)
	}
	if got := next(t, bot.sent); got != "77: We are open from nine to five." {
		t.Errorf("the bot sent %q", got)
	}
	eventually(t, "the update is forgotten", func() bool { return bot.forgotten() == 1 })
	bot.push(botUpdate(1, "where can I park"))
	if got := next(t, bot.sent); got != "77: There is a car park behind the house." {
		t.Errorf("the bot sent %q", got)
	}

	var list struct{ Data []gateway.AccountView }
	eventually(t, "the account is well", func() bool {
		api.want(http.StatusOK, call{method: "GET", path: "/v1/channels"}, &list)
		h := list.Data[0].Health
		return h.Pulling && !h.LastIn.IsZero() && !h.LastOut.IsZero() && h.Error == ""
	})
	var test gateway.AccountTest
	api.want(http.StatusOK, call{method: "POST", path: path + "/test"}, &test)
	if !test.OK || test.Name != "@shop_bot" {
		t.Errorf("test = %+v", test)
	}

	var out bytes.Buffer
	if err := e.Store().ExportWithSecrets(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"sealed"`) || strings.Contains(out.String(), "AAHdqTcv") {
		t.Error("the journal holds the token in clear, or nothing of it")
	}
	out.Reset()
	if err := e.Store().Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), `"sealed"`) {
		t.Error("an export without secrets holds a sealed one")
	}

	// A wrong token: the provider says so, the node says so and serves.
	api.want(http.StatusOK, call{method: "PUT", path: path, body: map[string]any{"settings": map[string]string{"token": "1:wrong"}}}, &v)
	api.want(http.StatusOK, call{method: "POST", path: path + "/test"}, &test)
	if test.OK || test.Error != "auth: http_401" {
		t.Errorf("test of a wrong token = %+v", test)
	}
	eventually(t, "/readyz tells", func() bool {
		status, body := fetch(t, "http://"+e.OpsAddr()+"/readyz?verbose")
		return status == http.StatusOK && strings.Contains(body, "channel account telegram of inbox house: the provider does not accept its credentials (auth: http_401)")
	})
	api.want(http.StatusNoContent, call{method: "DELETE", path: path}, nil)
	api.want(http.StatusNotFound, call{method: "POST", path: path + "/test"}, nil)
	if s := log.String(); strings.Contains(s, "AAHdqTcv") || strings.Contains(s, "wrong") {
		t.Error("the log holds a token")
	}
}

// deliveredTo gives the house a Telegram account that is delivered to, and the
// header that its deliveries carry.
func deliveredTo(t *testing.T, api packsAPI, server string) (v gateway.AccountView, signed http.Header) {
	t.Helper()
	api.want(http.StatusCreated, call{method: "PUT", path: "/v1/inboxes/house/channels/telegram", body: map[string]any{
		"settings": map[string]string{"token": botToken, "secret_token": "s3cret", "api_url": server},
	}}, &v)
	return v, http.Header{"X-Telegram-Bot-Api-Secret-Token": {"s3cret"}}
}

// Deliveries come in only under the account's own address and with its secret.
func TestAccountThatIsDeliveredTo(t *testing.T) {
	t.Parallel()
	bot := &botAPI{sent: make(chan string, 16)}
	srv, _ := inside(t, bot.ServeHTTP)
	e, api := withAccounts(t, io.Discard)
	v, right := deliveredTo(t, api, srv.URL)
	for _, c := range []struct {
		name   string
		path   string
		header http.Header
		want   int
	}{
		{"no key", "/v1/channels/telegram/house", right, http.StatusNotFound},
		{"another key", v.Path[:len(v.Path)-1] + "x", right, http.StatusNotFound},
		{"another inbox", strings.Replace(v.Path, "/house/", "/shop/", 1), right, http.StatusNotFound},
		{"no secret", v.Path, http.Header{}, http.StatusUnauthorized},
		{"right", v.Path, right, http.StatusOK},
		{"again", v.Path, right, http.StatusOK},
	} {
		if got := post(t, "http://"+e.Addr()+c.path, c.header, botUpdate(5, "when are you open")); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	if got := next(t, bot.sent); got != "77: We are open from nine to five." {
		t.Errorf("the bot sent %q", got)
	}
	if got := post(t, "http://"+e.Addr()+v.Path, right, botUpdate(6, "where can I park")); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if got := next(t, bot.sent); got != "77: There is a car park behind the house." {
		t.Errorf("the bot sent %q: the repeated delivery was answered again", got)
	}
}

func TestAccountsAreChecked(t *testing.T) {
	t.Parallel()
	_, api := withAccounts(t, io.Discard)
	put := func(kind string, settings map[string]string) call {
		return call{method: "PUT", path: "/v1/inboxes/house/channels/" + kind, body: map[string]any{"settings": settings}}
	}
	api.want(http.StatusBadRequest, put("telegram", map[string]string{"api_url": "http://x"}), nil)
	api.want(http.StatusBadRequest, put("telegram", map[string]string{"token": "1:a", "path_key": "mine"}), nil)
	api.want(http.StatusBadRequest, put("web", map[string]string{"token": "1:a"}), nil)
	api.want(http.StatusRequestEntityTooLarge, put("telegram", map[string]string{"token": strings.Repeat("x", 9<<10)}), nil)
	agent := newAPI(t, api.node, conversation.RoleAgent)
	agent.want(http.StatusForbidden, put("telegram", map[string]string{"token": "1:a"}), nil)
	agent.want(http.StatusForbidden, call{method: "GET", path: "/v1/channels"}, nil)
	var kinds struct{ Data []gateway.AccountKind }
	api.want(http.StatusOK, call{method: "GET", path: "/v1/channel_kinds"}, &kinds)
	if len(kinds.Data) == 0 || len(kinds.Data[0].Settings) == 0 {
		t.Errorf("kinds %+v", kinds)
	}
}

// Without a key nothing is stored, and with another one nothing is read.
func TestAccountsNeedTheKey(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	e, stop := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en"})
	set := call{method: "PUT", path: "/v1/inboxes/house/channels/telegram", body: map[string]any{"settings": map[string]string{"token": botToken}}}
	api := newAPI(t, e, conversation.RoleAdmin)
	api.want(http.StatusServiceUnavailable, set, nil)
	restart := func(key string) (*Engine, func() error) {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		o.Config.Channels.Key = key
		o.Registry = nil
		return serving(t, o)
	}
	e, stop = restart(channelKey)
	api.node = e
	api.want(http.StatusCreated, set, nil)
	e, _ = restart(strings.ToUpper(channelKey))
	api.node = e
	var list struct{ Data []gateway.AccountView }
	api.want(http.StatusOK, call{method: "GET", path: "/v1/channels"}, &list)
	if len(list.Data) != 1 || !strings.Contains(list.Data[0].Problem, "channels.key is not the one") {
		t.Errorf("accounts %+v", list.Data)
	}
}

// Whether a visitor can be answered is part of the conversation, and what the
// provider would refuse is refused before it is stored.
func TestReplyWindowInTheAPI(t *testing.T) {
	t.Parallel()
	e, _ := serving(t, quietOptions(t, io.Discard))
	putInbox(t, e, conversation.Inbox{ID: "desk", Name: "Desk", Lang: "en"})
	in := visitor("desk", "is anybody there")
	in.Channel, in.Peer, in.Wait = conversation.ChannelWeChat, "openid-1", 0
	first := say(t, e, in)
	api := newAPI(t, e, conversation.RoleAdmin)
	path := "/v1/conversations/" + first.Conversation.String()
	window := func() conversation.ReplyWindow {
		t.Helper()
		var v struct {
			Window conversation.ReplyWindow `json:"reply_window"`
		}
		api.want(http.StatusOK, call{method: "GET", path: path}, &v)
		if v.Window.Remaining == nil || v.Window.Until.IsZero() {
			t.Fatalf("reply_window = %+v", v.Window)
		}
		return v.Window
	}
	if w := window(); !w.CanReply || *w.Remaining != 5 {
		t.Errorf("reply_window = %+v, want five replies", w)
	}
	reply := call{method: "POST", path: path + "/messages", body: map[string]string{"text": "yes"}}
	for n := range 5 {
		if status, _ := api.do(reply, nil); status/100 != 2 {
			t.Fatalf("a reply = %d", status)
		}
		// Those that wait together would go out as one.
		eventually(t, "what became of a reply", func() bool {
			list, err := e.store.Entries(t.Context(), first.Conversation, 0, 0)
			told := 0
			for _, entry := range list {
				if _, ok := entry.Event.(conversation.MessageSent); ok {
					told++
				}
			}
			return err == nil && told > n
		})
	}
	var problem struct {
		Code string `json:"code"`
	}
	api.want(http.StatusConflict, reply, &problem)
	if problem.Code != string(conversation.CodeWindowClosed) {
		t.Errorf("the sixth reply is refused with %s, want window_closed", problem.Code)
	}
	if w := window(); w.CanReply || *w.Remaining != 0 {
		t.Errorf("reply_window = %+v, want none left", w)
	}
}

// The whole way against a server that nobody here wrote: a visitor of the
// emulator writes, the bot answers, the visitor sees it.
func TestTelegramAgainstTheEmulator(t *testing.T) {
	t.Parallel()
	cmd := channeltest.NodeCommand(t.Context(), t, "telegram.mjs", botToken)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	_, api := withAccounts(t, io.Discard)
	account := map[string]any{"settings": map[string]string{"token": botToken, "api_url": nextWithin(t, lines, 5*deadline)}} // node is slow to begin on a busy machine
	var v gateway.AccountView
	api.want(http.StatusCreated, call{method: "PUT", path: "/v1/inboxes/house/channels/telegram", body: account}, &v)
	var test gateway.AccountTest
	api.want(http.StatusOK, call{method: "POST", path: "/v1/inboxes/house/channels/telegram/test"}, &test)
	if !test.OK {
		t.Errorf("test = %+v", test)
	}
	for say, want := range map[string]string{
		"when are you open": "We are open from nine to five.", "will it rain tomorrow": "Look out of the window.",
	} {
		if _, err := fmt.Fprintf(in, "%q\n", say); err != nil {
			t.Fatal(err)
		}
		if got := next(t, lines); got != `{"chat":77,"text":"`+want+`"}` {
			t.Errorf("the visitor saw %s, want %q", got, want)
		}
	}
}

// An account that is paused neither takes nor sends, says so, stays so when it is
// changed, and goes on where it was.
func TestAccountThatIsPaused(t *testing.T) {
	t.Parallel()
	bot := &botAPI{sent: make(chan string, 16)}
	srv, _ := inside(t, bot.ServeHTTP)
	e, api := withAccounts(t, io.Discard)
	const path = "/v1/inboxes/house/channels/telegram"
	api.want(http.StatusNotFound, call{method: "POST", path: path + "/pause"}, nil)
	var v gateway.AccountView
	settings := func(more string) map[string]any {
		return map[string]any{"settings": map[string]string{"token": botToken, "api_url": srv.URL + more}}
	}
	api.want(http.StatusCreated, call{method: "PUT", path: path, body: settings("")}, &v)
	agent := newAPI(t, e, conversation.RoleAgent)
	agent.want(http.StatusForbidden, call{method: "POST", path: path + "/pause"}, nil)
	bot.push(botUpdate(0, "when are you open"))
	next(t, bot.sent)
	id, err := e.store.Current(t.Context(), conversation.ContactKey{
		Inbox: "house", Contact: e.gateway.ContactOf("house", conversation.ChannelTelegram, "77"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		api.want(http.StatusOK, call{method: "POST", path: path + "/pause"}, &v)
		if !v.Paused {
			t.Error("the account is not shown as paused")
		}
	}
	api.want(http.StatusOK, call{method: "PUT", path: path, body: settings("/")}, &v)
	if !v.Paused {
		t.Error("a change of the account has resumed it")
	}
	eventually(t, "nobody fetches", func() bool {
		c, _ := e.channels.For(conversation.ChannelTelegram, "house")
		return !c.Health().Pulling
	})
	bot.push(botUpdate(1, "where can I park"))
	if got := post(t, "http://"+e.Addr()+v.Path, http.Header{}, botUpdate(1, "where can I park")); got != http.StatusServiceUnavailable {
		t.Errorf("a delivery is answered with %d", got)
	}
	api.want(http.StatusCreated, call{method: "POST", path: "/v1/conversations/" + id.String() + "/messages", body: map[string]any{"text": "one moment"}}, nil)
	eventually(t, "the message looks whether it may go", func() bool {
		rows, _, err := e.store.Outbox(t.Context(), persistence.OutboxCursor{}, 10)
		return err == nil && len(rows) == 1
	})
	select {
	case got := <-bot.sent:
		t.Errorf("the bot sent %q while it was paused", got)
	default:
	}
	api.want(http.StatusOK, call{method: "POST", path: path + "/resume"}, &v)
	if got := next(t, bot.sent); v.Paused || got != "77: one moment" {
		t.Errorf("after it was resumed: paused %v, the bot sent %q", v.Paused, got)
	}
	eventually(t, "what was written meanwhile is there", func() bool {
		entries, err := e.store.Entries(t.Context(), id, 0, 100)
		return err == nil && slices.ContainsFunc(entries, func(e conversation.Entry) bool {
			m, ok := e.Event.(conversation.MessageAccepted)
			return ok && m.Text == "where can I park"
		})
	})
}

// A secret that a provider replaces takes the place of the old one, sealed like it,
// unless an admin has changed it meanwhile.
func TestSecretsThatAProviderReplaces(t *testing.T) {
	t.Parallel()
	e, api := withAccounts(t, io.Discard)
	settings := map[string]string{
		"address": "shop@example.com", "imap": "127.0.0.1:1", "smtp": "127.0.0.1:1", "oauth_provider": "google", "oauth_client_id": "app", "oauth_refresh_token": "refresh-0",
	}
	path := "/v1/inboxes/house/channels/email"
	api.want(http.StatusBadRequest, call{method: "PUT", path: path, body: map[string]any{"settings": map[string]string{"address": "shop@example.com", "imap": "h", "smtp": "h"}}}, nil)
	api.want(http.StatusCreated, call{method: "PUT", path: path, body: map[string]any{"settings": settings}}, nil)
	refresh := func() string {
		stored, err := e.store.Account(conversation.ChannelEmail, "house")
		if err != nil {
			t.Fatal(err)
		}
		values, err := e.accounts.values(&stored)
		if err != nil || values["oauth_client_id"] != "app" || values[pathKey] == "" || strings.Contains(string(stored.Sealed), "refresh") || stored.Settings["oauth_refresh_token"] != "" {
			t.Fatalf("the account holds %v, %v", stored.Settings, err)
		}
		return values["oauth_refresh_token"]
	}
	for _, step := range []struct{ old, now, want string }{
		{"refresh-0", "refresh-1", "refresh-1"}, {"refresh-0", "refresh-2", "refresh-1"}, {"refresh-1", "refresh-3", "refresh-3"},
	} {
		if err := e.accounts.renew(t.Context(), conversation.ChannelEmail, "house", secretChange{"oauth_refresh_token", step.old, step.now}); err != nil {
			t.Fatal(err)
		}
		if got := refresh(); got != step.want {
			t.Errorf("%s in the place of %s leaves %s, want %s", step.now, step.old, got, step.want)
		}
	}
}
