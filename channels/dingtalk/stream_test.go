package dingtalk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/dingtalk"
	"github.com/colloquyhq/colloquy/conversation"
)

// patience is for a machine that is busy with other things, on which a program of
// node needs more than a minute to begin. Nothing waits for its end.
const patience = 5 * time.Minute

// streamServer is DingTalk's gateway: it says where to connect, and takes
// connections there. TestStreamServer holds it against DingTalk's own client.
type streamServer struct {
	gws.BuiltinEventHandler

	t      *testing.T
	http   *httptest.Server
	opened chan *gws.Conn
	closed chan struct{}
	said   chan map[string]any // by the client
	asked  chan map[string]any // bodies of calls to open
	secret string
}

func newStreamServer(t *testing.T) *streamServer {
	t.Helper()
	s := &streamServer{
		t: t, opened: make(chan *gws.Conn, 8), closed: make(chan struct{}, 8), said: make(chan map[string]any, 64), asked: make(chan map[string]any, 8), secret: secret,
	}
	upgrader := gws.NewUpgrader(s, &gws.ServerOption{Authorize: func(r *http.Request, _ gws.SessionStorage) bool {
		return r.URL.Query().Get("ticket") == "t+1"
	}})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1.0/gateway/connections/open", func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		s.asked <- body
		if body["clientSecret"] != s.secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"endpoint": s.endpoint(), "ticket": "t+1"})
	})
	mux.HandleFunc("GET /connect", func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		s.opened <- c
		go c.ReadLoop()
	})
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.http.Close)
	return s
}

func (s *streamServer) endpoint() string {
	return "ws" + strings.TrimPrefix(s.http.URL, "http") + "/connect"
}

// OnMessage implements [gws.Event].
func (s *streamServer) OnMessage(_ *gws.Conn, m *gws.Message) {
	var v map[string]any
	if err := json.Unmarshal(m.Bytes(), &v); err != nil {
		s.t.Errorf("the client said %s", m.Bytes())
	}
	_ = m.Close()
	s.said <- v
}

// OnClose implements [gws.Event].
func (s *streamServer) OnClose(*gws.Conn, error) { s.closed <- struct{}{} }

