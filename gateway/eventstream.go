package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

const (
	headerLastEventID = "Last-Event-Id"
	maxLastEventID    = 2 << 10
	maxStreamFrame    = 1 << 20 // nothing larger is ever sent
	streamReadBytes   = 4 << 10
)

// serveEvents is a visitor's connection for networks that let no WebSocket
// through: the frames that a socket would bring, as server-sent events. What the
// visitor says comes by widgetFrame.
//
// Behind it is a connection like any other, over a pipe in this process instead
// of a network: hello, resumption, limits, queue, heartbeat and close codes are
// the same code. This function is its client; it turns frames into events.
func (g *Gateway) serveEvents(w http.ResponseWriter, r *http.Request, who caller) error {
	resume, err := parseLastEventID(r.Header.Get(headerLastEventID))
	if err != nil || r.Method == http.MethodHead {
		return err
	}
	if g.isDraining() {
		return conversation.Refuse(conversation.CodeShuttingDown, "this node takes no new connections")
	}
	if err := g.limitHandshake(r); err != nil {
		g.metrics.handshakes.WithLabelValues("limited").Inc()
		return err
	}
	c := g.enroll(r, visitorSide, &identity{visitorID: *who.visitor}, prefixOf(g.peerOf(r)))
	if c == nil {
		return tooManyOfAddress()
	}
	inner, outer := net.Pipe()
	if err := c.adopt(inner); err != nil {
		g.metrics.handshakes.WithLabelValues("limited").Inc()
		g.byPeer.leave(c.peer)
		if c.link != nil {
			c.link.Abort()
		}
		return err
	}
	boundStreamBuffer(r, g.limits.SendBufferBytes)
	s := &eventStream{
		pipe: outer, frames: bufio.NewReaderSize(outer, streamReadBytes), out: http.NewResponseController(w), w: w,
		patience: g.limits.WriteTimeout, epoch: g.opts.Epoch, cursors: resume.Cursors,
	}
	defer context.AfterFunc(r.Context(), func() { _ = outer.Close() })()
	defer func() { _ = outer.Close() }()
	g.metrics.handshakes.WithLabelValues("upgraded").Inc()
	c.link.Start(nil)
	_ = s.run(&wire.Hello{V: wire.Version, Resume: resume}) // the peer is gone, or was told why
	return nil
}

// parseLastEventID reads the place of an earlier stream: the epoch, a slash, and
// a cursor for each conversation, as in «e/cnv_1:7,cnv_2:3». An empty one is the
// start.
func parseLastEventID(id string) (*wire.Resume, error) {
	r := &wire.Resume{Cursors: map[conversation.ConversationID]conversation.Seq{}}
	if id == "" {
		return r, nil
	}
	bad := conversation.Refuse(conversation.CodeInvalid, headerLastEventID+" is the id of an event of this stream: epoch/conversation:seq,…")
	slash := strings.LastIndexByte(id, '/')
	if slash < 0 || len(id) > maxLastEventID {
		return nil, bad
	}
	r.Epoch = id[:slash]
	for pair := range strings.SplitSeq(id[slash+1:], ",") {
		name, digits, ok := strings.Cut(pair, ":")
		if pair == "" {
			continue
		}
		cnv, err := conversation.ParseConversationID(name)
		seq, err2 := strconv.ParseUint(digits, 10, 63)
		if !ok || errors.Join(err, err2) != nil || len(r.Cursors) == maxVisitorFollows {
			return nil, bad
		}
		r.Cursors[cnv] = conversation.Seq(seq)
	}
	return r, nil
}

// eventStream writes what comes out of a pipe as server-sent events. One
// goroutine uses it.
type eventStream struct {
	pipe     net.Conn
	frames   *bufio.Reader
	w        http.ResponseWriter
	out      *http.ResponseController
	patience time.Duration // of a write
	epoch    string
	cursors  map[conversation.ConversationID]conversation.Seq
}

