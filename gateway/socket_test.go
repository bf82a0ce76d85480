package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

func chop(b []byte, n int) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		out = append(out, b[:min(n, len(b))])
		b = b[min(n, len(b)):]
	}
	return out
}

// TestPingComesBack checks that a pong carries the ping's payload.
func TestPingComesBack(t *testing.T) {
	t.Parallel()
	h := start(t)
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	for i := range 10 {
		c.raw(maskedFrame(bitFin|opPing, fmt.Appendf(nil, "payload %d", i)))
	}
	for i := range 10 {
		f, err := c.frame()
		if err != nil || f.op != opPong || string(f.payload) != fmt.Sprintf("payload %d", i) {
			t.Fatalf("frame %+v, %v, want the pong of %d", f, err, i)
		}
	}
}

// cut feeds a framer as a codec does and gives what may be handed on.
func cut(f *framer, b []byte, limit int) (out []byte, code wire.CloseCode) {
	pool := &partPool{}
	b = f.join(b)
	for {
		frames, used, code := f.next(b, limit, pool)
		if code != 0 {
			return out, code
		}
		if used == 0 {
			f.keep(b, pool)
			return out, 0
		}
		out = append(out, frames...)
		b = b[used:]
	}
}

func TestFramerGrowsByWhatArrives(t *testing.T) {
	t.Parallel()
	f := &framer{}
	if out, code := cut(f, []byte{0x81, 0x80 | 126, 0x7f, 0xff, 1, 2, 3, 4, 'x'}, 1<<20); len(out) > 0 || code != 0 {
		t.Fatalf("a beginning gives % x, %d", out, code)
	}
	if cap(f.part.tail) > 64 {
		t.Errorf("a claim of 32 KB holds %d bytes", cap(f.part.tail))
	}
}

// TestFragmentsWait: a message comes out whole, and what stands between its
// fragments before it.
func TestFragmentsWait(t *testing.T) {
	t.Parallel()
	first, ping, last := maskedFrame(opText, []byte("a")), maskedFrame(bitFin|opPing, []byte("p")), maskedFrame(bitFin|opContinuation, []byte("b"))
	f := &framer{}
	var got []byte
	for _, b := range chop(slices.Concat(first, ping, last), 1) {
		out, code := cut(f, b, 100)
		if code != 0 {
			t.Fatalf("refused with %d", code)
		}
		got = append(got, out...)
	}
	if want := slices.Concat(ping, first, last); !bytes.Equal(got, want) {
		t.Errorf("out % x, want % x", got, want)
	}
	if f.part != nil {
		t.Error("the framer keeps memory that it does not need")
	}
}

// TestEmptyFragmentsAreBounded: headers count, so that fragments of nothing
// cannot be collected without end.
func TestEmptyFragmentsAreBounded(t *testing.T) {
	t.Parallel()
	f := &framer{}
	_, code := cut(f, maskedFrame(opText, nil), 1000)
	n := 0
	for ; code == 0; n++ {
		_, code = cut(f, maskedFrame(opContinuation, nil), 1000)
	}
	if code != wire.CloseTooBig || n > 1000 {
		t.Errorf("%d empty fragments end with %d, want %d", n, code, wire.CloseTooBig)
	}
}

// FuzzFramer feeds any bytes in any pieces. What comes out is made of whole
// frames, holds every message in one piece, and does not depend on the pieces.
func FuzzFramer(f *testing.F) {
	f.Add(text("hello"), 1)
	f.Add([]byte{0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, 3)
	f.Add(append(maskedFrame(opText, []byte("a")), maskedFrame(bitFin|opContinuation, []byte("b"))...), 7)
	f.Add(slices.Concat(maskedFrame(opText, []byte("a")), maskedFrame(bitFin|opPing, nil), maskedFrame(bitFin|opContinuation, []byte("b"))), 2)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		const limit = 1000
		whole, wantCode := cut(&framer{}, data, limit)
		fr := &framer{}
		var out []byte
		var code wire.CloseCode
		for _, piece := range chop(data, max(1, min(step, 4096))) {
			var some []byte
			some, code = cut(fr, piece, limit)
			if out = append(out, some...); code != 0 {
				break
			}
		}
		if !bytes.Equal(out, whole) || code != wantCode {
			t.Fatalf("in pieces % x, %d; at once % x, %d", out, code, whole, wantCode)
		}
		check := &framer{}
		for rest := out; len(rest) > 0; {
			n, code := check.judge(rest, limit)
			if n == 0 || code != 0 {
				t.Fatalf("out % x holds something else than whole frames", out)
			}
			_, _, _ = check.next(rest[:n], limit, &partPool{})
			if rest = rest[n:]; check.begun() && (len(rest) == 0 || rest[0]&bitControl != 0) {
				t.Fatalf("out % x holds a message in pieces", out)
			}
		}
	})
}