// push sends a frame with data; what is its type and its topic.
func push(t *testing.T, c *gws.Conn, what, id string, data []byte) {
	t.Helper()
	kind, topic, _ := strings.Cut(what, " ")
	b, err := json.Marshal(map[string]any{
		"specVersion": "1.0", "type": kind, "data": string(data),
		"headers": map[string]string{"appId": "a", "contentType": "application/json", "messageId": id, "topic": topic, "time": "1690362102194"},
	})
	if err == nil {
		err = c.WriteMessage(gws.OpcodeText, b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const (
	topicRobot = "/v1.0/im/bot/messages/get"
	callback   = "CALLBACK " + topicRobot
)

// idOf gives the frame that an answer is about.
func idOf(answer map[string]any) any {
	headers, _ := answer["headers"].(map[string]any)
	return headers["messageId"]
}

func (s *streamServer) driver(values map[string]string) *dingtalk.Driver {
	s.t.Helper()
	v := map[string]string{"app_key": "ding1", "app_secret": secret, "mode": "stream", "api_url": s.http.URL}
	maps.Copy(v, values)
	o := channeltest.Options(nil, v)
	o.Client = &http.Client{}
	o.Dial = (&net.Dialer{}).DialContext
	d, err := dingtalk.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// pulled is a look that was made meanwhile.
type pulled struct {
	got channels.Pulled
	err error
}

func look(ctx context.Context, d *dingtalk.Driver, cursor []byte) <-chan pulled {
	c := make(chan pulled, 1)
	go func() {
		got, err := d.Pull(ctx, channels.Pull{Account: channeltest.Inbox, Cursor: cursor, At: time.Now()})
		c <- pulled{got, err}
	}()
	return c
}

// TestStream walks through the life of a connection. A frame is acknowledged when
// the cursor behind it comes back and not before, and given again until then.
func TestStream(t *testing.T) {
	t.Parallel()
	s := newStreamServer(t)
	d := s.driver(nil)
	first := look(t.Context(), d, nil)
	conn := receive(t, s.opened)
	if asked := receive(t, s.asked); asked["clientId"] != "ding1" || !strings.Contains(fmt.Sprint(asked["subscriptions"]), topicRobot) {
		t.Errorf("asked %v", asked)
	}
	push(t, conn, "SYSTEM ping", "p1", []byte(`{"opaque":"42"}`))
	if pong := receive(t, s.said); pong["code"] != 200.0 || pong["data"] != `{"opaque":"42"}` || idOf(pong) != "p1" {
		t.Errorf("the answer to a ping is %v", pong)
	}
	push(t, conn, callback, "f1", body(t, channeltest.Message{Peer: "m1", Ref: "r1", Text: "hello"}, nil))
	got := receive(t, first)
	if got.err != nil || len(got.got.Events) != 1 || got.got.Events[0].Text != "hello" || got.got.Events[0].Ref != "r1" || string(got.got.Cursor) != "f1" {
		t.Fatalf("Pull = %+v", got)
	}
	again := receive(t, look(t.Context(), d, nil)) // it was not stored
	if len(again.got.Events) != 1 || again.got.Events[0].Ref != "r1" {
		t.Errorf("a look with the old cursor gives %+v", again)
	}
	if len(s.said) != 0 {
		t.Errorf("%v was said before the message was stored", <-s.said)
	}
	next := look(t.Context(), d, got.got.Cursor)
	ack := receive(t, s.said)
	if ack["code"] != 200.0 || ack["message"] != "OK" || idOf(ack) != "f1" {
		t.Errorf("the acknowledgement is %v", ack)
	}
	push(t, conn, "EVENT *", "e1", []byte(`{}`))
	if a := receive(t, s.said); idOf(a) != "e1" {
		t.Errorf("an event is answered with %v", a)
	}
	push(t, conn, callback, "f2", []byte("rubbish"))
	if got := receive(t, next); got.err != nil || len(got.got.Events) != 0 || string(got.got.Cursor) != "f2" {
		t.Errorf("what cannot be read gives %+v", got)
	}
	third := look(t.Context(), d, []byte("f2"))
	if a := receive(t, s.said); idOf(a) != "f2" {
		t.Errorf("what cannot be read is answered with %v", a)
	}
	push(t, conn, "SYSTEM disconnect", "d1", nil)
	var failure *channels.SendError
	if got := receive(t, third); !errors.As(got.err, &failure) || failure.Class != channels.Retry {
		t.Errorf("a look at an ended stream gives %+v", got)
	}
	receive(t, s.closed)
	fourth := look(t.Context(), d, []byte("f2"))
	push(t, receive(t, s.opened), callback, "f3", body(t, channeltest.Message{Peer: "m1", Ref: "r3", Text: "back"}, nil))
	if got := receive(t, fourth); len(got.got.Events) != 1 || got.got.Events[0].Text != "back" {
		t.Errorf("the new connection gives %+v", got)
	}
}

// TestStreamEndsWithItsAccount shows that a connection does not outlive the
// account's turn to it.
func TestStreamEndsWithItsAccount(t *testing.T) {
	t.Parallel()
	s := newStreamServer(t)
	values := map[string]string{"app_key": "ding1", "app_secret": secret, "mode": "stream", "api_url": s.http.URL}
	state := make(chan channels.Account, 1)
	state <- channels.NewAccount("1", values)
	o := channeltest.Options(nil, nil)
	o.Client, o.Dial = &http.Client{}, (&net.Dialer{}).DialContext
	o.Accounts = func(context.Context, conversation.InboxID) (channels.Account, error) {
		a := <-state
		state <- a
		return a, nil
	}
	d, err := dingtalk.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := look(ctx, d, nil)
	receive(t, s.opened)
	cancel()
	receive(t, first)
	<-state
	values["mode"] = ""
	state <- channels.NewAccount("2", values)
	if got := receive(t, look(t.Context(), d, nil)); !errors.Is(got.err, channels.ErrDelivered) {
		t.Errorf("without stream mode a look gives %+v", got)
	}
	receive(t, s.closed)
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	s := newStreamServer(t)
	for name, c := range map[string]struct {
		values map[string]string
		want   channels.Class
	}{
		"a wrong secret":  {map[string]string{"app_secret": "wrong"}, channels.Auth},
		"nobody there":    {map[string]string{"api_url": "http://127.0.0.1:1"}, channels.Retry},
		"no such address": {map[string]string{"api_url": "::"}, channels.Permanent},
	} {
		_, err := s.driver(c.values).Pull(t.Context(), channels.Pull{Account: channeltest.Inbox})
		if got := channels.ClassOf(err); got != c.want {
			t.Errorf("%s: %v of class %s, want %s", name, err, got, c.want)
		}
	}
	for name, endpoint := range map[string]string{
		"none": "", "no address": "::", "another scheme": "ftp://x/", "with a user": "wss://u:p@x/", "unencrypted": "ws://x/",
	} {
		answer, err := json.Marshal(map[string]string{"endpoint": endpoint, "ticket": "t"})
		if err != nil {
			t.Fatal(err)
		}
		calls := &channeltest.Calls{Answers: map[string]string{"/v1.0/gateway/connections/open": string(answer)}}
		d, err := dingtalk.New(channeltest.Options(calls, map[string]string{"app_key": "k", "app_secret": "s", "mode": "stream"}))
		if err != nil {
			t.Fatal(err)
		}
		var failure *channels.SendError
		if _, err := d.Pull(t.Context(), channels.Pull{Account: channeltest.Inbox}); !errors.As(err, &failure) || failure.Code != "bad_endpoint" {
			t.Errorf("an endpoint %s gives %v", name, err)
		}
	}
	if _, err := s.driver(map[string]string{"mode": "Stream"}).Check(t.Context(), channeltest.Inbox); channels.ClassOf(err) != channels.Permanent {
		t.Errorf("a mode that is none passes the check: %v", err)
	}
}

// TestStreamServer lets DingTalk's own client talk to the server of these tests,
// and compares what it answers with what the driver does.
func TestStreamServer(t *testing.T) {
	t.Parallel()
	s := newStreamServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := channeltest.NodeCommand(ctx, t, "dingtalk.mjs", s.endpoint()+"?ticket=t%2B1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()
	answers := func(conn *gws.Conn) []map[string]any {
		push(t, conn, "SYSTEM ping", "p1", []byte(`{"opaque":"42"}`))
		ping := receive(t, s.said)
		delete(ping, "headers") // theirs repeats those of the frame
		push(t, conn, callback, "f1", body(t, channeltest.Message{Peer: "m1", Ref: "r1", Text: "hello"}, nil))
		return []map[string]any{ping, receive(t, s.said)}
	}
	theirs := answers(receive(t, s.opened))
	d := s.driver(nil)
	first := look(ctx, d, nil)
	conn := receive(t, s.opened)
	ours := make(chan []map[string]any, 1)
	go func() { ours <- answers(conn) }()
	look(ctx, d, receive(t, first).got.Cursor)
	if got := receive(t, ours); fmt.Sprint(got) != fmt.Sprint(theirs) {
		t.Errorf("the driver says\n%v\nDingTalk's client says\n%v", got, theirs)
	}
}
