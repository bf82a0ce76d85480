package chaos

import (
	"fmt"
	"strings"
)

// The addresses inside a cell. A cell is a network of its own, so every run uses
// the same ones.
const (
	clientNet  = "10.1.0" // between clients and nodes; never cut
	peerNet    = "10.2.0" // among the nodes
	clientHost = 254      // of this process in the clients' network
	peerDevice = "peer"   // the name of a node's interface to the others
)

// The ports of a node inside a cell.
const (
	clientPort = 8080
	opsPort    = 9090
	gossipPort = 7946 // the link and the grains take the next two
)

// bridges are the commands, for `ip -batch`, that make the two networks in the
// cell.
func bridges() []string {
	return []string{
		"link set lo up",
		"link add clients type bridge",
		fmt.Sprintf("addr add %s.%d/24 dev clients", clientNet, clientHost),
		"link set clients up",
		"link add peers type bridge",
		"link set peers up",
	}
}

// cables are the commands that connect node number i, whose network namespace
// is at path, to both networks. Nodes cannot reach each other through the
// clients' network.
func cables(i int, path string) []string {
	return []string{
		fmt.Sprintf("link add c%d type veth peer name client netns %s", i, path),
		fmt.Sprintf("link set c%d master clients", i),
		fmt.Sprintf("link set dev c%d type bridge_slave isolated on", i),
		fmt.Sprintf("link set c%d up", i),
		fmt.Sprintf("link add p%d type veth peer name %s netns %s", i, peerDevice, path),
		fmt.Sprintf("link set p%d master peers", i),
		fmt.Sprintf("link set p%d up", i),
	}
}

// sockets are the commands inside the namespace of node number i.
func sockets(i int) []string {
	return []string{
		"link set lo up",
		fmt.Sprintf("addr add %s.%d/24 dev client", clientNet, i),
		"link set client up",
		fmt.Sprintf("addr add %s.%d/24 dev %s", peerNet, i, peerDevice),
		fmt.Sprintf("link set %s up", peerDevice),
	}
}

// direction says which packets of a node a cut drops.
type direction string

// The directions.
const (
	bothWays direction = "both"
	inbound  direction = "in"  // it is deaf
	outbound direction = "out" // it is mute
)

// cutRules is the input of `nft -f -` that drops a node's packets to and from
// its peers. percent is how many of a hundred, at random.
func cutRules(d direction, percent int) string {
	var b strings.Builder
	b.WriteString("add table inet chaos\n")
	rule := func(hook, match string) {
		fmt.Fprintf(&b, "add chain inet chaos %s { type filter hook %s priority 0; policy accept; }\n", hook, hook)
		fmt.Fprintf(&b, "add rule inet chaos %s %s %q", hook, match, peerDevice)
		if percent < 100 {
			fmt.Fprintf(&b, " numgen random mod 100 < %d", percent)
		}
		b.WriteString(" drop\n")
	}
	if d != outbound {
		rule("input", "iifname")
	}
	if d != inbound {
		rule("output", "oifname")
	}
	return b.String()
}

// healRules is the input of `nft -f -` that undoes any cut.
func healRules() string { return "add table inet chaos\ndelete table inet chaos\n" }
