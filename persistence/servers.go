package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Server is a node of the cluster as another one sees it.
type Server struct {
	Node      string
	Address   string
	Voter     bool
	Leader    bool
	Reachable bool // it answered; what follows is zero otherwise

	Applied       uint64        // last raft entry applied
	Last          uint64        // end of its log
	Lag           uint64        // entries that the leader has and it has not applied
	LastContact   time.Duration // since the leader heard of it; zero for the leader, negative = never
	Version       string
	DiskFreeBytes uint64
	StateHash     string // of its state at entry StateIndex; only where it was asked for
	StateIndex    uint64

	starts uint64 // which start of it answered
	commit uint64 // what it knows to be committed: it has that on its disk for sure
}

// statusAsk asks a node how it is.
type statusAsk struct {
	Hash bool `json:"hash,omitempty"`
}

// statusAnswer says how a node is.
type statusAnswer struct {
	Node     string           `json:"node"`
	Leader   string           `json:"leader"`
	Version  string           `json:"version"`
	Applied  uint64           `json:"applied"`
	Last     uint64           `json:"last"`
	Commit   uint64           `json:"commit"`
	DiskFree uint64           `json:"disk_free"`
	Starts   uint64           `json:"starts"`
	Contacts map[string]int64 `json:"contacts,omitempty"` // milliseconds since; by the leader
	Hash     string           `json:"hash,omitempty"`
	HashAt   uint64           `json:"hash_at,omitempty"`
}

// status answers how this node is.
func (c *clusterNode) status(ctx context.Context, q *statusAsk) (statusAnswer, error) {
	s := c.store
	a := statusAnswer{Node: s.identity.Node, Version: c.options.Version, Applied: s.machine.position().index, Starts: c.start.starts}
	if u, err := s.options.FS.GetDiskUsage(s.options.Dir); err == nil {
		a.DiskFree = u.AvailBytes
	}
	if !c.running.Load() {
		return a, nil
	}
	a.Leader, _ = s.leadership.now()
	a.Last, a.Commit = s.raft.LastIndex(), s.raft.CommitIndex()
	if a.Leader == s.identity.Node {
		a.Contacts = c.contactsNow()
	}
	if q.Hash {
		h, err := s.StateHash(ctx)
		if err != nil {
			return a, err
		}
		a.Hash, a.HashAt = h.Sum, h.Index
	}
	return a, nil
}

func (c *clusterNode) contactsNow() map[string]int64 {
	out := make(map[string]int64)
	for _, v := range c.store.configuration().Servers {
		if last := c.transport.peers.last(string(v.ID)); !last.IsZero() {
			out[string(v.ID)] = time.Since(last).Milliseconds()
		}
	}
	return out
}

// survey asks every node of the configuration how it is.
func (c *clusterNode) survey(ctx context.Context) []Server {
	return c.surveyWith(ctx, &statusAsk{})
}

func (c *clusterNode) surveyWith(ctx context.Context, q *statusAsk) []Server {
	servers := c.store.configuration().Servers
	out := make([]Server, len(servers))
	answers := make([]*statusAnswer, len(servers))
	var asked sync.WaitGroup
	for i, v := range servers {
		out[i] = Server{
			Node: string(v.ID), Address: c.addresses.find(string(v.ID), v.Address), Voter: v.Suffrage == raft.Voter, LastContact: -1,
		}
		asked.Go(func() { answers[i] = c.ask(ctx, Peer{Node: out[i].Node, Address: out[i].Address}, q) })
	}
	asked.Wait()
	c.compare(out, answers)
	return out
}

// ask asks one node how it is; nil when it does not answer.
func (c *clusterNode) ask(ctx context.Context, p Peer, q *statusAsk) *statusAnswer {
	if p.Node == c.store.identity.Node {
		a, err := c.status(ctx, q)
		if err != nil {
			return nil
		}
		return &a
	}
	var a statusAnswer
	if err := c.links.ask(ctx, p, linkStatus, q, &a); err != nil || a.Node != p.Node {
		return nil
	}
	return &a
}

// compare fills in what the answers say, measured by the leader's.
func (c *clusterNode) compare(out []Server, answers []*statusAnswer) {
	leader, _ := c.store.leadership.now()
	var lead *statusAnswer
	for i, a := range answers {
		if a != nil && out[i].Node == leader {
			lead = a
		}
	}
	for i, a := range answers {
		v := &out[i]
		v.Leader = v.Node == leader
		if lead != nil {
			if ms, ok := lead.Contacts[v.Node]; ok {
				v.LastContact = time.Duration(ms) * time.Millisecond
			}
		}
		if v.Leader {
			v.LastContact = 0
		}
		if a == nil {
			continue
		}
		v.Reachable, v.Applied, v.Last, v.Version, v.DiskFreeBytes = true, a.Applied, a.Last, a.Version, a.DiskFree
		v.StateHash, v.StateIndex, v.commit = a.Hash, a.HashAt, a.Commit
		v.starts = a.Starts
		if lead != nil {
			v.Lag = lead.Commit - min(lead.Commit, a.Commit)
		}
	}
}

