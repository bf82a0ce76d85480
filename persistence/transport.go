package persistence

import (
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport is raft's network transport with six changes:
//
//   - nodes are named by their identity, also where raft uses an address for
//     it: a vote is for a node, not for an address;
//   - a peer that cannot be reached is waited for. Raft would back off for up to
//     ten seconds, and so let a node that is back wait that long for its log;
//   - requests can come from this node itself, see [commitHints];
//   - a heartbeat that would change term or role goes the way of all requests,
//     see [heartbeats];
//   - a peer that refuses entries cannot block replication, see [pipeline];
//   - it remembers when each peer answered last.
type transport struct {
	*raft.NetworkTransport

	node      string
	addresses *addresses
	hints     *commitHints
	stale     func(index, term uint64) bool
	mark      func() *logPlace        // up to where the state stands for the log
	logged    func(index uint64) bool // whether the log has an entry
	rpcs      chan raft.RPC
	ended     chan struct{}
	once      sync.Once
	pump      sync.WaitGroup
	peers     *contacts
	beats     *heartbeats
}

func newTransport(inner *raft.NetworkTransport, c *clusterNode) *transport {
	t := &transport{
		NetworkTransport: inner, node: c.store.identity.Node, addresses: c.addresses, hints: c.hints,
		stale: c.store.stale, mark: c.store.snapshots.newest.Load, logged: c.store.logs.holds,
		rpcs: make(chan raft.RPC), ended: make(chan struct{}), peers: newContacts(),
	}
	t.beats = newHeartbeats(t.ended)
	t.pump.Go(t.merge)
	return t
}

// merge brings requests of peers and of this node into one channel.
func (t *transport) merge() {
	inner := t.NetworkTransport.Consumer()
	for {
		var rpc raft.RPC
		select {
		case rpc = <-inner:
		case rpc = <-t.beats.passed:
		case <-t.hints.ready:
			var ok bool
			if rpc, ok = t.hints.take(); !ok {
				continue
			}
		case <-t.ended:
			return
		}
		if t.late(&rpc) {
			continue
		}
		if req, ok := rpc.Command.(*raft.AppendEntriesRequest); ok {
			t.fit(req)
		}
		select {
		case t.rpcs <- rpc:
		case <-t.ended:
			return
		}
	}
}

// fit makes a request one that raft judges rightly.
//
// Raft takes a commit for its whole log, also for what the request has not
// confirmed; so the commit ends with what it has. And raft cannot compare what
// comes before a state that was received, which is committed and so the same on
// the leader: that part is left out, with its comparison.
func (t *transport) fit(req *raft.AppendEntriesRequest) {
	confirmed := req.PrevLogEntry
	if n := len(req.Entries); n > 0 {
		confirmed = req.Entries[n-1].Index
	}
	req.LeaderCommitIndex = min(req.LeaderCommitIndex, confirmed)
	mark := t.mark()
	if mark == nil || req.PrevLogEntry == 0 || req.PrevLogEntry > mark.index {
		return
	}
	if req.PrevLogEntry == mark.index && req.PrevLogTerm != mark.term || t.logged(req.PrevLogEntry) {
		return
	}
	rest := req.Entries
	for len(rest) > 0 && rest[0].Index <= mark.index {
		if rest[0].Index == mark.index && rest[0].Term != mark.term {
			return
		}
		rest = rest[1:]
	}
	req.Entries, req.PrevLogEntry, req.PrevLogTerm = rest, 0, 0
}

// late answers a snapshot that brings nothing new, without taking it: this node
// has what is in it, and says so.
func (t *transport) late(rpc *raft.RPC) bool {
	req, ok := rpc.Command.(*raft.InstallSnapshotRequest)
	if !ok || !t.stale(req.LastLogIndex, req.LastLogTerm) {
		return false
	}
	t.pump.Go(func() {
		if _, err := io.Copy(io.Discard, rpc.Reader); err != nil {
			rpc.Respond(&raft.InstallSnapshotResponse{RPCHeader: req.RPCHeader, Term: req.Term}, err)
			return
		}
		rpc.Respond(&raft.InstallSnapshotResponse{RPCHeader: req.RPCHeader, Term: req.Term, Success: true}, nil)
	})
	return true
}

// Consumer implements [raft.Transport].
func (t *transport) Consumer() <-chan raft.RPC { return t.rpcs }

// LocalAddr implements [raft.Transport].
func (t *transport) LocalAddr() raft.ServerAddress { return raft.ServerAddress(t.node) }

// EncodePeer implements [raft.Transport].
func (t *transport) EncodePeer(id raft.ServerID, _ raft.ServerAddress) []byte { return []byte(id) }

// target says where a node is now.
func (t *transport) target(id raft.ServerID, stored raft.ServerAddress) raft.ServerAddress {
	return joinAddress(string(id), t.addresses.find(string(id), stored))
}

// AppendEntries implements [raft.Transport].
func (t *transport) AppendEntries(
	id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse,
) error {
	heartbeat := args.PrevLogEntry == 0 && len(args.Entries) == 0 && args.LeaderCommitIndex == 0
	if !heartbeat {
		t.peers.await(string(id), t.ended)
	}
	err := t.NetworkTransport.AppendEntries(id, t.target(id, target), args, resp)
	switch {
	case err != nil:
		t.peers.lost(string(id))
	case heartbeat:
		t.peers.heard(string(id))
	}
	return err
}

// AppendEntriesPipeline implements [raft.Transport].
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, t.target(id, target))
	if err != nil {
		return nil, err
	}
	return newPipeline(inner, t.ended), nil
}

