package gateway

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// tokenKeys are the query parameters that others use for credentials. An
// address ends up in logs and referrers, so they are refused outright.
func tokenKeys() []string {
	return []string{"token", "access_token", "bearer", "auth", "jwt", "key", "visitor_id", "t"}
}

func (g *Gateway) serveVisitorSocket(w http.ResponseWriter, r *http.Request, _ caller) error {
	return g.serveSocket(w, r, visitorSide)
}

func (g *Gateway) serveAgentSocket(w http.ResponseWriter, r *http.Request, _ caller) error {
	return g.serveSocket(w, r, agentSide)
}

// serveSocket takes a request for a WebSocket as far as it goes without the
// hello frame, then hands the connection to its own goroutine.
func (g *Gateway) serveSocket(w http.ResponseWriter, r *http.Request, s side) error {
	token, err := checkUpgrade(r)
	if err != nil {
		g.metrics.handshakes.WithLabelValues("invalid").Inc()
		w.Header().Set("Sec-WebSocket-Version", "13")
		return err
	}
	if g.isDraining() {
		g.metrics.handshakes.WithLabelValues("draining").Inc()
		return conversation.Refuse(conversation.CodeShuttingDown, "this node takes no new connections")
	}
	who, err := g.identify(r, s, token)
	if err != nil {
		g.metrics.handshakes.WithLabelValues("refused").Inc()
		return err
	}
	peer := prefixOf(g.peerOf(r))
	if err := g.limitHandshake(r); err != nil {
		g.metrics.handshakes.WithLabelValues("limited").Inc()
		return err
	}
	c := g.enroll(r, s, who, peer)
	if c == nil {
		return tooManyOfAddress()
	}
	if err := c.takeOver(w, r); err != nil {
		g.byPeer.leave(c.peer)
		return err
	}
	return nil
}

// enroll makes a connection and counts it for the address that it comes from;
// nil when there are as many of that as there may be.
func (g *Gateway) enroll(r *http.Request, s side, who *identity, peer netip.Prefix) *conn {
	place := g.byPeer.enter(peer, g.limits.ConnectionsPerIP)
	if place == nil {
		g.metrics.handshakes.WithLabelValues("limited").Inc()
		return nil
	}
	c := newConn(g, s)
	c.peer, c.opening.claimed, c.opening.origin = place, who, r.Header.Get("Origin")
	c.opening.sameOri = c.opening.origin != "" && g.sameOrigin(r, c.opening.origin)
	return c
}

func tooManyOfAddress() error {
	return conversation.Refuse(conversation.CodeRateLimited, "this address has as many connections as it may")
}

func (g *Gateway) limitHandshake(r *http.Request) error {
	now := time.Now()
	wait, ok := g.handshakes.take(struct{}{}, now)
	if ok {
		wait, ok = g.handshakesByPeer.take(prefixOf(g.peerOf(r)), now)
	}
	if !ok {
		return &conversation.Error{Code: conversation.CodeRateLimited, Detail: "too many connections are being opened", After: wait}
	}
	return nil
}

// checkUpgrade refuses what is not a correct opening handshake (RFC 6455,
// section 4.2.1) and finds the token that came as a subprotocol.
func checkUpgrade(r *http.Request) (token string, err error) {
	query := r.URL.Query()
	if slices.ContainsFunc(tokenKeys(), query.Has) {
		return "", &conversation.Error{
			Code: conversation.CodeInvalid, Detail: "a credential must not stand in the address",
			Hint: "send it in the hello frame or as a subprotocol",
		}
	}
	bad := func(why string) error { return conversation.Refuse(conversation.CodeInvalid, why) }
	switch {
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return "", bad("a WebSocket is opened by GET over HTTP/1.1")
	case !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		return "", bad("this address speaks WebSocket only")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return "", &statusError{status: http.StatusUpgradeRequired, err: bad("the WebSocket version is 13")}
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	if err != nil || len(key) != 16 {
		return "", bad("Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return protocolToken(r.Header)
}

// protocolToken reads Sec-WebSocket-Protocol: colloquy.v1, t.<token>.
func protocolToken(h http.Header) (string, error) {
	offered := strings.Join(h.Values("Sec-WebSocket-Protocol"), ",")
	if offered == "" {
		return "", nil
	}
	token, ours := "", false
	for p := range strings.SplitSeq(offered, ",") {
		p = strings.TrimSpace(p)
		switch {
		case p == subprotocol:
			ours = true
		case strings.HasPrefix(p, "t."):
			token = p[len("t."):]
		case strings.HasPrefix(p, "bearer."):
			token = p[len("bearer."):]
		}
	}
	if !ours {
		return "", conversation.Refuse(conversation.CodeInvalid, "the subprotocol is "+subprotocol)
	}
	return token, nil
}

func hasToken(h http.Header, name, want string) bool {
	for _, line := range h.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), want) {
				return true
			}
		}
	}
	return false
}

