package loop

import (
	"crypto/tls"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Cookie gives the kernel's number of a connection's own socket, behind TLS too,
// and none for one that has ended or never had a socket.
func TestCookie(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		want := map[Conn]uint64{}
		var handlers []*echo
		for range 3 {
			client, server := r.pair()
			number := cookieBy(t, server)
			e := &echo{}
			r.adopt(server, e, nil)
			say(t, client, "x")
			expect(t, client, "x")
			want[e.conn] = number
			handlers = append(handlers, e)
		}
		for c, number := range want {
			if got := Cookie(c); got != number || got == 0 {
				t.Errorf("Cookie = %d, want %d", got, number)
			}
		}
		handlers[0].conn.Abort()
		r.eventually("it is gone", func() bool { return handlers[0].gone.Load() == 1 })
		handlers[0].conn.Flush() // whatever is asked of it later
		r.serve(&echo{})         // may get its descriptor
		if got := Cookie(handlers[0].conn); got != 0 {
			t.Errorf("Cookie of a connection that has ended = %d", got)
		}
	})
}

func TestCookieBehindOtherThings(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Loops: -1})
	_, server := r.pair()
	number := cookieBy(t, server)
	if got := Cookie(newStream(r.g, tls.Server(server, &tls.Config{MinVersion: tls.VersionTLS12}), nil)); got != number {
		t.Errorf("Cookie behind TLS = %d, want %d", got, number)
	}
	inner, outer := net.Pipe()
	defer func() { _, _ = inner.Close(), outer.Close() }()
	if got := Cookie(newStream(r.g, inner, nil)); got != 0 {
		t.Errorf("Cookie of a pipe = %d", got)
	}
}

// cookieBy asks the kernel itself.
func cookieBy(t *testing.T, nc net.Conn) (number uint64) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		number, serr = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
	})
	if err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	return number
}
