package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// streamed is an event stream as a client reads it.
type streamed struct {
	t      *testing.T
	body   *bufio.Reader
	cancel context.CancelFunc
	lastID string
}

// streamEvent is one event.
type streamEvent struct {
	kind string // empty = a frame
	data string
}

// stream opens a visitor's event stream.
func (h *harness) stream(contact conversation.ContactID, lastID string) *streamed {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/v1/widget/events", http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.visitorToken("shop", contact))
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		b, _ := io.ReadAll(resp.Body)
		h.t.Fatalf("stream = %d %v %s", resp.StatusCode, resp.Header, b)
	}
	return &streamed{t: h.t, body: bufio.NewReader(resp.Body), cancel: cancel, lastID: lastID}
}

// event reads the next event; io.EOF when the stream is over.
func (s *streamed) event() (streamEvent, error) {
	var e streamEvent
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ": "); {
		case line == "" && e.data != "":
			return e, nil
		case name == "id":
			s.lastID = value
		case name == "event":
			e.kind = value
		case name == "data":
			e.data = value
		}
	}
}

// expect reads until a frame has the type.
func (s *streamed) expect(kind string) message {
	s.t.Helper()
	for {
		e, err := s.event()
		if err != nil || e.kind != "" {
			s.t.Fatalf("no %s: %v %v", kind, e, err)
		}
		m := message{}
		if err := json.Unmarshal([]byte(e.data), &m); err != nil {
			s.t.Fatalf("event %q: %v", e.data, err)
		}
		if m.str("t") == kind {
			return m
		}
	}
}

// closeCode reads until the stream says why it ends, and then until it does.
func (s *streamed) closeCode() int {
	s.t.Helper()
	for {
		e, err := s.event()
		if err != nil {
			s.t.Fatalf("the stream ended without a word: %v", err)
		}
		if e.kind != "close" {
			continue
		}
		m := message{}
		if err := json.Unmarshal([]byte(e.data), &m); err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.event(); err == nil {
			s.t.Error("something follows the end")
		}
		return m.num("code")
	}
}

// postFrame sends a frame over HTTP.
func (h *harness) postFrame(contact conversation.ContactID, frame string) answered {
	h.t.Helper()
	return h.do(call{method: "POST", path: "/v1/widget/frames", body: frame, headers: bearerOf(h.visitorToken("shop", contact))})
}

// TestTalkWithoutWebSockets walks from the first message to a stream that goes
// on where the first one broke off.
func TestTalkWithoutWebSockets(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.bot = func(conversation.Inbound) *conversation.ReplyComposed { return &conversation.ReplyComposed{Text: "hi"} }
	me := conversation.ContactID{1}
	s := h.stream(me, "")
	if w := s.expect("welcome"); w.str("contact") != me.String() || w.str("epoch") != "e1" {
		t.Errorf("welcome %v", w)
	}
	s.expect("resumed")
	a := h.postFrame(me, `{"t":"message.send","client_id":"m1","text":"你好\n!"}`)
	h.want(a, 200, "")
	ack := a.json(t)
	if ack.str("t") != "ack" || ack.str("client_id") != "m1" || ack.num("seq") != 2 || ack.at("durable") != true {
		t.Errorf("ack %v", ack)
	}
	for _, want := range []string{"conversation.started", "message.accepted", "message.composed"} {
		if e := s.expect("event"); e.str("type") != want {
			t.Errorf("event %v, want %s", e, want)
		}
	}
	cnv := ack.str("conversation_id")
	if s.lastID != "e1/"+cnv+":3" {
		t.Errorf("last id %q", s.lastID)
	}
	s.cancel()
	eventually(t, "the first stream is gone", func() bool { return h.gw.Sockets() == 0 })

	again := h.postFrame(me, `{"t":"message.send","client_id":"m1","text":"你好\n!"}`).json(t)
	if again.at("duplicate") != true || again.num("seq") != 2 {
		t.Errorf("the repeated message: %v", again)
	}
	h.want(h.postFrame(me, `{"t":"message.send","client_id":"m2","text":"still here"}`), 200, "")
	s = h.stream(me, s.lastID)
	if e := s.expect("event"); e.num("seq") != 4 || e.str("data", "client_id") != "m2" {
		t.Errorf("the first event after the break is %v", e)
	}
	if r := s.expect("resumed"); r.at("complete") != true {
		t.Errorf("resumed %v", r)
	}
}

