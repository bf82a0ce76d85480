package traces_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// crossing is the trace of a turn that went over two nodes.
func crossing() *traces.Trace {
	began := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	id, talk := conversation.TraceID{0xab, 15: 1}, conversation.ConversationID{3, 15: 4}
	span := func(n, parent byte, name, node string, after, took time.Duration) flight.Record {
		r := flight.Record{
			Trace: id, Span: conversation.SpanID{7: n}, Name: name, Node: node, Start: began.Add(after), Took: took, Conversation: talk, Channel: "web",
		}
		if parent != 0 {
			r.Parent = conversation.SpanID{7: parent}
		}
		return r
	}
	t := &traces.Trace{Summary: traces.Summary{
		ID: id, Conversation: talk, Inbox: "shop", Channel: "web", Reason: flight.ReasonError, Failed: true, Began: began, Took: 16, Spans: 6,
		Nodes: []string{"node-a", "node-b"},
	}}
	t.All = []flight.Record{
		span(1, 0, "gateway.in", "node-a", 0, 20*time.Millisecond),
		span(2, 1, "remote.call", "node-a", time.Millisecond, 18*time.Millisecond),
		span(3, 2, "turn", "node-b", 2*time.Millisecond, 16*time.Millisecond),
		span(4, 3, "intent", "node-b", 3*time.Millisecond, 5*time.Millisecond),
		span(5, 3, "store.append", "node-b", 9*time.Millisecond, 8*time.Millisecond),
		span(6, 1, "ws.flush", "node-a", 18*time.Millisecond, 500*time.Microsecond),
	}
	t.All[1].Label = "node-b"
	t.All[2].Seq, t.All[2].Value, t.All[2].Label = 4, 120_000, "answered"
	t.All[3].Label, t.All[3].Value = "order_status", 970_000
	t.All[4].Failed, t.All[4].Label = true, "unavailable"
	return t
}