// run says hello and passes on until either side ends.
func (s *eventStream) run(hello *wire.Hello) error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies of the nginx kind would wait for more
	_ = s.out.SetReadDeadline(time.Time{})
	s.w.WriteHeader(http.StatusOK)
	if sw, ok := s.w.(*statusWriter); ok {
		sw.endless()
	}
	first, err := json.Marshal(helloFrame{"hello", hello.V, hello.Resume})
	if err != nil {
		return err
	}
	if err := s.say(opText, first); err != nil {
		return err
	}
	for {
		op, payload, err := s.next()
		if err == nil {
			err = s.pass(op, payload)
		}
		if err != nil {
			return err
		}
	}
}

// helloFrame is [wire.Hello] on its way in.
type helloFrame struct {
	T      string       `json:"t"`
	V      int          `json:"v"`
	Resume *wire.Resume `json:"resume"`
}

// say writes a frame into the pipe, masked with zeros: nobody is in between.
func (s *eventStream) say(op byte, payload []byte) error {
	b := []byte{bitFin | op, bitMask | 126}
	if len(payload) < 126 {
		b[1] = bitMask | byte(len(payload)) //nolint:gosec // below 126
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload))) //nolint:gosec // a hello or a pong
	}
	b = append(b, make([]byte, maskBytes)...)
	_, err := s.pipe.Write(append(b, payload...))
	return err
}

// next reads a frame of the gateway's, which are whole and not masked.
func (s *eventStream) next() (op byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(s.frames, head[:2]); err != nil {
		return 0, nil, err
	}
	op = head[0] & 0x0f
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(s.frames, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(s.frames, head[:])
		n = binary.BigEndian.Uint64(head[:])
	}
	if err == nil && n > maxStreamFrame {
		err = fmt.Errorf("a frame of %d bytes", n)
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(s.frames, payload)
	return op, payload, err
}

// pass turns a frame into an event. A ping is a comment, and a close frame is
// the last event.
func (s *eventStream) pass(op byte, payload []byte) error {
	switch op {
	case opText:
		return s.write(s.place(payload), "data: "+string(payload)+"\n\n")
	case opPing:
		if err := s.write(": still here\n\n"); err != nil {
			return err
		}
		return s.say(opPong, payload)
	case opClose:
		code := uint16(wire.CloseNormal)
		reason := ""
		if len(payload) >= 2 {
			code, reason = binary.BigEndian.Uint16(payload), string(payload[2:])
		}
		last, err := json.Marshal(struct {
			Code   uint16 `json:"code"`
			Reason string `json:"reason"`
		}{code, reason})
		if err == nil {
			err = s.write("event: close\ndata: " + string(last) + "\n\n")
		}
		return errors.Join(err, io.EOF)
	}
	return nil
}

// place is the id line of an event that moves a cursor, and empty for others.
func (s *eventStream) place(payload []byte) string {
	var e struct {
		T            string                      `json:"t"`
		Conversation conversation.ConversationID `json:"conversation_id"`
		Seq          conversation.Seq            `json:"seq"`
	}
	if json.Unmarshal(payload, &e) != nil || e.T != "event" || e.Conversation.IsZero() || e.Seq == 0 {
		return ""
	}
	if _, known := s.cursors[e.Conversation]; !known && len(s.cursors) == maxVisitorFollows {
		clear(s.cursors) // the newest one matters: conversations follow one another
	}
	s.cursors[e.Conversation] = e.Seq
	var b strings.Builder
	b.WriteString("id: " + s.epoch + "/")
	ids := slices.SortedFunc(maps.Keys(s.cursors), func(a, b conversation.ConversationID) int { return slices.Compare(a[:], b[:]) })
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%d", id, s.cursors[id])
	}
	b.WriteByte('\n')
	return b.String()
}

// write sends text, and flushes when nothing more is waiting. The server's own
// deadline is for answers that end.
func (s *eventStream) write(parts ...string) error {
	_ = s.out.SetWriteDeadline(time.Now().Add(s.patience))
	for _, p := range parts {
		if _, err := io.WriteString(s.w, p); err != nil {
			return err
		}
	}
	if s.frames.Buffered() > 0 {
		return nil
	}
	return s.out.Flush()
}

// connKey finds the connection of a request in its context.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// boundStreamBuffer is boundSendBuffer for a connection that stays the server's.
func boundStreamBuffer(r *http.Request, size int) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		boundSendBuffer(c, size)
	}
}
