package gateway

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

func (h *harness) get(token, path string) answered {
	h.t.Helper()
	return h.do(call{method: "GET", path: path, headers: bearerOf(token)})
}

func (h *harness) post(token, path, body string) answered {
	h.t.Helper()
	return h.do(call{method: "POST", path: path, body: body, headers: bearerOf(token)})
}

// rowOf is an object out of a list.
func rowOf(t *testing.T, v any) message {
	t.Helper()
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%v is no object", v)
	}
	return m
}

func TestListConversations(t *testing.T) {
	t.Parallel()
	h := start(t)
	for i := range 7 {
		h.store.start("shop", conversation.ContactID{1, byte(i)})
	}
	mine := h.store.start("shop", conversation.ContactID{2})
	h.store.append(mine, conversation.AgentAssigned{Agent: "mei"})
	h.store.start("bank", conversation.ContactID{3})
	mei, ada := h.agentToken("mei"), h.agentToken("ada")
	count := func(token, query string) int {
		t.Helper()
		a := h.get(token, "/v1/conversations"+query)
		h.want(a, 200, "")
		list, _ := a.json(t).at("data").([]any)
		return len(list)
	}
	for query, want := range map[string]int{
		"": 8, "?status=open": 1, "?status=pending,open": 8, "?status=closed": 0, "?assignee_id=me": 1, "?assignee_id=mei": 1, "?assignee_id=none": 7,
		"?assignee_id=ada": 0, "?queue=assigned": 1, "?queue=queued": 0, "?inbox_id=shop": 8, "?limit=3": 3,
	} {
		if got := count(mei, query); got != want {
			t.Errorf("mei %q = %d rows, want %d", query, got, want)
		}
	}
	if got := count(ada, ""); got != 9 {
		t.Errorf("ada sees %d rows, want 9", got)
	}
	// Pages of a filter put together are the whole, each row once.
	seen := make(map[string]bool)
	for cursor, pages := "", 0; ; pages++ {
		m := h.get(ada, "/v1/conversations?assignee_id=none&limit=2&cursor="+cursor).json(t)
		list, _ := m.at("data").([]any)
		for _, row := range list {
			id := rowOf(t, row).str("id")
			if seen[id] {
				t.Errorf("%s came twice", id)
			}
			seen[id] = true
		}
		if cursor = m.str("meta", "next_cursor"); cursor == "" || pages > 20 {
			break
		}
	}
	if len(seen) != 8 {
		t.Errorf("the pages hold %d rows, want 8", len(seen))
	}
	h.want(h.get(mei, "/v1/conversations?inbox_id=bank"), 404, conversation.CodeNotFound)
	h.want(h.get(mei, "/v1/conversations?inbox_id=nowhere"), 404, conversation.CodeNotFound)
	for _, bad := range []string{"?status=x", "?limit=0", "?limit=1000", "?limit=x", "?queue=x", "?assignee_id=../x", "?cursor=" + strings.Repeat("x", 600)} {
		a := h.get(mei, "/v1/conversations"+bad)
		if a.status != 400 {
			t.Errorf("%.30s = %d, want 400", bad, a.status)
		}
	}
}

// TestForeignIsUnknown: what an agent may not see answers like what is not
// there, on every route.
func TestForeignIsUnknown(t *testing.T) {
	t.Parallel()
	h := start(t)
	foreign, unknown := h.store.start("bank", conversation.ContactID{1}), conversation.ConversationID{0xee}
	mei := h.agentToken("mei")
	for _, rt := range table() {
		if !strings.Contains(rt.path, "{id}") {
			continue
		}
		var bodies []string
		for _, id := range []conversation.ConversationID{foreign, unknown} {
			c := call{method: rt.method, path: strings.Replace(rt.path, "{id}", id.String(), 1), headers: bearerOf(mei)}
			c.headers["X-Request-Id"] = "same"
			if rt.method != http.MethodGet {
				c.body = `{"text":"x","tags":[],"priority":"high","to":"mei"}`
			}
			a, want := h.do(c), 404
			if rt.access == accessAdmin {
				want = 403 // and nobody looks whether it is there
			}
			if a.status != want {
				t.Errorf("%s %s = %d %s, want %d", rt.method, rt.path, a.status, a.body, want)
			}
			bodies = append(bodies, string(a.body))
		}
		if bodies[0] != bodies[1] {
			t.Errorf("%s %s: %s and %s", rt.method, rt.path, bodies[0], bodies[1])
		}
	}
	if len(h.store.commands) != 0 {
		t.Error("a refused command was carried out")
	}
	h.want(h.get(mei, "/v1/conversations/rubbish"), 400, conversation.CodeBadID)
}

