package cpu

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collector gives the books to Prometheus. The conversations that cost most have
// a series each, so that there are few; [Meters.Handler] has all.
type collector struct {
	meters      *Meters
	total       *prometheus.Desc
	session     *prometheus.Desc
	active      *prometheus.Desc
	approximate *prometheus.Desc
	process     *prometheus.Desc
	attributed  *prometheus.Desc
}

func sessionDesc() *prometheus.Desc {
	return prometheus.NewDesc("colloquy_session_cpu_seconds_total",
		"Processor time of one conversation on this node; of those that cost most, and those that are watched.", []string{"conversation", "channel"}, nil)
}

// Collector gives what /metrics shows of the books.
func (ms *Meters) Collector() prometheus.Collector {
	return &collector{
		meters: ms, session: sessionDesc(),
		total: prometheus.NewDesc("colloquy_conversations_cpu_seconds_total",
			"Processor time charged to conversations, all together.", nil, nil),
		active: prometheus.NewDesc("colloquy_sessions",
			"Conversations that are, or just were, active on this node.", nil, nil),
		approximate: prometheus.NewDesc("colloquy_cpu_approximate_segments_total",
			"Stretches of work that were measured in wall time, because too many were open at once.", nil, nil),
		process: prometheus.NewDesc("colloquy_runtime_cpu_seconds_total",
			"Processor time by what it went into: process is all of it, gc the garbage collector's part as of its last cycle.", []string{"class"}, nil),
		attributed: prometheus.NewDesc("colloquy_cpu_attributed_ratio",
			"Share of the process's processor time, without the garbage collector's, that is charged to conversations.", nil, nil),
	}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.total, c.session, c.active, c.approximate, c.process, c.attributed} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ms := c.meters
	total := time.Duration(ms.total.Load()).Seconds()
	process, gc := processTime().Seconds(), gcTime().Seconds()
	out <- prometheus.MustNewConstMetric(c.total, prometheus.CounterValue, total)
	out <- prometheus.MustNewConstMetric(c.approximate, prometheus.CounterValue, float64(ms.approximate.Load()))
	out <- prometheus.MustNewConstMetric(c.process, prometheus.CounterValue, process, "process")
	out <- prometheus.MustNewConstMetric(c.process, prometheus.CounterValue, gc, "gc")
	if rest := process - gc; rest > 0 {
		out <- prometheus.MustNewConstMetric(c.attributed, prometheus.GaugeValue, total/rest)
	}
	all := ms.all()
	out <- prometheus.MustNewConstMetric(c.active, prometheus.GaugeValue, float64(len(all)))
	for _, m := range all {
		if m.shown.Load() {
			s := m.session(time.Time{})
			out <- prometheus.MustNewConstMetric(c.session, prometheus.CounterValue, s.CPU, s.Conversation, s.Channel)
		}
	}
}

// listed gives a list of sessions as series.
type listed struct {
	desc     *prometheus.Desc
	sessions []Session
}

// Describe implements [prometheus.Collector].
func (l *listed) Describe(out chan<- *prometheus.Desc) { out <- l.desc }

// Collect implements [prometheus.Collector].
func (l *listed) Collect(out chan<- prometheus.Metric) {
	for i := range l.sessions {
		s := &l.sessions[i]
		out <- prometheus.MustNewConstMetric(l.desc, prometheus.CounterValue, s.CPU, s.Conversation, s.Channel)
	}
}
