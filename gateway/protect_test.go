package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// stuckJournal does not answer questions about some conversations until it may.
type stuckJournal struct {
	*memoryStore

	asked chan struct{} // one for each question that waits
	free  chan struct{} // closed = answer
}

func (s *stuckJournal) isStuck(id conversation.ConversationID) bool { return id[0] == 0xdd }

// Head implements [Journal].
func (s *stuckJournal) Head(ctx context.Context, id conversation.ConversationID) (conversation.Head, error) {
	if s.isStuck(id) {
		s.asked <- struct{}{}
		select {
		case <-s.free:
		case <-ctx.Done():
		}
	}
	return s.memoryStore.Head(ctx, id)
}

func startStuck(t *testing.T, change ...func(*Options)) (*harness, *stuckJournal) {
	t.Helper()
	s := &stuckJournal{asked: make(chan struct{}, 1000), free: make(chan struct{})}
	h := start(t, append(change, func(o *Options) {
		s.memoryStore, _ = o.Journal.(*memoryStore)
		o.Journal = s
	})...)
	return h, s
}

// TestASlowJournalHoldsUpOneConnection: who asks for something that takes time
// waits, in order and without being read any further; everybody else goes on.
func TestASlowJournalHoldsUpOneConnection(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h, s := startStuck(t, mode, func(o *Options) {
			o.Limits.InFlight, o.Limits.FramesPerSecond = 1<<20, 1e9
			if o.Loops > 0 {
				o.Loops = 1 // the very same loop
			}
		})
		waiting := h.visitor(conversation.ContactID{1}, hello)
		waiting.expect("welcome")
		waiting.say(fmt.Sprintf(`{"t":"read","ref":"stuck","seq":1,"conversation_id":%q}`, conversation.ConversationID{0xdd}))
		<-s.asked
		other := h.visitor(conversation.ContactID{2}, hello)
		other.expect("welcome")
		// What comes behind fills the kernel's buffers and nothing else.
		const many = 20_000
		flood := text(`{"t":"ping","ref":"behind"}`)
		sent := make(chan error, 1)
		go func() {
			for range many / 100 {
				_ = waiting.conn.SetWriteDeadline(time.Now().Add(patience))
				if _, err := waiting.conn.Write([]byte(strings.Repeat(string(flood), 100))); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for range 200 {
			other.say(stillThere)
			other.expect("pong")
		}
		close(s.free)
		if m := waiting.next(); m.str("ref") != "stuck" {
			t.Fatalf("first answer %v, want the refusal", m)
		}
		for i := range many {
			if m := waiting.next(); m.str("ref") != "behind" {
				t.Fatalf("answer %d is %v", i, m)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestLostWhileWorking: a connection that ends while its frame is worked on is
// cleaned up once, when the work ends.
func TestLostWhileWorking(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h, s := startStuck(t, mode)
		c := h.visitor(conversation.ContactID{1}, hello)
		c.expect("welcome")
		c.say(fmt.Sprintf(`{"t":"read","seq":1,"conversation_id":%q}`, conversation.ConversationID{0xdd}))
		<-s.asked
		if tcp, ok := c.conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset
		}
		_ = c.conn.Close()
		close(s.free)
		eventually(t, "it is forgotten", func() bool { return len(h.gw.snapshot()) == 0 })
		h.visitor(conversation.ContactID{1}, hello).expect("welcome")
	})
}

// TestHerd: after a restart everybody comes at once, and everybody gets in.
func TestHerd(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		const n = 200
		h := start(t, mode, func(o *Options) {
			o.Limits.ConnectionsPerIP, o.Limits.HandshakesPerIP, o.Limits.HandshakesPerSecond = 2*n, 1e6, 1e6
		})
		ids := make([]conversation.ConversationID, n)
		tokens := make([]string, n)
		for i := range ids {
			who := conversation.ContactID{7, byte(i)}
			ids[i] = h.store.start("shop", who)
			h.store.append(ids[i], conversation.MessageAccepted{Text: "missed"})
			tokens[i] = h.visitorToken("shop", who)
		}
		var all sync.WaitGroup
		failed := make(chan error, n)
		for i := range n {
			all.Go(func() { failed <- comeBack(h.addr, tokens[i], ids[i]) })
		}
		all.Wait()
		close(failed)
		for err := range failed {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// comeBack is a client of the herd: it resumes and wants the event it missed.
func comeBack(addr, token string, id conversation.ConversationID) error {
	conn, err := net.DialTimeout("tcp", addr, patience) //nolint:noctx // the deadline is enough
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(conn, "GET /v1/widget/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: colloquy.v1, t.%s\r\n\r\n%s", addr, token, text(resumeFrom(id, 1)))
	if err != nil {
		return err
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), `"t":"resumed"`) {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("after %.300q: %w", got.String(), err)
		}
		got.Write(buf[:n])
	}
	if s := got.String(); !strings.Contains(s, `"seq":2`) || !strings.Contains(s, `"complete":true`) {
		return fmt.Errorf("resumed without the event: %.300q", s)
	}
	return nil
}

// TestSlowRequests: who does not get on with a request is cut off; sockets do
// not notice.
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	h := start(t)
	witness := h.visitor(conversation.ContactID{1}, hello)
	witness.expect("welcome")
	srv := h.gw.Server()
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes > maxHeaderBytes {
		t.Fatalf("a request is not bounded: %+v", srv)
	}
	srv.ReadHeaderTimeout, srv.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	for name, begin := range map[string]string{
		"header": "GET /v1/widget/ws HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"body":   "POST /v1/widget/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"large":  "GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d net.Dialer
			c, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(c, begin) // an error is the early end that is wanted
			if b, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("the request is still waited for, after %q", b)
			} else if strings.Contains(string(b), "HTTP/1.1 2") {
				t.Errorf("answer %q", b)
			}
		})
	}
	witness.say(stillThere)
	witness.expect("pong")
}

// TestBehindTLS: a socket whose records only crypto/tls can read is served all
// the same.
func TestBehindTLS(t *testing.T) {
	t.Parallel()
	h := start(t)
	srv := httptest.NewUnstartedServer(h.gw.Handler())
	srv.Config.ErrorLog = h.gw.Server().ErrorLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	addr := srv.Listener.Addr().String()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET /v1/widget/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: colloquy.v1, t.%s\r\n\r\n", addr, h.visitorToken("shop", conversation.ContactID{1}))
	if err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade = %v, %v", resp, err)
	}
	c := &rawClient{t: t, conn: conn, br: br}
	c.say(hello)
	c.expect("welcome")
	long := `{"t":"ping","ref":"long","pad":"` + strings.Repeat("p", 20_000) + `"}`
	c.raw(chop(text(long), 777)...)
	if m := c.expect("pong"); m.str("ref") != "long" {
		t.Errorf("answer %v", m)
	}
	id := h.store.start("shop", conversation.ContactID{1})
	for i := range 50 {
		h.store.append(id, conversation.MessageAccepted{Text: conversation.Text(fmt.Sprint(i))})
	}
	for i := range 51 {
		if m := c.expect("event"); m.num("seq") != i+1 {
			t.Fatalf("event %v, want seq %d", m, i+1)
		}
	}
	c.raw(maskedFrame(bitFin|opClose, []byte{0x0b, 0xb8}))
	if got := c.closeCode(); got != 3000 {
		t.Errorf("closed with %d, want 3000", got)
	}
	c.gone()
}
