package cluster

import (
	"testing"
	"time"
)

// Who has not served yet has no grain to give up, and before its gate is there
// nobody answers: to ask it would hold every grain that moves up for the time of
// an attempt.
func TestFormerOwnersAreOnesThatServe(t *testing.T) {
	t.Parallel()
	id := GrainID{Kind: "adder", ID: "x"}
	serving, joining, suspect := Member{ID: "serving", Serving: true}, Member{ID: "joining"}, Member{ID: "suspect", Serving: true, Suspect: true}
	g := &Gate{}
	g.view.Store(NewView("self", Member{ID: "self", Serving: true}, serving, joining, suspect))
	if got := g.formerOwners(id); len(got) != 0 {
		t.Errorf("without a past the former owners are %v", got)
	}
	// This node has just begun to serve.
	g.past.Store(&past{views: []pastView{{NewView("self", Member{ID: "self"}, serving, joining), time.Now()}}})
	if got := g.formerOwners(id); len(got) != 1 || got[0].ID != serving.ID {
		t.Errorf("former owners %v, want the one that serves", got)
	}
}
