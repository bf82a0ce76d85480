package persistence

import (
	"sync"

	"github.com/hashicorp/raft"
)

// commitHints tells raft of commits that this node learned of earlier than
// raft did. A follower hears of a commit with the leader's next message, which
// is 5 to 10 ms away when there is little to do; the node whose proposal it was
// knows from the leader's answer. So it gives its own raft the message that the
// leader could have sent: nothing new after the committed entry, and commit up
// to there. Raft checks it like any other: the term, and that its log holds
// that very entry.
type commitHints struct {
	ready chan struct{} // room for one: there is a hint to take
	mu    struct {
		sync.Mutex
		hint   commitHint
		stored uint64 // the end of this node's log
		vote   *raft.TimeoutNowRequest
		off    bool // no hints are taken, for comparison
	}
}

// commitHint says that the entry at index, of the leader's own term, is
// committed.
type commitHint struct {
	leader      string
	term, index uint64
}

func newCommitHints() *commitHints { return &commitHints{ready: make(chan struct{}, 1)} }

// offer takes a hint. It is used at once when the log has the entry, and when
// it gets there otherwise; only the newest is kept.
func (c *commitHints) offer(h commitHint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := &c.mu.hint
	if c.mu.off || h.term < old.term || h.term == old.term && h.index <= old.index {
		return
	}
	*old = h
	if c.mu.stored >= h.index {
		c.wake()
	}
}

// grown says up to where the log is stored now.
func (c *commitHints) grown(last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.mu.stored
	c.mu.stored = last
	if h := c.mu.hint.index; h > before && h <= last {
		c.wake()
	}
}

// stand has this node stand for election at once.
func (c *commitHints) stand(r *raft.TimeoutNowRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.vote = r
	c.wake()
}

// wake says that there is something to take; the lock is held.
func (c *commitHints) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// take gives the message for raft, if there still is one.
func (c *commitHints) take() (raft.RPC, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := make(chan raft.RPCResponse, 1) // nobody reads it
	if v := c.mu.vote; v != nil {
		c.mu.vote = nil
		if c.mu.hint.index > 0 && c.mu.hint.index <= c.mu.stored {
			c.wake()
		}
		return raft.RPC{Command: v, RespChan: answer}, true
	}
	h := c.mu.hint
	if h.index == 0 || h.index > c.mu.stored {
		return raft.RPC{}, false
	}
	return raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(h.leader), Addr: []byte(h.leader),
		},
		Term: h.term, PrevLogEntry: h.index, PrevLogTerm: h.term, LeaderCommitIndex: h.index,
	}}, true
}