// pipeline takes answers from raft's pipeline whether or not anybody wants them.
// Raft stops to read them when a peer refuses entries, and may be waiting at
// that moment to send more, for which it needs an answer to be taken: it would
// wait for ever, and the peer get nothing any more.
type pipeline struct {
	raft.AppendPipeline

	done  chan raft.AppendFuture
	ended chan struct{}
	once  sync.Once
}

// pipelineAnswers is far more than can be on their way.
const pipelineAnswers = 256

func newPipeline(inner raft.AppendPipeline, closing <-chan struct{}) *pipeline {
	p := &pipeline{
		AppendPipeline: inner, done: make(chan raft.AppendFuture, pipelineAnswers), ended: make(chan struct{}),
	}
	go p.drain(closing)
	return p
}

// drain ends with the pipeline, or with the transport.
func (p *pipeline) drain(closing <-chan struct{}) {
	answers := p.AppendPipeline.Consumer()
	for {
		select {
		case f := <-answers:
			select {
			case p.done <- f:
			default: // nobody reads; raft is about to close it
			}
		case <-p.ended:
			return
		case <-closing:
			_ = p.AppendPipeline.Close() // whoever waits to send finds out
			return
		}
	}
}

// Consumer implements [raft.AppendPipeline].
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close implements [raft.AppendPipeline].
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.ended) })
	return p.AppendPipeline.Close()
}

// InstallSnapshot implements [raft.Transport].
func (t *transport) InstallSnapshot(
	id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader,
) error {
	t.peers.await(string(id), t.ended)
	err := t.NetworkTransport.InstallSnapshot(id, t.target(id, target), args, resp, data)
	if err != nil {
		t.peers.lost(string(id))
	}
	return err
}

// RequestVote implements [raft.Transport].
func (t *transport) RequestVote(
	id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse,
) error {
	return t.NetworkTransport.RequestVote(id, t.target(id, target), args, resp)
}

// RequestPreVote implements [raft.WithPreVote].
func (t *transport) RequestPreVote(
	id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse,
) error {
	return t.NetworkTransport.RequestPreVote(id, t.target(id, target), args, resp)
}

// TimeoutNow implements [raft.Transport].
func (t *transport) TimeoutNow(
	id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse,
) error {
	return t.NetworkTransport.TimeoutNow(id, t.target(id, target), args, resp)
}

// Close implements [raft.WithClose]. It ends all streams, so that nothing in
// raft waits for a peer any more.
func (t *transport) Close() error {
	var err error
	t.once.Do(func() {
		close(t.ended)
		err = t.NetworkTransport.Close()
		t.pump.Wait()
	})
	return err
}

// contacts remembers which peers can be reached.
type contacts struct {
	mu struct {
		sync.Mutex
		peers map[string]*reach
		reset chan struct{} // closed when nobody has to be waited for
	}
}

// reach is the state of one peer.
type reach struct {
	last time.Time     // of its last answer to a heartbeat
	up   chan struct{} // closed by the next one; nil while the peer is reached
}

func newContacts() *contacts {
	c := new(contacts)
	c.mu.peers = make(map[string]*reach)
	c.mu.reset = make(chan struct{})
	return c
}

// of gives the state of a peer; the lock is held.
func (c *contacts) of(node string) *reach {
	p := c.mu.peers[node]
	if p == nil {
		p = new(reach)
		c.mu.peers[node] = p
	}
	return p
}

func (c *contacts) heard(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.of(node)
	p.last = time.Now()
	if p.up != nil {
		close(p.up)
		p.up = nil
	}
}

func (c *contacts) lost(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.of(node); p.up == nil {
		p.up = make(chan struct{})
	}
}

// last says when a peer answered last; zero = never.
func (c *contacts) last(node string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(node).last
}

// await returns when a peer is worth an attempt: it answers heartbeats, or
// there is another leader, or the node is ending.
func (c *contacts) await(node string, ended <-chan struct{}) {
	c.mu.Lock()
	up, reset := c.of(node).up, c.mu.reset
	c.mu.Unlock()
	if up == nil {
		return
	}
	select {
	case <-up:
	case <-reset:
	case <-ended:
	}
}

// release lets everybody go who waits for a peer: who leads, or who belongs to
// the cluster, has changed.
func (c *contacts) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.mu.reset)
	c.mu.reset = make(chan struct{})
	for _, p := range c.mu.peers {
		if p.up != nil {
			close(p.up)
			p.up = nil
		}
	}
}
