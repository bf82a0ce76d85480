package persistence

import (
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// heartbeats answers the leader's heartbeats in raft's place.
//
// Raft has a fast way for them, past its own goroutine, so that a slow disk does
// not look like a dead node. But on that way it also changes term and role, while
// its goroutine goes on: a leader that was frozen, and hears on waking that there
// is another one, may still give what it was about to store the term that it has
// just learned of. Two nodes then have different entries of the same index and
// term, which raft takes for equal, and what was acknowledged is lost on one of
// them. So only a heartbeat that changes nothing is answered here, and raft
// learns of it when it has time; all others wait for raft's goroutine.
//
// bound: one that raft has not heard of yet; a second one says the same.
type heartbeats struct {
	// standing is where this node stands in raft; nil until it is known.
	standing atomic.Pointer[func() standing]
	passed   chan raft.RPC // to raft's goroutine
	ended    <-chan struct{}
}

// standing is a node's place in raft.
type standing struct {
	state  raft.RaftState
	term   uint64
	leader raft.ServerID
	last   uint64 // entry of the log
}

func newHeartbeats(ended <-chan struct{}) *heartbeats {
	return &heartbeats{passed: make(chan raft.RPC, 1), ended: ended}
}

// of takes the standing from raft, once it runs.
func (h *heartbeats) of(r *raft.Raft) {
	look := func() standing {
		_, leader := r.LeaderWithID()
		return standing{state: r.State(), term: r.CurrentTerm(), leader: leader, last: r.LastIndex()}
	}
	h.standing.Store(&look)
}

// take answers a heartbeat, or hands it to raft's goroutine to answer.
func (h *heartbeats) take(rpc raft.RPC) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if look := h.standing.Load(); ok && look != nil {
		if now := (*look)(); now.state == raft.Follower && now.term == req.Term && now.leader == raft.ServerID(req.ID) {
			rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: ownHeader(), Term: now.term, LastLog: now.last, Success: true}, nil)
			select {
			case h.passed <- raft.RPC{Command: req, RespChan: make(chan raft.RPCResponse, 1)}:
			default:
			}
			return
		}
	}
	select {
	case h.passed <- rpc:
	case <-h.ended:
	}
}

func ownHeader() raft.RPCHeader { return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax} }

// SetHeartbeatHandler implements [raft.Transport], without raft's own handler.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(t.beats.take)
}