func TestHello(t *testing.T) {
	t.Parallel()
	h := start(t)
	good := h.visitorToken("shop", conversation.ContactID{9})
	head, _, _ := strings.Cut(good, ".")
	_, foreignTag, _ := strings.Cut(h.visitorToken("shop", conversation.ContactID{8}), ".")
	expired, err := h.gw.IssueVisitorToken("shop", conversation.ContactID{9}, time.Now().Add(-25*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path, say string
		code            int
	}{
		{"something else first", "/v1/widget/ws", `{"t":"ping"}`, 3501},
		{"rubbish first", "/v1/widget/ws", `{"type":1}`, 3501},
		{"another version", "/v1/widget/ws", `{"t":"hello","v":2,"token":"` + good + `"}`, 3501},
		{"too long", "/v1/widget/ws", `{"t":"hello","v":1,"pad":"` + strings.Repeat("x", 5000) + `"}`, 1009},
		{"no token", "/v1/widget/ws", hello, 3500},
		{"forged token", "/v1/widget/ws", `{"t":"hello","v":1,"token":"` + head + "." + foreignTag + `"}`, 3500},
		{"expired token", "/v1/widget/ws", `{"t":"hello","v":1,"token":"` + expired + `"}`, 3005},
		{"agent's token in the widget", "/v1/widget/ws", `{"t":"hello","v":1,"token":"` + h.agentToken("mei") + `"}`, 3500},
		{"visitor's token at the console", "/v1/ws", `{"t":"hello","v":1,"token":"` + good + `"}`, 3500},
		{"no token at the console", "/v1/ws", hello, 3500},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := dialRaw(t, h.addr, tc.path)
			c.say(tc.say)
			if got := c.closeCode(); got != tc.code {
				t.Errorf("closed with %d, want %d", got, tc.code)
			}
		})
	}
}

func TestNoHello(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.HelloTimeout = 50 * time.Millisecond })
	for _, path := range []string{"/v1/widget/ws", "/v1/ws"} {
		if got := dialRaw(t, h.addr, path).closeCode(); got != int(wire.CloseNoHello) {
			t.Errorf("%s closed with %d, want %d", path, got, wire.CloseNoHello)
		}
	}
}

func TestHelloWithTheRequest(t *testing.T) {
	t.Parallel()
	h := start(t)
	// The first frames may lie in the same packet as the request.
	c := dialRaw(t, h.addr, "/v1/widget/ws")
	c.raw(append(text(`{"t":"hello","v":1,"token":"`+h.visitorToken("shop", conversation.ContactID{3})+`"}`), text(`{"t":"ping","ref":"early"}`)...))
	w := c.next()
	if w.str("t") != "welcome" || w.num("max_frame") != 32<<10 || w.num("heartbeat_ms") != 25000 || w.str("epoch") != "e1" {
		t.Errorf("welcome %v", w)
	}
	if m := c.next(); m.str("ref") != "early" {
		t.Errorf("second answer %v, want the pong", m)
	}
	c.say(hello)
	if m := c.next(); m.str("t") != "error" || m.str("problem", "code") != string(conversation.CodeBadFrame) {
		t.Errorf("second hello = %v, want an error", m)
	}
}

