package gateway

import (
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestSendBufferIsBounded: the kernel keeps no more for a client than it is told;
// left alone it would let the buffer grow to megabytes.
func TestSendBufferIsBounded(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h := start(t, mode)
		c := h.visitor(conversation.ContactID{1}, hello)
		c.expect("welcome")
		local, ok := c.conn.LocalAddr().(*net.TCPAddr)
		if !ok {
			t.Fatalf("%T is no address of TCP", c.conn.LocalAddr())
		}
		got, err := syscall.GetsockoptInt(socketTo(t, local.Port), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
		if want := 2 * h.gw.limits.SendBufferBytes; err != nil || got != want { // the kernel doubles it, for its own books: socket(7)
			t.Errorf("the kernel's buffer has %d bytes, %v, want %d", got, err, want)
		}
	})
}

// socketTo finds the descriptor of this process whose other side is a port.
func socketTo(t *testing.T, port int) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range open {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		peer, err := syscall.Getpeername(fd) // fails for what is no socket
		if err != nil {
			continue
		}
		if in, ok := peer.(*syscall.SockaddrInet4); ok && in.Port == port {
			return fd
		}
	}
	t.Fatalf("no socket to port %d", port)
	return 0
}
