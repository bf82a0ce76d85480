package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	testPassword = "for this test only"
	testToken    = "ibx_for_this_test_only"
)

// The demo is started once; what is tried on it is apart from each other.
func TestDemo(t *testing.T) { //nolint:tparallel // what is tried shares the node
	t.Parallel()
	d := serveProgram(t, []string{"COLLOQUY_DEMO_PASSWORD=" + testPassword, "COLLOQUY_DEMO_TOKEN=" + testToken},
		"--demo", "--data-dir", filepath.Join(t.TempDir(), "data"), "--set", grace)
	t.Run("front page", func(t *testing.T) { demoPages(t, d) })
	t.Run("readme", func(t *testing.T) { readmeCommand(t, d) })
	t.Run("unified entrance", func(t *testing.T) { unifiedEntrance(t, d) })
	t.Run("same message fifty times", func(t *testing.T) { fiftyTimes(t, d) })
	t.Run("no credential", func(t *testing.T) { noCredential(t, d) })
	t.Run("visitor and agent", func(t *testing.T) { visitorAndAgent(t, d) })
	t.Run("healthcheck", func(t *testing.T) {
		out, code := runProgram(t, "healthcheck", "--address", strings.TrimPrefix(d.ops, "http://"))
		if code != exitOK || !strings.Contains(out, "ready") {
			t.Errorf("healthcheck: %d\n%s", code, out)
		}
	})
	b := openBrowser(t, d)
	b.waitFor(t, "welcome", func(f *lab.Frame) bool { return f.T == "welcome" })
	if code := d.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit status after SIGTERM = %d:\n%s", code, d.log)
	}
	b.waitFor(t, "the word to come back before the node went down", func(f *lab.Frame) bool { return f.T == "reconnect" })
	for _, secret := range []string{testPassword, testToken, "订单"} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func demoPages(t *testing.T, d *served) {
	t.Helper()
	printed := d.stdout.String()
	for _, want := range []string{d.addr + "/demo", d.addr + "/agent", demoEmail, testPassword, testToken, d.ops + "/metrics"} {
		if !strings.Contains(printed, want) {
			t.Errorf("the demo does not print %s:\n%s", want, printed)
		}
	}
	for _, path := range []string{"/demo", "/agent", "/widget.js"} {
		if r := send(t, "GET", d.addr+path, ""); r.status != http.StatusOK || r.body == "" {
			t.Errorf("%s = %d", path, r.status)
		}
	}
	if r := send(t, "GET", d.ops+"/metrics", ""); !strings.Contains(r.body, `colloquy_build_info{goversion="go1.`) || !strings.Contains(r.body, `version="1.2.3-test"`) {
		t.Errorf("/metrics does not say what is running")
	}
}

// The command that the README shows, and the one that the demo prints, work as
// they stand: curl sends what is quoted, as a form unless a header says
// otherwise.
func readmeCommand(t *testing.T, d *served) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?s)curl (-X POST \S+/webhook.*?-d '[^']*')`)
	for name, text := range map[string]string{
		"README": strings.NewReplacer("http://127.0.0.1:8080", d.addr, "ibx_…", testToken).Replace(string(raw)),
		"demo":   d.stdout.String(),
	} {
		line := command.FindString(text)
		body := regexp.MustCompile("-d '([^']*)'").FindStringSubmatch(line)
		if body == nil {
			t.Errorf("%s shows no command for the webhook", name)
			continue
		}
		headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
		for _, h := range regexp.MustCompile("-H '([^:]*): ([^']*)'").FindAllStringSubmatch(line, -1) {
			headers = append(headers, h[1], h[2])
		}
		// On a busy machine the reply may come after the four seconds that are waited for it.
		eventually(t, name+": "+line+" gives a reply", func() bool {
			r := send(t, "POST", regexp.MustCompile(`http://\S+`).FindString(line), body[1], headers...)
			var got received
			r.into(t, &got)
			if r.status == http.StatusAccepted {
				return false
			}
			if r.status != http.StatusOK || got.Reply == nil || !strings.Contains(got.Reply.Text, "2023") {
				t.Fatalf("%s: %s\nanswers %d %s", name, line, r.status, r.body)
			}
			return true
		})
	}
}