func TestUpgradeRefusals(t *testing.T) {
	t.Parallel()
	h := start(t)
	tests := []struct {
		name, path string
		headers    []string
		status     int
	}{
		{"token in the address", "/v1/widget/ws?token=x", nil, 400},
		{"visitor id in the address", "/v1/widget/ws?visitor_id=x", nil, 400},
		{"foreign origin", "/v1/widget/ws", []string{"Origin: https://evil.example"}, 403},
		{"origin null", "/v1/widget/ws", []string{"Origin: null"}, 403},
		{"origin with our name in front", "/v1/widget/ws", []string{"Origin: https://shop.example.evil"}, 403},
		{"origin with our name at the end", "/v1/widget/ws", []string{"Origin: https://evilshop.example"}, 403},
		{"origin with a port", "/v1/widget/ws", []string{"Origin: https://shop.example:444"}, 403},
		{"origin of another scheme", "/v1/widget/ws", []string{"Origin: http://shop.example"}, 403},
		{"allowed origin", "/v1/widget/ws", []string{"Origin: https://shop.example"}, 101},
		{"own origin", "/v1/widget/ws", []string{"Origin: " + h.url}, 101},
		{"console from a foreign origin", "/v1/ws", []string{"Origin: https://shop.example"}, 403},
		{"console from its own", "/v1/ws", []string{"Origin: " + h.url}, 101},
		{"bad cookie", "/v1/ws", []string{"Origin: " + h.url, "Cookie: colloquy_session=ses_x.y"}, 401},
		{"bad token as protocol", "/v1/widget/ws", []string{"Sec-WebSocket-Protocol: colloquy.v1, t.vst_x.y"}, 401},
		{"another protocol", "/v1/widget/ws", []string{"Sec-WebSocket-Protocol: chat"}, 400},
		{"visitor's token at the console", "/v1/ws", []string{"Sec-WebSocket-Protocol: colloquy.v1, t." + h.visitorToken("shop", conversation.ContactID{1})}, 401},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, resp := tryDial(t, h.addr, tc.path, tc.headers...); resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			} else if p := resp.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(p, "t.") {
				t.Errorf("the token came back as %q", p)
			}
		})
	}
	for _, tc := range []struct {
		name, header, value string
		status              int
	}{
		{"no upgrade", "", "", 400},
		{"old version", "Sec-WebSocket-Version", "8", 426},
		{"short key", "Sec-WebSocket-Key", "YWJj", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			headers := map[string]string{}
			if tc.header != "" {
				headers = map[string]string{
					"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
				}
				headers[tc.header] = tc.value
			}
			if a := h.do(call{method: "GET", path: "/v1/ws", headers: headers}); a.status != tc.status {
				t.Errorf("status %d, want %d: %s", a.status, tc.status, a.body)
			}
		})
	}
}

// TestOriginOfTheOtherInbox: the origin fits some inbox, but not the token's.
func TestOriginOfTheOtherInbox(t *testing.T) {
	t.Parallel()
	h := start(t)
	c := dialRaw(t, h.addr, "/v1/widget/ws", "Origin: https://shop.example")
	c.say(`{"t":"hello","v":1,"token":"` + h.visitorToken("bank", conversation.ContactID{1}) + `"}`)
	if got := c.closeCode(); got != int(wire.CloseForbidden) {
		t.Errorf("closed with %d, want %d", got, wire.CloseForbidden)
	}
}

