package load

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serverFrame builds a frame of a server.
func serverFrame(b0 byte, payload string) string {
	if len(payload) < length2 {
		return string([]byte{b0, byte(len(payload))}) + payload
	}
	return string(binary.BigEndian.AppendUint16([]byte{b0, length2}, uint16(len(payload)))) + payload
}

const greeting = `{"t":"welcome","session":"s","epoch":"e","heartbeat_ms":25000,"max_frame":32768}`

// answering is a server that opens as the protocol says, and answers the first
// frame after the hello with what it is told.
func answering(t *testing.T, upgrade func(accept string) string, answer func(name string) string) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = talk(c, upgrade, answer)
			}()
		}
	}()
	return ln.Addr().String()
}

func talk(c net.Conn, upgrade, answer func(string) string) error {
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if _, err := io.WriteString(c, upgrade(base64.StdEncoding.EncodeToString(sum[:]))); err != nil {
		return err
	}
	if _, err := clientPayload(br); err != nil {
		return err
	}
	_, err = io.WriteString(c, serverFrame(bitFin|opText, greeting)+serverFrame(bitFin|opText, `{"t":"resumed","complete":true}`))
	for err == nil {
		var asked []byte
		if asked, err = clientPayload(br); err == nil {
			_, err = io.WriteString(c, answer(string(stringField(asked, keyClientID))))
		}
	}
	return err
}

// clientPayload reads the next text, a masked frame of less than 64 KiB.
func clientPayload(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return nil, err
	}
	pong := head[0]&0x0f == opPong
	n := int(head[1] &^ bitMask)
	if n == length2 {
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(head[:2]))
	}
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	for i := range b {
		b[i] ^= head[i&3]
	}
	if pong && err == nil {
		return clientPayload(r)
	}
	return b, err
}

func goodUpgrade(accept string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n"
}

func ackOf(name string, seq int) string {
	return fmt.Sprintf(`{"t":"ack","client_id":%q,"conversation_id":"cnv_1","message_id":"m","seq":%d,"at":"2026-01-01T00:00:00Z","durable":true}`, name, seq)
}

// ask opens two sockets and lets each ask once.
func ask(t *testing.T, addr string) error {
	t.Helper()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = l.connectAll(ctx, &Connect{Addr: addr, Path: "/", Tokens: []string{"t"}, Count: 2})
	if err == nil {
		err = l.ask(ctx, &Ask{Kind: KindSend, Each: 1, Bytes: 200}, &Answer{})
	}
	return err
}

func TestHonestServerPasses(t *testing.T) {
	t.Parallel()
	addr := answering(t, goodUpgrade, func(name string) string {
		return serverFrame(bitFin|opPing, "are you there") + serverFrame(bitFin|opText, ackOf(name, 1))
	})
	if err := ask(t, addr); err != nil {
		t.Fatal(err)
	}
}

func TestEveryLieIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		upgrade func(string) string
		answer  func(name string) string
		want    string
	}{
		"a refusal":   {upgrade: func(string) string { return "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n" }, want: "429"},
		"another key": {upgrade: func(string) string { return goodUpgrade("bm90IHlvdXJzIGF0IGFsbCE=") }, want: "not for this key"},
		"compression": {upgrade: func(a string) string {
			return strings.TrimSuffix(goodUpgrade(a), "\r\n") + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
		}, want: "compresses"},
		"another message's ack": {answer: func(string) string { return serverFrame(bitFin|opText, ackOf("000000-000000007", 1)) }, want: "awaited was number 0"},
		"another seq":           {answer: func(n string) string { return serverFrame(bitFin|opText, ackOf(n, 2)) }, want: "has seq 2"},
		"not durable": {answer: func(n string) string {
			return serverFrame(bitFin|opText, strings.Replace(ackOf(n, 1), "true", "false", 1))
		}, want: "not durable"},
		"broken JSON": {answer: func(n string) string {
			return serverFrame(bitFin|opText, strings.Replace(ackOf(n, 1), `"at":`, `"at"`, 1))
		}, want: "invalid character"},
		"no object":        {answer: func(string) string { return serverFrame(bitFin|opText, `[]`) }, want: "no object"},
		"an unknown type":  {answer: func(string) string { return serverFrame(bitFin|opText, `{"t":"spell"}`) }, want: "unknown type"},
		"an error":         {answer: func(string) string { return serverFrame(bitFin|opText, `{"t":"error","ref":""}`) }, want: "refused"},
		"a masked frame":   {answer: func(n string) string { return string(clientFrame(opText, []byte(ackOf(n, 1)))) }, want: "masked"},
		"a fragment":       {answer: func(n string) string { return serverFrame(opText, ackOf(n, 1)) }, want: "fragmented"},
		"reserved bits":    {answer: func(n string) string { return serverFrame(bitFin|0x40|opText, ackOf(n, 1)) }, want: "reserved bits"},
		"a long length":    {answer: func(string) string { return string([]byte{bitFin | opText, length2, 0, 5}) + "12345" }, want: "fits into one"},
		"a giant":          {answer: func(string) string { return string([]byte{bitFin | opText, length8, 0, 0, 0, 1, 0, 0, 0, 0}) }, want: "a frame of"},
		"a binary frame":   {answer: func(string) string { return serverFrame(bitFin|0x2, "x") }, want: "opcode 2"},
		"the end":          {answer: func(string) string { return serverFrame(bitFin|opClose, "\x0b\xc0slow") }, want: "ended with 3008"},
		"an answer before": {answer: func(n string) string { return strings.Repeat(serverFrame(bitFin|opText, ackOf(n, 1)), 2) }, want: "awaited was number 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.upgrade == nil {
				c.upgrade = goodUpgrade
			}
			err := ask(t, answering(t, c.upgrade, c.answer))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the load says %v, want something with %q", err, c.want)
			}
		})
	}
}
