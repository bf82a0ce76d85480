package persistence

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// raftConfig is for a group of one: nobody else can lead, so its time-outs
// decide nothing but how often it looks around.
func (s *Store) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(s.identity.Node)
	c.Logger = newRaftLogger(s.logger)
	c.MaxAppendEntries = 256
	c.BatchApplyCh = true
	c.CommitTimeout = 5 * time.Millisecond
	c.TrailingLogs = trailingEntries
	c.SnapshotInterval = time.Minute
	c.SnapshotThreshold = 8192
	c.NoSnapshotRestoreOnStart = true // the state is on the disk already
	c.NoLegacyTelemetry = true
	c.ShutdownOnRemove = false
	return c
}

// trailingEntries is how many raft entries stay behind a truncation. A group of
// one needs none.
const trailingEntries = 64

// bootstrap makes this node the only voter of a new group.
func (s *Store) bootstrap(address raft.ServerAddress) error {
	only := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(s.identity.Node), Address: address,
	}}}
	if err := raft.BootstrapCluster(s.raftConfig(), s.logs, s.logs, s.snapshots, nil, only); err != nil {
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	return nil
}

// used reports whether raft has ever run on this directory.
func (s *Store) used() (bool, error) {
	used, err := raft.HasExistingState(s.logs, s.logs, s.snapshots)
	if err != nil {
		return false, fmt.Errorf("read raft state: %w", err)
	}
	return used, nil
}

func (s *Store) startAlone() error {
	conf := s.raftConfig()
	addr, transport := raft.NewInmemTransport(raft.ServerAddress(s.identity.Node))
	transport.Connect(addr, transport)
	used, err := s.used()
	if err != nil {
		return err
	}
	if !used {
		if err := s.bootstrap(addr); err != nil {
			return err
		}
	}
	if err := s.checkAlone(); err != nil {
		return err
	}
	if s.raft, err = raft.NewRaft(conf, s.machine, s.logs, s.logs, s.snapshots, transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	s.leadership.watch(s.raft)
	// Alone, there is nobody to wait for: the election starts at once instead
	// of after a time-out.
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(conf.LocalID), Addr: []byte(addr)}
	if err := transport.TimeoutNow(conf.LocalID, addr, &raft.TimeoutNowRequest{RPCHeader: header}, new(raft.TimeoutNowResponse)); err != nil {
		s.logger.Debug("election waits for its time-out", "err", err)
	}
	return nil
}

// checkAlone refuses a directory whose cluster has other nodes: without them
// this one can do nothing.
func (s *Store) checkAlone() error {
	conf, err := storedConfiguration(s.logs, s.snapshots)
	if err != nil {
		return err
	}
	if n := len(conf.Servers); n > 1 {
		return fmt.Errorf("the directory belongs to a cluster of %d nodes: start it with the cluster's settings, "+
			"or recover the cluster from it if the others are lost", n)
	}
	return nil
}

// storedConfiguration reads who belongs to the group from what is on the disk,
// and has the log remember the entry that says so.
func storedConfiguration(l *logStore, s *snapshots) (raft.Configuration, error) {
	var conf raft.Configuration
	first, _ := l.FirstIndex() // in memory
	last, _ := l.LastIndex()   // in memory
	mark, err := s.stored()
	if err != nil {
		return conf, err
	}
	changed := uint64(0)
	if mark != nil {
		conf, changed = mark.Configuration, mark.ConfigurationIndex
		first = max(first, changed+1)
	}
	var entry raft.Log
	for i := max(first, 1); i <= last; i++ {
		if err := l.GetLog(i, &entry); err != nil {
			return conf, fmt.Errorf("read the configuration: %w", err)
		}
		if entry.Type == raft.LogConfiguration {
			conf, changed = raft.DecodeConfiguration(entry.Data), i
		}
	}
	l.changed.Store(changed)
	return conf, nil
}

// configuration says who belongs to the group, as far as this node knows.
func (s *Store) configuration() raft.Configuration {
	if s.raft != nil {
		return s.raft.GetConfiguration().Configuration()
	}
	conf, err := storedConfiguration(s.logs, s.snapshots)
	if err != nil {
		s.logger.Warn("the configuration cannot be read", "err", err)
	}
	return conf
}