// Servers lists the nodes of the cluster and asks each how it is, until ctx
// ends. Those that do not answer are listed too. A node that is alone lists
// itself.
func (s *Store) Servers(ctx context.Context) ([]Server, error) { return s.servers(ctx, &statusAsk{}) }

// ServersWithHash is [Store.Servers] with the hash of each node's state. It
// reads the whole state of every node.
func (s *Store) ServersWithHash(ctx context.Context) ([]Server, error) {
	return s.servers(ctx, &statusAsk{Hash: true})
}

func (s *Store) servers(ctx context.Context, q *statusAsk) ([]Server, error) {
	if err := s.usable(); err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	if s.cluster == nil {
		v, err := s.alone(ctx, q)
		return []Server{v}, err
	}
	out := s.cluster.surveyWith(ctx, q)
	slices.SortFunc(out, func(a, b Server) int { return strings.Compare(a.Node, b.Node) })
	return out, nil
}

// usable says why the store answers nothing; nil when it does.
func (s *Store) usable() error {
	select {
	case <-s.closing:
		return ErrClosed
	case <-s.halt.c:
		return ErrUnavailable
	default:
		return nil
	}
}

func (s *Store) alone(ctx context.Context, q *statusAsk) (Server, error) {
	v := Server{
		Node: s.identity.Node, Voter: true, Leader: s.Leads(), Reachable: true,
		Applied: s.machine.position().index, Last: s.raft.LastIndex(),
	}
	if u, err := s.options.FS.GetDiskUsage(s.options.Dir); err == nil {
		v.DiskFreeBytes = u.AvailBytes
	}
	if !q.Hash {
		return v, nil
	}
	h, err := s.StateHash(ctx)
	v.StateHash, v.StateIndex = h.Sum, h.Index
	return v, err
}

// Leads reports whether this node leads the journal.
func (s *Store) Leads() bool {
	leader, _ := s.leadership.now()
	return leader == s.identity.Node
}

// Leader gives the node that leads the journal; empty while none is known.
func (s *Store) Leader() string {
	leader, _ := s.leadership.now()
	return leader
}

// Leaderless says for how long this node has known nobody who leads, and so takes
// writes; zero = it knows one.
func (s *Store) Leaderless() time.Duration { return s.leadership.leaderless() }

func (c *clusterNode) leads() bool { return c.running.Load() && c.store.Leads() }

// Removal says which nodes [Store.RemoveServer] may remove.
type Removal int

const (
	// RemoveSilent removes a node only if it does not answer.
	RemoveSilent Removal = iota
	// RemoveAny removes a node that may still be at work; it ends when it hears
	// of that.
	RemoveAny
)

// removeAsk asks the leader to take a node out.
type removeAsk struct {
	Node string  `json:"node"`
	Mode Removal `json:"mode"`
}

// done answers what has nothing to say.
type done struct{}

// RemoveServer takes a node out of the cluster for good: it can come back only
// with an empty directory, as a new node. A [RefusedError] says why that is not
// done: it would leave no quorum, or no copy.
func (s *Store) RemoveServer(ctx context.Context, node string, mode Removal) error {
	q := removeAsk{Node: node, Mode: mode}
	err := s.askLeader(ctx, linkRemove, &q, func(ctx context.Context) error {
		_, err := s.cluster.removeHere(ctx, &q)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove node %s: %w", node, err)
	}
	return nil
}

// transferAsk asks the leader to give the leadership to a node, or to any when
// none is named.
type transferAsk struct {
	Node string `json:"node"`
}

// TransferLeadership gives the leadership away if this node has it; to the voter
// that is most level. It returns when another node leads.
func (s *Store) TransferLeadership(ctx context.Context) error {
	if s.cluster == nil || !s.Leads() {
		return nil
	}
	if _, err := s.cluster.transferHere(ctx, &transferAsk{}); err != nil {
		return fmt.Errorf("give the leadership away: %w", err)
	}
	return nil
}

// MoveLeadership gives the leadership to a node, whoever has it.
func (s *Store) MoveLeadership(ctx context.Context, node string) error {
	q := transferAsk{Node: node}
	err := s.askLeader(ctx, linkTransfer, &q, func(ctx context.Context) error {
		_, err := s.cluster.transferHere(ctx, &q)
		return err
	})
	if err != nil {
		return fmt.Errorf("move the leadership to %s: %w", node, err)
	}
	return nil
}

// askLeader has the leader do something, again while the leadership moves.
func (s *Store) askLeader(ctx context.Context, op linkOp, q any, here func(context.Context) error) error {
	if s.cluster == nil {
		return &RefusedError{Reason: "the node is not part of a cluster"}
	}
	for {
		if err := s.usable(); err != nil {
			return err
		}
		leader, changed := s.leadership.now()
		var err error
		switch leader {
		case "":
			err = errAgain
		case s.identity.Node:
			err = here(ctx)
		default:
			err = s.cluster.links.ask(ctx, Peer{Node: leader, Address: s.cluster.addressOf(leader)}, op, q, nil)
		}
		if err == nil || final(err) {
			return err
		}
		if perr := pause(ctx, joinPause, changed); perr != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(perr, err))
		}
	}
}
