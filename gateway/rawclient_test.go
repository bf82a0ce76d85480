package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen, on a machine that has
// other things to do.
const patience = time.Minute

// rawClient speaks RFC 6455 byte by byte, so that it can break every rule.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
	skip string // type of frames that next passes over
}

// rawFrame is a frame as it came.
type rawFrame struct {
	op      byte
	fin     bool
	payload []byte
}

// dialRaw opens a WebSocket. Headers are full lines.
func dialRaw(t *testing.T, addr, path string, headers ...string) *rawClient {
	t.Helper()
	c, resp := tryDial(t, addr, path, headers...)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("upgrade %s = %d %s", path, resp.StatusCode, body)
	}
	return c
}

func tryDial(t *testing.T, addr, path string, headers ...string) (*rawClient, *http.Response) {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: " + addr, "Connection: keep-alive, Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("read the answer to the upgrade: %v", err)
	}
	c := &rawClient{t: t, conn: conn, br: br}
	if path == "/v1/ws" {
		c.skip = "presence" // it comes whenever some agent does
	}
	return c, resp
}

// maskedFrame builds a client frame with the shortest length form.
func maskedFrame(b0 byte, payload []byte) []byte {
	out := []byte{b0}
	switch n := len(payload); {
	case n < 126:
		out = append(out, 0x80|byte(n))
	case n < 1<<16:
		out = append(out, 0x80|126)
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out = append(out, 0x80|127)
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	out = append(out, mask[:]...)
	for i, b := range payload {
		out = append(out, b^mask[i%4])
	}
	return out
}

func text(s string) []byte { return maskedFrame(bitFin|opText, []byte(s)) }

// raw writes bytes as they are. An error is the other side's early close.
func (c *rawClient) raw(parts ...[]byte) {
	for _, p := range parts {
		_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.conn.Write(p); err != nil {
			return
		}
	}
}

func (c *rawClient) say(s string) { c.raw(text(s)) }

// frame reads the next frame.
func (c *rawClient) frame() (rawFrame, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	var head [2]byte
	if _, err := io.ReadFull(c.br, head[:]); err != nil {
		return rawFrame{}, err
	}
	if head[1]&0x80 != 0 || head[0]&bitsRSV != 0 {
		return rawFrame{}, fmt.Errorf("the server sent a frame with a mask or reserved bits: % x", head)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(c.br, b[:]); err != nil {
			return rawFrame{}, err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(c.br, b[:]); err != nil {
			return rawFrame{}, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	f := rawFrame{op: head[0] & 0x0f, fin: head[0]&bitFin != 0, payload: make([]byte, n)}
	_, err := io.ReadFull(c.br, f.payload)
	return f, err
}

// message is a decoded server frame.
type message map[string]any

func (m message) str(path ...string) string {
	v := m.at(path...)
	s, _ := v.(string)
	return s
}

func (m message) num(path ...string) int {
	v := m.at(path...)
	n, ok := v.(float64)
	if !ok {
		return -1
	}
	return int(n)
}

func (m message) at(path ...string) any {
	var v any = map[string]any(m)
	for _, p := range path {
		obj, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = obj[p]
	}
	return v
}

// next reads the next text frame.
func (c *rawClient) next() message {
	c.t.Helper()
	for {
		f, err := c.frame()
		if err != nil {
			c.t.Fatalf("no frame: %v", err)
		}
		switch f.op {
		case opText:
			m := message{}
			if err := json.Unmarshal(f.payload, &m); err != nil {
				c.t.Fatalf("frame %q: %v", f.payload, err)
			}
			if c.skip != "" && m.str("t") == c.skip {
				continue
			}
			return m
		case opClose:
			c.t.Fatalf("closed with % x", f.payload)
		}
	}
}

// expect reads frames until one has the type.
func (c *rawClient) expect(kind string) message {
	c.t.Helper()
	for range 2000 {
		if m := c.next(); m.str("t") == kind {
			return m
		}
	}
	c.t.Fatalf("2000 frames and no %s", kind)
	return nil
}

// closeCode reads until the close frame; 1006 when there is none.
func (c *rawClient) closeCode() int {
	c.t.Helper()
	for {
		f, err := c.frame()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				c.t.Fatal("neither closed nor anything else")
			}
			return 1006
		}
		if f.op != opClose {
			continue
		}
		if len(f.payload) < 2 {
			return 1005
		}
		return int(binary.BigEndian.Uint16(f.payload))
	}
}

// gone waits for the end of the connection.
func (c *rawClient) gone() {
	c.t.Helper()
	for {
		if _, err := c.frame(); err != nil {
			return
		}
	}
}
