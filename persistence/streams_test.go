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

	"github.com/cockroachdb/pebble/v2/vfs"
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

// The database is closed only when nobody reads a snapshot of it any more: the
// stream to a peer that is far behind may be under way when the node is stopped.
func TestCloseWaitsForASnapshotThatIsSent(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	fill(t, s, 40)
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	metas, err := s.snapshots.List()
	if err != nil {
		t.Fatal(err)
	}
	meta, src, err := s.snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(src, first); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	waitFor(t, func() bool {
		s.snapshots.mu.Lock()
		defer s.snapshots.mu.Unlock()
		return s.snapshots.mu.closed
	})
	if _, _, err := s.snapshots.Open(metas[0].ID); !errors.Is(err, errClosing) {
		t.Errorf("Open of a snapshot while the store is closed = %v, want %v", err, errClosing)
	}
	select {
	case err := <-closed:
		t.Fatalf("Close = %v under a stream", err)
	case <-time.After(100 * time.Millisecond):
	}
	rest, err := io.Copy(io.Discard, src)
	if err != nil || rest != meta.Size-1 {
		t.Errorf("the rest of the stream: %d bytes, %v; want %d", rest, err, meta.Size-1)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close = %v", err)
	}
}
