package cluster

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// The paces of looking for other members.
const (
	seekFirst   = 100 * time.Millisecond
	seekMost    = 2 * time.Second
	seekSplit   = 15 * time.Second // somebody who has members looks whether a seed is not one of them
	maxSeeds    = 256
	resolveTime = 2 * time.Second
)

// seek joins the others: seeds while this node is alone, members that the gossip
// has lost, and now and then a seed that is no member, in case the cluster has
// come up in two halves.
func (n *Node) seek(ctx context.Context) {
	pause, split := seekFirst, time.Now().Add(seekSplit)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		all := alone(n.View())
		if now := time.Now(); !all && now.After(split) {
			all, split = true, now.Add(seekSplit)
		}
		n.join(ctx, n.lost())
		if all {
			n.join(ctx, n.strangers(n.seeds(ctx)))
		}
		if alone(n.View()) {
			pause = min(2*pause, seekMost)
		} else {
			pause = seekMost
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

// strangers leaves out who is a member already.
func (n *Node) strangers(addresses []string) []string {
	known := map[string]bool{}
	for _, m := range n.View().Members() {
		known[m.Gossip] = !m.Suspect
	}
	return slices.DeleteFunc(addresses, func(a string) bool { return known[a] })
}

func (n *Node) join(ctx context.Context, addresses []string) {
	for _, a := range addresses {
		if ctx.Err() != nil {
			return
		}
		n.ended.Go(func() {
			if _, err := n.list.Join([]string{a}); err != nil {
				n.log.Debug("seed not joined", "gossip", a, "err", err)
			}
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
