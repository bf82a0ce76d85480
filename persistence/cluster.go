package persistence

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Network is how the journals of a cluster reach each other. What comes through
// it is authenticated: whoever can open a stream is a node of the same cluster
// key.
type Network interface {
	// Listen gives the streams that peers open to this node for a protocol.
	Listen(protocol string) (net.Listener, error)
	// Dial opens a stream of a protocol to the node at address.
	Dial(ctx context.Context, address, protocol string) (net.Conn, error)
}

// The protocols that a journal speaks over its [Network].
const (
	protocolRaft    = "raft"
	protocolJournal = "journal"
)

// Peer is a live node: its identity in the journal, which is empty until its
// journal is open, and the address of its link.
type Peer struct {
	Node    string `json:"Node"`
	Address string `json:"Address"`
}

// Timing says how fast the loss of the leader is noticed, and so how long
// writes stop when it dies. Shorter times need machines that are not starved.
type Timing struct {
	Heartbeat time.Duration // silence of the leader after which a voter stands for election, up to twice that
	Election  time.Duration // how long an election may take; not below Heartbeat
	Lease     time.Duration // silence of the majority after which the leader gives up; not above Heartbeat
}

// TimingFast suits nodes in one data center.
func TimingFast() Timing {
	return Timing{Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 250 * time.Millisecond}
}

// TimingCareful suits nodes on busy machines, or far from each other.
func TimingCareful() Timing {
	return Timing{Heartbeat: time.Second, Election: time.Second, Lease: 800 * time.Millisecond}
}

// Defaults and limits of [ClusterOptions].
const (
	DefaultVoters      = 5
	DefaultRemoveAfter = 10 * time.Minute

	maxVoters    = 7
	minHeartbeat = 50 * time.Millisecond
	maxHeartbeat = 30 * time.Second
	minRemove    = 10 * time.Second
)

// ClusterOptions make a store one of several that hold the same journal.
type ClusterOptions struct {
	Network Network
	Address string // of this node's link, as peers reach it
	// Join is asked when the directory is empty: it gives the link addresses of
	// nodes to ask to be let in, and none to start a new cluster. It may be
	// asked again while nobody answers.
	Join func(ctx context.Context, self Identity) ([]string, error)
	// Identified is told which node and cluster this is, before the node needs
	// its peers: they may have to learn that it is at another address now. nil =
	// nobody is told.
	Identified func(Identity)
	// Peers gives the live nodes as they are known now; nil = none. It must not
	// block.
	Peers func() []Peer

	Voters      int           // at most so many nodes vote, an odd number; the others hold a full copy; zero = [DefaultVoters]
	RemoveAfter time.Duration // a dead node is removed after so long, if that is safe; zero = [DefaultRemoveAfter]
	Timing      Timing        // zero = [TimingFast]
	Version     string        // of this program; nodes more than one minor version apart do not mix
}

// Validate reports everything that is wrong with the options.
func (o *ClusterOptions) Validate() error {
	var errs []error
	if o.Network == nil {
		errs = append(errs, errors.New("network is missing"))
	}
	if o.Address == "" || len(o.Address) > maxNameBytes {
		errs = append(errs, errors.New("address is empty or too long"))
	}
	if o.Voters < 0 || o.Voters > maxVoters || o.Voters != 0 && o.Voters%2 == 0 {
		errs = append(errs, fmt.Errorf("voters is not an odd number up to %d", maxVoters))
	}
	if o.RemoveAfter != 0 && o.RemoveAfter < minRemove {
		errs = append(errs, fmt.Errorf("remove after is below %v", minRemove))
	}
	if t := o.Timing; t != (Timing{}) {
		if t.Heartbeat < minHeartbeat || t.Heartbeat > maxHeartbeat {
			errs = append(errs, fmt.Errorf("heartbeat is not between %v and %v", minHeartbeat, maxHeartbeat))
		}
		if t.Election < t.Heartbeat || t.Election > maxHeartbeat || t.Lease > t.Heartbeat || t.Lease < t.Heartbeat/4 {
			errs = append(errs, errors.New("election is below heartbeat, or lease not between a quarter of it and it"))
		}
	}
	return errors.Join(errs...)
}

// filled gives the options with their defaults.
func (o *ClusterOptions) filled() *ClusterOptions {
	full := *o
	full.fill()
	return &full
}

func (o *ClusterOptions) fill() {
	if o.Peers == nil {
		o.Peers = func() []Peer { return nil }
	}
	if o.Identified == nil {
		o.Identified = func(Identity) {}
	}
	if o.Join == nil {
		o.Join = func(context.Context, Identity) ([]string, error) { return nil, nil }
	}
	o.Voters = orDefault(o.Voters, DefaultVoters)
	o.RemoveAfter = orDefault(o.RemoveAfter, DefaultRemoveAfter)
	if o.Timing == (Timing{}) {
		o.Timing = TimingFast()
	}
}

// silence is how long a peer may say nothing before it counts as dead.
func (t Timing) silence() time.Duration { return max(2*(t.Heartbeat+t.Election), time.Second) }

// patience is how long an answer of a live peer may take.
func (t Timing) patience() time.Duration { return max(5*t.Heartbeat, 2*time.Second) }