func TestCommands(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	path := "/v1/conversations/" + id.String()
	mei := h.agentToken("mei")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	tests := []struct {
		method, path, body string
		want               conversation.Command
	}{
		{"POST", "/claim", "", conversation.Claim{Agent: "mei"}},
		{"POST", "/assign", `{"to":"ada"}`, conversation.Assign{To: "ada", By: "mei"}},
		{"POST", "/unassign", `{"reason":"break"}`, conversation.Unassign{By: "mei", Reason: "break"}},
		{"POST", "/resolve", `{"reason":"done"}`, conversation.Resolve{By: "mei", Reason: "done"}},
		{"POST", "/reopen", "", conversation.Reopen{By: "mei"}},
		{"POST", "/close", `{}`, conversation.Close{By: "mei"}},
		{"POST", "/snooze", fmt.Sprintf(`{"until":%q}`, until.Format(time.RFC3339)), conversation.Snooze{By: "mei", Until: until}},
		{"POST", "/snooze", "", conversation.Snooze{By: "mei"}},
		{"POST", "/wake", "", conversation.Wake{By: "mei"}},
		{"POST", "/handover", `{"detail":"d"}`, conversation.RequestHandover{Reason: conversation.HandoverByAgent, Detail: "d", By: "mei"}},
		{"POST", "/return_to_bot", "", conversation.ReturnToBot{By: "mei"}},
		{"POST", "/read", `{"seq":1}`, conversation.MarkRead{By: conversation.PartyAgent, Agent: "mei", UpTo: 1}},
		{"PUT", "/tags", `{"tags":["a","b"]}`, conversation.ChangeTags{By: "mei", Add: []string{"a", "b"}, Remove: nil}},
		{"PUT", "/tags", `{"tags":["b","c"]}`, conversation.ChangeTags{By: "mei", Add: []string{"c"}, Remove: []string{"a"}}},
		{"PATCH", "/priority", `{"priority":"high"}`, conversation.ChangePriority{By: "mei", To: conversation.PriorityHigh}},
		{"POST", "/messages", `{"text":"hi","client_id":"c1"}`, conversation.ReplyAsAgent{Agent: "mei", Ref: "c1", Text: "hi"}},
		{"POST", "/notes", `{"text":"n"}`, conversation.AddNote{Agent: "mei", Text: "n"}},
	}
	h.changeAgent("ada", func(a *conversation.Agent) { a.Inboxes = nil })
	for _, tc := range tests {
		a := h.do(call{method: tc.method, path: path + tc.path, body: tc.body, headers: bearerOf(mei)})
		if a.status != 200 && a.status != 201 {
			t.Fatalf("%s = %d %s", tc.path, a.status, a.body)
		}
		if got := h.store.commands[len(h.store.commands)-1]; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tc.want) {
			t.Errorf("%s = %+v, want %+v", tc.path, got, tc.want)
		}
	}
	done := len(h.store.commands)
	for _, tc := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/assign", `{"to":"bob"}`, 404},
		{"POST", "/assign", `{"to":"nobody"}`, 404},
		{"POST", "/assign", `{}`, 400},
		{"POST", "/claim", `{"agent":"bob"}`, 400},
		{"POST", "/snooze", `{"until":"2020-01-01T00:00:00Z"}`, 400},
		{"POST", "/snooze", `{"until":"soon"}`, 400},
		{"POST", "/resolve", `{"reason":"` + strings.Repeat("x", 300) + `"}`, 413},
		{"PUT", "/tags", `{"tags":[""]}`, 400},
		{"PUT", "/tags", `{"tags":["` + strings.Repeat("x", 65) + `"]}`, 400},
		{"PATCH", "/priority", `{"priority":"asap"}`, 400},
		{"PATCH", "/priority", `{}`, 400},
		{"POST", "/messages", `{"text":""}`, 400},
		{"POST", "/messages", `{"text":"x","sender_type":"bot"}`, 400},
		{"POST", "/messages", `{"text":"x","seq":1}`, 400},
	} {
		if a := h.do(call{method: tc.method, path: path + tc.path, body: tc.body, headers: bearerOf(mei)}); a.status != tc.status {
			t.Errorf("%s %.40s = %d, want %d: %s", tc.path, tc.body, a.status, tc.status, a.body)
		}
	}
	if len(h.store.commands) != done {
		t.Error("a refused command was carried out")
	}
}

