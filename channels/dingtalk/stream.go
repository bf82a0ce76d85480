package dingtalk

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/channels"
)

const (
	pathOpen     = "/v1.0/gateway/connections/open"
	handTime     = 10 * time.Second // for connecting and shaking hands
	lookTime     = 20 * time.Second // a look waits so long for the first frame
	silenceTime  = 90 * time.Second // without a frame or a pong the connection is dead
	forgetTime   = 10 * time.Second // nobody looks any more: the account has moved or is gone
	maxFrame     = 1 << 20          // bytes
	frameBacklog = 64               // more wait in the kernel and at DingTalk
	lookFrames   = 100
)

// stream is one account's connection. What it brings is acknowledged when the
// next look presents the cursor behind it, since only then it is stored.
//
// owns: a socket and the goroutine that reads it · bound: frameBacklog frames, then
// it does not read on · how it ends: the other side, silence, or nobody looking.
type stream struct {
	account string // the state of the account that it was opened for
	socket  *gws.Conn
	frames  chan *frame
	ended   chan struct{}
	end     func() // closes ended, once
	idle    *time.Timer

	// touched by one look at a time

	waiting []string // frames that the last look gave and that are not acknowledged
	given   []channels.Event
	behind  string // the cursor behind them
}

// streams are the connections of a driver, one for each account.
type streams struct {
	mu sync.Mutex
	of map[string]*stream // by inbox
}

// Pull implements [channels.Puller]: a look at the account's stream. The cursor
// names the newest frame that is stored.
func (d *Driver) Pull(ctx context.Context, p channels.Pull) (channels.Pulled, error) {
	a, err := d.Sending(ctx, p.Account)
	if err != nil {
		return channels.Pulled{}, err
	}
	if a.Value(settingMode) != modeStream {
		d.streams.drop(string(p.Account))
		return channels.Pulled{}, channels.ErrDelivered
	}
	s, err := d.stream(ctx, string(p.Account), a)
	if err != nil {
		return channels.Pulled{}, err
	}
	out, err := s.look(ctx, string(p.Cursor))
	if err != nil {
		d.streams.drop(string(p.Account))
	}
	return out, err
}

// stream gives the account's connection, a new one if need be.
func (d *Driver) stream(ctx context.Context, inbox string, a channels.Account) (*stream, error) {
	if s := d.streams.get(inbox, a.ID()); s != nil {
		return s, nil
	}
	d.streams.drop(inbox)
	s, err := d.open(ctx, a)
	if err != nil {
		return nil, err
	}
	d.streams.put(inbox, s)
	return s, nil
}

// open asks where to connect, and connects.
func (d *Driver) open(ctx context.Context, a channels.Account) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	var at struct {
		Endpoint string `json:"endpoint"`
		Ticket   string `json:"ticket"`
	}
	ask := map[string]any{
		"clientId": a.Value(settingKey), "clientSecret": a.Value(settingSecret), "ua": "colloquy",
		"subscriptions": []map[string]string{{"type": typeCallback, "topic": topicRobot}},
	}
	call := channels.Call{URL: address(a, pathOpen), JSON: ask, Header: http.Header{"Accept": {"application/json"}}}
	if err := d.call(ctx, call, &at); err != nil {
		return nil, err
	}
	where, err := streamAddress(address(a, ""), at.Endpoint, at.Ticket)
	if err != nil {
		return nil, err
	}
	return d.connect(ctx, where, a.ID())
}

// streamAddress puts the ticket behind the endpoint. It takes no unencrypted one
// from an encrypted interface.
func streamAddress(api, endpoint, ticket string) (*url.URL, error) {
	bad := &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: "bad_endpoint"}
	asked, err := url.Parse(api)
	if err != nil {
		return nil, bad
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || ticket == "" {
		return nil, bad
	}
	if u.Scheme != "wss" && (u.Scheme != "ws" || asked.Scheme != "http") {
		return nil, bad
	}
	q := u.Query()
	q.Set("ticket", ticket)
	u.RawQuery = q.Encode()
	return u, nil
}

