package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/conversation"
)

// visitorToken is what the widget gets before it connects.
func visitorToken(ctx context.Context, addr string, inbox conversation.InboxID) (string, error) {
	body, err := json.Marshal(map[string]string{"inbox": string(inbox)})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/widget/session", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "http://"+addr)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err
	}
	var session struct {
		Token string `json:"token"`
	}
	if res.StatusCode/100 != 2 || json.Unmarshal(raw, &session) != nil || session.Token == "" {
		return "", fmt.Errorf("visitor session: status %d: %s", res.StatusCode, strings.TrimSpace(string(raw)))
	}
	return session.Token, nil
}

// incoming is a frame from the server, as far as these tools read it.
type incoming struct {
	T            string           `json:"t"`
	Epoch        string           `json:"epoch"`
	ClientID     string           `json:"client_id"`
	Conversation json.RawMessage  `json:"conversation"`
	ID           string           `json:"conversation_id"`
	Seq          conversation.Seq `json:"seq"`
	Kind         string           `json:"type"`
	Duplicate    bool             `json:"duplicate"`
	Durable      bool             `json:"durable"`
	Complete     bool             `json:"complete"`
	Reason       string           `json:"reason"`
	Ref          string           `json:"ref"`
	Problem      struct {
		Code string `json:"code"`
	} `json:"problem"`
	Data struct {
		InReplyTo conversation.Seq   `json:"in_reply_to_seq"`
		From      conversation.Party `json:"from"`
		Text      string             `json:"text"`
	} `json:"data"`
}

// link is one connection of a visitor.
type link struct {
	conn   *gws.Conn
	frames func(*incoming)
	lost   chan struct{} // closed when the connection has ended
	once   sync.Once
}

// dialTimeout bounds a connection attempt.
const dialTimeout = 5 * time.Second

// dialVisitor connects and says hello. frames is called for each frame, one at a
// time.
func dialVisitor(ctx context.Context, addr, token string, resume any, frames func(*incoming)) (*link, error) {
	l := &link{frames: frames, lost: make(chan struct{})}
	conn, _, err := gws.NewClient(l, //nolint:bodyclose // the body is the connection
		&gws.ClientOption{
			Addr: "ws://" + addr + "/v1/widget/ws", HandshakeTimeout: dialTimeout,
			RequestHeader: http.Header{"Origin": {"http://" + addr}},
			NewDialer:     func() (gws.Dialer, error) { return contextDialer{ctx}, nil },
		})
	if err != nil {
		return nil, err
	}
	l.conn = conn
	go conn.ReadLoop()
	hello := map[string]any{"t": "hello", "v": 1, "token": token}
	if resume != nil {
		hello["resume"] = resume
	}
	return l, l.send(hello)
}

// contextDialer dials for the websocket client.
type contextDialer struct{ ctx context.Context } //nolint:containedctx // an adapter

// Dial implements [gws.Dialer].
func (d contextDialer) Dial(network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, addr)
}

func (l *link) send(frame any) error {
	raw, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	return l.conn.WriteMessage(gws.OpcodeText, raw)
}

func (l *link) close() { _ = l.conn.NetConn().Close() }

// OnOpen implements [gws.Event].
func (*link) OnOpen(*gws.Conn) {}

// OnClose implements [gws.Event].
func (l *link) OnClose(*gws.Conn, error) { l.once.Do(func() { close(l.lost) }) }

// OnPing implements [gws.Event].
func (*link) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnPong implements [gws.Event].
func (*link) OnPong(*gws.Conn, []byte) {}

// OnMessage implements [gws.Event].
func (l *link) OnMessage(_ *gws.Conn, m *gws.Message) {
	var f incoming
	err := json.Unmarshal(m.Bytes(), &f)
	_ = m.Close()
	if err == nil {
		l.frames(&f)
	}
}

// errLost is what a visitor's connection ends with.
var errLost = errors.New("the connection was lost")

// carriesMessage reports whether an event shows a message.
func (f *incoming) carriesMessage() bool {
	switch f.Kind {
	case conversation.MessageAccepted{}.Kind(), conversation.ReplyComposed{}.Kind(), conversation.AgentReplied{}.Kind():
		return f.T == "event"
	}
	return false
}
