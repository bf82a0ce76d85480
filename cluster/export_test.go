package cluster

import "crypto/tls"

// PeerTLS is how a node of a cluster shows itself to its peers.
func PeerTLS(key, name string) (*tls.Config, error) {
	c, err := newIdentity(key, name, newNodeID(), nil)
	if err != nil {
		return nil, err
	}
	return c.config(), nil
}

// SeeEnded has a node see a run that was in the gossip and is not any more.
func (n *Node) SeeEnded(id NodeID, gossip, link, grains string) {
	m := n.self()
	m.Journal, m.HTTP, m.Link, m.Grains = "", "", link, grains
	n.steward.saw(id, func(s *sighting) { *s = sighting{gossip: gossip, meta: m} })
}

// Buried reports whether a node holds a run for gone for good.
func (n *Node) Buried(id NodeID) bool {
	n.steward.mu.Lock()
	defer n.steward.mu.Unlock()
	_, ok := n.steward.mu.buried[id]
	return ok
}

// VotesCast counts the members that this node has a vote of its own against.
func (n *Node) VotesCast() int {
	n.steward.mu.Lock()
	defer n.steward.mu.Unlock()
	cast := 0
	for _, v := range n.steward.mu.known.Votes {
		if v.By == n.id {
			cast++
		}
	}
	return cast
}
