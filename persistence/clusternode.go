package persistence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// clusterNode is what a store has beside its raft when it is one of several.
type clusterNode struct {
	store     *Store
	options   *ClusterOptions
	addresses *addresses
	links     *links
	server    *linkServer
	transport *transport
	hints     *commitHints
	start     introduction // of this run
	running   atomic.Bool  // raft and queue may be used by peers
	expelled  atomic.Pointer[error]
	out       chan struct{} // closed with expelled
	books     books
}

func newClusterNode(s *Store) *clusterNode {
	c := &clusterNode{store: s, options: s.options.Cluster, hints: newCommitHints(), out: make(chan struct{})}
	c.addresses = newAddresses(Peer{Node: s.identity.Node, Address: c.options.Address}, c.options.Peers)
	c.links = newLinks(c.dialer(protocolJournal), c.addresses, c.options.Timing.patience())
	return c
}

func (c *clusterNode) dialer(protocol string) dialer {
	return dialer{network: c.options.Network, protocol: protocol, self: func() greeting {
		id := c.store.identity
		return greeting{cluster: id.Cluster, from: id.Node, starts: id.Starts, program: c.options.Version}
	}}
}

// judge decides on a peer that opens a stream to the journal.
func (c *clusterNode) judge(g *greeting) error {
	self := c.store.identity
	switch {
	case g.to != "" && g.to != self.Node:
		return errNotThere
	case g.cluster != "" && g.cluster != self.Cluster:
		return ErrOtherCluster
	case !compatible(c.options.Version, g.program):
		return ErrIncompatible
	}
	known := c.store.roster.get(g.from)
	switch {
	case known.removed:
		return ErrRemoved
	case g.cluster != "" && g.starts < known.starts:
		return ErrOldDisk
	}
	return nil
}

// judgeRaft decides on a peer that opens a stream to raft. It has to know whom
// it talks to.
func (c *clusterNode) judgeRaft(g *greeting) error {
	if g.to == "" || g.cluster == "" {
		return errNotThere
	}
	return c.judge(g)
}

// again is the answer of a node that cannot do what only the leader can.
func (c *clusterNode) again() *answer {
	leader := c.leader()
	payload, err := json.Marshal(leader)
	if err != nil {
		payload = nil
	}
	return &answer{status: statusAgain, payload: payload}
}

// leader gives the leader as far as it is known.
func (c *clusterNode) leader() Peer {
	id, _ := c.store.leadership.now()
	if id == "" {
		return Peer{}
	}
	return Peer{Node: id, Address: c.addressOf(id)}
}

// addressOf finds the address of a node: of the live ones, in the configuration,
// or in what is remembered of it.
func (c *clusterNode) addressOf(node string) string {
	var stored raft.ServerAddress
	for _, v := range c.store.configuration().Servers {
		if string(v.ID) == node {
			stored = v.Address
		}
	}
	if a := c.addresses.find(node, stored); a != "" {
		return a
	}
	return c.store.roster.get(node).address
}

// listen opens the streams of this node and makes raft's transport.
func (c *clusterNode) listen() error {
	journal, err := c.options.Network.Listen(protocolJournal)
	if err != nil {
		return fmt.Errorf("listen for journals: %w", err)
	}
	raftStreams, err := c.options.Network.Listen(protocolRaft)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for raft: %w", err), journal.Close())
	}
	c.server = newLinkServer(c.store, journal)
	c.transport = c.newTransport(raftStreams)
	return nil
}

func (c *clusterNode) newTransport(l net.Listener) *transport {
	patience := c.options.Timing.patience()
	layer := newStreamLayer(l, c.dialer(protocolRaft), c.options.Address, patience, c.judgeRaft)
	return newTransport(networkTransport(layer, patience, newRaftLogger(c.store.logger)), c)
}

// restoredPerPatience is how much of a snapshot a peer must be able to take over
// in the time that it has for anything else. Raft waits so much longer for the
// answer to a larger one, and sends the peer nothing else meanwhile: its own
// scale, of 256 KiB, would let a peer that lost its power before it could answer
// wait for hours.
const restoredPerPatience = 16 << 20

