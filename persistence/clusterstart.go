package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// startCluster makes the node one of several, and waits until it is level.
func (s *Store) startCluster(ctx context.Context) error {
	used, err := s.used()
	if err != nil {
		return err
	}
	if err := s.countStart(); err != nil {
		return err
	}
	last, err := s.logEnd()
	if err != nil {
		return err
	}
	s.cluster = newClusterNode(s)
	o := s.options.Cluster
	s.cluster.start = introduction{node: s.identity.Node, last: last, member: member{
		starts: s.identity.Starts, run: randomNonce(), address: o.Address, version: o.Version,
	}}
	switch {
	case s.options.sabotage.trustDisk:
	case used:
		o.Identified(s.identity)
		s.progress("asking the other nodes")
		err = s.cluster.hello(ctx)
	default:
		if err = s.cluster.enter(ctx); err == nil {
			o.Identified(s.identity)
		}
	}
	if err != nil {
		return err
	}
	if err := s.cluster.listen(); err != nil {
		return err
	}
	if err := s.startRaft(); err != nil {
		return err
	}
	s.queue.bring, s.queue.leader, s.queue.keeps = s.cluster.bring, s.leadership.now, true
	s.queue.start()
	s.cluster.running.Store(true)
	s.background.Go(s.truncate)
	s.background.Go(s.scrubs)
	return s.level(ctx)
}

// countStart makes this start one more than the last, before anybody hears of
// it.
func (s *Store) countStart() error {
	id := s.identity
	id.Starts++
	if err := storeIdentity(s.db, id); err != nil {
		return fmt.Errorf("count the start: %w", err)
	}
	if s.halt.failed() {
		return ErrUnavailable
	}
	s.identity = id
	return nil
}

// logEnd gives the last entry that this node has on its disk, in its log or by
// its state.
func (s *Store) logEnd() (uint64, error) {
	last, _ := s.logs.LastIndex() // in memory
	mark, err := s.snapshots.stored()
	if err != nil {
		return 0, err
	}
	if mark != nil {
		last = max(last, mark.Index)
	}
	return max(last, s.machine.position().index), nil
}

func (s *Store) startRaft() error {
	conf := s.raftConfig()
	t := s.options.Cluster.Timing
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = t.Heartbeat, t.Election, t.Lease
	// Truncation is by size and has its own clock.
	conf.SnapshotInterval, conf.SnapshotThreshold = 24*time.Hour, 1<<40
	if s.logs.changed.Load() == 0 { // nobody had to read the log for it yet
		if _, err := storedConfiguration(s.logs, s.snapshots); err != nil {
			return err
		}
	}
	last, _ := s.logs.LastIndex() // in memory
	s.logs.recent, s.logs.stored = newRecentLogs(), s.cluster.hints.grown
	s.cluster.hints.grown(last)
	var err error
	if s.raft, err = raft.NewRaft(conf, s.machine, s.logs, s.logs, s.snapshots, s.cluster.transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	s.cluster.transport.beats.of(s.raft)
	s.leadership.watch(s.raft)
	if only := s.configuration().Servers; len(only) == 1 && string(only[0].ID) == s.identity.Node {
		// Alone, there is nobody to wait for.
		s.cluster.hints.stand(&raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(conf.LocalID), Addr: []byte(conf.LocalID),
		}})
	}
	return nil
}

// level waits until an entry of this node's own went through the log and was
// applied here. The entry is the report of this start: if it is refused, the
// node must not take part.
func (s *Store) level(ctx context.Context) error {
	done := make(chan struct{})
	defer close(done)
	s.background.Go(func() { s.reportOpening(done) })
	report := s.cluster.start.encodeHello()
	if s.options.sabotage.trustDisk {
		report = []byte{byte(opNothing)}
	}
	_, err := s.queue.do(ctx, report, nil)
	switch {
	case err == nil:
		s.progress("")
		return nil
	case final(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("become level with the cluster (%s): %w", s.cluster.standing(), errors.Join(context.Cause(ctx), err))
	}
	return fmt.Errorf("become level with the cluster: %w", err)
}

// progress says what opening waits for.
func (s *Store) progress(reason string) { s.options.Progress(reason) }

const reportEvery = 250 * time.Millisecond

// reportOpening says again and again why the node is not level yet.
func (s *Store) reportOpening(done <-chan struct{}) {
	said := ""
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-s.closing:
			return
		case <-tick.C:
		}
		if now := s.cluster.hindrance(); now != said {
			said = now
			s.progress(now)
		}
	}
}

// standing says where this node is in raft, for whoever has to find out why it is
// not level.
func (c *clusterNode) standing() string {
	r := c.store.raft
	leader, _ := c.store.leadership.now()
	return fmt.Sprintf("%v, term %d, leader %q, %d entries, %d committed, %d applied", r.State(), r.CurrentTerm(), leader, r.LastIndex(), r.CommitIndex(), r.AppliedIndex())
}

// hindrance is why a node that opens is not level.
func (c *clusterNode) hindrance() string {
	if leader, _ := c.store.leadership.now(); leader != "" {
		last, applied := c.store.raft.LastIndex(), c.store.raft.AppliedIndex()
		return fmt.Sprintf("catching up: %d of %d entries are applied", applied, last)
	}
	ctx, cancel := context.WithTimeout(context.Background(), helloTime)
	defer cancel()
	voters, live := 0, 0
	for _, v := range c.survey(ctx) {
		if !v.Voter {
			continue
		}
		voters++
		if v.Reachable {
			live++
		}
	}
	if voters == 0 {
		return "waiting for the leader to send what it has"
	}
	return fmt.Sprintf("waiting for a quorum: %d of %d voters answer", live, voters)
}
