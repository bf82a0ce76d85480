package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
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
	id    NodeID
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
	var gossip, link error
	var both sync.WaitGroup
	both.Go(func() { gossip = n.knock(ctx, m.Gossip) })
	both.Go(func() { link = n.knock(ctx, m.Address) })
	both.Wait()
	if errors.Is(gossip, syscall.ECONNREFUSED) && errors.Is(link, syscall.ECONNREFUSED) {
		return verdict{m.ID, stateGone}
	}
	if ip, port, ok := peerAddr(m.Gossip); ok {
		if _, err := n.list.Ping(string(m.ID), &net.UDPAddr{IP: ip, Port: int(port)}); err == nil {
			return verdict{m.ID, stateAnswers}
		}
	}
	again, cancel2 := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel2()
	if n.link.ping(again, m.Address) == nil {
		return verdict{m.ID, stateAnswers}
	}
	return verdict{m.ID, stateSilent}
}

func (n *Node) knock(ctx context.Context, address string) error {
	conn, err := n.o.Dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
