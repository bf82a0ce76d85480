package cpu

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collector gives the books to Prometheus. The conversations that cost most have
// a series each, so that there are few; [Meters.Handler] has all.
type collector struct {
	meters *Meters
	plain  []prometheus.Collector
}

// Collector gives what /metrics shows of the books.
func (ms *Meters) Collector() prometheus.Collector {
	seconds := func(ns *atomic.Int64) func() float64 {
		return func() float64 { return time.Duration(ns.Load()).Seconds() }
	}
	return &collector{meters: ms, plain: []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colloquy_conversations_cpu_seconds_total", Help: "Processor time charged to conversations, all together.",
		}, seconds(&ms.total)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "colloquy_sessions", Help: "Conversations that are, or just were, active on this node.",
		}, func() float64 { return float64(ms.len()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colloquy_cpu_approximate_segments_total", Help: "Stretches of work that were measured in wall time, because too many were open at once.",
		}, func() float64 { return float64(ms.approximate.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "colloquy_cpu_attributed_ratio",
			Help: "Share of the process's processor time, without the garbage collector's, that is charged to conversations.",
		}, ms.attributed),
	}}
}

// attributed is NaN, which is no value, where the system does not say how much
// time there is to attribute.
func (ms *Meters) attributed() float64 {
	return time.Duration(ms.total.Load()).Seconds() / (processTime() - gcTime()).Seconds()
}

// newSessionSeries makes the metric of single conversations. It is never kept: a
// fresh one is filled for each scrape.
func newSessionSeries() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "colloquy_session_cpu_seconds_total",
		Help: "Processor time of one conversation on this node; of those that cost most, and those that are watched.",
	}, []string{"conversation", "channel"})
}

// newRuntimeTimes is filled for each scrape as well.
func newRuntimeTimes() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "colloquy_runtime_cpu_seconds_total",
		Help: "Processor time by what it went into: process is all of it, gc the garbage collector's part as of its last cycle.",
	}, []string{"class"})
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, p := range c.plain {
		p.Describe(out)
	}
	newRuntimeTimes().Describe(out)
	newSessionSeries().Describe(out)
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, p := range c.plain {
		p.Collect(out)
	}
	times := newRuntimeTimes()
	times.WithLabelValues("process").Add(processTime().Seconds())
	times.WithLabelValues("gc").Add(gcTime().Seconds())
	times.Collect(out)
	series := newSessionSeries()
	for _, m := range c.meters.all() {
		if m.shown.Load() {
			s := m.session(time.Time{})
			series.WithLabelValues(s.Conversation, s.Channel).Add(s.CPU)
		}
	}
	series.Collect(out)
}

// listed gives a list of sessions as series. There may be ten thousand, for which
// a vector would take twice as long.
type listed struct {
	desc     *prometheus.Desc
	sessions []Session
}

func newListed(sessions []Session) *listed {
	one := make(chan *prometheus.Desc, 1)
	newSessionSeries().Describe(one)
	return &listed{<-one, sessions}
}

// Describe implements [prometheus.Collector].
func (l *listed) Describe(out chan<- *prometheus.Desc) { out <- l.desc }

// Collect implements [prometheus.Collector].
func (l *listed) Collect(out chan<- prometheus.Metric) {
	for i := range l.sessions {
		s := &l.sessions[i]
		out <- prometheus.MustNewConstMetric(l.desc, prometheus.CounterValue, s.CPU, s.Conversation, s.Channel) //nolint:promlinter // the description is that of newSessionSeries
	}
}