func TestRateLimit(t *testing.T) { //nolint:tparallel // the subtests share one gateway
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.FramesPerSecond = 5 })
	for name, flood := range map[string][]byte{
		"text": text(`{"t":"ping"}`), "ping": maskedFrame(bitFin|opPing, nil), "pong": maskedFrame(bitFin|opPong, nil),
		"typing": text(`{"t":"typing","on":true}`),
	} {
		t.Run(name, func(t *testing.T) {
			c := h.visitor(conversation.ContactID{7}, hello)
			c.expect("welcome")
			c.raw(bytes.Repeat(flood, 40)) // at once, or they may not be too many for their time
			if got := c.closeCode(); got != int(wire.CloseTooFast) {
				t.Errorf("closed with %d, want %d", got, wire.CloseTooFast)
			}
		})
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.Heartbeat, o.Limits.PongTimeout = 60*time.Millisecond, 60*time.Millisecond })
	silent := h.visitor(conversation.ContactID{1}, hello)
	silent.expect("welcome")
	f, err := silent.frame()
	if err != nil || f.op != opPing {
		t.Fatalf("frame %+v, %v, want a ping", f, err)
	}
	if got := silent.closeCode(); got != int(wire.CloseNoPong) {
		t.Errorf("closed with %d, want %d", got, wire.CloseNoPong)
	}
	patient := start(t, func(o *Options) { o.Limits.Heartbeat = 40 * time.Millisecond })
	alive := patient.visitor(conversation.ContactID{2}, hello)
	alive.expect("welcome")
	for range 4 {
		f, err := alive.frame()
		if err != nil || f.op != opPing {
			t.Fatalf("frame %+v, %v, want a ping", f, err)
		}
		alive.raw(maskedFrame(bitFin|opPong, f.payload))
	}
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.ConnectionsPerIdentity, o.Limits.ConnectionsPerIP = 2, 4 })
	for range 2 {
		h.visitor(conversation.ContactID{1}, hello).expect("welcome")
	}
	third := h.visitor(conversation.ContactID{1}, hello)
	if got := third.closeCode(); got != int(wire.CloseConnectionLimit) {
		t.Errorf("third connection of a visitor closed with %d, want %d", got, wire.CloseConnectionLimit)
	}
	third.gone()
	eventually(t, "the third is forgotten", func() bool { return len(h.gw.snapshot()) == 2 })
	var open []*rawClient
	for i := range 2 {
		c := h.visitor(conversation.ContactID{2, byte(i)}, hello)
		c.expect("welcome")
		open = append(open, c)
	}
	if _, resp := tryDial(t, h.addr, "/v1/widget/ws"); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("fifth connection of an address = %d, want 429", resp.StatusCode)
	}
	_ = open[0].conn.Close()
	eventually(t, "the place is free again", func() bool {
		_, resp := tryDial(t, h.addr, "/v1/widget/ws")
		return resp.StatusCode == http.StatusSwitchingProtocols
	})
}

func TestHandshakeLimit(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.HandshakesPerIP = 0.1; o.Limits.HandshakesPerSecond = 3 })
	limited := 0
	for range 10 {
		if _, resp := tryDial(t, h.addr, "/v1/widget/ws"); resp.StatusCode == http.StatusTooManyRequests {
			limited++
			if resp.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if limited == 0 {
		t.Error("ten handshakes at once passed a limit of 3")
	}
}

// TestSlowReader: a client that does not read is closed and costs a bounded
// amount of memory; another one at the same conversation is not held up.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	slow, quick := h.agent("mei"), h.agent("ada")
	for _, c := range []*rawClient{slow, quick} {
		c.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
		c.expect("done")
	}
	body := conversation.Text(strings.Repeat("x", 16<<10))
	for i := range 800 {
		h.store.append(id, conversation.MessageAccepted{Text: body})
		if m := quick.expect("event"); m.num("seq") != i+2 {
			t.Fatalf("event %d, want %d", m.num("seq"), i+2)
		}
		for _, c := range h.gw.snapshot() {
			if n := c.out.waiting(); n > h.gw.limits.HardQueueBytes+1024 {
				t.Errorf("a queue holds %d bytes", n)
			}
		}
	}
	eventually(t, "the slow one is gone", func() bool { return len(h.gw.snapshot()) == 1 })
}