// identify checks the page's origin and whatever credential came with the
// request. Without one the connection stays nobody's until hello.
func (g *Gateway) identify(r *http.Request, s side, token string) (*identity, error) {
	origin := r.Header.Get("Origin")
	now := time.Now()
	if s == visitorSide {
		if origin != "" && !g.anyInboxAllows(r, origin) {
			return nil, conversation.Refuse(conversation.CodeOrigin, "pages of this origin may not connect")
		}
		if token == "" {
			return nil, nil //nolint:nilnil // nobody yet
		}
		return g.identifyVisitor(token, now)
	}
	if origin != "" && !g.sameOrigin(r, origin) {
		return nil, conversation.Refuse(conversation.CodeOrigin, "the console connects from its own host only")
	}
	if token != "" {
		return g.identifyAgent(token, now)
	}
	cookie := g.sessionCookie(r)
	if cookie == "" || origin == "" {
		// A cookie alone proves nothing about the page; a browser always says
		// the origin. Programs bring a token in hello.
		return nil, nil //nolint:nilnil // nobody yet
	}
	a, _, err := g.checkSession(cookie, now)
	if err != nil {
		return nil, err
	}
	return &identity{agent: a}, nil
}

// takeOver makes the request's connection a WebSocket.
func (c *conn) takeOver(w http.ResponseWriter, r *http.Request) error {
	g := c.gw
	raw, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	first, err := buffered(rw.Reader)
	if err == nil {
		if err = c.adopt(raw); err != nil && c.link != nil {
			defer c.link.Abort()
		}
	}
	if err != nil {
		// The response writer is gone with the hijack; answer by hand.
		g.metrics.handshakes.WithLabelValues("limited").Inc()
		writeRawProblem(raw, g.problem(err, ""))
		_ = raw.Close()
		g.byPeer.leave(c.peer)
		return nil
	}
	boundSendBuffer(raw, g.limits.SendBufferBytes)
	// The library looks at the first line of these only.
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	if p := r.Header.Values("Sec-WebSocket-Protocol"); len(p) > 0 {
		r.Header.Set("Sec-WebSocket-Protocol", strings.Join(p, ", "))
	}
	if err := g.shakeHands(raw, r); err != nil {
		c.link.Abort()
		return nil // the peer is gone, there is nobody to tell
	}
	g.metrics.handshakes.WithLabelValues("upgraded").Inc()
	c.link.Start(first)
	return nil
}

// adopt puts a stream of bytes, be it a socket or a pipe, behind the connection
// and takes it into the books. When it fails and there is a link all the same,
// the caller aborts that.
func (c *conn) adopt(raw net.Conn) error {
	var err error
	if c.link, err = c.gw.group.Adopt(raw, c); err != nil {
		return &conversation.Error{Code: conversation.CodeOverloaded, Detail: "this node has no room for another connection", Err: err}
	}
	return c.gw.admit(c)
}

// shakeHands answers the request. The library's connection is not needed any
// more then: a codec reads.
func (g *Gateway) shakeHands(raw net.Conn, r *http.Request) error {
	up := g.upgrader
	if r.Header.Get("Sec-WebSocket-Protocol") != "" {
		up = g.upgraderWithProtocol
	}
	_, err := up.UpgradeFromConn(raw, nil, r)
	return err
}

// boundSendBuffer keeps a client that does not read from costing megabytes of
// kernel memory, which is what the automatic size grows to.
func boundSendBuffer(raw net.Conn, size int) {
	if secured, ok := raw.(*tls.Conn); ok {
		raw = secured.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(size)
	}
}

// buffered copies what the server has read beyond the request.
func buffered(br *bufio.Reader) ([]byte, error) {
	n := br.Buffered()
	if n == 0 {
		return nil, nil
	}
	b, err := br.Peek(n)
	if err != nil {
		return nil, fmt.Errorf("read ahead: %w", err)
	}
	return append([]byte(nil), b...), nil
}

// writeRawProblem answers on a connection that has no response writer.
func writeRawProblem(raw net.Conn, p wire.Problem) {
	body := encodeProblem(p, nil)
	_ = raw.SetDeadline(time.Now().Add(time.Second))
	_, _ = fmt.Fprintf(raw, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		p.Status, http.StatusText(p.Status), len(body), body)
}
