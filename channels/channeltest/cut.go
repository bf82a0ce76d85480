package channeltest

import (
	"io"
	"net"
)

// Cut gives a connection that ends after n bytes of what is read from it.
func Cut(c net.Conn, n int) net.Conn { return &cut{Conn: c, left: n} }

type cut struct {
	net.Conn

	left int
}

// Read implements [net.Conn].
func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
