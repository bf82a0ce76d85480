package cluster_test

import (
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

// without waits until the views of machines lack a run, and says how long it
// took.
func without(n *clustertest.Network, id cluster.NodeID, at ...*clustertest.Machine) time.Duration {
	began := time.Now()
	n.Await("the member is out of the views", func() bool {
		for _, m := range at {
			if _, there := m.Gate.View().Member(id); there {
				return false
			}
		}
		return true
	})
	return time.Since(began)
}

func TestKilledMemberIsOutAtOnceAndNoRequestFails(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b", "c")
	l := startLoad(ms[0], 200, 4)
	l.more(n, 400)
	ms[2].Kill()
	took := without(n, ms[2].Node.ID(), ms[0], ms[1])
	l.more(n, 400)
	l.end(t)
	t.Logf("view changed after %v", took)
	if took > 2*time.Second {
		t.Errorf("a dead process was a member for %v; the quick check should have noticed", took)
	}
}