func hook(t *testing.T, d *served, body string, headers ...string) *reply {
	t.Helper()
	return send(t, "POST", d.addr+webhookPath, body, append([]string{"Authorization", "Bearer " + testToken}, headers...)...)
}

// An order is looked up in the demo shop's API; every provider's name is taken.
func unifiedEntrance(t *testing.T, d *served) {
	t.Helper()
	for _, channel := range []string{"wechat", "email", "webhook", ""} {
		r := hook(t, d, `{"user":"uid123","text":"订单2023什么时候发货？","metadata":{}}`, "X-Channel-Type", channel).is(t, http.StatusOK)
		var got received
		r.into(t, &got)
		if !strings.HasPrefix(got.Conversation, "cnv_") || !strings.HasPrefix(got.MessageID, "msg_") || got.Seq == 0 || got.Reply == nil {
			t.Fatalf("channel %q: %s", channel, r.body)
		}
		if text := got.Reply.Text; !strings.Contains(text, "2023") || !strings.Contains(text, "正在配货") {
			t.Errorf("channel %q: the reply %q does not come from the shop", channel, text)
		}
	}
	hook(t, d, `{"user":"u","text":"hi"}`, "X-Channel-Type", "pigeon").is(t, http.StatusBadRequest)
	hook(t, d, `{"user":"u"}`).is(t, http.StatusBadRequest)
	hook(t, d, `{"user":"u","text":`).is(t, http.StatusBadRequest)
	hook(t, d, strings.Repeat(" ", 1<<20)).is(t, http.StatusRequestEntityTooLarge)
}

// A provider that delivers one message fifty times at once gets one answer.
func fiftyTimes(t *testing.T, d *served) {
	t.Helper()
	body := `{"user":"impatient","id":"m-1","text":"运费怎么算","metadata":{"n":1}}`
	answers := make([]*reply, 50)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			r, err := trySend(t, "POST", d.addr+webhookPath, body, "Authorization", "Bearer "+testToken, "X-Channel-Type", "wechat")
			if err != nil {
				t.Error(err)
				r = &reply{}
			}
			answers[i] = r
		})
	}
	all.Wait()
	originals := 0
	for _, a := range answers {
		if a.status != http.StatusOK || a.body != answers[0].body {
			t.Errorf("%d %s\nwant what the first got:\n%s", a.status, a.body, answers[0].body)
		}
		if a.header.Get("Idempotency-Replayed") == "" {
			originals++
		}
	}
	if originals != 1 {
		t.Errorf("%d answers say that they are the original, want one", originals)
	}
	var got received
	answers[0].into(t, &got)
	messages := demoLogin(t, d).messages(t, got.Conversation)
	if len(messages) != 2 || messages[0].From != "visitor" || messages[1].From != "bot" {
		t.Errorf("stored: %+v, want one message and one reply", messages)
	}
}

// Without a credential there is a problem document, and nothing is stored.
func noCredential(t *testing.T, d *served) {
	t.Helper()
	agent := demoLogin(t, d)
	before := agent.do(t, "GET", "/v1/conversations?limit=200", "").is(t, http.StatusOK).body
	body := `{"user":"stranger","text":"hello","metadata":{}}`
	for _, headers := range [][]string{
		{},
		{"Authorization", "Bearer ibx_wrong"},
		{"Authorization", "Basic eDp5"},
		{"Authorization", "Bearer"},
		{"X-Hub-Signature-256", "sha256=00", "X-Inbox-Id", "demo-shop"},
		{"X-Hub-Signature-256", "sha256=" + strings.Repeat("0", 64), "X-Inbox-Id", "demo-shop"},
	} {
		r := send(t, "POST", d.addr+"/webhook", body, headers...)
		var problem struct{ Type, Title, Code string }
		r.into(t, &problem)
		if r.status != http.StatusUnauthorized || r.header.Get("Content-Type") != "application/problem+json" || problem.Code == "" || problem.Title == "" {
			t.Errorf("%v: %d %s %s", headers, r.status, r.header.Get("Content-Type"), r.body)
		}
	}
	if after := agent.do(t, "GET", "/v1/conversations?limit=200", "").body; after != before {
		t.Errorf("something was stored:\n%s\nbefore:\n%s", after, before)
	}
}