func (d *Driver) connect(ctx context.Context, where *url.URL, account string) (*stream, error) {
	port := where.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[where.Scheme]
	}
	nc, err := d.Dial(ctx, "tcp", net.JoinHostPort(where.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if where.Scheme == "wss" {
		secure := tls.Client(nc, &tls.Config{ServerName: where.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, &channels.SendError{Class: channels.Retry, Code: "tls", Err: err}
		}
		nc = secure
	}
	s := &stream{account: account, frames: make(chan *frame, frameBacklog), ended: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	s.socket, _, err = gws.NewClientFromConn(reader{s}, &gws.ClientOption{ //nolint:bodyclose // the body of an upgrade is the connection
		Addr: where.String(), HandshakeTimeout: handTime, ReadMaxPayloadSize: maxFrame, CheckUtf8Enabled: true,
	}, nc)
	if err != nil {
		_ = nc.Close()
		return nil, &channels.SendError{Class: channels.Retry, Code: "handshake", Err: err}
	}
	s.idle = time.AfterFunc(forgetTime, s.close)
	s.heard()
	go s.socket.ReadLoop()
	return s, nil
}

func (s *stream) close() {
	s.idle.Stop()
	s.end()
	_ = s.socket.NetConn().Close()
}

// heard puts off the moment at which silence means death.
func (s *stream) heard() { _ = s.socket.SetReadDeadline(time.Now().Add(silenceTime)) }

// look gives what the stream has brought, after it has acknowledged what the
// cursor says is stored.
func (s *stream) look(ctx context.Context, cursor string) (channels.Pulled, error) {
	s.idle.Stop()
	defer s.idle.Reset(forgetTime)
	if len(s.waiting) > 0 && cursor != s.behind {
		return channels.Pulled{Events: s.given, Cursor: []byte(s.behind)}, nil // they were not stored
	}
	for _, id := range s.waiting {
		if err := s.say(taken(id, heardCallback)); err != nil {
			return channels.Pulled{}, err
		}
	}
	s.waiting, s.given = nil, nil
	if err := s.gather(ctx); err != nil || len(s.waiting) == 0 {
		return channels.Pulled{}, err
	}
	s.behind = s.waiting[len(s.waiting)-1]
	return channels.Pulled{Events: s.given, Cursor: []byte(s.behind), More: len(s.frames) > 0}, nil
}

// gather waits for the first frame and takes those that are there behind it.
func (s *stream) gather(ctx context.Context) error {
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	select {
	case f := <-s.frames:
		s.take(f)
	case <-timer.C:
		return s.fault(s.socket.WritePing(nil))
	case <-s.ended:
		if len(s.frames) == 0 {
			return &channels.SendError{Class: channels.Retry, Code: "stream_ended"}
		}
	case <-ctx.Done():
		return &channels.SendError{Class: channels.Retry, Code: "timeout", Err: ctx.Err()}
	}
	for len(s.waiting) < lookFrames {
		select {
		case f := <-s.frames:
			s.take(f)
		default:
			return nil
		}
	}
	return nil
}

// take translates a frame. What cannot be read is acknowledged like the rest, lest
// it come for ever.
func (s *stream) take(f *frame) {
	s.waiting = append(s.waiting, f.Headers.MessageID)
	if events, err := eventsOf([]byte(f.Data)); err == nil {
		s.given = append(s.given, events...)
	}
}

func (s *stream) say(b []byte) error {
	_ = s.socket.SetWriteDeadline(time.Now().Add(handTime))
	return s.fault(s.socket.WriteMessage(gws.OpcodeText, b))
}

func (*stream) fault(err error) error {
	if err != nil {
		return &channels.SendError{Class: channels.Retry, Code: "stream_ended", Err: err}
	}
	return nil
}

// reader is the library's view of a stream.
type reader struct{ *stream }

// OnOpen implements [gws.Event].
func (reader) OnOpen(*gws.Conn) {}

// OnClose implements [gws.Event].
func (r reader) OnClose(*gws.Conn, error) { r.end() }

// OnPing implements [gws.Event].
func (r reader) OnPing(c *gws.Conn, payload []byte) {
	r.heard()
	_ = c.WritePong(payload) // a dead connection shows in reading
}

// OnPong implements [gws.Event].
func (r reader) OnPong(*gws.Conn, []byte) { r.heard() }

// OnMessage implements [gws.Event]. Messages of the robot wait for a look; all
// else is answered here.
func (r reader) OnMessage(_ *gws.Conn, m *gws.Message) {
	f := readFrame(m.Bytes())
	_ = m.Close()
	r.heard()
	switch {
	case f == nil:
	case f.Type == typeSystem && f.Headers.Topic == topicPing:
		_ = r.say(taken(f.Headers.MessageID, f.Data))
	case f.Type == typeSystem && f.Headers.Topic == topicDisconnect:
		r.end() // another connection takes over
		_ = r.socket.NetConn().Close()
	case f.Type == typeCallback && f.Headers.Topic == topicRobot:
		select {
		case r.frames <- f:
		case <-r.ended:
		}
	case f.Type == typeCallback:
		_ = r.say(taken(f.Headers.MessageID, heardCallback))
	case f.Type == typeEvent:
		_ = r.say(taken(f.Headers.MessageID, heardEvent))
	}
}

// get gives the living connection that was opened for this state of an account.
func (s *streams) get(inbox, account string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of[inbox]
	if c == nil || c.account != account {
		return nil
	}
	select {
	case <-c.ended:
		if len(c.frames) == 0 && len(c.waiting) == 0 {
			return nil
		}
	default:
	}
	return c
}

func (s *streams) put(inbox string, c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[string]*stream)
	}
	s.of[inbox] = c
}

func (s *streams) drop(inbox string) {
	s.mu.Lock()
	c := s.of[inbox]
	delete(s.of, inbox)
	s.mu.Unlock()
	if c != nil {
		c.close()
	}
}
