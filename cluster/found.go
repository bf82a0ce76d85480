package cluster

import (
	"context"
	"slices"
	"time"
)

// The paces of founding a cluster.
const (
	foundEvery = 20 * time.Millisecond
	foundSays  = 5 * time.Second
	foundAgain = 5 * time.Second // a candidate who does not found it is given up after so long
)

// Found finds the cluster that a node with an empty disk belongs to, before its
// store is open: it gives the link addresses of nodes that are in it, or none
// when this node is the one to found a new cluster.
//
// A new cluster is founded when expect nodes with empty disks see one another;
// the one of them with the lowest run id does it, and the others wait for it.
// expect must be more than half of the nodes that may start at once. Without
// seeds and with expect at most 1 this node founds alone, when it has listened for
// [NodeOptions].Listening and heard of no cluster: it may be the first one of all,
// or the first one of a cluster that has lost its disk and was started by the same
// command. Once it has heard of one, or has kept somebody out, it only waits to
// join. With seeds and expect 0 it only ever joins.
//
// Errors: those of ctx.
func (n *Node) Found(ctx context.Context, expect int) ([]string, error) {
	first := !n.seeded() && expect <= 1
	if first {
		expect = 0
	}
	tick := time.NewTicker(foundEvery)
	defer tick.Stop()
	said, since := time.Now(), time.Now()
	for {
		v := n.View()
		if peers := founded(v); len(peers) > 0 {
			n.met.Store(true)
			return peers, nil
		}
		if slices.ContainsFunc(v.Members(), func(m Member) bool { return m.ID != n.id && m.Cluster != "" }) {
			n.met.Store(true) // it does not answer now, and has its cluster all the same
		}
		if first && time.Since(since) >= n.o.Listening && !n.met.Load() && n.steward.refused() == "" {
			n.log.Info("cluster founded alone, no other was heard of", "listened", n.o.Listening.String())
			return nil, nil
		}
		fresh := unfounded(v)
		if expect > 0 && len(fresh) >= expect {
			lowest := fresh[0].ID
			chosen := n.self().Candidate
			if _, there := v.Member(chosen); !there || lowest != chosen && time.Since(since) > foundAgain {
				since = time.Now()
				n.change(func(m *meta) { m.Candidate = lowest })
			}
			if v.backers(n.id) >= expect {
				n.log.Info("cluster founded", "members", len(fresh))
				return nil, nil
			}
		}
		if time.Since(said) > foundSays {
			said = time.Now()
			n.log.Warn("waiting for a cluster: no member has one, and too few with empty disks are there to found one",
				"members", len(v.Members()), "empty", len(fresh), "expected", expect, "kept_out", n.steward.refused())
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// founded lists the link addresses of members that have a cluster.
func founded(v *View) []string {
	var out []string
	for _, m := range v.Members() {
		if m.ID != v.Self() && m.Journal != "" && m.Cluster != "" && !m.Suspect {
			out = append(out, m.Address)
		}
	}
	return out
}

// unfounded lists members without a cluster, this node among them, by id.
func unfounded(v *View) []Member {
	return slices.DeleteFunc(slices.Clone(v.Members()), func(m Member) bool { return m.Cluster != "" || m.Suspect })
}

// backers counts the members that would have a node found the cluster.
func (v *View) backers(id NodeID) int {
	n := 0
	for _, m := range v.Members() {
		if m.candidate == id && m.Cluster == "" && !m.Suspect {
			n++
		}
	}
	return n
}
