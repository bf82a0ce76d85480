package persistence

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Health is how the journal is.
type Health struct {
	Leader        bool          // writes are taken here
	Failed        bool          // the disk failed; nothing is taken any more
	Applied       uint64        // index of the last raft entry applied
	LogEntries    uint64        // raft entries not yet truncated
	FsyncP99      time.Duration // of the recent syncs of the raft log; zero when there were none
	DiskFreeBytes uint64        // zero when the file system does not say
	DiskUsedBytes uint64        // by the journal's files
	Waiting       int           // writes in the queue

	// What follows is about the cluster; a node alone is a quorum of one.
	Quorum               bool          // a leader is known, and so writes can be taken
	LeaderNode           string        // empty while none is known
	Voters               int           // of the configuration
	LiveVoters           int           // that answer; known to the leader only
	Lag                  uint64        // entries known to be committed and not applied here
	LagTime              time.Duration // since this node last heard of the leader; zero on the leader
	UnderReplicatedBytes int64         // of log that some voter lacks; known to the leader only
}

// Health looks at the journal. It does not write.
func (s *Store) Health(ctx context.Context) Health {
	h := Health{Failed: s.halt.failed()}
	done, err := s.looking(ctx)
	if err != nil {
		return h
	}
	defer done()
	s.clusterHealth(&h)
	h.Applied = s.raft.AppliedIndex()
	first, _ := s.logs.FirstIndex() // in memory
	last, _ := s.logs.LastIndex()   // in memory
	if first > 0 {
		h.LogEntries = last - first + 1
	}
	h.Waiting = len(s.queue.c)
	h.DiskUsedBytes = s.db.Metrics().DiskSpaceUsage() + uint64(s.logs.files.Bytes()) //nolint:gosec // not negative
	h.FsyncP99 = s.fsync.p99(time.Now())
	if u, err := s.options.FS.GetDiskUsage(s.options.Dir); err == nil {
		h.DiskFreeBytes = u.AvailBytes
	}
	return h
}

// clusterHealth fills in what the node knows of the others.
func (s *Store) clusterHealth(h *Health) {
	h.LeaderNode = s.Leader()
	h.Leader, h.Quorum = s.Leads(), h.LeaderNode != ""
	h.Lag = s.lagEntries()
	for _, v := range s.configuration().Servers {
		if v.Suffrage == raft.Voter {
			h.Voters++
		}
	}
	switch {
	case s.cluster == nil:
		h.LiveVoters = h.Voters
	case h.Leader:
		h.LiveVoters, h.UnderReplicatedBytes = s.cluster.liveVoters(), s.cluster.underReplicated()
	default:
		if at := s.raft.LastContact(); !at.IsZero() {
			h.LagTime = time.Since(at)
		}
	}
	if s.cluster != nil && s.cluster.expulsion() != nil {
		h.Quorum, h.Failed = false, true
	}
}

// lagEntries is how many entries are committed and not applied here.
func (s *Store) lagEntries() uint64 {
	applied, commit := s.raft.AppliedIndex(), s.raft.CommitIndex()
	return commit - min(commit, applied)
}

// observe sets the gauges that cost too much to be made on every scrape.
func (s *Store) observe(ctx context.Context) {
	h := s.Health(ctx)
	s.metrics.diskFree.Set(float64(h.DiskFreeBytes))
	s.metrics.diskUsed.Set(float64(h.DiskUsedBytes))
	s.metrics.fsyncP99.Set(h.FsyncP99.Seconds())
}

// fsyncWindow knows how long syncs of the log took in recent times.
type fsyncWindow struct {
	total prometheus.Histogram // since the start
	mu    struct {
		sync.Mutex
		before, now *dto.Histogram // the window starts at before
		at          time.Time
	}
}

// windowTime is how long a window lasts; one starts when the last has.
const windowTime = time.Minute

func newFsyncWindow() *fsyncWindow {
	return &fsyncWindow{total: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "fsync_seconds", Help: "Syncs of the raft log.", Buckets: prometheus.ExponentialBuckets(50e-6, 1.25, 64),
	})}
}

// observe takes how long a sync took.
func (w *fsyncWindow) observe(d time.Duration) { w.total.Observe(d.Seconds()) }

func (w *fsyncWindow) p99(now time.Time) time.Duration {
	var sample dto.Metric
	if err := w.total.Write(&sample); err != nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.now == nil || now.Sub(w.mu.at) >= windowTime {
		w.mu.before, w.mu.now, w.mu.at = w.mu.now, sample.GetHistogram(), now
	}
	return quantile(w.mu.before, sample.GetHistogram(), 0.99)
}

// quantile gives the upper bound of the bucket that holds quantile q of what
// came between two samples.
func quantile(before, now *dto.Histogram, q float64) time.Duration {
	total := now.GetSampleCount() - before.GetSampleCount()
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	bound := 0.0
	for i, b := range now.GetBucket() {
		n := b.GetCumulativeCount()
		if old := before.GetBucket(); i < len(old) {
			n -= old[i].GetCumulativeCount()
		}
		bound = b.GetUpperBound()
		if float64(n) >= rank {
			break
		}
	}
	return time.Duration(bound * float64(time.Second))
}