func demoLogin(t *testing.T, d *served) *staff {
	t.Helper()
	login := fmt.Sprintf(`{"email":%q,"password":%q}`, demoEmail, testPassword)
	return signedIn(t, d.addr, send(t, "POST", d.addr+"/v1/auth/login", login).is(t, http.StatusOK))
}

// shown is a message as REST and events show it.
type shown struct {
	Seq  conversation.Seq `json:"seq"`
	From string           `json:"from"`
	Text string           `json:"text"`
	Note bool             `json:"note"`
	Name string           `json:"name"`
}

func (a *staff) messages(t *testing.T, id string) []shown {
	t.Helper()
	var list struct{ Data []shown }
	a.do(t, "GET", "/v1/conversations/"+id+"/messages", "").is(t, http.StatusOK).into(t, &list)
	return list.Data
}

// browser is a visitor's page with an open socket.
type browser struct {
	*lab.Link
	token string
	mu    struct {
		sync.Mutex
		frames []lab.Frame
	}
}

func openBrowser(t *testing.T, d *served) *browser {
	t.Helper()
	token, err := lab.VisitorToken(t.Context(), strings.TrimPrefix(d.addr, "http://"), demoShop)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{token: token}
	b.Link, err = lab.Dial(t.Context(), lab.Hello{Addr: strings.TrimPrefix(d.addr, "http://"), Path: lab.VisitorPath, Token: token}, func(f *lab.Frame) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mu.frames = append(b.mu.frames, *f)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (b *browser) has(fits func(*lab.Frame) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.mu.frames {
		if fits(&b.mu.frames[i]) {
			return true
		}
	}
	return false
}

func (b *browser) waitFor(t *testing.T, what string, fits func(*lab.Frame) bool) {
	t.Helper()
	eventually(t, what, func() bool { return b.has(fits) })
}

// A visitor asks for a person and gets one; the agent's note stays inside.
func visitorAndAgent(t *testing.T, d *served) {
	t.Helper()
	const note = "angry, be careful"
	b := openBrowser(t, d)
	b.waitFor(t, "welcome", func(f *lab.Frame) bool { return f.T == "welcome" })
	if err := b.Send(map[string]any{"t": "message.send", "client_id": "c-1", "text": "转人工客服"}); err != nil {
		t.Fatal(err)
	}
	var id string
	b.waitFor(t, "the ack", func(f *lab.Frame) bool {
		id = f.ID
		return f.T == "ack" && f.ClientID == "c-1" && f.Durable && !f.Duplicate
	})
	if err := b.Send(map[string]any{"t": "message.send", "client_id": "c-1", "text": "转人工客服"}); err != nil {
		t.Fatal(err)
	}
	b.waitFor(t, "the ack of the repetition", func(f *lab.Frame) bool { return f.T == "ack" && f.Duplicate && f.ID == id })

	send(t, "GET", d.addr+"/v1/conversations", "").is(t, http.StatusUnauthorized)
	send(t, "POST", d.addr+"/v1/auth/login", fmt.Sprintf(`{"email":%q,"password":"guessed"}`, demoEmail)).is(t, http.StatusUnauthorized)
	agent := demoLogin(t, d)
	var list struct {
		Data []struct{ ID, Status, Queue string }
	}
	eventually(t, "the conversation waits for an agent", func() bool {
		agent.do(t, "GET", "/v1/conversations?status=open&queue=queued&inbox_id=demo-shop", "").is(t, http.StatusOK).into(t, &list)
		for _, c := range list.Data {
			if c.ID == id {
				return true
			}
		}
		return false
	})
	at := "/v1/conversations/" + id
	// Another site can make the browser send the cookie, and gains nothing.
	send(t, "POST", d.addr+at+"/claim", "", "Cookie", agent.cookie).is(t, http.StatusForbidden)
	send(t, "POST", d.addr+at+"/claim", "", "Cookie", agent.cookie, "X-Colloquy-CSRF", "1", "Origin", "https://evil.example").is(t, http.StatusForbidden)
	agent.do(t, "POST", at+"/claim", "").is(t, http.StatusOK)
	agent.do(t, "POST", at+"/notes", fmt.Sprintf(`{"text":%q,"client_id":"n-1"}`, note)).is(t, http.StatusCreated)
	agent.do(t, "POST", at+"/messages", `{"text":"您好，我来帮您","client_id":"a-1"}`).is(t, http.StatusCreated)
	b.waitFor(t, "the agent's reply", func(f *lab.Frame) bool {
		return f.Data.Text == "您好，我来帮您" && f.Data.From == conversation.PartyAgent
	})
	if b.has(func(f *lab.Frame) bool { return strings.Contains(f.Data.Text, note) }) {
		t.Error("the visitor's socket was shown the note")
	}
	agent.do(t, "POST", at+"/resolve", `{"reason":"done"}`).is(t, http.StatusOK)
	b.waitFor(t, "the end", func(f *lab.Frame) bool { return f.T == "event" && f.Kind == (conversation.StatusChanged{}).Kind() })

	checkNoteStaysInside(t, agent, b, id, note)
	other := openBrowser(t, d)
	for _, path := range []string{"/v1/widget/conversations/current/messages", "/v1/widget/conversations/current"} {
		if r := send(t, "GET", d.addr+path, "", "Authorization", "Bearer "+other.token); strings.Contains(r.body, id) {
			t.Errorf("another visitor sees the conversation: %s", r.body)
		}
	}
	send(t, "GET", d.addr+at, "", "Authorization", "Bearer "+b.token).is(t, http.StatusUnauthorized)
}

func checkNoteStaysInside(t *testing.T, agent *staff, b *browser, id, note string) {
	t.Helper()
	inside := false
	for _, m := range agent.messages(t, id) {
		inside = inside || m.Note && m.Text == note
	}
	if !inside {
		t.Error("the agents do not see the note")
	}
	outside := send(t, "GET", agent.at+"/v1/widget/conversations/current/messages", "", "Authorization", "Bearer "+b.token).is(t, http.StatusOK).body
	if strings.Contains(outside, note) || !strings.Contains(outside, "我来帮您") || strings.Contains(outside, "confidence") {
		t.Errorf("the visitor reads %s", outside)
	}
	again := &browser{token: b.token}
	var err error
	resume := map[string]any{"cursors": map[string]int{id: 0}}
	again.Link, err = lab.Dial(t.Context(), lab.Hello{Addr: strings.TrimPrefix(agent.at, "http://"), Path: lab.VisitorPath, Token: b.token, Resume: resume}, func(f *lab.Frame) {
		again.mu.Lock()
		defer again.mu.Unlock()
		again.mu.frames = append(again.mu.frames, *f)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	again.waitFor(t, "everything again", func(f *lab.Frame) bool { return f.T == "resumed" && f.Complete })
	if !again.has(func(f *lab.Frame) bool { return f.Data.Text == "您好，我来帮您" }) {
		t.Error("resuming from the beginning does not show the agent's reply")
	}
	if again.has(func(f *lab.Frame) bool { return strings.Contains(f.Data.Text, note) }) {
		t.Error("resuming shows the note")
	}
}
