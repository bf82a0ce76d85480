package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

const testPassword = "correct horse battery"

// testPasswordHash costs little: the cost is in the string.
const testPasswordHash = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$0RmY0jDrLEcwFMVFoqCbC1CG5lrCnKTHZ5oqKNjMVi0"

// onGoroutines runs every test without event loops, as they are where there is no
// epoll and behind TLS: go test ./gateway -goroutines.
var onGoroutines = flag.Bool("goroutines", false, "serve every socket with goroutines of its own")

// harness is a gateway that listens on loopback.
type harness struct {
	t        *testing.T
	gw       *Gateway
	store    *memoryStore
	dir      *memoryDirectory
	presence *presenceLog
	registry *prometheus.Registry
	addr     string
	url      string
	stop     func()
}

// start runs a gateway until the test ends, and then checks that it stops.
func start(t *testing.T, change ...func(*Options)) *harness {
	t.Helper()
	h := &harness{t: t, store: newMemoryStore(), dir: newMemoryDirectory(), presence: &presenceLog{}, registry: prometheus.NewRegistry()}
	h.fill()
	o := Options{
		Conversations: h.store, Journal: h.store, Contacts: h.store, Inboxes: h.dir, Agents: h.dir, Credentials: h.dir, Secrets: h.dir,
		Presence: h.presence, Registerer: h.registry, Epoch: "e1",
		Limits: Limits{
			SweepInterval: 5 * time.Millisecond, FramesPerSecond: 10_000, AgentFramesPerSecond: 10_000,
			// Clients here answer no pings, and may have to wait for a processor.
			HelloTimeout: patience, PartTimeout: patience, PongTimeout: patience, WriteTimeout: patience, RequestTimeout: patience,
		},
		Pages: fstest.MapFS{
			"index.html":         {Data: []byte("<!doctype html><title>start</title>")},
			"assets/a-1.css":     {Data: []byte("a{}")},
			"widget.js":          {Data: []byte("export {}")},
			"sdk/index.js":       {Data: []byte("export {}")},
			"widget/index.html":  {Data: []byte("<!doctype html><title>widget</title>")},
			"console/index.html": {Data: []byte("<!doctype html><title>console</title>")},
		},
	}
	if *onGoroutines {
		o.Loops = -1
	}
	for _, c := range change {
		c(&o)
	}
	gw, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.gw, h.store.hub = gw, gw.Hub()
	go h.store.run()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr, h.url = ln.Addr().String(), "http://"+ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan error, 1)
	go func() { served <- gw.Serve(ctx, ln) }()
	go func() { ran <- gw.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		for name, c := range map[string]chan error{"Serve": served, "Run": ran} {
			select {
			case err := <-c:
				if err != nil {
					t.Errorf("%s = %v", name, err)
				}
			case <-time.After(2 * patience):
				t.Errorf("%s does not end", name)
			}
		}
		h.store.close()
	}
	t.Cleanup(h.stop)
	return h
}

// fill makes two inboxes, two agents and an admin.
func (h *harness) fill() {
	h.dir.inboxes["shop"] = conversation.Inbox{ID: "shop", Name: "Shop", Lang: "zh", Packs: []string{"faq"}, Origins: []string{"https://shop.example", "self"}, Version: 1}
	h.dir.inboxes["bank"] = conversation.Inbox{ID: "bank", Name: "Bank", Lang: "en", Channels: []conversation.ChannelKind{conversation.ChannelWeb}, Version: 1}
	for _, a := range []conversation.Agent{
		{ID: "mei", Name: "Mei", Email: "mei@example.com", Role: conversation.RoleAgent, Inboxes: []conversation.InboxID{"shop"}},
		{ID: "bob", Name: "Bob", Email: "bob@example.com", Role: conversation.RoleAgent, Inboxes: []conversation.InboxID{"bank"}},
		{ID: "ada", Name: "Ada", Email: "ada@example.com", Role: conversation.RoleAdmin},
	} {
		a.PasswordHash, a.SessionEpoch, a.Version = testPasswordHash, 1, 1
		h.dir.agents[a.ID] = a
	}
}

// as gives the harness with the test of a subtest.
func (h *harness) as(t *testing.T) *harness {
	t.Helper()
	c := *h
	c.t = t
	return &c
}

// agentToken makes a bearer token for an agent.
func (h *harness) agentToken(id conversation.AgentID) string {
	h.t.Helper()
	token, c := NewToken(CredentialAgent, time.Now())
	c.Agent = id
	if err := h.dir.PutCredential(context.Background(), c); err != nil {
		h.t.Fatal(err)
	}
	return token
}

// inboxToken makes an ingress token.
func (h *harness) inboxToken(id conversation.InboxID) (string, Credential) {
	h.t.Helper()
	token, c := NewToken(CredentialInbox, time.Now())
	c.Inbox = id
	if err := h.dir.PutCredential(context.Background(), c); err != nil {
		h.t.Fatal(err)
	}
	return token, c
}

// visitorToken makes a token of a new or given contact.
func (h *harness) visitorToken(inbox conversation.InboxID, contact conversation.ContactID) string {
	h.t.Helper()
	token, err := h.gw.IssueVisitorToken(inbox, contact, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// visitor opens a visitor's connection and says hello.
func (h *harness) visitor(contact conversation.ContactID, hello string) *rawClient {
	h.t.Helper()
	c := dialRaw(h.t, h.addr, "/v1/widget/ws", "Sec-WebSocket-Protocol: colloquy.v1, t."+h.visitorToken("shop", contact))
	c.say(hello)
	return c
}

// agent opens an agent's connection, says hello and reads the welcome.
func (h *harness) agent(id conversation.AgentID) *rawClient {
	h.t.Helper()
	c := dialRaw(h.t, h.addr, "/v1/ws")
	c.say(`{"t":"hello","v":1,"token":"` + h.agentToken(id) + `"}`)
	c.expect("welcome")
	return c
}

const hello = `{"t":"hello","v":1}`

// call is one HTTP request of a test.
type call struct {
	method, path, body string
	headers            map[string]string
	cookies            []*http.Cookie
}

// answered is what came back.
type answered struct {
	status  int
	header  http.Header
	body    []byte
	cookies []*http.Cookie
}

func (a answered) json(t *testing.T) message {
	t.Helper()
	m := message{}
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
	return m
}

func (h *harness) do(c call) answered {
	h.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), c.method, h.url+c.path, strings.NewReader(c.body))
	if err != nil {
		h.t.Fatal(err)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range c.headers {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	for _, k := range c.cookies {
		req.AddCookie(k)
	}
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answered{status: resp.StatusCode, header: resp.Header, body: body, cookies: resp.Cookies()}
}

func bearerOf(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// want checks the status and, for problems, the code.
func (h *harness) want(a answered, status int, code conversation.Code) {
	h.t.Helper()
	if a.status != status {
		h.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if code == "" {
		return
	}
	if got := a.json(h.t).str("code"); got != string(code) {
		h.t.Fatalf("code %q, want %q: %s", got, code, a.body)
	}
	if a.header.Get("Content-Type") != "application/problem+json" || !bytes.Contains(a.body, []byte(`"request_id":"`)) {
		h.t.Fatalf("not a problem with a request id: %v %s", a.header, a.body)
	}
}

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}
