package cluster

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// state is what a look at a member has found.
type state int

const (
	stateAnswers state = iota
	stateSilent        // nothing is heard, though its ports may take connections
	stateGone          // its ports refuse: the process has ended
)

type verdict struct {
	of    Member
	state state
}

// look finds out by itself what became of a member. The kernel of a machine
// whose process has ended refuses connections at once, while a frozen process
// still takes them; so two refusals are certain news, and anything else needs
// the patience of the gossip first. A proxy that refuses for somebody else
// deceives it, which is why nodes advertise addresses of their own.
func (n *Node) look(ctx context.Context, m Member) verdict {
	patience := 500 * time.Millisecond
	if n.o.Profile == Careful {
		patience = time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ports := make(chan error, 2)
	for _, address := range []string{m.Gossip, m.Address} {
		n.ended.Go(func() { ports <- n.knock(ctx, address) })
	}
	signs := make(chan error, 2)
	n.ended.Go(func() { signs <- n.ping(m) })
	n.ended.Go(func() { signs <- n.link.ping(ctx, m.Address) })
	refused, silent := 0, 0
	for silent < cap(signs) {
		select {
		case err := <-ports:
			if errors.Is(err, syscall.ECONNREFUSED) {
				refused++
			}
			if refused == cap(ports) {
				return verdict{m, stateGone}
			}
		case err := <-signs:
			if err == nil {
				return verdict{m, stateAnswers}
			}
			silent++
		}
	}
	return verdict{m, stateSilent}
}

func (n *Node) knock(ctx context.Context, address string) error {
	conn, err := n.o.Dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ping asks by the gossip's own packets.
func (n *Node) ping(m Member) error {
	ip, port, ok := peerAddr(m.Gossip)
	if !ok {
		return errors.New("no address")
	}
	_, err := n.list.Ping(string(m.ID), &net.UDPAddr{IP: ip, Port: int(port)})
	return err
}
