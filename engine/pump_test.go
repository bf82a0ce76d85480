package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/conversation"
)

// page is the widget of one visitor: it notes what it is shown and how its
// connection ended.
type page struct {
	gws.BuiltinEventHandler

	conn   *gws.Conn
	closed chan uint16 // close code

	mu struct {
		sync.Mutex
		welcomed bool
		resumed  bool
		shown    map[conversation.Seq]int
		newest   conversation.Seq
		id       string
	}
}

func (p *page) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	var f struct {
		T            string           `json:"t"`
		Conversation string           `json:"conversation_id"`
		Seq          conversation.Seq `json:"seq"`
	}
	if json.Unmarshal(m.Bytes(), &f) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f.T {
	case "welcome":
		p.mu.welcomed = true
	case "resumed":
		p.mu.resumed = true
	case "event":
		p.mu.shown[f.Seq]++
		p.mu.newest, p.mu.id = max(p.mu.newest, f.Seq), f.Conversation
	}
}

func (p *page) OnClose(_ *gws.Conn, err error) {
	code := uint16(0)
	if e, ok := err.(*gws.CloseError); ok { //nolint:errorlint // the library gives it as it is
		code = e.Code
	}
	p.closed <- code
}

func (p *page) holds(what func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return what()
}

// session gets a visitor's token.
func session(t *testing.T, addr string, inbox conversation.InboxID) (token string, contact conversation.ContactID) {
	t.Helper()
	body := fmt.Sprintf(`{"inbox":%q}`, inbox)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/widget/session", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "http://"+addr)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Token   string                 `json:"token"`
		Contact conversation.ContactID `json:"contact"`
	}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&v); err != nil || v.Token == "" {
		t.Fatalf("visitor session: %d %s", res.StatusCode, raw)
	}
	return v.Token, v.Contact
}

// open connects the page and says hello, from a cursor if there is one.
func open(t *testing.T, addr, token, resume string) *page {
	t.Helper()
	p := &page{closed: make(chan uint16, 1)}
	p.mu.shown = map[conversation.Seq]int{}
	conn, _, err := gws.NewClient(p, &gws.ClientOption{
		Addr: "ws://" + addr + "/v1/widget/ws", HandshakeTimeout: deadline, RequestHeader: http.Header{"Origin": {"http://" + addr}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.conn = conn
	go conn.ReadLoop()
	t.Cleanup(func() { _ = conn.NetConn().Close() })
	if err := conn.WriteString(fmt.Sprintf(`{"t":"hello","v":1,"token":%q%s}`, token, resume)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the page is welcome", func() bool { return p.holds(func() bool { return p.mu.welcomed }) })
	return p
}

// When the stream of commits overruns, connections are told that their picture
// may have a hole; after coming back they have seen everything exactly once.
func TestOverrunStreamIsToldAndHealed(t *testing.T) {
	t.Parallel()
	var log record
	e, err := New(quietOptions(t, &log))
	if err != nil {
		t.Fatal(err)
	}
	e.commitBuffer = 1
	run(t, e)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Origins: []string{"self"}})
	token, contact := session(t, e.Addr(), "house")
	first := open(t, e.Addr(), token, "")

	in := conversation.Inbound{Inbox: "house", Channel: conversation.ChannelWeb, Contact: contact, Text: "hello"}
	var closed atomic.Bool
	var code uint16
	go func() { code = <-first.closed; closed.Store(true) }()
	var newest conversation.Seq
	eventually(t, "the stream overruns and the page is closed", func() bool {
		var burst sync.WaitGroup
		for range 64 { // many commits at a time, of many conversations
			burst.Go(func() {
				other := in
				other.Contact = conversation.NewContactID(time.Now())
				_, _ = e.Actors().Deliver(t.Context(), other)
			})
		}
		newest = say(t, e, in).Seq
		burst.Wait()
		return closed.Load()
	})
	if code != 3010 {
		t.Errorf("close code = %d, want 3010, state lost", code)
	}
	if !strings.Contains(log.String(), "apply stream overrun") {
		t.Error("the log does not tell of the overrun")
	}
	var id string
	var cursor conversation.Seq
	first.holds(func() bool { id, cursor = first.mu.id, first.mu.newest; return true })
	resume := ""
	if id != "" {
		resume = fmt.Sprintf(`,"resume":{"epoch":"","cursors":{%q:%d}}`, id, cursor)
	}
	second := open(t, e.Addr(), token, resume)
	if id != "" {
		eventually(t, "the page has caught up", func() bool {
			return second.holds(func() bool { return second.mu.resumed && (second.mu.newest >= newest || cursor >= newest) })
		})
		second.holds(func() bool {
			for seq := range second.mu.shown {
				if seq <= cursor {
					t.Errorf("seq %d was shown again", seq)
				}
			}
			return true
		})
	}
	// The stream flows again; with room for one commit it may overrun again.
	eventually(t, "a new message is shown while it happens", func() bool {
		live := say(t, e, in).Seq
		for range 50 {
			if second.holds(func() bool { return second.mu.shown[live] == 1 }) {
				return true
			}
			select {
			case <-second.closed:
				second = open(t, e.Addr(), token, "")
				return false
			case <-time.After(10 * time.Millisecond):
			}
		}
		return false
	})
}
