package clustertest

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pollEvery is how often something that is held up looks whether it may go on.
const pollEvery = time.Millisecond

// wires open the connections of one machine.
type wires struct {
	network *Network
	from    string
}

// DialContext implements [cluster.Dialer].
func (w wires) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to := w.network.machineAt(address)
	for w.network.unreachable(w.from, to) {
		select {
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		case <-time.After(pollEvery):
		}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: conn, network: w.network, from: w.from, to: to, closed: make(chan struct{})}, nil
}

// wire is a connection that is held up while its ends are separate. Both
// directions pass through the end that has dialed.
type wire struct {
	net.Conn

	network  *Network
	from, to string
	read     atomic.Int64 // deadline, unix nanoseconds; zero = none
	write    atomic.Int64
	once     sync.Once
	closed   chan struct{}
}

// Read implements [net.Conn].
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		return n, err
	}
	if err := w.hold(w.to, w.from, &w.read); err != nil {
		return 0, err
	}
	return n, nil
}

// Write implements [net.Conn].
func (w *wire) Write(b []byte) (int, error) {
	if err := w.hold(w.from, w.to, &w.write); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

func (w *wire) hold(from, to string, deadline *atomic.Int64) error {
	for w.network.separate(from, to) {
		select {
		case <-w.closed:
			return net.ErrClosed
		case <-time.After(pollEvery):
		}
		if d := deadline.Load(); d != 0 && time.Now().UnixNano() > d {
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

// SetDeadline implements [net.Conn].
func (w *wire) SetDeadline(t time.Time) error {
	w.read.Store(nanos(t))
	w.write.Store(nanos(t))
	return w.Conn.SetDeadline(t)
}

// SetReadDeadline implements [net.Conn].
func (w *wire) SetReadDeadline(t time.Time) error {
	w.read.Store(nanos(t))
	return w.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements [net.Conn].
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.write.Store(nanos(t))
	return w.Conn.SetWriteDeadline(t)
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Close implements [net.Conn].
func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}