func TestFramesOverHTTP(t *testing.T) {
	t.Parallel()
	h := start(t)
	me := conversation.ContactID{1}
	theirs := h.store.start("shop", conversation.ContactID{99}).String()
	mine := h.store.start("shop", me).String()
	if m := h.postFrame(me, `{"t":"ping","ref":"p"}`).json(t); m.str("t") != "pong" || m.str("ref") != "p" {
		t.Errorf("ping: %v", m)
	}
	if m := h.postFrame(me, `{"t":"read","ref":"r","conversation_id":"`+mine+`","seq":1}`).json(t); m.str("t") != "done" || m.str("ref") != "r" {
		t.Errorf("read: %v", m)
	}
	if m := h.postFrame(me, `{"t":"handover","ref":"h"}`).json(t); m.str("t") != "done" || m.str("conversation_id") != mine {
		t.Errorf("handover: %v", m)
	}
	watcher := h.agent("mei")
	watcher.say(`{"t":"subscribe","ref":"s","conversation_id":"` + mine + `"}`)
	watcher.expect("done")
	if a := h.postFrame(me, `{"t":"typing","on":true}`); a.status != 204 || len(a.body) != 0 {
		t.Errorf("typing: %d %s", a.status, a.body)
	}
	if m := watcher.expect("typing"); m.str("from") != "visitor" || m.str("conversation_id") != mine {
		t.Errorf("the agent sees %v", m)
	}
	for name, c := range map[string]struct {
		frame  string
		status int
		code   conversation.Code
		ref    string
	}{
		"another's conversation": {`{"t":"read","conversation_id":"` + theirs + `","seq":1}`, 404, conversation.CodeNotFound, ""},
		"a message to it":        {`{"t":"message.send","client_id":"x","conversation_id":"` + theirs + `","text":"x"}`, 404, conversation.CodeNotFound, "x"},
		"an agent's frame":       {`{"t":"claim","conversation_id":"` + mine + `"}`, 403, conversation.CodeForbidden, ""},
		"hello":                  {`{"t":"hello","v":1}`, 403, conversation.CodeForbidden, ""},
		"no type":                {`{"type":"ping"}`, 400, conversation.CodeBadFrame, ""},
		"no JSON":                {`hello`, 400, conversation.CodeBadFrame, ""},
		"nothing to read":        {`{"t":"message.send","client_id":"x","text":"  "}`, 400, conversation.CodeEmptyText, "x"},
		"too large":              {`{"t":"ping","ref":"` + strings.Repeat("x", frameBody) + `"}`, 413, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.as(t).postFrame(me, c.frame)
			m := a.json(t)
			if c.code == "" {
				h.as(t).want(a, c.status, c.code)
			} else if a.status != c.status || m.str("t") != "error" || m.str("problem", "code") != string(c.code) || m.str("ref") != c.ref {
				t.Errorf("%d %v", a.status, m)
			}
		})
	}
}

func TestStreamIsBounded(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) {
		o.Limits.ConnectionsPerIdentity, o.Limits.Heartbeat, o.Limits.PongTimeout, o.Limits.FramesPerSecond = 1, 20*time.Millisecond, time.Hour, 1
	})
	me := conversation.ContactID{1}
	for _, bad := range []string{"x", "e1/cnv_nonsense:1", "e1/" + conversation.ConversationID{1}.String() + ":-1", "e1/" + strings.Repeat("a", maxLastEventID)} {
		a := h.do(call{method: "GET", path: "/v1/widget/events", headers: map[string]string{"Authorization": "Bearer " + h.visitorToken("shop", me), "Last-Event-ID": bad}})
		h.want(a, 400, conversation.CodeInvalid)
	}
	if a := h.do(call{method: "HEAD", path: "/v1/widget/events", headers: bearerOf(h.visitorToken("shop", me))}); a.status != 200 {
		t.Errorf("HEAD = %d", a.status)
	}
	s := h.stream(me, "")
	s.expect("resumed")
	if got := h.stream(me, "").closeCode(); got != 3504 {
		t.Errorf("one stream too many is closed with %d", got)
	}
	// Silence is filled with comments, and the stream stays.
	for n := 0; n < 3; {
		line, err := s.body.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, ": ") {
			n++
		}
	}
	eventually(t, "a frame over the limit of one a second is refused", func() bool { return h.postFrame(me, `{"t":"ping"}`).status == 429 })
}

func TestStreamEndsWithItsReason(t *testing.T) {
	t.Parallel()
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		s := h.stream(conversation.ContactID{1}, "")
		s.expect("resumed")
		go func() { _ = h.gw.Drain(context.Background(), time.Millisecond) }()
		s.expect("reconnect")
		if got := s.closeCode(); got != 3001 {
			t.Errorf("closed with %d", got)
		}
		h.want(h.do(call{method: "GET", path: "/v1/widget/events", headers: bearerOf(h.visitorToken("shop", conversation.ContactID{1}))}), 503, conversation.CodeShuttingDown)
	})
	t.Run("a hole", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		s := h.stream(conversation.ContactID{1}, "")
		s.expect("resumed")
		h.gw.Hub().Lost()
		if got := s.closeCode(); got != 3010 {
			t.Errorf("closed with %d", got)
		}
	})
	t.Run("another epoch", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		s := h.stream(conversation.ContactID{1}, "e0/"+conversation.ConversationID{1}.String()+":4")
		if m := s.expect("reset"); m.str("reason") != "epoch_changed" {
			t.Errorf("reset %v", m)
		}
	})
}

// TestStreamOfAClientThatDoesNotRead: it is closed like a socket, and leaves
// nothing behind.
func TestStreamOfAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.WriteTimeout, o.Limits.Linger = 2*time.Second, 50*time.Millisecond })
	me := conversation.ContactID{1}
	s := h.stream(me, "")
	s.expect("resumed")
	id := h.store.start("shop", me)
	big := conversation.Text(strings.Repeat("x", conversation.MaxTextBytes))
	eventually(t, "the stalled stream is gone", func() bool {
		h.store.append(id, conversation.AgentReplied{Agent: "mei", Text: big})
		return h.gw.Sockets() == 0
	})
}

func TestPagesOfOtherOriginsMayStream(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, path := range []string{"/v1/widget/events", "/v1/widget/frames"} {
		a := h.do(call{method: "OPTIONS", path: path, headers: map[string]string{"Origin": "https://shop.example"}})
		if a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Last-Event-Id") {
			t.Errorf("%s: preflight %v", path, a.header)
		}
		method := "GET"
		if strings.HasSuffix(path, "frames") {
			method = "POST"
		}
		headers := bearerOf(h.visitorToken("shop", conversation.ContactID{1}))
		headers["Origin"] = "https://evil.example"
		h.want(h.do(call{method: method, path: path, body: `{"t":"ping"}`, headers: headers}), 403, conversation.CodeOrigin)
	}
}
