package persistence

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

// metrics are what the journal tells about itself.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector

	appendSeconds prometheus.Histogram
	appends       map[string]prometheus.Counter
	entryOps      prometheus.Histogram
	overloaded    prometheus.Counter
	applied       prometheus.Gauge
	sweeps        prometheus.Counter
	scrubs        prometheus.Counter
	erasures      *prometheus.CounterVec
	diskFree      prometheus.Gauge
	diskUsed      prometheus.Gauge
	fsyncP99      prometheus.Gauge

	leaderChanges   prometheus.Counter
	forwarded       prometheus.Counter
	forwardedIn     prometheus.Counter
	installs        prometheus.Counter
	voters          prometheus.Gauge
	votersLive      prometheus.Gauge
	lag             prometheus.Gauge
	underReplicated prometheus.Gauge
}

// The outcomes of an append.
const (
	outcomeStored      = "stored"
	outcomeConflict    = "conflict"
	outcomeFenced      = "fenced"
	outcomeOverloaded  = "overloaded"
	outcomeUnavailable = "unavailable"
	outcomeUnknown     = "unknown"
	outcomeInvalid     = "invalid"
)

func newMetrics(reg prometheus.Registerer, s *Store) (*metrics, error) {
	m := &metrics{
		registerer: reg,
		appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "colloquy_journal_append_duration_seconds",
			Help:    "Time from the call of an append until it is durable and applied.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}),
		entryOps: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "colloquy_journal_entry_operations",
			Help:    "Operations that were packed into one raft entry.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
		overloaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_journal_queue_refused_total", Help: "Writes that were refused because the queue was full.",
		}),
		applied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_journal_applied_index", Help: "Index of the last raft entry that was applied.",
		}),
		scrubs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_journal_scrubs_total", Help: "Passes that wrote files of the journal anew behind an erasure.",
		}),
		erasures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_journal_erasures_total", Help: "Conversations that were erased, on all nodes alike, by why.",
		}, []string{"reason"}),
		sweeps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_journal_ref_sweeps_total", Help: "Sweeps that dropped senders' message ids after their time.",
		}),
		diskFree: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_journal_disk_free_bytes", Help: "Free bytes of the file system of the journal.",
		}),
		diskUsed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_journal_disk_used_bytes", Help: "Bytes of the journal's files.",
		}),
		fsyncP99: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_journal_fsync_p99_seconds", Help: "99th percentile of the recent syncs of the raft log.",
		}),
	}
	for _, reason := range []conversation.ErasureReason{conversation.ErasedContact, conversation.ErasedRetention} {
		m.erasures.WithLabelValues(string(reason))
	}
	m.cluster()
	appends := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "colloquy_journal_appends_total", Help: "Appends by outcome.",
	}, []string{"outcome"})
	m.appends = make(map[string]prometheus.Counter)
	for _, o := range []string{
		outcomeStored, outcomeConflict, outcomeFenced, outcomeOverloaded, outcomeUnavailable, outcomeUnknown, outcomeInvalid,
	} {
		m.appends[o] = appends.WithLabelValues(o)
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "colloquy_journal_queue_waiting", Help: "Writes that wait to be packed into a raft entry.",
	}, s.waiting)
	fileBytes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "colloquy_journal_file_bytes", Help: "Bytes of attachments that are stored here; equal ones count once.",
	}, func() float64 { return float64(s.blobs.bytes.Load()) })
	fileCount := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "colloquy_journal_files", Help: "Attachments that are stored here; equal ones count once.",
	}, func() float64 { return float64(s.blobs.count.Load()) })
	m.collectors = []prometheus.Collector{
		m.appendSeconds, m.entryOps, m.overloaded, m.applied, m.sweeps, m.scrubs, m.erasures, m.diskFree, m.diskUsed, m.fsyncP99, appends, waiting,
		fileBytes, fileCount,
		m.leaderChanges, m.forwarded, m.forwardedIn, m.installs, m.voters, m.votersLive, m.lag, m.underReplicated,
	}
	return m, m.register()
}

// cluster makes the metrics that move in a cluster only.
func (m *metrics) cluster() {
	m.leaderChanges = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "colloquy_journal_leader_changes_total", Help: "Times that another node was seen to lead the journal.",
	})
	m.forwarded = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "colloquy_journal_proposals_forwarded_total", Help: "Raft entries that this node sent to the leader.",
	})
	m.forwardedIn = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "colloquy_journal_proposals_received_total", Help: "Raft entries that other nodes sent to this one as the leader.",
	})
	m.installs = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "colloquy_journal_snapshots_installed_total", Help: "Times that the whole state was received from the leader.",
	})
	m.voters = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "colloquy_journal_voters", Help: "Voters of the journal.",
	})
	m.votersLive = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "colloquy_journal_voters_live", Help: "Voters of the journal that answer, as the leader sees them; zero on other nodes.",
	})
	m.lag = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "colloquy_journal_lag_entries", Help: "Raft entries of the leader that this node has not applied.",
	})
	m.underReplicated = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "colloquy_journal_under_replicated_bytes",
		Help: "Bytes of the raft log that some voter does not have yet, as the leader sees them; zero on other nodes.",
	})
}

func (m *metrics) register() error {
	if m.registerer == nil {
		return nil
	}
	for i, c := range m.collectors {
		if err := m.registerer.Register(c); err != nil {
			m.collectors = m.collectors[:i]
			m.unregister()
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
}

// waiting is how many writes are queued.
func (s *Store) waiting() float64 {
	if s.queue == nil {
		return 0
	}
	return float64(len(s.queue.c))
}

// count adds an append to those of its outcome.
func (m *metrics) count(err error) {
	o := outcomeStored
	switch {
	case err == nil:
	case errors.Is(err, ErrFenced):
		o = outcomeFenced
	case errors.Is(err, conversation.ErrConflict):
		o = outcomeConflict
	case errors.Is(err, conversation.ErrOverloaded):
		o = outcomeOverloaded
	case errors.Is(err, conversation.ErrUnknown):
		o = outcomeUnknown
	case errors.Is(err, conversation.ErrUnavailable):
		o = outcomeUnavailable
	default:
		o = outcomeInvalid
	}
	m.appends[o].Inc()
}

// erased counts a conversation that was erased.
func (m *metrics) erased(reason conversation.ErasureReason) {
	if reason != conversation.ErasedRetention {
		reason = conversation.ErasedContact
	}
	m.erasures.WithLabelValues(string(reason)).Inc()
}
