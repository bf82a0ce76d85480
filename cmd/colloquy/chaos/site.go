package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// addresses are where a node is reached.
type addresses struct {
	client string // API and sockets
	ops    string // health and metrics
	gossip string // of the cluster; the link and the grains take the next two ports
}

// site is the place of a run: a cell with networks that can be cut, or loopback
// addresses of this machine.
type site struct {
	cell  bool
	block string // first three parts of the nodes' loopback addresses
}

// newSite prepares the place.
func newSite(ctx context.Context, random *rand.Rand) (*site, error) {
	if InCell() {
		return &site{cell: true}, furnishCell(ctx)
	}
	return &site{block: freeBlock(ctx, random)}, nil
}

// freeBlock draws a block of loopback addresses that no other run uses; empty
// where the system knows only one loopback address.
func freeBlock(ctx context.Context, random *rand.Rand) string {
	const tries = 32
	for range tries {
		block := fmt.Sprintf("127.%d.%d", 1+random.IntN(254), random.IntN(256))
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(block+".1", strconv.Itoa(clientPort)))
		if err == nil {
			_ = l.Close()
			return block
		}
	}
	return ""
}

// place gives the addresses of node number i.
func (s *site) place(ctx context.Context, i int) (addresses, error) {
	at := func(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	switch {
	case s.cell:
		client, peer := fmt.Sprintf("%s.%d", clientNet, i), fmt.Sprintf("%s.%d", peerNet, i)
		return addresses{at(client, clientPort), at(client, opsPort), at(peer, gossipPort)}, nil
	case s.block != "":
		host := fmt.Sprintf("%s.%d", s.block, i)
		return addresses{at(host, clientPort), at(host, opsPort), at(host, gossipPort)}, nil
	}
	base, err := freePorts(ctx)
	return addresses{at("127.0.0.1", base), at("127.0.0.1", base+1), at("127.0.0.1", base+2)}, err
}

// freePorts finds five ports in a row that nobody listens on.
func freePorts(ctx context.Context) (int, error) {
	const tries, count = 64, 5
	for range tries {
		base, err := listenOn(ctx, 0)
		if err != nil {
			return 0, err
		}
		free := true
		for i := 1; i < count && free; i++ {
			_, err := listenOn(ctx, base+i)
			free = err == nil
		}
		if free {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", count)
}

// listenOn tries a port and lets it go again.
func listenOn(ctx context.Context, port int) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%v is no TCP address", l.Addr())
	}
	return at.Port, nil
}

// space makes the place from which node number i is started.
func (s *site) space(ctx context.Context, i int) (*namespace, error) {
	if s.cell {
		return joinCell(ctx, i)
	}
	return sameNetwork()
}
