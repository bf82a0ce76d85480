package cluster

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// The paces of looking for other members.
const (
	seekFirst   = 100 * time.Millisecond
	seekMost    = 2 * time.Second
	seekSteady  = time.Second      // of somebody who has members
	seekNames   = 15 * time.Second // somebody who has members looks the seeds' names up again after so long
	maxSeeds    = 256
	maxDials    = 4  // of one address at a time: that of a machine that is off hangs for seconds
	maxDeparted = 64 // addresses of members that went
	resolveTime = 2 * time.Second
)

// seek joins the others: seeds and members that the gossip has lost, and the
// addresses of members that are gone.
//
// Somebody who has members goes on with it. A seed that is no member may be the
// other half of a cluster that has come up in two; and at the address of one that
// is gone, a new node may stand that was told of nobody, and founds a cluster of
// its own if it hears of none, see [Node.Found].
func (n *Node) seek(ctx context.Context) {
	pause := seekFirst
	var seeds []string
	var looked time.Time // when the seeds' names were looked up
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if now := time.Now(); alone(n.View()) || now.Sub(looked) >= seekNames {
			seeds, looked = n.seeds(ctx), now
		}
		n.join(ctx, n.lost())
		n.join(ctx, n.strangers(append(n.steward.departed(), seeds...)))
		if alone(n.View()) {
			pause = min(2*pause, seekMost)
		} else {
			pause = seekSteady
		}
		timer.Reset(pause/2 + rand.N(pause)) //nolint:gosec // spreads nodes in time
	}
}

// alone reports whether no other member answers.
func alone(v *View) bool {
	return !slices.ContainsFunc(v.Members(), func(m Member) bool { return m.ID != v.Self() && !m.Suspect })
}

// lost lists members that the gossip has given up and nobody has voted out: it
// would not speak to them again by itself.
func (n *Node) lost() []string {
	var out []string
	for _, m := range n.View().Members() {
		if m.Suspect {
			out = append(out, m.Gossip)
		}
	}
	return out
}

// strangers leaves out who is a member already, and addresses where somebody has
// answered of late without becoming one: it is a member by another address, or
// kept out.
func (n *Node) strangers(addresses []string) []string {
	n.dials.Lock()
	defer n.dials.Unlock()
	members := map[string]bool{}
	for _, m := range n.View().Members() {
		members[m.Gossip] = !m.Suspect
		delete(n.dials.answered, m.Gossip)
	}
	for a, at := range n.dials.answered {
		if time.Since(at) >= seekNames {
			delete(n.dials.answered, a)
		}
	}
	out := make([]string, 0, len(addresses))
	for _, a := range addresses {
		if _, answered := n.dials.answered[a]; !answered && !members[a] && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// dials are the attempts to join.
type dials struct {
	sync.Mutex

	busy     map[string]int // under way, by address; at most maxDials each
	answered map[string]time.Time
}

func (n *Node) join(ctx context.Context, addresses []string) {
	for _, a := range addresses {
		if ctx.Err() != nil {
			return
		}
		n.dials.Lock()
		free := n.dials.busy[a] < maxDials
		if free {
			n.dials.busy[a]++
		}
		n.dials.Unlock()
		if !free {
			continue
		}
		n.ended.Go(func() {
			_, err := n.list.Join([]string{a})
			n.dials.Lock()
			defer n.dials.Unlock()
			if n.dials.busy[a]--; n.dials.busy[a] == 0 {
				delete(n.dials.busy, a)
			}
			if err != nil {
				n.log.Debug("seed not joined", "gossip", a, "err", err)
				return
			}
			n.dials.answered[a] = time.Now()
		})
	}
}

// seeds resolves the seeds of the options and of the file, anew each time: the
// addresses behind a name change, and a name that is not known yet may be soon.
func (n *Node) seeds(ctx context.Context) []string {
	names := append(slices.Clone(n.o.Seeds), readSeeds(n.o.SeedsFile)...)
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	var out []string
	for _, name := range names {
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			n.log.Warn("seed is not a host:port", "seed", name)
			continue
		}
		if net.ParseIP(host) != nil {
			out = append(out, name)
			continue
		}
		at, err := n.o.Resolve(ctx, host)
		if err != nil {
			n.log.Debug("seed not resolved", "seed", name, "err", err)
			continue
		}
		for _, ip := range at {
			out = append(out, net.JoinHostPort(ip, port))
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxSeeds)]
}

// seeded reports whether this node was told of others.
func (n *Node) seeded() bool { return len(n.o.Seeds) > 0 || n.o.SeedsFile != "" }

// readSeeds reads one host:port a line; # begins a comment. A file that is not
// there yet holds none.
func readSeeds(name string) []string {
	if name == "" {
		return nil
	}
	f, err := os.Open(name) //nolint:gosec // the operator's own setting
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // read only
	var out []string
	lines := bufio.NewScanner(f)
	for lines.Scan() && len(out) < maxSeeds {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
