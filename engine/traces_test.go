package engine

import (
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

const callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// postTraced hands a message in at POST /webhook as a caller with a trace of its own.
func postTraced(t *testing.T, e *Engine, flags string) {
	t.Helper()
	hash := sha256.Sum256([]byte("ibx_traces"))
	_, err := e.Store().PutCredential(t.Context(), persistence.Credential{
		ID: "house", Kind: persistence.CredentialKind(gateway.CredentialInbox), Hash: hash[:], Inbox: "house", CreatedAt: time.Now().UTC(),
	})
	if err != nil {
		t.Fatal(err)
	}
	body := strings.NewReader(`{"user":"u1","text":"when are you open","id":"m1"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.Addr()+"/webhook?wait_ms=0", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ibx_traces")
	req.Header.Set("X-Inbox-Id", "house")
	req.Header.Set("Traceparent", "00-"+callersTrace+"-00f067aa0ba902b7-"+flags)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("POST /webhook = %d %s", res.StatusCode, raw)
	}
}

// The caller's trace goes on through the node and out to the callback; it is kept,
// because the caller has sampled it, and those may see it who work in the inbox.
func TestTraceOfATurn(t *testing.T) {
	t.Parallel()
	came := make(chan string, 8)
	srv, _ := inside(t, func(_ http.ResponseWriter, r *http.Request) { came <- r.Header.Get("Traceparent") })
	o := quietOptions(t, io.Discard)
	o.Config.Egress.AllowedCIDRs = []string{"127.0.0.0/8"}
	e, stop := serving(t, o)
	putInbox(t, e, conversation.Inbox{
		ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, CallbackURL: srv.URL + "/hook",
		Policy: conversation.Policy{Answers: conversation.AnswersOn},
	})
	putInbox(t, e, conversation.Inbox{ID: "other", Name: "Other", Lang: "en"})
	postTraced(t, e, "01")
	var sentAt string
	select {
	case sentAt = <-came:
	case <-time.After(deadline):
		t.Fatal("no reply was posted")
	}
	if !strings.HasPrefix(sentAt, "00-"+callersTrace+"-") || !strings.HasSuffix(sentAt, "-01") {
		t.Errorf("the callback carries %q, want the caller's trace", sentAt)
	}

	admin := e.as(t, conversation.RoleAdmin)
	var list struct {
		Data []traces.Summary `json:"data"`
	}
	eventually(t, "the trace in the list", func() bool {
		status, _ := admin.call(http.MethodGet, "/v1/traces?channel=webhook", &list)
		return status == http.StatusOK && len(list.Data) == 1
	})
	s := list.Data[0]
	if s.ID.String() != callersTrace || s.Reason != "sampled" || s.Failed || s.Inbox != "house" || len(s.Nodes) != 1 {
		t.Errorf("the list says %+v", s)
	}
	var raw string
	var rows []traces.Row
	eventually(t, "the span of the post, which ends after the callback has answered", func() bool {
		var status int
		status, raw = admin.call(http.MethodGet, "/v1/traces/"+callersTrace, nil)
		var err error
		if rows, err = traces.ReadOTLP([]byte(raw)); err != nil || status != http.StatusOK {
			t.Fatalf("the trace = %d %v %s", status, err, raw)
		}
		return strings.Contains(raw, `"channel.send"`)
	})
	parents := map[string]string{"turn": "gateway.in", "grain": "turn", "intent": "turn", "policy": "turn", "store.append": "turn", "channel.send": "turn"}
	names, seen := map[string]string{}, map[string]bool{}
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	for _, r := range rows {
		if want := parents[r.Name]; names[r.Parent] != want {
			t.Errorf("%s is below %q, want %q", r.Name, names[r.Parent], want)
		}
		if r.Name == "channel.send" && !strings.Contains(sentAt, r.ID) {
			t.Errorf("the callback carries %q, want the span %s", sentAt, r.ID)
		}
		if r.Name == "gateway.in" && r.Parent != "00f067aa0ba902b7" {
			t.Errorf("the first span is below %q, want the caller's", r.Parent)
		}
		seen[r.Name] = true // a slow turn appends twice: its message, then the rest
	}
	for name := range parents {
		if !seen[name] {
			t.Errorf("%s is missing in %s", name, raw)
		}
	}
	for path, want := range map[string]int{"": 1, "?conversation=" + s.Conversation.String(): 1, "?error=true": 0, "?min_ms=60000": 0, "?channel=web": 0} {
		if code, _ := admin.call(http.MethodGet, "/v1/traces"+path, &list); code != http.StatusOK || len(list.Data) != want {
			t.Errorf("/v1/traces%s = %d with %d traces, want %d", path, code, len(list.Data), want)
		}
	}
	if code, _ := admin.call(http.MethodGet, "/v1/traces?min_ms=x", nil); code != http.StatusBadRequest {
		t.Errorf("a bad query = %d, want 400", code)
	}
	foreign := e.as(t, conversation.RoleAgent)
	if _, err := e.Store().PutAgent(t.Context(), conversation.Agent{
		ID: "test-agent", Name: "agent", Email: "agent@example.com", Role: conversation.RoleAgent, Inboxes: []conversation.InboxID{"other"}, Version: 1,
	}); err != nil {
		t.Fatal(err)
	}
	if code, _ := foreign.call(http.MethodGet, "/v1/traces", &list); code != http.StatusOK || len(list.Data) != 0 {
		t.Errorf("an agent of another inbox gets %d traces with %d", len(list.Data), code)
	}
	if code, _ := foreign.call(http.MethodGet, "/v1/traces/"+callersTrace, nil); code != http.StatusNotFound {
		t.Errorf("an agent of another inbox asks for the trace and gets %d, want 404", code)
	}
	if code, body := fetch(t, "http://"+e.OpsAddr()+"/debug/traces/"+callersTrace); code != http.StatusOK || !strings.Contains(body, "store.append") {
		t.Errorf("the page of the trace = %d %s", code, body)
	}
	if code, _ := fetch(t, "http://"+e.Addr()+"/debug/traces"); code != http.StatusNotFound {
		t.Errorf("/debug/traces on the public listener = %d, want 404", code)
	}
	if code, _ := fetch(t, "http://"+e.Addr()+"/v1/traces"); code != http.StatusUnauthorized {
		t.Errorf("/v1/traces without a credential = %d, want 401", code)
	}

	if err := stop(); err != nil {
		t.Fatal(err)
	}
	o.Registry = nil // a new node has new metrics
	again, _ := serving(t, o)
	if code, _ := again.as(t, conversation.RoleAdmin).call(http.MethodGet, "/v1/traces/"+callersTrace, nil); code != http.StatusOK {
		t.Errorf("after a restart the trace = %d", code)
	}
}

func TestOrdinaryTurnsAreNotKept(t *testing.T) {
	t.Parallel()
	e := house(t, func(*Config) {})
	postTraced(t, e, "00")
	eventually(t, "spans in memory", func() bool { return e.flights.Counts().Recorded >= 6 })
	if n := len(e.flights.Wants()); n != 0 || len(e.traces.List(traces.Query{})) != 0 {
		t.Errorf("%d traces are wanted, want none", n)
	}
}

func TestNothingIsRecorded(t *testing.T) {
	t.Parallel()
	e := house(t, func(c *Config) { c.Tracing.Spans = 0 })
	say(t, e, visitor("house", "when are you open"))
	if code, _ := e.as(t, conversation.RoleAdmin).call(http.MethodGet, "/v1/traces", nil); code != http.StatusServiceUnavailable {
		t.Errorf("/v1/traces where nothing is recorded = %d, want 503", code)
	}
	if code, _ := fetch(t, "http://"+e.OpsAddr()+"/debug/traces"); code != http.StatusNotFound {
		t.Errorf("/debug/traces where nothing is recorded = %d, want 404", code)
	}
}

func TestTracingIsChecked(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*TracingConfig){
		"tracing.spans":           func(c *TracingConfig) { c.Spans = -1 },
		"tracing.ratio":           func(c *TracingConfig) { c.Ratio = 1.5 },
		"tracing.keep_per_second": func(c *TracingConfig) { c.KeepPerSecond = 0 },
		"tracing.keep":            func(c *TracingConfig) { c.KeepBytes = 5 },
		"tracing.otlp":            func(c *TracingConfig) { c.OTLP = "127.0.0.1:4318" },
	} {
		c := DefaultConfig()
		change(&c.Tracing)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Validate() = %v, want a word about %s", err, key)
		}
	}
}