func TestPostingTwice(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	c := call{method: "POST", path: "/v1/conversations/" + id.String() + "/messages", body: `{"text":"hi"}`, headers: bearerOf(h.agentToken("mei"))}
	c.headers["Idempotency-Key"] = `"key-1"`
	first, second := h.do(c), h.do(c)
	h.want(first, 201, "")
	if !bytes.Equal(first.body, second.body) || second.header.Get(headerReplayed) != "true" || first.header.Get(headerReplayed) != "" {
		t.Errorf("%s %v, then %s %v", first.body, first.header, second.body, second.header)
	}
	c.headers["Idempotency-Key"] = strings.Repeat("k", 200)
	h.want(h.do(c), 400, conversation.CodeBadRef)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	path := "/v1/conversations/" + id.String()
	mei := h.agentToken("mei")
	tag := h.get(mei, path).header.Get("ETag")
	if tag != `"1"` {
		t.Fatalf("ETag %q", tag)
	}
	headers := bearerOf(mei)
	headers["If-None-Match"] = tag
	if a := h.do(call{method: "GET", path: path, headers: headers}); a.status != 304 {
		t.Errorf("GET with the tag = %d, want 304", a.status)
	}
	headers = bearerOf(mei)
	headers["If-Match"] = tag
	h.want(h.do(call{method: "POST", path: path + "/claim", headers: headers}), 200, "")
	h.want(h.do(call{method: "POST", path: path + "/resolve", headers: headers}), 412, conversation.CodeVersionMismatch)
}

