package cluster

import (
	"net"
	"slices"
	"sync"
)

// publish makes a view of the members known, if it is a new one.
func (n *Node) publish(members []Member) {
	before, now := n.view.Load(), NewView(n.id, members...)
	if before.equal(now) {
		return
	}
	n.view.Store(now)
	n.metrics.show(now)
	if n.logChange(before, now) {
		n.heraldChange() // they should hear it from us
	}
	for _, m := range before.Members() {
		_, still := now.Member(m.ID)
		again := slices.ContainsFunc(now.Members(), func(o Member) bool { return o.Grains == m.Grains })
		if !still && !again {
			n.carrier.Forget(m.Grains)
		}
	}
	if g := n.gate.Load(); g != nil {
		g.changed(before, now)
	}
	n.mu.Lock()
	watchers := slices.Clone(n.mu.watchers)
	n.mu.Unlock()
	for _, f := range watchers {
		f(before, now)
	}
}

// logChange tells the log who came and who went, and reports whether somebody
// came.
func (n *Node) logChange(before, now *View) (joined bool) {
	for _, m := range now.Members() {
		if _, was := before.Member(m.ID); !was {
			joined = true
			n.log.Info("member joined", "member", string(m.ID), "gossip", m.Gossip, "version", m.Version, "members", len(now.Members()))
		}
	}
	for _, m := range before.Members() {
		if _, is := now.Member(m.ID); !is {
			n.log.Info("member left the view", "member", string(m.ID), "gossip", m.Gossip, "members", len(now.Members()))
		}
	}
	return joined
}

// tell sends news to all members but one, and to whom they speak of: at once on
// connections of their own, and in the gossip for those who miss that.
func (n *Node) tell(what news, but NodeID) {
	n.queue.QueueBroadcast(rumor(what.encode()))
	for _, m := range n.View().Members() {
		if m.ID != n.id && m.ID != but {
			n.send(m.Gossip, what)
		}
	}
}

// tellNow sends news to all members and waits until everybody has it or is late.
func (n *Node) tellNow(what news) {
	var sent sync.WaitGroup
	for _, m := range n.View().Members() {
		if m.ID != n.id {
			sent.Go(func() { n.sendReliable(m.Gossip, what) })
		}
	}
	sent.Wait()
}

func (n *Node) send(address string, what news) {
	n.ended.Go(func() { n.sendReliable(address, what) })
}

// peerAddr is an address of the gossip as the library wants to have it.
func peerAddr(address string) (net.IP, uint16, bool) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, 0, false
	}
	return tcp.IP, uint16(tcp.Port), true //nolint:gosec // a port
}
