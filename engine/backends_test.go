package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent/remote"
	"github.com/colloquyhq/colloquy/persistence"
)

// intentServer is a backend that takes every text for one intent.
type intentServer struct {
	*httptest.Server

	says  atomic.Pointer[string] // the intent
	hangs atomic.Bool
	fails atomic.Bool
	asked atomic.Int32
	end   chan struct{}
}

func serveIntents(t *testing.T, intent string) *intentServer {
	t.Helper()
	s := &intentServer{end: make(chan struct{})}
	s.says.Store(&intent)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		var q remote.Request
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		if s.hangs.Load() {
			select {
			case <-s.end:
			case <-r.Context().Done():
			}
		}
		if s.fails.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		results := make([]string, len(q.Utterances))
		for i := range results {
			results[i] = fmt.Sprintf(`{"candidates":[{"intent":%q,"confidence":0.9}]}`, *s.says.Load())
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"model":"test","version":"7","results":[`+strings.Join(results, ",")+`]}`)
	}))
	t.Cleanup(func() {
		close(s.end)
		s.Close()
	})
	return s
}

// house is a node with the inbox "house".
func house(t *testing.T, change func(*Config)) *Engine {
	t.Helper()
	o := quietOptions(t, io.Discard)
	change(&o.Config)
	e, _ := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	return e
}

// api calls the node as an agent of a role.
type api struct {
	t     *testing.T
	e     *Engine
	token string
}

func (e *Engine) as(t *testing.T, role conversation.Role) api {
	t.Helper()
	id := conversation.AgentID("test-" + string(role))
	a := conversation.Agent{ID: id, Name: string(role), Email: string(role) + "@example.com", Role: role}
	if _, err := e.Store().PutAgent(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	token, err := PutToken(t.Context(), e.Store(), persistence.Credential{ID: "crd-" + string(id), Kind: persistence.CredentialKind(gateway.CredentialAgent), Agent: id})
	if err != nil {
		t.Fatal(err)
	}
	return api{t, e, token}
}

// call gives the status and the body, read into v.
func (a api) call(method, path string, v any) (status int, raw string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.e.Addr()+path, http.NoBody)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if v != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(b, v); err != nil {
			a.t.Fatalf("%s: %v", b, err)
		}
	}
	return res.StatusCode, string(b)
}

// counted reads a counter of the node.
func counted(t *testing.T, e *Engine, name string, labels ...string) float64 {
	t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			fits := f.GetName() == name
			for _, want := range labels {
				has := false
				for _, l := range m.GetLabel() {
					has = has || l.GetValue() == want
				}
				fits = fits && has
			}
			if fits {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

// What the operator's own server understands is answered from the packs, by the
// packs' thresholds, and says where it comes from.
func TestTheOperatorsServerUnderstands(t *testing.T) {
	t.Parallel()
	s := serveIntents(t, "parking")
	e := house(t, func(c *Config) {
		c.Intent.Backend, c.Intent.HTTP.URL, c.Intent.HTTP.Timeout = BackendHTTP, s.URL, maxIntentTimeout
	})
	// Where the machine stands still for longer than the server has, the built-in
	// engine answers.
	eventually(t, "an answer of what the server made of it", func() bool {
		r := say(t, e, visitor("house", "when are you open"))
		return len(r.Replies) == 1 && strings.Contains(string(r.Replies[0].Text), "car park") && r.Replies[0].Bot.Model == "http:test@7"
	})
	unknown := "refunds"
	s.says.Store(&unknown)
	eventually(t, "an answer of the server is counted as invalid", func() bool {
		r := say(t, e, visitor("house", "when are you open"))
		if len(r.Replies) != 1 || !strings.Contains(string(r.Replies[0].Text), "nine to five") {
			t.Fatalf("replies = %+v, want the built-in answer: the packs have no such intent", r.Replies)
		}
		return counted(t, e, "colloquy_intent_remote_utterances_total", "invalid") > 0
	})
}

// While the server hangs, every visitor is answered all the same, once and in
// time, by the built-in engine; then the breaker spares them the wait.
func TestAServerThatHangsLosesNoTurn(t *testing.T) {
	t.Parallel()
	s := serveIntents(t, "parking")
	s.hangs.Store(true)
	e := house(t, func(c *Config) {
		c.Intent.Backend, c.Intent.HTTP.URL, c.Intent.HTTP.Timeout = BackendHTTP, s.URL, 100*time.Millisecond
		c.Intent.HTTP.InFlight, c.Intent.HTTP.Queue = 2, 8
	})
	const many = 60
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			r, err := e.Actors().Deliver(t.Context(), visitor("house", "when are you open"))
			if err != nil || len(r.Replies) != 1 || !strings.Contains(string(r.Replies[0].Text), "nine to five") {
				t.Errorf("replies = %+v, %v, want the opening hours", r.Replies, err)
			}
			if r.Status != conversation.StatusPending {
				t.Errorf("status = %s, want it with the bot: nothing has failed for the visitor", r.Status)
			}
		})
	}
	all.Wait()
	late, full, open := counted(t, e, "colloquy_intent_remote_utterances_total", "late"),
		counted(t, e, "colloquy_intent_remote_utterances_total", "full"), counted(t, e, "colloquy_intent_remote_utterances_total", "open")
	if late+full+open != many || late == 0 {
		t.Errorf("%v late, %v full, %v open, want all %d accounted for", late, full, open, many)
	}
	eventually(t, "the breaker is open, and a turn does not ask the server", func() bool {
		before, asked := counted(t, e, "colloquy_intent_remote_utterances_total", "open"), s.asked.Load()
		say(t, e, visitor("house", "when are you open"))
		spared := counted(t, e, "colloquy_intent_remote_utterances_total", "open") == before+1 && s.asked.Load() == asked
		return spared && counted(t, e, "colloquy_intent_remote_breaker_open") == 1
	})
	s.hangs.Store(false)
	eventually(t, "the server is used again", func() bool {
		r := say(t, e, visitor("house", "when are you open"))
		return strings.Contains(string(r.Replies[0].Text), "car park")
	})
	if counted(t, e, "colloquy_turn_duration_seconds", "stale") != 0 {
		t.Error("a turn was stale")
	}
}

// The shadow is asked, counted and shown, and says nothing to visitors.
func TestTheShadowIsShownToAdmins(t *testing.T) {
	t.Parallel()
	s := serveIntents(t, "parking")
	e := house(t, func(c *Config) {
		c.Intent.Shadow, c.Intent.HTTP.URL, c.Intent.HTTP.Timeout = BackendHTTP, s.URL, maxIntentTimeout
	})
	putInbox(t, e, conversation.Inbox{ID: "other", Name: "Other", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	first := say(t, e, visitor("house", "when are you open"))
	if len(first.Replies) != 1 || !strings.Contains(string(first.Replies[0].Text), "nine to five") || first.Replies[0].Bot.Model == "http:test@7" {
		t.Errorf("replies = %+v, want the built-in engine's", first.Replies)
	}
	second := say(t, e, visitor("other", "where can I park"))
	eventually(t, "both turns are compared", func() bool {
		return counted(t, e, "colloquy_intent_shadow_turns_total", "differs") == 1 && counted(t, e, "colloquy_intent_shadow_turns_total", "same") == 1
	})
	s.fails.Store(true)
	say(t, e, visitor("house", "when are you open"))
	eventually(t, "the failure is counted", func() bool { return counted(t, e, "colloquy_intent_shadow_turns_total", "failed") == 1 })

	var got struct {
		Data   []gateway.ShadowTurn `json:"data"`
		Totals gateway.ShadowTotals `json:"totals"`
	}
	admin := e.as(t, conversation.RoleAdmin)
	if status, body := admin.call(http.MethodGet, "/v1/intent/shadow", &got); status != 200 || len(got.Data) != 3 {
		t.Fatalf("status %d: %s", status, body)
	}
	if got.Totals.Shadow != "http" || got.Totals.Turns != 3 || got.Totals.Compared != 2 || got.Totals.Same != 1 || got.Totals.Failed != 1 {
		t.Errorf("totals = %+v", got.Totals)
	}
	if newest := got.Data[0]; !newest.Failed || newest.Other != nil {
		t.Errorf("the newest = %+v, want the failure", newest)
	}
	admin.call(http.MethodGet, "/v1/intent/shadow?differs=true&conversation_id="+first.Conversation.String(), &got)
	if len(got.Data) != 1 {
		t.Fatalf("%d turns differ in the conversation, want 1", len(got.Data))
	}
	turn := got.Data[0]
	if turn.Seq != first.Seq || turn.Text != "when are you open" || !strings.Contains(turn.Own.Text, "nine to five") ||
		turn.Other == nil || turn.Other.Intent != "parking" || !strings.Contains(turn.Other.Text, "car park") || turn.Other.Model != "http:test@7" {
		t.Errorf("turn = %+v, other %+v", turn, turn.Other)
	}
	admin.call(http.MethodGet, "/v1/intent/shadow?inbox_id=other", &got)
	if len(got.Data) != 1 || got.Data[0].Conversation != second.Conversation || !got.Data[0].Same {
		t.Errorf("inbox other = %+v", got.Data)
	}
	for _, bad := range []string{"?conversation_id=x", "?inbox_id=No%20Inbox", "?limit=0"} {
		if status, body := admin.call(http.MethodGet, "/v1/intent/shadow"+bad, nil); status != 400 {
			t.Errorf("%s = %d %s, want 400", bad, status, body)
		}
	}
	if status, _ := e.as(t, conversation.RoleAgent).call(http.MethodGet, "/v1/intent/shadow", nil); status != 403 {
		t.Errorf("an agent who is no admin = %d, want 403", status)
	}
	entries, err := e.Store().Entries(t.Context(), first.Conversation, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if r, ok := entry.Event.(conversation.ReplyComposed); ok && strings.Contains(string(r.Text), "car park") {
			t.Error("the shadow has spoken")
		}
	}
}

func TestASilentInboxShowsWhatTheBotWouldSay(t *testing.T) {
	t.Parallel()
	e := house(t, func(*Config) {})
	putInbox(t, e, conversation.Inbox{ID: "quiet", Name: "Quiet", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Silent: true, Answers: conversation.AnswersOn}})
	var got struct {
		Data   []gateway.ShadowTurn `json:"data"`
		Totals gateway.ShadowTotals `json:"totals"`
	}
	admin := e.as(t, conversation.RoleAdmin)
	in := visitor("quiet", "")
	in.Wait = 0
	// One after the other: a message that comes during a turn ends it.
	for i, text := range []conversation.Text{"when are you open", "where can I park"} {
		in.Text = text
		r := say(t, e, in)
		eventually(t, "the message is shown", func() bool {
			admin.call(http.MethodGet, "/v1/intent/shadow?conversation_id="+r.Conversation.String(), &got)
			return len(got.Data) == i+1
		})
	}
	for i, want := range []string{"car park", "nine to five"} { // newest first
		if turn := got.Data[i]; !turn.Silent || turn.Other != nil || !strings.Contains(turn.Own.Text, want) {
			t.Errorf("turn %d = %+v, want %q", i, turn, want)
		}
	}
	if got.Totals.Silent != 2 || got.Totals.Shadow != "" {
		t.Errorf("totals = %+v", got.Totals)
	}
	if n := counted(t, e, "colloquy_intent_shadow_turns_total", "silent"); n != 2 {
		t.Errorf("%v silent turns counted", n)
	}
}

// The memory of shadows is bounded, keeps the newest, and takes nothing odd from
// other nodes.
func TestShadowsAreForgotten(t *testing.T) {
	t.Parallel()
	e := house(t, func(*Config) {})
	s := e.shadows
	for i := range shadowTurns + 10 {
		s.keep(gateway.ShadowTurn{Inbox: "house", Seq: conversation.Seq(i), At: time.Unix(int64(i), 0)})
	}
	s.hear("n2", []byte(`{"inbox_id":"house","seq":5000,"at":"2030-01-01T00:00:00Z"}`))
	s.hear("n2", []byte(`rubbish`))
	turns, totals := s.Shadows(gateway.ShadowQuery{Limit: 3, May: func(conversation.InboxID) bool { return true }})
	if totals.Turns != shadowTurns || len(turns) != 3 || turns[0].Seq != 5000 || turns[1].Seq != shadowTurns+9 || totals.Since.Unix() != 11 {
		t.Errorf("%d turns since %v, newest %+v", totals.Turns, totals.Since, turns)
	}
	if turns, totals := s.Shadows(gateway.ShadowQuery{Limit: 3, May: func(conversation.InboxID) bool { return false }}); len(turns) != 0 || totals.Turns != 0 {
		t.Errorf("an agent of no inbox sees %+v %+v", turns, totals)
	}
}

func TestAnOwnClassifierAndHTTPContradict(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	o.Config.Intent.Backend, o.Config.Intent.HTTP.URL = BackendHTTP, "http://127.0.0.1:1"
	o.Classifier = nobody{}
	if e, err := New(o); err == nil || !strings.Contains(err.Error(), "intent.backend") {
		if e != nil {
			e.Close()
		}
		t.Errorf("New = %v, want a refusal that names the setting", err)
	}
}

type nobody struct{}

func (nobody) Predict(context.Context, *conversation.Utterance, *conversation.Prediction) error {
	return nil
}

func TestBackendMetricsAreClean(t *testing.T) {
	t.Parallel()
	e := house(t, func(c *Config) {
		c.Intent.Shadow, c.Intent.HTTP.URL = BackendHTTP, "http://127.0.0.1:1"
		c.Assist.URL, c.Assist.Model = "http://127.0.0.1:1", "m"
	})
	problems, err := testutil.GatherAndLint(e.registry, "colloquy_intent_shadow_turns_total", "colloquy_intent_remote_utterances_total", "colloquy_assist_drafts_total")
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
