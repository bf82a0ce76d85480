package persistence

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// spyLayer is a way to one peer that takes everything and answers nothing. It
// notes how long it would have been waited for.
type spyLayer struct {
	net.Listener

	patience time.Duration
	mu       sync.Mutex
	waits    []time.Duration
}

type spyConn struct {
	net.Conn

	layer *spyLayer
}

func (c *spyConn) note(t time.Time) {
	c.layer.mu.Lock()
	defer c.layer.mu.Unlock()
	c.layer.waits = append(c.layer.waits, time.Until(t))
}

func (c *spyConn) SetReadDeadline(t time.Time) error {
	c.note(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *spyConn) SetWriteDeadline(t time.Time) error {
	c.note(t)
	return c.Conn.SetWriteDeadline(t)
}

func (l *spyLayer) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	here, there := net.Pipe()
	go func() {
		// The peer loses its power when it has everything, and so do we notice.
		_, _ = io.CopyN(io.Discard, there, spySnapshot)
		_ = there.Close()
	}()
	return &idleConn{Conn: &spyConn{here, l}, owner: newConns(), patience: l.patience}, nil
}

const spySnapshot = 1 << 20

// A peer that does not answer when it has got a snapshot must not keep the
// leader waiting for as long as raft thinks that a snapshot of the size may take.
func TestSilentPeerIsNotWaitedForByTheSizeOfItsSnapshot(t *testing.T) {
	t.Parallel()
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &spyLayer{Listener: inner, patience: 2 * time.Second}
	trans := networkTransport(l, l.patience, hclog.NewNullLogger())
	t.Cleanup(func() { _ = errors.Join(trans.Close(), inner.Close()) })
	const size = 64 << 20
	err = trans.InstallSnapshot("b", "b", &raft.InstallSnapshotRequest{Size: size}, new(raft.InstallSnapshotResponse),
		bytes.NewReader(make([]byte, spySnapshot)))
	if err == nil {
		t.Fatal("a peer that never answered has taken the snapshot")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if longest, want := slices.Max(l.waits), size/restoredPerPatience*l.patience; longest > want {
		t.Errorf("the peer would be waited for %v, want at most %v", longest, want)
	}
}

// What is sent must be taken soon, whatever limit raft sets for all of it.
func TestPeerThatTakesNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = there.Close() })
	c := &idleConn{Conn: here, owner: newConns(), patience: time.Millisecond}
	if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write to a peer that reads nothing = %v, want a deadline", err)
	}
}