func TestWaterfall(t *testing.T) {
	t.Parallel()
	const want = `gateway.in         A |========================================|        0s      20ms
  remote.call      A |  ====================================  |       1ms      18ms  node-b
    turn           B |    ================================    |       2ms      16ms  answered
      intent       B |      ==========                        |       3ms       5ms  order_status
      store.append B |                  !!!!!!!!!!!!!!!!      |       9ms       8ms  unavailable
  ws.flush         A |                                    =   |      18ms     500µs
A = node-a
B = node-b
`
	raw, err := crossing().OTLP()
	if err != nil {
		t.Fatal(err)
	}
	fromWire, err := traces.ReadOTLP(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(crossing().Rows(), fromWire); diff != "" {
		t.Errorf("what goes over the wire is shown otherwise:\n%s", diff)
	}
	var b strings.Builder
	if err := traces.WriteWaterfall(&b, fromWire); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestOTLPIsWhatReceiversTake(t *testing.T) {
	t.Parallel()
	raw, err := crossing().OTLP()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []map[string]any `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.ResourceSpans) != 2 || len(got.ResourceSpans[1].ScopeSpans[0].Spans) != 3 {
		t.Fatalf("%d resources, want one for each node: %s", len(got.ResourceSpans), raw)
	}
	turn := got.ResourceSpans[1].ScopeSpans[0].Spans[0]
	talk := conversation.ConversationID{3, 15: 4}
	for key, want := range map[string]any{
		"traceId": "ab000000000000000000000000000001", "spanId": "0000000000000003", "parentSpanId": "0000000000000002", "name": "turn",
		"kind": 2.0, "startTimeUnixNano": "1796040000002000000", "endTimeUnixNano": "1796040000018000000",
	} {
		if turn[key] != want {
			t.Errorf("the turn's %s is %v, want %v", key, turn[key], want)
		}
	}
	facts := map[string]string{}
	for _, a := range traces.Attributes(&crossing().All[2]) {
		facts[a.Key] = a.Text
	}
	if facts["messaging.message.conversation_id"] != talk.String() || facts["messaging.message.id"] != conversation.MessageID(talk, 4) ||
		facts["messaging.system"] != "web" || facts["messaging.operation.type"] != "process" {
		t.Errorf("the turn says %v", facts)
	}
	if status := got.ResourceSpans[1].ScopeSpans[0].Spans[2]["status"]; !cmp.Equal(status, map[string]any{"code": 2.0}) {
		t.Errorf("the status of what failed is %v, want an error", status)
	}
}

// Ids that lead in a circle, or nowhere, must not lead the reader astray.
func TestBrokenTreesAreShown(t *testing.T) {
	t.Parallel()
	rows := traces.Arrange([]traces.Row{{ID: "a", Parent: "a", Name: "itself"}, {ID: "b", Parent: "gone", Name: "orphan"}, {Name: "nameless"}})
	if len(rows) != 3 {
		t.Errorf("%d rows, want 3", len(rows))
	}
	_ = traces.Arrange([]traces.Row{{ID: "a", Parent: "b"}, {ID: "b", Parent: "a"}}) // ends
	if err := traces.WriteWaterfall(&strings.Builder{}, nil); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "[]", `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}`} {
		if _, err := traces.ReadOTLP([]byte(bad)); conversation.CodeOf(err) != conversation.CodeBadJSON {
			t.Errorf("ReadOTLP(%q) = %v, want an error", bad, err)
		}
	}
}

// fixed is a source with one trace.
type fixed struct{ asked *traces.Query }

// Traces implements [traces.Source].
func (f fixed) Traces(_ context.Context, q traces.Query) ([]traces.Summary, error) {
	*f.asked = q
	return []traces.Summary{crossing().Summary}, nil
}

// Trace implements [traces.Source].
func (f fixed) Trace(_ context.Context, id conversation.TraceID) (*traces.Trace, error) {
	if id != crossing().ID {
		return nil, conversation.Refuse(conversation.CodeNotFound, "no such trace")
	}
	t := crossing()
	t.All[3].Label = "<script>alert(1)</script>"
	return t, nil
}

func TestPages(t *testing.T) {
	t.Parallel()
	var asked traces.Query
	h := traces.Handler(fixed{&asked})
	talk := conversation.ConversationID{3, 15: 4}
	id := crossing().ID.String()
	for _, c := range []struct {
		path   string
		status int
		holds  string
	}{
		{"/debug/traces", 200, `href="/debug/traces/` + id + `"`},
		{"/debug/traces?conversation=" + talk.String() + "&channel=web&min_ms=1.5&error=true&limit=7", 200, "error"},
		{"/debug/traces?conversation=x", 400, ""},
		{"/debug/traces?channel=pigeon", 400, "channel"},
		{"/debug/traces?min_ms=-1", 400, "min_ms"},
		{"/debug/traces?min_ms=NaN", 400, "min_ms"},
		{"/debug/traces?error=perhaps", 400, "error"},
		{"/debug/traces?limit=0", 400, "limit"},
		{"/debug/traces/" + id, 200, "store.append"},
		{"/debug/traces/" + id, 200, "&lt;script&gt;"},
		{"/debug/traces/" + id, 200, "left:45.00%;width:40.00%"},
		{"/debug/traces/" + id + "/otlp", 200, `"resourceSpans"`},
		{"/debug/traces/" + strings.Repeat("0", 31) + "1", 404, ""},
		{"/debug/traces/nothing", 400, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%s = %d %s, want %d with %q", c.path, w.Code, w.Body, c.status, c.holds)
		}
	}
	q, err := traces.ReadQuery(&http.Request{URL: &url.URL{RawQuery: "conversation=" + talk.String() + "&channel=web&min_ms=1.5&error=true&limit=7"}})
	want := traces.Query{Conversation: talk, Channel: "web", Least: 1500 * time.Microsecond, Failed: true, Limit: 7}
	if diff := cmp.Diff(want, q); err != nil || diff != "" {
		t.Errorf("ReadQuery: %v %s", err, diff)
	}
}