// TestMessagePages pages through a long conversation both ways and finds every
// message once, for both sides.
func TestMessagePages(t *testing.T) { //nolint:tparallel // the subtests share one gateway
	t.Parallel()
	h := start(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	for i := range 300 {
		h.store.append(id, conversation.MessageAccepted{Text: conversation.Text(fmt.Sprint("q", i)), Metadata: map[string]string{"page": "secret"}}, conversation.TurnCompleted{Intent: "secret"})
		if i%3 == 0 {
			h.store.append(id, conversation.NoteAdded{Agent: "mei", Text: "secret"})
		}
	}
	sides := map[string]struct {
		path, token string
		want        int
	}{
		"agent":   {"/v1/conversations/" + id.String() + "/messages", h.agentToken("mei"), 400},
		"visitor": {"/v1/widget/conversations/current/messages", h.visitorToken("shop", me), 300},
	}
	for name, s := range sides {
		t.Run(name, func(t *testing.T) {
			for _, dir := range []string{"before_seq", "after_seq"} {
				seen := make(map[int]bool)
				query := "?limit=37"
				if dir == "after_seq" {
					query += "&after_seq=0"
				}
				for range 20 {
					a := h.get(s.token, s.path+query)
					h.as(t).want(a, 200, "")
					if name == "visitor" && bytes.Contains(a.body, []byte("secret")) {
						t.Fatalf("a visitor reads %s", a.body)
					}
					m := a.json(t)
					list, _ := m.at("data").([]any)
					last := 0
					for _, row := range list {
						seq := rowOf(t, row).num("seq")
						if seen[seq] || seq <= last {
							t.Fatalf("%s: seq %d after %d", dir, seq, last)
						}
						seen[seq], last = true, seq
					}
					if m.at("meta", "has_more") != true {
						break
					}
					next := rowOf(t, list[0]).num("seq")
					if dir == "after_seq" {
						next = last
					}
					query = fmt.Sprintf("?limit=37&%s=%d", dir, next)
				}
				if len(seen) != s.want {
					t.Errorf("%s finds %d messages, want %d", dir, len(seen), s.want)
				}
			}
		})
	}
	for _, bad := range []string{"?after_seq=1&before_seq=2", "?after_seq=x", "?before_seq=-1"} {
		h.want(h.get(h.agentToken("mei"), sides["agent"].path+bad), 400, "")
	}
	a := h.get(h.agentToken("mei"), "/v1/conversations/"+id.String()+"/events?limit=2")
	if m := a.json(t); m.at("meta", "has_more") != true || !bytes.Contains(a.body, []byte("conversation.started")) {
		t.Errorf("events %s", a.body)
	}
}

func TestInboxes(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada, mei := h.agentToken("ada"), h.agentToken("mei")
	h.want(h.post(ada, "/v1/inboxes", `{"id":"new","name":"New","lang":"en","origins":["https://new.example"],"variables":{"a":"1"}}`), 201, "")
	h.want(h.post(ada, "/v1/inboxes", `{"id":"new"}`), 409, conversation.CodeConflict)
	for _, bad := range []string{
		`{"id":"../x"}`, `{"id":"x","lang":"fr"}`, `{"id":"x","channels":["pigeon"]}`, `{"id":"x","origins":["*"]}`, `{"id":"x","origins":["https://*.example"]}`,
		`{"id":"x","origins":["https://a.example/"]}`, `{"id":"x","callback_url":"file:///etc/passwd"}`, `{"id":"x","callback_url":"http://u:p@h/"}`,
		`{"id":"x","policy":{"auto":2}}`, `{"id":"x","policy":{"anger":"explode"}}`, `{"id":"x","policy":{"anomalies":{"loop":"explode"}}}`, `{"id":"x","policy":{"anomalies":{"answer_within_seconds":-1}}}`, `{"id":"x","policy":{"anger_priority":"soon"}}`, `{"id":"x","name":"a\u0007"}`, `{"id":"x","secret":"y"}`,
	} {
		if a := h.post(ada, "/v1/inboxes", bad); a.status != 400 {
			t.Errorf("%s = %d, want 400", bad, a.status)
		}
	}
	patch := func(body string, headers map[string]string) answered {
		c := call{method: "PATCH", path: "/v1/inboxes/new", body: body, headers: bearerOf(ada)}
		maps.Copy(c.headers, headers)
		return h.do(c)
	}
	before, _ := h.dir.Inbox("new")
	m := patch(`{"name":"Newer","variables":{"b":"2"},"version":77}`, nil).json(t)
	if m.str("name") != "Newer" || m.at("variables", "a") != nil || m.str("variables", "b") != "2" || m.str("lang") != "en" || m.num("version") != 2 {
		t.Errorf("patched %v", m)
	}
	m = patch(`{"policy":{"anomalies":{"loop":"handover","answer_within_seconds":60}}}`, nil).json(t)
	if m.str("policy", "anomalies", "loop") != "handover" {
		t.Errorf("anomalies: %v", m)
	}
	m = patch(`{"policy":{"anger":"handover","anger_priority":"urgent"}}`, nil).json(t)
	if m.str("policy", "anger") != "handover" || m.str("policy", "anger_priority") != "urgent" {
		t.Errorf("patched %v", m)
	}
	if before.Vars["a"] != "1" || len(before.Vars) != 1 {
		t.Error("the patch wrote into the directory's own map")
	}
	h.want(patch(`{"name":"x"}`, map[string]string{"If-Match": `"1"`}), 412, conversation.CodeVersionMismatch)
	h.want(patch(`{"id":"other"}`, nil), 400, conversation.CodeInvalid)
	h.want(h.get(mei, "/v1/inboxes/new"), 404, conversation.CodeNotFound)
	if a := h.get(mei, "/v1/inboxes"); bytes.Contains(a.body, []byte("bank")) || !bytes.Contains(a.body, []byte("shop")) {
		t.Errorf("mei sees %s", a.body)
	}
}

func TestAgents(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.agentToken("ada")
	a := h.post(ada, "/v1/agents", `{"name":"Li","email":"Li.Na@example.com","password":"a long password","inboxes":["shop"],"capacity":3}`)
	h.want(a, 201, "")
	if m := a.json(t); m.str("id") != "li-na" || m.str("role") != "agent" || m.num("capacity") != 3 || bytes.Contains(a.body, []byte("argon2")) {
		t.Errorf("made %s", a.body)
	}
	for body, status := range map[string]int{
		`{"name":"Li","email":"li.na@example.com","password":"a long password"}`:                   409,
		`{"id":"mei","name":"Li","email":"x@example.com","password":"a long password"}`:            409,
		`{"name":"Li","email":"not an address","password":"a long password"}`:                      400,
		`{"name":"Li","email":"Li <x@example.com>","password":"a long password"}`:                  400,
		`{"name":"Li","email":"x@example.com","password":"short"}`:                                 400,
		`{"name":"Li","email":"x@example.com"}`:                                                    400,
		`{"name":"Li","email":"x@example.com","password":"a long password","role":"owner"}`:        400,
		`{"name":"Li","email":"x@example.com","password":"a long password","inboxes":["nowhere"]}`: 400,
		`{"name":"Li","email":"x@example.com","password":"a long password","password_hash":"x"}`:   400,
		`{"name":"Li","email":"x@example.com","password":"a long password","capacity":-1}`:         400,
	} {
		if a := h.post(ada, "/v1/agents", body); a.status != status {
			t.Errorf("%s = %d, want %d", body, a.status, status)
		}
	}
	patch := func(id, body string) answered {
		return h.do(call{method: "PATCH", path: "/v1/agents/" + id, body: body, headers: bearerOf(ada)})
	}
	h.want(patch("ada", `{"role":"agent"}`), 409, conversation.CodeConflict)
	h.want(patch("ada", `{"disabled":true}`), 409, conversation.CodeConflict)
	h.want(patch("mei", `{"role":"admin"}`), 200, "")
	h.want(patch("mei", `{"email":"bob@example.com"}`), 409, conversation.CodeConflict)
	h.want(patch("mei", `{"id":"eve"}`), 400, conversation.CodeInvalid)
	h.want(patch("nobody", `{}`), 404, conversation.CodeNotFound)
	h.want(patch("ada", `{"role":"agent"}`), 200, "")
	if a := h.get(h.agentToken("mei"), "/v1/agents"); bytes.Contains(a.body, []byte("argon2")) || bytes.Contains(a.body, []byte("epoch")) {
		t.Errorf("the list of agents says too much: %s", a.body)
	}
}

type packsThatAnswer struct{}

func (packsThatAnswer) Predict(_ context.Context, u *conversation.Utterance, p *conversation.Prediction) error {
	p.Candidates = []conversation.Candidate{{Intent: "order", Confidence: 0.8}}
	p.Model, p.Nearest = strings.Join(u.Packs, "+"), "where is my order"
	return nil
}
func (packsThatAnswer) Packs() []PackInfo { return []PackInfo{{Name: "faq", Version: "v1"}} }
func (packsThatAnswer) Reload(context.Context) (PackReport, error) {
	return PackReport{Failed: []string{"faq/intents.yaml:3: no questions"}}, conversation.Refuse(conversation.CodeInvalid, "one pack is broken")
}

func TestPacks(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Packs = packsThatAnswer{} })
	mei, ada := h.agentToken("mei"), h.agentToken("ada")
	if m := h.post(mei, "/v1/intents/predict", `{"text":"x","inbox_id":"shop"}`).json(t); m.str("model") != "faq" || m.str("nearest") == "" {
		t.Errorf("prediction %v", m)
	}
	h.want(h.post(mei, "/v1/intents/predict", `{"text":"x","inbox_id":"bank"}`), 404, "")
	h.want(h.post(mei, "/v1/intents/predict", `{"text":""}`), 400, conversation.CodeEmptyText)
	h.want(h.post(mei, "/v1/intents/predict", `{"text":"x","packs":["nowhere"]}`), 400, "")
	if a := h.post(ada, "/v1/packs/reload", ""); a.status != 200 || !bytes.Contains(a.body, []byte("intents.yaml:3")) {
		t.Errorf("reload = %d %s", a.status, a.body)
	}
	h.want(h.get(mei, "/v1/packs"), 200, "")
	without := start(t)
	without.want(without.get(without.agentToken("mei"), "/v1/packs"), 503, conversation.CodeUnavailable)
}
