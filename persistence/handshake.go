package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Every stream between journals begins with a handshake, because an address is
// not a node: behind the address of a voter whose disk was lost there may be
// another node by now, and what that one stores or promises must not count as
// the voter's. So whoever opens a stream says whom it means and who it is.

const (
	handshakeVersion = 1
	maxNameBytes     = 256
	maxHandshake     = 4 << 10
	handshakeTime    = 3 * time.Second
)

// greeting is the first message of a stream.
type greeting struct {
	version int
	cluster string // empty when the node belongs to none yet
	from    string
	to      string // the node that is meant; empty = whoever has the address
	starts  uint64 // of the sender
	program string // its version
}

// verdict is the answer to a greeting.
type verdict byte

const (
	verdictWelcome verdict = iota
	verdictNotMe
	verdictOtherCluster
	verdictRemoved
	verdictOldDisk
	verdictNotReady
	verdictIncompatible
)

// The refusals of a handshake that are not errors of their own elsewhere.
var (
	// ErrOtherCluster says that two nodes belong to different clusters.
	ErrOtherCluster = errors.New("the nodes belong to different clusters")
	// ErrIncompatible says that two versions of this program cannot work
	// together; see [ClusterOptions].
	ErrIncompatible = errors.New("the nodes run versions that cannot work together")

	errNotThere = errors.New("another node has this address")
	errNotReady = errors.New("the node is not ready")
)

// err is what a verdict means to the node that greeted.
func (v verdict) err() error {
	switch v {
	case verdictWelcome:
		return nil
	case verdictNotMe:
		return errNotThere
	case verdictOtherCluster:
		return ErrOtherCluster
	case verdictRemoved:
		return ErrRemoved
	case verdictOldDisk:
		return ErrOldDisk
	case verdictNotReady:
		return errNotReady
	case verdictIncompatible:
		return ErrIncompatible
	}
	return fmt.Errorf("%w: answer %d to a greeting", ErrIncompatible, v)
}

// verdictOf undoes [verdict.err].
func verdictOf(err error) verdict {
	for v := verdictWelcome; v <= verdictIncompatible; v++ {
		if errors.Is(err, v.err()) {
			return v
		}
	}
	return verdictNotReady
}

func (g *greeting) encode() []byte {
	b := append([]byte(nil), 'J', byte(g.version)) //nolint:gosec // a small number
	for _, s := range []string{g.cluster, g.from, g.to, g.program} {
		b = appendBytes(b, s)
	}
	return binary.AppendUvarint(b, g.starts)
}

// readGreeting reads the known start of a greeting; what a newer version adds
// after it is left alone.
func readGreeting(b []byte) (greeting, error) {
	r := reader{b: b}
	magic, version := r.byte(), r.byte()
	g := greeting{version: int(version)}
	g.cluster, g.from, g.to, g.program = string(r.bytes()), string(r.bytes()), string(r.bytes()), string(r.bytes())
	g.starts = r.uint()
	if r.bad || magic != 'J' || version == 0 || g.from == "" {
		return greeting{}, fmt.Errorf("%w: greeting", ErrCorrupt)
	}
	return g, nil
}

func writeShort(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)) //nolint:gosec // bounded by maxHandshake
	return err
}

func readShort(r io.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(n[:]))
	if size > maxHandshake {
		return nil, fmt.Errorf("%w: handshake of %d bytes", ErrCorrupt, size)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// greet introduces this node on a stream that it opened.
func greet(conn net.Conn, g greeting) (err error) {
	g.version = handshakeVersion
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	if err := writeShort(conn, g.encode()); err != nil {
		return err
	}
	answer, err := readShort(conn)
	if err != nil {
		return err
	}
	if len(answer) == 0 {
		return fmt.Errorf("%w: empty answer to a greeting", ErrCorrupt)
	}
	if err := verdict(answer[0]).err(); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// meet reads the greeting of a stream that a peer opened and answers it by
// what judge says.
func meet(conn net.Conn, judge func(*greeting) error) (greeting, error) {
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return greeting{}, err
	}
	b, err := readShort(conn)
	if err != nil {
		return greeting{}, err
	}
	g, err := readGreeting(b)
	if err != nil {
		return greeting{}, err
	}
	refusal := judge(&g)
	if err := writeShort(conn, []byte{byte(verdictOf(refusal))}); err != nil {
		return g, err
	}
	if refusal != nil {
		return g, refusal
	}
	return g, conn.SetDeadline(time.Time{})
}

// dialer opens greeted streams of one protocol.
type dialer struct {
	network  Network
	protocol string
	self     func() greeting
}

// dial opens a stream to the node at an address; an empty node is whoever has
// it.
func (d *dialer) dial(ctx context.Context, address, node string) (net.Conn, error) {
	conn, err := d.network.Dial(ctx, address, d.protocol)
	if err != nil {
		return nil, err
	}
	g := d.self()
	g.to = node
	if err := greet(conn, g); err != nil {
		_ = conn.Close() // the first error is the one to tell
		return nil, fmt.Errorf("greet %s: %w", address, err)
	}
	return conn, nil
}
