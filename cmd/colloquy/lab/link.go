package lab

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/conversation"
)

// The entrances for sockets.
const (
	VisitorPath = "/v1/widget/ws"
	AgentPath   = "/v1/ws"
)

// dialTimeout bounds a connection attempt.
const dialTimeout = 5 * time.Second

// ErrLost is what a connection ends with.
var ErrLost = errors.New("the connection was lost")

// Frame is a frame from the server, as far as these tools read it.
type Frame struct {
	Arrived      time.Time        `json:"-"`
	T            string           `json:"t"`
	Epoch        string           `json:"epoch"`
	ClientID     string           `json:"client_id"`
	Conversation json.RawMessage  `json:"conversation"`
	ID           string           `json:"conversation_id"`
	Seq          conversation.Seq `json:"seq"`
	Version      conversation.Seq `json:"version"`
	Kind         string           `json:"type"`
	Duplicate    bool             `json:"duplicate"`
	Durable      bool             `json:"durable"`
	Complete     bool             `json:"complete"`
	Reason       string           `json:"reason"`
	Ref          string           `json:"ref"`
	AfterMS      int64            `json:"after_ms"`
	Problem      struct {
		Code         conversation.Code `json:"code"`
		Status       int               `json:"status"`
		Retry        bool              `json:"retry"`
		RetryAfterMS int64             `json:"retry_after_ms"`
	} `json:"problem"`
	Data struct {
		InReplyTo conversation.Seq        `json:"in_reply_to_seq"`
		From      conversation.Party      `json:"from"`
		Text      string                  `json:"text"`
		ClientID  string                  `json:"client_id"`
		Status    conversation.Status     `json:"status"`
		Assignee  conversation.AgentID    `json:"assignee"`
		Queue     conversation.QueueState `json:"queue"`
	} `json:"data"`
}

// CarriesMessage reports whether the frame is an event that shows a message.
func (f *Frame) CarriesMessage() bool {
	switch f.Kind {
	case conversation.MessageAccepted{}.Kind(), conversation.ReplyComposed{}.Kind(), conversation.AgentReplied{}.Kind():
		return f.T == "event"
	}
	return false
}

// Current is the conversation that a welcome names, and the seq of its newest
// entry; the zero id when there is none.
func (f *Frame) Current() (conversation.ConversationID, conversation.Seq) {
	var c struct {
		ID      conversation.ConversationID `json:"id"`
		Version conversation.Seq            `json:"version"`
	}
	if json.Unmarshal(f.Conversation, &c) != nil {
		return conversation.ConversationID{}, 0
	}
	return c.ID, c.Version
}

// Hello says who connects, where to, and what they have seen already.
type Hello struct {
	Addr   string
	Path   string
	Token  string
	Resume any // nil = nothing seen yet

	Timeout time.Duration // of the attempt; zero = 5 s
}

// Link is one connection of a visitor or an agent.
type Link struct {
	conn   *gws.Conn
	frames func(*Frame)
	lost   chan struct{}
	once   sync.Once
}

// Dial connects and says hello. frames is called for each frame, one at a time.
func Dial(ctx context.Context, h Hello, frames func(*Frame)) (*Link, error) {
	l := &Link{frames: frames, lost: make(chan struct{})}
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = dialTimeout
	}
	conn, _, err := gws.NewClient(l, //nolint:bodyclose // the body is the connection
		&gws.ClientOption{
			Addr: "ws://" + h.Addr + h.Path, HandshakeTimeout: timeout,
			RequestHeader: http.Header{"Origin": {"http://" + h.Addr}},
			NewDialer:     func() (gws.Dialer, error) { return contextDialer{ctx, timeout}, nil },
		})
	if err != nil {
		return nil, err
	}
	l.conn = conn
	go conn.ReadLoop()
	hello := map[string]any{"t": "hello", "v": 1, "token": h.Token}
	if h.Resume != nil {
		hello["resume"] = h.Resume
	}
	return l, l.Send(hello)
}

// contextDialer dials for the websocket client.
type contextDialer struct {
	ctx     context.Context //nolint:containedctx // an adapter
	timeout time.Duration
}

// Dial implements [gws.Dialer].
func (d contextDialer) Dial(network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: d.timeout}).DialContext(d.ctx, network, addr)
}

// Send writes a frame.
func (l *Link) Send(frame any) error {
	raw, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	return l.conn.WriteMessage(gws.OpcodeText, raw)
}

// Close ends the connection without a goodbye.
func (l *Link) Close() { _ = l.conn.NetConn().Close() }

// Lost is closed when the connection has ended.
func (l *Link) Lost() <-chan struct{} { return l.lost }

// OnOpen implements [gws.Event].
func (*Link) OnOpen(*gws.Conn) {}

// OnClose implements [gws.Event].
func (l *Link) OnClose(*gws.Conn, error) { l.once.Do(func() { close(l.lost) }) }

// OnPing implements [gws.Event].
func (*Link) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnPong implements [gws.Event].
func (*Link) OnPong(*gws.Conn, []byte) {}

// OnMessage implements [gws.Event].
func (l *Link) OnMessage(_ *gws.Conn, m *gws.Message) {
	f := &Frame{Arrived: time.Now()}
	err := json.Unmarshal(m.Bytes(), f)
	_ = m.Close()
	if err == nil {
		l.frames(f)
	}
}
