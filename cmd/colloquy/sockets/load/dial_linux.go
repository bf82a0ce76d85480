package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// dialsAtOnce keeps the opening of a run from being a storm of its own.
	dialsAtOnce = 256
	// dialTime is when a client gives an attempt up, as the one in browsers does.
	dialTime = 10 * time.Second

	firstBackoff   = 500 * time.Millisecond
	longestBackoff = 20 * time.Second

	// socketsPerAddress stays below what a gateway takes from one address.
	socketsPerAddress = 200
	firstAddress      = 127<<24 | 1<<16 // 127.1.0.0
)

// connectAll opens the sockets of an order.
func (l *loop) connectAll(ctx context.Context, c *Connect) error {
	if len(c.Tokens) != 1 && len(c.Tokens) != c.Count {
		return fmt.Errorf("%d tokens for %d sockets", len(c.Tokens), c.Count)
	}
	first := len(l.sockets)
	for i := range c.Count {
		s := &socket{index: first + i, fd: -1, group: c, token: c.Tokens[i%len(c.Tokens)], phase: phaseEnded}
		l.sockets = append(l.sockets, s)
	}
	next := first
	return l.until(ctx, orderTime, "connect", func() bool {
		for next < len(l.sockets) && l.dialing < dialsAtOnce && l.err == nil {
			l.dial(l.sockets[next])
			next++
		}
		return l.count.open == len(l.sockets)-l.count.ended
	})
}

// dial starts a connection.
func (l *loop) dial(s *socket) {
	if s.phase == phaseLost {
		l.count.lost--
	}
	s.phase, s.at, s.code = phaseDialing, l.now, 0
	l.dialing++
	fd, err := l.open(s)
	if err != nil {
		l.dialing--
		l.fail(s, "dial: %w", err)
		return
	}
	s.fd = fd
	for len(l.byFD) <= fd {
		l.byFD = append(l.byFD, make([]*socket, 1024)...)
	}
	l.byFD[fd] = s
	l.watch(s, unix.EPOLL_CTL_ADD)
}

// open makes a socket whose connection is under way. Each address is used for
// a few sockets only, as visitors' are, and so that ports do not run out.
func (l *loop) open(s *socket) (int, error) {
	to, err := net.ResolveTCPAddr("tcp4", s.group.Addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	from := unix.SockaddrInet4{}
	binary.BigEndian.PutUint32(from.Addr[:], firstAddress+uint32(s.group.First+s.index/socketsPerAddress)) //nolint:gosec // a small number
	target := unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if s.group.RecvBytes > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, s.group.RecvBytes)
	}
	if err = unix.Bind(fd, &from); err == nil {
		err = unix.Connect(fd, &target)
	}
	if err != nil && err != unix.EINPROGRESS { //nolint:errorlint // a number of the system, never wrapped
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// dialed learns whether the connection stands, and sends what a browser would.
func (l *loop) dialed(s *socket) {
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || code != 0 {
		l.lose(s, unix.Errno(code))
		return
	}
	var key [16]byte
	_, _ = rand.Read(key[:])
	s.key, s.phase = base64.StdEncoding.EncodeToString(key[:]), phaseUpgrading
	l.watch(s, unix.EPOLL_CTL_MOD)
	host := s.group.Addr
	l.write(s, []byte("GET "+s.group.Path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"+
		"Upgrade: websocket\r\nOrigin: http://"+host+"\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"+
		"Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\nCookie: theme=light; seen=1732957200\r\nSec-WebSocket-Key: "+s.key+"\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: colloquy.v1\r\n\r\n"))
}

// onUpgraded reads the answer to the upgrade and says hello. It gives the bytes
// behind the answer.
func (l *loop) onUpgraded(s *socket, b []byte) []byte {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return b
	}
	end += len("\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b[:end])), nil)
	if err != nil {
		l.fail(s, "answer to the upgrade: %w", err)
		return nil
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		if !s.group.Return {
			l.fail(s, "the upgrade was answered with %d: %s", res.StatusCode, b[end:])
			return nil
		}
		l.lose(s, nil)
		return nil
	}
	sum := sha1.Sum([]byte(s.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455, 4.2.2
	if res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		l.fail(s, "the answer to the upgrade is not for this key")
		return nil
	}
	if res.Header.Get("Sec-WebSocket-Extensions") != "" {
		l.fail(s, "the server compresses: its figures would mean something else")
		return nil
	}
	s.phase = phaseHello
	l.write(s, clientFrame(opText, s.hello(l.epoch)))
	return b[end:]
}

// hello is the first frame, with the cursor of an earlier connection.
func (s *socket) hello(epoch string) []byte {
	type resume struct {
		Epoch   string            `json:"epoch"`
		Cursors map[string]uint64 `json:"cursors"`
	}
	r := resume{Epoch: "", Cursors: map[string]uint64{}}
	if s.conversation != "" {
		r.Epoch, r.Cursors[s.conversation] = epoch, s.cursor
	}
	b, _ := json.Marshal(struct {
		T      string `json:"t"`
		V      int    `json:"v"`
		Token  string `json:"token,omitempty"`
		Resume resume `json:"resume"`
	}{"hello", 1, s.token, r}) //nolint:errchkjson // strings and numbers
	return b
}

// opened is called when the opening is complete.
func (l *loop) opened(s *socket) {
	if s.group.Subscribe != "" && s.phase == phaseHello {
		s.phase = phaseFollowing
		l.write(s, clientFrame(opText, []byte(`{"t":"subscribe","ref":"s`+strconv.Itoa(s.index)+`","conversation_id":"`+s.group.Subscribe+`"}`)))
		return
	}
	s.phase, s.tries = phaseOpen, 0
	l.dialing--
	l.count.open++
	if s.asked > s.answered {
		l.sendAgain(s)
	}
}

// backOff waits with full jitter before the next attempt.
func (l *loop) backOff(s *socket) {
	l.count.refused++
	ceiling := min(longestBackoff, firstBackoff<<min(s.tries, 10))
	s.tries++
	s.phase, s.at = phaseWaiting, l.now+l.random.Int64N(int64(ceiling))
}
