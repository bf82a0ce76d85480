package persistence

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

func beat(term uint64, leader string) (raft.RPC, <-chan raft.RPCResponse) {
	answer := make(chan raft.RPCResponse, 1)
	return raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ID: []byte(leader)}, Term: term,
	}}, answer
}

// A heartbeat that changes nothing is answered while raft is busy.
func TestKnownHeartbeatIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	h := newHeartbeats(nil)
	look := func() standing { return standing{state: raft.Follower, term: 7, leader: "b", last: 12} }
	h.standing.Store(&look)
	for range 3 {
		rpc, answer := beat(7, "b")
		h.take(rpc)
		select {
		case a := <-answer:
			if r, ok := a.Response.(*raft.AppendEntriesResponse); a.Error != nil || !ok || !r.Success || r.Term != 7 || r.LastLog != 12 {
				t.Errorf("the answer is %+v", a)
			}
		default:
			t.Fatal("there is no answer")
		}
	}
	if len(h.passed) != 1 {
		t.Errorf("raft is told of %d, want 1", len(h.passed))
	}
	passed := <-h.passed
	passed.Respond(&raft.AppendEntriesResponse{}, nil) // raft answers it, and must not wait for anybody to listen
}

// Term and role are changed by raft's own goroutine only: on the fast way, a
// leader that is deposed may go on to store entries as if it led the new term.
func TestHeartbeatThatChangesSomethingIsLeftToRaft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now    standing
		term   uint64
		leader string
	}{
		"a newer term, to a leader":      {standing{state: raft.Leader, term: 7, leader: "a"}, 8, "b"},
		"a newer term, to a follower":    {standing{state: raft.Follower, term: 7, leader: "b"}, 8, "b"},
		"an older term":                  {standing{state: raft.Follower, term: 7, leader: "b"}, 6, "b"},
		"the same term, to a candidate":  {standing{state: raft.Candidate, term: 7}, 7, "b"},
		"the same term, a new leader":    {standing{state: raft.Follower, term: 7}, 7, "b"},
		"the same term, to its leader":   {standing{state: raft.Leader, term: 7, leader: "a"}, 7, "b"},
		"the same term, when it is over": {standing{state: raft.Shutdown, term: 7, leader: "b"}, 7, "b"},
	} {
		h := newHeartbeats(nil)
		look := func() standing { return c.now }
		h.standing.Store(&look)
		rpc, answer := beat(c.term, c.leader)
		h.take(rpc)
		if len(answer) != 0 {
			t.Errorf("%s: answered beside raft", name)
		}
		select {
		case got := <-h.passed:
			got.Respond(&raft.AppendEntriesResponse{Term: 9}, nil)
			if a := <-answer; a.Error != nil {
				t.Errorf("%s: raft's answer is %v", name, a.Error)
			}
		default:
			t.Errorf("%s: raft does not hear of it", name)
		}
	}
}

// A leader learns by a heartbeat that there is another one, of a newer term, and
// is asked to write in the same moment. Nothing of its own may get that term: the
// new leader has another entry in the place, and raft would take them for equal.
func TestDeposedLeaderStoresNothingInTheNewTerm(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(3)
	nothing := append(appendProposalHeader(nil, proposalID{nonce: 1}, 1), 1, byte(opNothing))
	for range 20 {
		lead := c.leader()
		other := c.otherThan(lead)
		r, node := lead.store.raft, other.store.identity.Node
		beat := &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(node), Addr: []byte(node)},
			Term:      r.CurrentTerm() + 1,
		}
		to := raft.ServerID(lead.store.identity.Node)
		if err := other.store.cluster.transport.AppendEntries(to, joinAddress(string(to), lead.address), beat, new(raft.AppendEntriesResponse)); err != nil {
			t.Fatalf("heartbeat: %v", err)
		}
		// Lost leadership is what raft says when it has stored the entry.
		if err := r.Apply(nothing, 0).Error(); errors.Is(err, raft.ErrLeadershipLost) {
			t.Fatalf("a leader that was told of term %d has stored an entry: %v", beat.Term, err)
		}
		appendMany(t, other.store, conv(1), 2)
	}
	c.agree()
}

// Before raft stands anywhere, and after everything has ended, nobody waits for
// ever.
func TestHeartbeatBesideALife(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	h := newHeartbeats(ended)
	first, answer := beat(1, "b")
	h.take(first)
	if len(answer) != 0 || len(h.passed) != 1 {
		t.Error("a heartbeat before raft runs does not wait for it")
	}
	close(ended)
	second, _ := beat(1, "b")
	h.take(second) // there is no room, and nobody to make some
}