// TestEphemeraAreDropped: under pressure only the newest of each topic stays.
func TestEphemeraAreDropped(t *testing.T) {
	t.Parallel()
	q, rules := outQueue{}, outRules{soft: 1000, hard: 2000}
	put := func(f outFrame) pushed { return q.push(f, &rules) }
	typing := topic{kind: topicTyping, conversation: conversation.ConversationID{1}}
	put(outFrame{bytes: make([]byte, 1100)})
	for range 50 {
		if p := put(outFrame{bytes: make([]byte, 100), topic: typing}); p == pushedSlow {
			t.Fatal("typing made the queue too long")
		}
	}
	if n := len(q.mu.backlog.frames); n != 2 {
		t.Errorf("%d frames wait, want the message and the newest typing", n)
	}
	if p := put(outFrame{bytes: make([]byte, 900), topic: topic{kind: topicPresence}}); p != pushedDropped {
		t.Errorf("push beyond the limit = %d, want dropped", p)
	}
	if p := put(outFrame{bytes: make([]byte, 900)}); p != pushedSlow {
		t.Errorf("push of a message beyond the limit = %d, want slow", p)
	}
	if p := put(outFrame{bytes: make([]byte, 900), topic: topic{kind: topicUpdated}}); p != pushedSlow {
		t.Errorf("push of an update beyond the limit = %d, want slow", p)
	}
}

// TestWritesAreCoalesced: many frames that wait leave in few writes.
func TestWritesAreCoalesced(t *testing.T) {
	t.Parallel()
	q, rules := outQueue{}, outRules{soft: 64 << 10, hard: 256 << 10}
	for i := range 100 {
		want := pushedQueued
		if i == 0 {
			want = pushedFlush
		}
		if got := q.push(outFrame{bytes: []byte("12345678")}, &rules); got != want {
			t.Fatalf("push %d = %d, want %d", i, got, want)
		}
	}
	if b, state := q.take(nil); len(b) != 800 || state != loop.Drained {
		t.Errorf("one write carries %d bytes, then %d; want 800, then nothing", len(b), state)
	}
	q.wrote(800, &rules)
	if b, _ := q.take(nil); b != nil {
		t.Errorf("a second write of %d bytes", len(b))
	}
	if got := q.push(outFrame{bytes: []byte("x")}, &rules); got != pushedFlush {
		t.Errorf("push after all has left = %d, want flush", got)
	}
}

// TestWritesInParts: what the kernel does not take stays, in order; a frame of
// which a part has left is not forgotten whatever happens.
func TestWritesInParts(t *testing.T) {
	t.Parallel()
	q, rules := outQueue{}, outRules{soft: 10, hard: 1000}
	typing := topic{kind: topicTyping}
	q.push(outFrame{bytes: []byte("first of all"), topic: typing}, &rules)
	b, _ := q.take(nil)
	q.wrote(5, &rules)
	q.push(outFrame{bytes: []byte("second one"), topic: typing}, &rules)
	q.push(outFrame{bytes: []byte("third"), topic: typing}, &rules)
	q.dropThenClose(outFrame{bytes: []byte("!")}, &rules)
	got := string(b[:5])
	for {
		b, state := q.take(nil)
		if len(b) > 0 {
			got += string(b[:1])
			q.wrote(1, &rules)
		}
		if state == loop.End && len(b) <= 1 {
			break
		}
	}
	if got != "first of all!" {
		t.Errorf("written %q, want the frame that had begun and the last one", got)
	}
	select {
	case <-q.done():
	default:
		t.Error("all has left and the queue is not done")
	}
}

// brittle panics when it gets a certain message.
type brittle struct{ *memoryStore }

func (b brittle) DeliverAsync(in conversation.Inbound, done func(conversation.Receipt, error)) {
	if in.Text == "boom" {
		panic("broken invariant")
	}
	b.memoryStore.DeliverAsync(in, done)
}

func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) {
		store, _ := o.Conversations.(*memoryStore)
		o.Conversations = brittle{store}
	})
	a, b := h.visitor(conversation.ContactID{1}, hello), h.visitor(conversation.ContactID{2}, hello)
	a.expect("welcome")
	b.expect("welcome")
	for range 3 { // also the one after the next, which the same codec may have read
		a.say(`{"t":"message.send","client_id":"x","text":"boom"}`)
		if got := a.closeCode(); got != int(wire.CloseInternal) {
			t.Errorf("closed with %d, want %d", got, wire.CloseInternal)
		}
		a = h.visitor(conversation.ContactID{1}, hello)
		a.expect("welcome")
	}
	b.say(`{"t":"ping","ref":"ok"}`)
	if m := b.expect("pong"); m.str("ref") != "ok" {
		t.Errorf("the other connection got %v", m)
	}
}
