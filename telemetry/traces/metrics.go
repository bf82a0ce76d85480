package traces

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/telemetry/flight"
)

type metrics struct {
	kept    *prometheus.CounterVec
	dropped *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, k *Keeper) *metrics {
	m := &metrics{
		kept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_traces_kept_total", Help: "Traces stored on this node, by why they are kept.",
		}, []string{"reason"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_traces_dropped_total",
			Help: "Traces, or a node's part of them, that were wanted and not stored: busy, too many at a time; node, another node gave nothing; evicted, newer spans had taken their places; disk, it could not be written.",
		}, []string{"reason"}),
	}
	for _, r := range flight.Reasons() {
		m.kept.WithLabelValues(string(r))
	}
	for _, r := range []string{"busy", "node", "evicted", "disk"} {
		m.dropped.WithLabelValues(r)
	}
	counts := k.o.Recorder.Counts
	reg.MustRegister(m.kept, m.dropped,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colloquy_flight_spans_total", Help: "Spans recorded in memory.",
		}, func() float64 { return float64(counts().Recorded) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colloquy_flight_evictions_total", Help: "Spans that made room for newer ones.",
		}, func() float64 { return float64(counts().Evicted) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colloquy_flight_lost_total", Help: "Spans that were not recorded because their place in memory was in use.",
		}, func() float64 { return float64(counts().Lost) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colloquy_flight_refused_total", Help: "Traces that were worth keeping, beyond tracing.keep_per_second.",
		}, func() float64 { return float64(counts().Refused) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "colloquy_traces_stored", Help: "Traces on this node's disk.",
		}, func() float64 { n, _ := k.store.stored(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "colloquy_traces_stored_bytes", Help: "What they take on it.",
		}, func() float64 { _, size := k.store.stored(); return float64(size) }),
	)
	return m
}
