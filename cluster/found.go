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
// seeds and with expect at most 1 this node is alone and founds at once; with
// seeds and expect 0 it only ever joins.
//
// Errors: those of ctx.
func (n *Node) Found(ctx context.Context, expect int) ([]string, error) {
	if !n.seeded() && expect <= 1 {
		return nil, nil
	}
	tick := time.NewTicker(foundEvery)
	defer tick.Stop()
	said, since := time.Now(), time.Now()
	for {
		v := n.View()
		if peers := founded(v); len(peers) > 0 {
			return peers, nil
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
