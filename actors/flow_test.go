package actors

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// backend is the operator's system that flows ask.
type backend struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string // request URIs as they came over the wire
	serve http.HandlerFunc
}

func newBackend(t *testing.T, serve http.HandlerFunc) *backend {
	t.Helper()
	b := &backend{serve: serve}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b.mu.Lock()
		b.asked = append(b.asked, q.RequestURI)
		b.mu.Unlock()
		b.serve(w, q)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) uris() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.asked...)
}

// newFlowRig has an intent "order" with a flow to the backend. It runs on real
// time, because sockets do.
func newFlowRig(t *testing.T, base string) *rig {
	t.Helper()
	r := newRig(t, func(o *Options) { o.Budget = 5 * time.Second })
	need := []conversation.Slot{{Name: "order", Ask: "Which order?"}}
	r.shelf.playbooks["order"] = &conversation.Playbook{
		Intent: "order", Title: "Order status", Answer: "Look into your mail.", Need: need,
		Buttons: []conversation.Button{{Label: "Thanks", Text: "Thanks"}},
		Flow: &conversation.Flow{
			Name: "status", URL: "{shop_api}/orders/{order}", Headers: map[string]string{"X-Order": "{order}"}, Timeout: 300 * time.Millisecond,
			Reply:    "Order {order} is {$.status}, item {$.items[0].name}, total {$.total}, paid {$.paid}, {$.missing}.",
			NotFound: "There is no order {order}. Which one?", Failed: "I cannot look up {order} now.",
		},
	}
	if base != "" {
		r.directory.change("shop", func(i *conversation.Inbox) { i.Vars = map[string]string{"shop_api": base} })
	}
	r.script.means("where is it", "order")
	return r
}

func TestFlowSpeaksTheResponse(t *testing.T) {
	t.Parallel()
	b := newBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet || q.Header.Get("X-Order") != "4711" || q.Header.Get("Accept") != "application/json" {
			t.Errorf("request = %s %v", q.Method, q.Header)
		}
		_, _ = w.Write([]byte(`{"status":"{order} on its way","items":[{"name":"lamp"}],"total":12345678901,"paid":true}`))
	})
	r := newFlowRig(t, b.URL+"/")
	said(t, r.say("where is it"), "Which order?")
	got := r.say("4711")
	said(t, got, "Order 4711 is {order} on its way, item lamp, total 12345678901, paid true, —.")
	if got.Replies[0].Bot.Behavior != "flow:status" || len(got.Replies[0].Buttons) != 1 {
		t.Errorf("reply = %+v, want the flow's provenance and the playbook's buttons", got.Replies[0])
	}
}

func TestFlowNotFoundAsksAgain(t *testing.T) {
	t.Parallel()
	b := newBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/2") {
			_, _ = w.Write([]byte(`{"status":"here"}`))
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(make([]byte, maxFlowResponseBytes+1)) // an error page may be large
	})
	r := newFlowRig(t, b.URL)
	r.shelf.playbooks["order"].Flow.Reply = "It is {$.status}."
	r.script.means("where is 1", "order", "order", "1")
	said(t, r.say("where is 1"), "There is no order 1. Which one?")
	said(t, r.say("2"), "It is here.") // the bare number answers the question
}

func TestFlowFailuresEndAtAHuman(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	tests := map[string]http.HandlerFunc{
		"500":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"403":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"two texts": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{} {}`)) },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat("x", maxFlowResponseBytes) + `"`))
		},
		"timeout": func(_ http.ResponseWriter, q *http.Request) {
			select {
			case <-q.Context().Done():
			case <-stop:
			}
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"status":`))
		},
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFlowRig(t, newBackend(t, serve).URL)
			r.script.means("where is 7", "order", "order", "7")
			got := r.say("where is 7")
			said(t, got, "I cannot look up 7 now.")
			if h := r.journal.state(t, got.Conversation).Handover; h == nil || h.Reason != conversation.HandoverLookup {
				t.Errorf("handover = %+v, want lookup_failed", h)
			}
		})
	}
}

// What is spoken comes from outside: it must be something that may be said.
func TestFlowWithUnspeakableResponseEndsAtAHuman(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"control character": `{"status":"\u0007"}`, "over the limit": `{"status":"` + strings.Repeat("x", conversation.MaxTextBytes) + `"}`,
	} {
		b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		r := newFlowRig(t, b.URL)
		r.script.means("where is 7", "order", "order", "7")
		got := r.say("where is 7")
		said(t, got, "Something broke, a human comes.")
		if h := r.journal.state(t, got.Conversation).Handover; h == nil || h.Reason != conversation.HandoverBotFailed {
			t.Errorf("%s: handover = %+v, want bot_failed", name, h)
		}
	}
}

func TestFlowWithoutAnAddressAnswersInGeneral(t *testing.T) {
	t.Parallel()
	for name, base := range map[string]string{"unset": "", "no scheme": "shop.example", "file": "file:///etc"} {
		r := newFlowRig(t, base)
		got := r.say("where is it") // without asking for the number first
		if texts(got)[0] != "Look into your mail." {
			t.Errorf("%s: %q, want the plain answer", name, texts(got))
		}
	}
}

func TestHostileSlotsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	values := []string{
		"../../admin?x=", "..", ".", "%2e%2e%2fadmin", "a/b", `a\b`, "a?b=c", "a#b", "a&admin=true", "a;b", "a b", "a+b", "@evil.example", ":80", "//evil.example",
		"{shop_api}", "é\n\r\tx", "http://evil.example/",
	}
	for _, template := range []string{"{shop_api}/v1/orders/{order}", "{shop_api}/v1/orders?id={order}&own=1"} {
		r := newFlowRig(t, b.URL)
		r.shelf.playbooks["order"].Flow.URL = template
		r.shelf.playbooks["order"].Flow.Headers = nil
		for i, v := range values {
			before := len(b.uris())
			r.script.means("where", "order", "order", v)
			in := with(anna("where"), "", time.Minute)
			in.Contact[0] = byte(i + 1)
			r.deliver(in)
			asked := b.uris()[before:]
			if v == "." || v == ".." {
				if len(asked) != 0 && !strings.Contains(template, "?") {
					t.Errorf("%q in %s asked for %q, want nothing: it names another path", v, template, asked)
				}
				continue
			}
			if len(asked) != 1 {
				t.Errorf("%q in %s asked %q, want one request", v, template, asked)
				continue
			}
			uri := asked[0]
			rest, ok := strings.CutPrefix(uri, "/v1/orders")
			value := strings.TrimSuffix(strings.TrimLeft(strings.TrimPrefix(rest, "?id="), "/"), "&own=1")
			if !ok || value == "" || strings.ContainsAny(value, "/?#&=;+ {}\\") {
				t.Errorf("%q in %s became %s", v, template, uri)
			}
		}
	}
}

func TestSlotCannotExtendTheHost(t *testing.T) {
	t.Parallel()
	for _, v := range []string{".evil.example", "@evil.example", ":80", "evil"} {
		if u, ok := fillURL("{base}{v}/x", map[string]string{"base": "https://shop.example"}, map[string]string{"v": v}); ok && !strings.HasPrefix(u, "https://shop.example/") {
			t.Errorf("fillURL = %s, another host", u)
		}
	}
}
