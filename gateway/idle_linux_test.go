package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
	"unsafe" //nolint:depguard // Sizeof only

	"github.com/colloquyhq/colloquy/conversation"
)

// idleConns is how many connections TestIdleConnectionIsSmall opens. The fixed
// costs show less the more there are: go test ./gateway -run Idle -v -idle 9000.
var idleConns = flag.Int("idle", 1500, "connections of TestIdleConnectionIsSmall")

func TestConnIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(conn{}); n > 192 {
		t.Errorf("a connection's state has %d bytes, want at most 192", n)
	}
	if n := unsafe.Sizeof(follow{}); n > 80 {
		t.Errorf("a follow has %d bytes, want at most 80", n)
	}
	if n := unsafe.Sizeof(identity{}); n > 48 {
		t.Errorf("an identity has %d bytes, want at most 48", n)
	}
}

// bareClient is a client that costs this process nothing but a descriptor, so
// that what is measured is the server's.
type bareClient int

func dialBare(t *testing.T, addr netip.AddrPort) bareClient {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	if err != nil {
		t.Fatal(err)
	}
	tv := syscall.NsecToTimeval(int64(patience))
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv)
	return bareClient(fd)
}

// uninterrupted calls f until no signal ends it early: a socket with a receive
// timeout is not taken up again by the kernel, and the runtime's own preemption
// signals come at any time.
func uninterrupted(f func() (int, error)) (n int, err error) {
	for {
		if n, err = f(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func (c bareClient) write(t *testing.T, b []byte) {
	t.Helper()
	if _, err := uninterrupted(func() (int, error) { return syscall.Write(int(c), b) }); err != nil {
		t.Fatal(err)
	}
}

// until reads until want has come, and gives all.
func (c bareClient) until(t *testing.T, want string, buf []byte) []byte {
	t.Helper()
	n := 0
	for !bytes.Contains(buf[:n], []byte(want)) {
		m, err := uninterrupted(func() (int, error) { return syscall.Read(int(c), buf[n:]) })
		if err != nil || m == 0 {
			t.Fatalf("read %q, then %v; want %q", buf[:n], err, want)
		}
		n += m
	}
	return buf[:n]
}

// residentBytes is what the kernel says this process occupies.
func residentBytes(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// used gives heap and stacks in use, and the resident size.
func used(t *testing.T) (inUse, resident int) {
	t.Helper()
	for range 3 {
		runtime.GC() // pools empty themselves in two rounds
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse), residentBytes(t)
}

// TestIdleConnectionIsSmall opens connections of visitors who follow their
// conversation, and asks what one costs. It runs alone: others would be
// measured as well.
func TestIdleConnectionIsSmall(t *testing.T) { //nolint:paralleltest // measures the process
	if *onGoroutines {
		t.Skip("goroutines cost what they cost")
	}
	h := start(t, func(o *Options) {
		o.Limits.ConnectionsPerIP, o.Limits.HandshakesPerIP, o.Limits.HandshakesPerSecond = 1<<20, 1e6, 1e6
		o.Limits.SweepInterval, o.Limits.Heartbeat = time.Second, time.Hour // these clients answer nothing
	})
	n := *idleConns
	visitor := func(i int) (id conversation.ContactID) {
		binary.BigEndian.PutUint32(id[:], uint32(i))
		id[15] = 1
		return id
	}
	tokens := make([]string, n+100)
	for i := range tokens {
		h.store.start("shop", visitor(i))
		tokens[i] = h.visitorToken("shop", visitor(i))
	}
	addr := netip.MustParseAddrPort(h.addr)
	clients := make([]bareClient, 0, len(tokens))
	t.Cleanup(func() {
		for _, c := range clients {
			_ = syscall.Close(int(c))
		}
	})
	buf := make([]byte, 64<<10)
	open := func(i int) {
		c := dialBare(t, addr)
		clients = append(clients, c)
		c.write(t, fmt.Appendf(nil, "GET /v1/widget/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"+
			"Origin: https://shop.example\r\nSec-WebSocket-Protocol: colloquy.v1, t.%s\r\n\r\n", h.addr, tokens[i]))
		c.until(t, "\r\n\r\n", buf)
		c.write(t, append(text(hello), text(`{"t":"ping","ref":"there"}`)...))
		c.until(t, "there", buf)
	}
	for i := range 100 { // what is made once
		open(n + i)
	}
	goroutines := runtime.NumGoroutine()
	inUse, resident := used(t)
	for i := range n {
		open(i)
	}
	inUse2, resident2 := used(t)
	if got := len(h.gw.snapshot()); got != n+100 {
		t.Fatalf("%d connections, want %d", got, n+100)
	}
	runtime.KeepAlive(tokens) // or they would seem to have been given back by the connections
	each := (inUse2 - inUse) / n
	t.Logf("%d idle connections: %d bytes of heap and stacks each, %d bytes resident", n, each, (resident2-resident)/n)
	if more := runtime.NumGoroutine() - goroutines; more > 20 {
		t.Errorf("%d connections keep %d goroutines", n, more)
	}
	if each > 1200 {
		t.Errorf("an idle connection costs %d bytes, want at most 1200", each)
	}
	for i, c := range clients {
		if i%50 == 0 {
			c.write(t, text(`{"t":"ping","ref":"still"}`))
			c.until(t, "still", buf)
		}
	}
}
