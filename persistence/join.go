package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	helloTime = time.Second            // for the other nodes to say whether they know better
	joinTime  = 5 * time.Second        // for one node to let another in
	joinPause = 200 * time.Millisecond // between two attempts
)

// joinAsk asks to be let in.
type joinAsk struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Version string `json:"version"`
	Format  int    `json:"format"` // newest directory format that the node can read
	Record  int    `json:"record"` // newest record version
	Starts  uint64 `json:"starts"`
	Run     uint64 `json:"run"`
}

// joinAnswer lets a node in.
type joinAnswer struct {
	Cluster string `json:"cluster"`
}

// helloAsk reports a start.
type helloAsk struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Version string `json:"version"`
	Starts  uint64 `json:"starts"`
	Run     uint64 `json:"run"`
	Last    uint64 `json:"last"`
}

// helloAnswer says whether the start is remembered, and who remembers it
// otherwise.
type helloAnswer struct {
	Recorded bool `json:"recorded"`
	Leader   Peer `json:"leader"`
}

func (q *helloAsk) introduction() *introduction {
	return &introduction{node: q.Node, last: q.Last, member: member{
		starts: q.Starts, run: q.Run, address: q.Address, version: q.Version,
	}}
}

// admit lets a new node in, as one without a vote. Only the leader can.
func (c *clusterNode) admit(ctx context.Context, q *joinAsk) (joinAnswer, error) {
	if !c.leads() {
		return joinAnswer{}, errAgain
	}
	switch {
	case q.Node == "" || q.Address == "" || len(q.Node) > maxNameBytes || len(q.Address) > maxNameBytes:
		return joinAnswer{}, &RefusedError{Reason: "a node joins with its identity and its address"}
	case !compatible(c.options.Version, q.Version):
		return joinAnswer{}, &RefusedError{Reason: fmt.Sprintf(
			"version %s cannot join a cluster of version %s: they are more than one minor version apart", q.Version, c.options.Version)}
	case q.Format < stateFormat || q.Record < recordVersion:
		return joinAnswer{}, &RefusedError{Reason: "the program of the node is older than what the cluster has stored"}
	}
	for _, v := range c.store.configuration().Servers {
		if string(v.ID) == q.Node && v.Suffrage == raft.Voter {
			return joinAnswer{}, fmt.Errorf("%w: it comes back empty", ErrOldDisk)
		}
	}
	hello := introduction{node: q.Node, member: member{starts: q.Starts, run: q.Run, address: q.Address, version: q.Version}}
	if _, err := c.store.queue.do(ctx, hello.encodeHello(), nil); err != nil {
		return joinAnswer{}, err
	}
	f := c.store.raft.AddNonvoter(raft.ServerID(q.Node), joinAddress(q.Node, q.Address), 0, joinTime)
	if err := outcomeOf(f.Error()); err != nil {
		return joinAnswer{}, fmt.Errorf("%w: %w", errAgain, err)
	}
	c.store.logger.Info("a node joined", "node", q.Node)
	return joinAnswer{Cluster: c.store.identity.Cluster}, nil
}

// welcome remembers the start of a node, or says why it must not take part.
func (c *clusterNode) welcome(ctx context.Context, q *helloAsk) (helloAnswer, error) {
	i := q.introduction()
	known := c.store.roster.get(i.node)
	if c.leads() {
		// What it was seen to have and is not written down yet.
		known.acked = max(known.acked, c.books.keeps(i.node))
	}
	if err := known.admits(i); err != nil {
		return helloAnswer{}, err
	}
	if !c.leads() {
		return helloAnswer{Leader: c.leader()}, nil
	}
	if _, err := c.store.queue.do(ctx, i.encodeHello(), nil); err != nil {
		return helloAnswer{}, err
	}
	return helloAnswer{Recorded: true}, nil
}

// enter makes a node with an empty directory part of a cluster: it is let in by
// one, or starts one.
func (c *clusterNode) enter(ctx context.Context) error {
	for {
		c.store.progress("looking for a cluster to join")
		found, err := c.options.Join(ctx, c.store.identity)
		if err != nil {
			return fmt.Errorf("look for a cluster to join: %w", err)
		}
		if len(found) == 0 {
			return c.found()
		}
		for _, address := range found {
			cluster, err := c.joinBy(ctx, address)
			if err == nil {
				return c.adopt(cluster)
			}
			if final(err) {
				return fmt.Errorf("join by %s: %w", address, err)
			}
			c.store.logger.Info("not let in yet", "address", address, "err", err)
		}
		if err := pause(ctx, joinPause, nil); err != nil {
			return fmt.Errorf("join a cluster: %w", err)
		}
	}
}

