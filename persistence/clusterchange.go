package persistence

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// removeHere takes a node out because somebody wants it. Only the leader can.
func (c *clusterNode) removeHere(ctx context.Context, q *removeAsk) (done, error) {
	if !c.leads() {
		return done{}, errAgain
	}
	servers := c.surveyBriefly(ctx)
	at := slices.IndexFunc(servers, func(v Server) bool { return v.Node == q.Node })
	switch {
	case at < 0 && c.store.roster.get(q.Node).removed:
		return done{}, nil
	case at < 0:
		return done{}, &RefusedError{Reason: fmt.Sprintf("the cluster has no node %s", q.Node)}
	}
	if refusal := removalRefused(servers, at, q.Mode); refusal != "" {
		return done{}, &RefusedError{Reason: refusal}
	}
	if q.Node == c.store.identity.Node {
		// Its successor does it.
		if _, err := c.transferHere(ctx, &transferAsk{}); err != nil {
			return done{}, err
		}
		return done{}, errAgain
	}
	return done{}, outcomeOf(c.remove(ctx, raft.ServerID(q.Node)))
}

// removalRefused says why the node at a place must not be removed; empty when it
// may.
func removalRefused(servers []Server, at int, mode Removal) string {
	v := &servers[at]
	if mode == RemoveSilent && v.Reachable {
		return "the node is alive; stop it first, or force its removal"
	}
	if !v.Voter {
		return ""
	}
	voters, live := 0, 0
	for i := range servers {
		if i == at || !servers[i].Voter {
			continue
		}
		voters++
		if servers[i].Reachable {
			live++
		}
	}
	switch {
	case voters == 0:
		return "the node is the only voter, so the last copy that is known to be whole would go with it"
	case live <= voters/2:
		return fmt.Sprintf("only %[2]d of the %[1]d voters that would stay answer, so nothing could be stored any more", voters, live)
	}
	return ""
}

// transferHere gives the leadership away. Only the leader can.
func (c *clusterNode) transferHere(ctx context.Context, q *transferAsk) (done, error) {
	if !c.leads() {
		return done{}, errAgain
	}
	if q.Node == c.store.identity.Node {
		return done{}, nil
	}
	heir, err := c.heir(ctx, q.Node)
	if err != nil {
		return done{}, err
	}
	_, changed := c.store.leadership.now()
	f := c.store.raft.LeadershipTransferToServer(raft.ServerID(heir.Node), c.storedAddress(raft.ServerID(heir.Node)))
	if err := f.Error(); err != nil {
		return done{}, fmt.Errorf("%w: %w", errAgain, err)
	}
	for c.store.Leader() == "" || c.store.Leads() {
		if err := pause(ctx, joinPause, changed); err != nil {
			return done{}, nil //nolint:nilerr // it is given away, whoever has it
		}
		_, changed = c.store.leadership.now()
	}
	return done{}, nil
}

// heir finds the voter to give the leadership to.
func (c *clusterNode) heir(ctx context.Context, wanted string) (*Server, error) {
	var best *Server
	servers := c.surveyBriefly(ctx)
	for i := range servers {
		v := &servers[i]
		if v.Node == c.store.identity.Node || !v.Voter || !v.Reachable || wanted != "" && v.Node != wanted {
			continue
		}
		if best == nil || v.Last > best.Last {
			best = v
		}
	}
	if best != nil {
		return best, nil
	}
	if wanted != "" {
		return nil, &RefusedError{Reason: fmt.Sprintf("node %s is no voter that answers", wanted)}
	}
	return nil, &RefusedError{Reason: "no other voter answers"}
}
