package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A turn that comes in at one node of a cluster and is held at another is one
// trace at the Collector's receiver: gateway, grain, intent, store and channel,
// each below the right one, with the conversation and, where the provider refuses
// the reply, with the error.
func TestOneTraceAcrossNodes(t *testing.T) {
	got := &spans{by: map[string]map[string]span{}}
	address := free(t, 1)
	stop, err := listen(t.Context(), address, got.take)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop(t.Context()) })
	var told sync.Map // the traceparents that the provider was called with
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told.Store(r.Header.Get("Traceparent"), true)
		if strings.Contains(string(body), "refused") {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(provider.Close)

	key := newKey(t)
	first := start(t, key, address, "--demo")
	second := start(t, key, address, "--join", first.gossip)
	jar, _ := cookiejar.New(nil)
	admin := &http.Client{Jar: jar}
	first.call(t, admin, "POST", "/v1/auth/login", nil, fmt.Sprintf(`{"email":"demo@colloquy.example","password":%q}`, password))
	first.call(t, admin, "PATCH", "/v1/inboxes/demo-shop", http.Header{"If-Match": {"*"}}, fmt.Sprintf(`{"callback_url":%q}`, provider.URL+"/hook"))

	// About half of all conversations belong to the other node, but which do is chance:
	// visitors come until one of each kind has been there.
	header := http.Header{"Authorization": {"Bearer " + ingress}, "X-Inbox-Id": {"demo-shop"}}
	for name, failed := range map[string]bool{"fine": false, "refused": true} {
		var trace map[string]span
		visitors := 0
		eventually(t, "a trace over two nodes whose reply is "+name, func() bool {
			body := fmt.Sprintf(`{"user":"%s-%d","text":"你好，我想退款","id":"m1"}`, name, visitors)
			second.call(t, http.DefaultClient, "POST", "/webhook?wait_ms=0", header, body)
			visitors++
			trace = got.find(func(x span) bool { return x.name == "channel.send" && x.failed == failed && got.whole(x.trace) })
			return trace != nil
		})
		check(t, trace, failed)
		// A reply whose conversation has moved since goes out without one: its turn is
		// in the memory of another node.
		sent, _ := named(trace, "channel.send")
		if _, ok := told.Load("00-" + sent.trace + "-" + sent.id + "-01"); !ok {
			t.Errorf("the provider was not told of the trace %s", sent.trace)
		}
	}

	// The node itself shows the same trace, and its export can be read elsewhere.
	var list struct {
		Data []struct {
			ID    string   `json:"trace_id"`
			Nodes []string `json:"nodes"`
		} `json:"data"`
	}
	agent := clientOf(t, second)
	eventually(t, "/v1/traces gives the traces with an error", func() bool {
		err := json.Unmarshal([]byte(second.call(t, agent, "GET", "/v1/traces?error=true&channel=webhook", nil, "")), &list)
		return err == nil && len(list.Data) > 0
	})
}

// clientOf gives a client that has logged in.
func clientOf(t *testing.T, n *node) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	n.call(t, c, "POST", "/v1/auth/login", nil, fmt.Sprintf(`{"email":"demo@colloquy.example","password":%q}`, password))
	return c
}

// parents names the span above each span of a turn that another node holds.
var parents = map[string]string{
	"gateway.in": "", "remote.call": "gateway.in", "turn": "remote.call", "grain": "turn", "intent": "turn", "policy": "turn",
	"store.append": "turn", "channel.send": "turn",
}

// check looks at a whole trace.
func check(t *testing.T, trace map[string]span, failed bool) {
	t.Helper()
	conversations, nodes := map[string]bool{}, map[string]string{}
	for name, parent := range parents {
		x, ok := named(trace, name)
		if !ok {
			t.Errorf("the trace has no %s: %v", name, trace)
			continue
		}
		if above := trace[x.parent]; above.name != parent {
			t.Errorf("%s is below %q, want %q", name, above.name, parent)
		}
		conversations[x.facts["messaging.message.conversation_id"]] = true
		nodes[name] = x.node
		if want := failed && name == "channel.send"; x.failed != want || (x.facts["error.type"] != "") != want {
			t.Errorf("%s: error %v %q, want %v", name, x.failed, x.facts["error.type"], want)
		}
	}
	if len(conversations) != 1 || conversations[""] {
		t.Errorf("the spans are of the conversations %v, want one", conversations)
	}
	if nodes["gateway.in"] != nodes["remote.call"] || nodes["turn"] == nodes["remote.call"] || nodes["turn"] != nodes["intent"] || nodes["channel.send"] != nodes["turn"] {
		t.Errorf("the spans are of the nodes %v", nodes)
	}
}
