package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	Kill      Kind = "kill"      // killed with signal 9 and started again
	Wipe      Kind = "wipe"      // killed, its disk emptied, started as a new node
	Pause     Kind = "pause"     // frozen with SIGSTOP and thawed
	Partition Kind = "partition" // cut off from its peers, both ways
	Oneway    Kind = "oneway"    // hears its peers but is not heard, or the other way round
	Loss      Kind = "loss"      // packets between all peers are dropped at random
	Clock     Kind = "clock"     // the wall clock of a node jumps, and jumps back
	DiskFull  Kind = "diskfull"  // the file system of a node runs full, and is freed
	Restart   Kind = "restart"   // all nodes are restarted, one after the other
	Grow      Kind = "grow"      // two nodes join, and are removed again
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Kill, Wipe, Pause, Partition, Oneway, Loss, Clock, DiskFull, Restart, Grow}
}

// ParseKinds reads a list such as kill,wipe; "all" stands for every kind.
func ParseKinds(text string) ([]Kind, error) {
	if text == "all" {
		return Kinds(), nil
	}
	var out []Kind
	for name := range strings.SplitSeq(text, ",") {
		k := Kind(strings.TrimSpace(name))
		switch {
		case k == "":
		case !slices.Contains(Kinds(), k):
			return nil, fmt.Errorf("%q is no kind of fault; there are %s", k, Names(Kinds()))
		case !slices.Contains(out, k):
			out = append(out, k)
		}
	}
	return out, nil
}

// Names writes kinds as [ParseKinds] reads them.
func Names(kinds []Kind) string {
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = string(k)
	}
	return strings.Join(texts, ",")
}

// needsPeers reports whether the fault makes sense only among several nodes.
func (k Kind) needsPeers() bool {
	switch k {
	case Wipe, Partition, Oneway, Loss, Grow:
		return true
	case Kill, Pause, Clock, DiskFull, Restart:
	}
	return false
}

// onNetwork reports whether the fault is made of dropped packets.
func (k Kind) onNetwork() bool { return k == Partition || k == Oneway || k == Loss }

// downsNode reports whether the fault takes a node away at once: what a visitor
// then waits for is the failover.
func (k Kind) downsNode() bool { return k == Kill || k == Wipe }
