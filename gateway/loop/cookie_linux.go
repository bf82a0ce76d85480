package loop

import (
	"crypto/tls"
	"syscall"

	"golang.org/x/sys/unix"
)

// Cookie gives the number by which the kernel knows the socket of a connection
// (SO_COOKIE), for those who look at it from outside; 0 when there is none, or no
// longer. It takes a system call and may be called from anywhere.
func Cookie(c Conn) uint64 {
	switch c := c.(type) {
	case *socket:
		return c.cookie()
	case *stream:
		return c.cookie()
	}
	return 0
}

func (s *socket) cookie() uint64 {
	n := cookieOf(int(s.fd))
	if s.wish.Load()&wishClosed != 0 { // perhaps before the question: then it was about another socket
		return 0
	}
	return n
}

func (s *stream) cookie() uint64 {
	nc := s.nc
	if secured, ok := nc.(*tls.Conn); ok {
		nc = secured.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0 // a pipe
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	var n uint64
	_ = raw.Control(func(fd uintptr) { n = cookieOf(int(fd)) }) // closed: 0
	return n
}

func cookieOf(fd int) uint64 {
	n, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return 0
	}
	return n
}
