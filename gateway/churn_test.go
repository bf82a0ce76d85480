package gateway

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestChurn opens and ends connections in every way at once, while commits are
// published and messages acknowledged. Afterwards nothing of them is left.
func TestChurn(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h := start(t, mode, func(o *Options) {
			o.Limits.ConnectionsPerIP, o.Limits.HandshakesPerIP, o.Limits.HandshakesPerSecond = 1000, 1e6, 1e6
			o.Limits.Linger = 200 * time.Millisecond
		})
		const workers = 8
		rounds := 30
		if testing.Short() {
			rounds = 12
		}
		ids := make([]conversation.ConversationID, workers)
		for i := range ids {
			ids[i] = h.store.start("shop", conversation.ContactID{byte(i + 1)})
		}
		stop := make(chan struct{})
		var publishing, all sync.WaitGroup
		publishing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond): // a pace, not a wait
				}
				h.store.append(ids[i%workers], conversation.MessageAccepted{Text: "more"})
				h.gw.Hub().Typing(TypingChange{Conversation: ids[i%workers], Inbox: "shop", Contact: conversation.ContactID{byte(i%workers + 1)}, From: conversation.PartyAgent, Agent: "mei", On: true})
			}
		})
		agent := h.agentToken("ada")
		for w := range workers {
			token := h.visitorToken("shop", conversation.ContactID{byte(w + 1)})
			all.Go(func() {
				for i := range rounds {
					if w%4 == 3 {
						h.comeAndGo("/v1/ws", fmt.Sprintf(`{"t":"hello","v":1,"token":%q}`, agent), fmt.Sprintf(`{"t":"subscribe","conversation_id":%q,"after":0}`, ids[w]), i)
					} else {
						h.comeAndGo("/v1/widget/ws", fmt.Sprintf(`{"t":"hello","v":1,"token":%q,"resume":{"cursors":{%q:1}}}`, token, ids[w]), fmt.Sprintf(`{"t":"message.send","client_id":"%d-%d","text":"hi"}`, w, i), i)
					}
				}
			})
		}
		all.Wait()
		close(stop)
		publishing.Wait()
		eventually(t, "all are gone", func() bool { return len(h.gw.snapshot()) == 0 })
		for i := range h.gw.hub.visitors {
			s := &h.gw.hub.visitors[i]
			s.mu.RLock()
			if len(s.mu.first) > 0 {
				t.Errorf("the hub remembers %d visitors", len(s.mu.first))
			}
			s.mu.RUnlock()
		}
		for i := range h.gw.hub.watchers {
			s := &h.gw.hub.watchers[i]
			s.mu.RLock()
			if len(s.mu.sets) > 0 {
				t.Errorf("the hub remembers %d watched conversations", len(s.mu.sets))
			}
			s.mu.RUnlock()
		}
		h.gw.byPeer.mu.Lock()
		if n := len(h.gw.byPeer.mu.open); n > 0 {
			t.Errorf("%d addresses are counted", n)
		}
		h.gw.byPeer.mu.Unlock()
		if n := len(h.gw.agents.all()); n > 0 {
			t.Errorf("%d agents' connections are known", n)
		}
		for _, s := range []side{visitorSide, agentSide} {
			if n := testutil.ToFloat64(h.gw.metrics.connections.WithLabelValues(s.String())); n != 0 {
				t.Errorf("%v connections of %ss are counted", n, s)
			}
		}
		eventually(t, "the crew has gone home", func() bool {
			h.gw.crew.mu.Lock()
			defer h.gw.crew.mu.Unlock()
			return h.gw.crew.mu.busy == 0
		})
	})
}

// comeAndGo opens a connection, says two things and ends it in one of many ways.
func (h *harness) comeAndGo(path, first, second string, way int) {
	conn, err := net.DialTimeout("tcp", h.addr, patience) //nolint:noctx // the deadline is enough
	if err != nil {
		h.t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n%s%s", path, h.addr, text(first), text(second))
	buf := make([]byte, 4096)
	for range way % 5 { // now and then something is read
		if _, err := conn.Read(buf); err != nil {
			h.t.Errorf("read: %v", err)
			return
		}
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	switch way % 6 {
	case 0:
		_ = tcp.SetLinger(0) // a reset
	case 1:
		_, _ = conn.Write(maskedFrame(bitFin|opClose, []byte{3, 232}))
	case 2:
		_ = tcp.CloseWrite()
		for err == nil {
			_, err = conn.Read(buf)
		}
	case 3:
		_, _ = conn.Write([]byte{0xff}) // an illegal frame
		for err == nil {
			_, err = conn.Read(buf)
		}
	case 4:
		_, _ = conn.Write(text("x")[:3]) // half a frame
	}
}
