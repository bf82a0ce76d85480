package persistence

import (
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Raft's addresses are node@address, because raft wants them to be different
// for different nodes, and one address can be that of a lost node and of the
// one that replaces it.

func joinAddress(node, address string) raft.ServerAddress {
	return raft.ServerAddress(node + "@" + address)
}

// splitAddress takes an address apart. One without an address is what a node
// alone gives itself.
func splitAddress(a raft.ServerAddress) (node, address string) {
	node, address, ok := strings.Cut(string(a), "@")
	if !ok {
		return string(a), ""
	}
	return node, address
}

// addresses finds where nodes are. What is known of the live ones comes first:
// nodes may come back under another address.
type addresses struct {
	peers func() []Peer
	self  Peer
	mu    struct {
		sync.Mutex
		live map[string]string // by node
		at   time.Time         // when live was read
	}
}

// addressAge is how old what is known of the live nodes may be.
const addressAge = 50 * time.Millisecond

func newAddresses(self Peer, peers func() []Peer) *addresses {
	return &addresses{peers: peers, self: self}
}

// live gives the addresses of the nodes that are known to live.
func (a *addresses) live() map[string]string {
	now := time.Now()
	a.mu.Lock()
	live, at := a.mu.live, a.mu.at
	a.mu.Unlock()
	if live != nil && now.Sub(at) < addressAge {
		return live
	}
	live = make(map[string]string)
	for _, p := range a.peers() {
		if p.Node != "" && p.Address != "" {
			live[p.Node] = p.Address
		}
	}
	live[a.self.Node] = a.self.Address
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.live, a.mu.at = live, now
	return live
}

// find gives a node's address: the live one, or else the stored one.
func (a *addresses) find(node string, stored raft.ServerAddress) string {
	if address, ok := a.live()[node]; ok {
		return address
	}
	_, address := splitAddress(stored)
	return address
}