// final reports whether trying again cannot help.
func final(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) || errors.Is(err, ErrRemoved) || errors.Is(err, ErrOldDisk) ||
		errors.Is(err, ErrIncompatible) || errors.Is(err, ErrOtherCluster)
}

// joinBy asks one node, and the leader that it names.
func (c *clusterNode) joinBy(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	q := joinAsk{
		Node: c.start.node, Address: c.options.Address, Version: c.options.Version,
		Format: directoryFormat, Record: recordVersion, Starts: c.start.starts, Run: c.start.run,
	}
	var a joinAnswer
	err := c.askAnonymously(ctx, Peer{Address: address}, linkJoin, &q, &a)
	var again *againError
	if errors.As(err, &again) && again.leader.Address != "" {
		err = c.askAnonymously(ctx, again.leader, linkJoin, &q, &a)
	}
	if err != nil {
		return "", err
	}
	if a.Cluster == "" || len(a.Cluster) > maxNameBytes {
		return "", fmt.Errorf("%w: no cluster is named", ErrCorrupt)
	}
	return a.Cluster, nil
}

// askAnonymously asks as a node that belongs to no cluster yet.
func (c *clusterNode) askAnonymously(ctx context.Context, to Peer, op linkOp, in, out any) error {
	d := c.dialer(protocolJournal)
	self := d.self
	d.self = func() greeting {
		g := self()
		g.cluster = ""
		return g
	}
	l := newLinks(d, c.addresses, c.options.Timing.patience())
	defer l.close()
	return l.ask(ctx, to, op, in, out)
}

// adopt makes the node a member of a cluster, before it says or hears anything
// as one.
func (c *clusterNode) adopt(cluster string) error {
	id := c.store.identity
	id.Cluster = cluster
	if err := storeIdentity(c.store.db, id); err != nil {
		return fmt.Errorf("store the cluster: %w", err)
	}
	if c.store.halt.failed() {
		return ErrUnavailable
	}
	c.store.identity = id
	return nil
}

// found starts a new cluster with this node as its only voter.
func (c *clusterNode) found() error {
	c.store.logger.Info("starting a new cluster", "node", c.store.identity.Node)
	return c.store.bootstrap(joinAddress(c.store.identity.Node, c.options.Address))
}

// hello tells the other nodes of this start, before this node takes part in
// anything. It is an error when one of them knows that it must not. That nobody
// answers is none: the whole cluster may be starting.
func (c *clusterNode) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	type reply struct {
		helloAnswer

		err  error
		live bool
	}
	targets := c.acquaintances()
	replies := make(chan reply, len(targets))
	for p, live := range targets {
		go func() {
			a, err := c.helloTo(ctx, p)
			replies <- reply{helloAnswer: a, err: err, live: live}
		}()
	}
	for range targets {
		r := <-replies
		switch {
		case r.err == nil && r.Recorded:
			return nil
		case errors.Is(r.err, ErrRemoved), errors.Is(r.err, ErrOldDisk), errors.Is(r.err, ErrIncompatible),
			r.live && errors.Is(r.err, ErrOtherCluster):
			return r.err
		}
	}
	return nil
}

// helloTo tells one node, and the leader that it names.
func (c *clusterNode) helloTo(ctx context.Context, p Peer) (helloAnswer, error) {
	q := helloAsk{
		Node: c.start.node, Address: c.options.Address, Version: c.options.Version,
		Starts: c.start.starts, Run: c.start.run, Last: c.start.last,
	}
	var a helloAnswer
	if err := c.links.ask(ctx, p, linkHello, &q, &a); err != nil {
		return a, err
	}
	if a.Recorded || a.Leader.Address == "" || a.Leader.Node == c.start.node {
		return a, nil
	}
	err := c.links.ask(ctx, a.Leader, linkHello, &q, &a)
	return a, err
}

// acquaintances are the nodes to ask: those known to live, which are marked, and
// those of the stored configuration.
func (c *clusterNode) acquaintances() map[Peer]bool {
	targets := make(map[Peer]bool)
	live := c.addresses.live()
	for node, address := range live {
		if node != c.start.node {
			targets[Peer{Node: node, Address: address}] = true
		}
	}
	for _, v := range c.store.configuration().Servers {
		node, address := splitAddress(v.Address)
		if string(v.ID) == c.start.node || address == "" {
			continue
		}
		if _, ok := live[node]; !ok {
			targets[Peer{Node: string(v.ID), Address: address}] = false
		}
	}
	return targets
}
