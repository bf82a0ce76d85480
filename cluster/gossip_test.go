package cluster

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A node that joins learns the members of its seed one by one. With half of
// them it would start grains without asking the other half to give them up.
func TestAJoiningNodeSeesAllMembersAtOnce(t *testing.T) {
	t.Parallel()
	n := &Node{id: "self", log: slog.New(slog.DiscardHandler), metrics: newNodeMetrics(prometheus.NewRegistry())}
	n.mu.own = meta{Version: "1.0.0", Link: "l", Grains: "g"}
	n.steward = newSteward(n)
	n.view.Store(NewView(n.id, n.mu.own.member(n.id, "here")))
	g := gossip{n}
	sees := func(id NodeID) {
		n.steward.saw(id, func(s *sighting) {
			*s = sighting{gossip: string(id), meta: meta{Version: "1.0.0", Link: "l" + string(id), Grains: "g" + string(id)}, alive: true}
		})
	}
	if err := g.NotifyMerge(nil); err != nil {
		t.Fatal(err)
	}
	sees("a")
	n.steward.settle(time.Now())
	if got := len(n.View().Members()); got != 1 {
		t.Errorf("a view of %d while the members of the seed are being learned", got)
	}
	sees("b")
	g.MergeRemoteState(nil, true)
	n.steward.settle(time.Now())
	if got := len(n.View().Members()); got != 3 {
		t.Errorf("a view of %d once all are known, want 3", got)
	}

	// A merge that never ends holds nothing up for long.
	n.steward.merging()
	sees("c")
	n.steward.mu.merging = time.Now().Add(-mergeMost)
	n.steward.settle(time.Now())
	if got := len(n.View().Members()); got != 4 {
		t.Errorf("a view of %d after a merge that never ended, want 4", got)
	}
}
