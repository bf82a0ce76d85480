package dingtalk_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/dingtalk"
)

// streamRoom is DingTalk's gateway over pipes, so that it can stand in a bubble of
// fake time: it pushes what waits to whoever connects, until that is acknowledged.
type streamRoom struct {
	gws.BuiltinEventHandler

	status int // of every other of the first calls; 0 = no answer.
	fails  bool

	mu      sync.Mutex
	calls   int
	waiting map[string][]byte // data by the frame's id
	order   []string
}

var errRefused = errors.New("connection refused")

const failingCalls = 12

// failing reports whether this call is one that fails.
func (s *streamRoom) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return s.fails && s.calls <= failingCalls && s.calls%2 == 1
}

// RoundTrip implements [http.RoundTripper]: where to connect. A gateway that fails
// with 502 does so later, in the middle of a frame.
func (s *streamRoom) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	if s.status != http.StatusBadGateway && s.failing() {
		if s.status == 0 {
			return nil, errRefused
		}
		return answer(s.status, "{}")
	}
	return answer(http.StatusOK, `{"endpoint":"ws://127.0.0.1:1/connect","ticket":"t+1"}`)
}

func (s *streamRoom) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	cut := s.status == http.StatusBadGateway && s.failing()
	go func() {
		defer func() { _ = theirs.Close() }()
		br := bufio.NewReader(theirs)
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		c, err := gws.NewUpgrader(s, &gws.ServerOption{}).UpgradeFromConn(theirs, br, r)
		if err != nil {
			return
		}
		pushed := make(chan struct{})
		go func() { defer close(pushed); s.push(c) }()
		c.ReadLoop()
		<-pushed
	}()
	if cut {
		return channeltest.Cut(ours, 4096), nil
	}
	return ours, nil
}

// push sends what waits, oldest first.
func (s *streamRoom) push(c *gws.Conn) {
	s.mu.Lock()
	ids := s.order
	s.mu.Unlock()
	for _, id := range ids {
		s.mu.Lock()
		data, waits := s.waiting[id]
		s.mu.Unlock()
		if !waits {
			continue
		}
		frame, err := json.Marshal(map[string]any{
			"specVersion": "1.0", "type": "CALLBACK", "data": string(data),
			"headers": map[string]string{"contentType": "application/json", "messageId": id, "topic": topicRobot, "time": "1690362102194"},
		})
		if err != nil || c.WriteMessage(gws.OpcodeText, frame) != nil {
			return
		}
	}
}

// OnMessage implements [gws.Event]: an acknowledgement.
func (s *streamRoom) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	var answer struct {
		Code    int `json:"code"`
		Headers struct {
			MessageID string `json:"messageId"`
		} `json:"headers"`
	}
	if json.Unmarshal(m.Bytes(), &answer) != nil || answer.Code != http.StatusOK {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, answer.Headers.MessageID)
}

// streamed says how the suite has messages come through a stream.
func streamed() *channeltest.Pulled {
	return &channeltest.Pulled{
		New: func(t testing.TB, provider http.RoundTripper) channels.Driver {
			t.Helper()
			o := channeltest.Options(provider, map[string]string{"app_key": "ding1", "app_secret": secret, "mode": "stream", "api_url": "http://127.0.0.1:1"})
			if room, ok := provider.(*streamRoom); ok {
				o.Dial = room.dial
			}
			d, err := dingtalk.New(o)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Provider: func(t testing.TB, messages []channeltest.Message) http.RoundTripper {
			t.Helper()
			s := &streamRoom{waiting: map[string][]byte{}}
			for i, m := range messages {
				id := "f" + strconv.Itoa(i)
				s.waiting[id], s.order = body(t, m, nil), append(s.order, id)
			}
			return s
		},
		Failing: func(p http.RoundTripper, status int) http.RoundTripper {
			if s, ok := p.(*streamRoom); ok {
				s.fails, s.status = true, status
			}
			return p
		},
	}
}