func networkTransport(layer raft.StreamLayer, patience time.Duration, logger hclog.Logger) *raft.NetworkTransport {
	t := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: layer, MaxPool: 4, Timeout: patience, Logger: logger, MsgpackUseNewTimeFormat: true,
	})
	t.TimeoutScale = restoredPerPatience
	return t
}

// bring puts an entry into the log: here if this node leads, by way of the
// leader otherwise.
func (c *clusterNode) bring(data []byte, f *flight) ([]result, error) {
	if err := c.expulsion(); err != nil {
		return nil, err
	}
	leader, changed := c.store.leadership.now()
	switch leader {
	case "":
		return nil, fmt.Errorf("%w: no leader is known", errAgain)
	case c.store.identity.Node:
		return bringHere(c.store.raft, data)
	}
	return c.forward(Peer{Node: leader, Address: c.addressOf(leader)}, changed, data, f)
}

// forward sends an entry to the leader. Its results are those of this node's own
// state machine, so that what was acknowledged can be read here.
func (c *clusterNode) forward(leader Peer, changed <-chan struct{}, data []byte, f *flight) ([]result, error) {
	c.store.metrics.forwarded.Inc()
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Timing.patience())
	defer cancel()
	l, err := c.links.to(ctx, leader.Node, leader.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAgain, err)
	}
	id, wait, err := l.send(linkPropose, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	select {
	case a := <-wait:
		if err := a.err(); err != nil {
			return nil, err
		}
		if h, ok := readHint(a.payload); ok {
			h.leader = leader.Node
			c.hints.offer(h)
		}
		return c.applied(f)
	case results := <-f.applied:
		l.forget(id)
		return landed(results)
	case <-changed:
		l.forget(id)
		return nil, fmt.Errorf("%w: the leader was lost", ErrUnknown)
	case <-ctx.Done():
		// Silent for so long, it is not worth another question.
		l.end(context.DeadlineExceeded)
		return nil, fmt.Errorf("%w: the leader does not answer", ErrUnknown)
	}
}

// readHint reads the answer to a proposal. The term is zero where the leader was
// not sure of it.
func readHint(payload []byte) (commitHint, bool) {
	r := reader{b: payload}
	h := commitHint{term: r.uint64(), index: r.uint64()}
	return h, !r.bad && h.term > 0
}

// applyTime bounds how long a node that lags waits for an entry that is
// committed already.
const applyTime = 30 * time.Second

// applied waits until an entry that is committed is applied here.
func (c *clusterNode) applied(f *flight) ([]result, error) {
	t := time.NewTimer(applyTime)
	defer t.Stop()
	select {
	case results := <-f.applied:
		return landed(results)
	case <-t.C:
	case <-c.store.closing:
	case <-c.store.halt.c:
	case <-c.out:
	}
	return nil, fmt.Errorf("%w: this node lags behind the leader", ErrUnknown)
}

func landed(results []result) ([]result, error) {
	if results == nil {
		return nil, fmt.Errorf("%w: the state of this node was replaced", ErrUnknown)
	}
	return results, nil
}

// expel ends this node's part in the cluster: it was removed, or its disk is an
// old one. Nothing it says counts any more.
func (c *clusterNode) expel(cause error) {
	if !c.expelled.CompareAndSwap(nil, &cause) {
		return
	}
	c.store.logger.Error("this node takes no part in the cluster any more", "err", cause)
	close(c.out)
	if err := c.transport.Close(); err != nil {
		c.store.logger.Warn("close raft's streams", "err", err)
	}
	c.store.raft.Shutdown()
}

// expulsion says why this node takes no part any more; nil when it does.
func (c *clusterNode) expulsion() error {
	if p := c.expelled.Load(); p != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, *p)
	}
	return nil
}

// close ends all streams, so that neither raft nor a peer waits for another.
func (c *clusterNode) close() error {
	c.links.close()
	var errs []error
	if c.server != nil {
		errs = append(errs, c.server.close())
	}
	if c.transport != nil {
		errs = append(errs, c.transport.Close())
	}
	return errors.Join(errs...)
}
