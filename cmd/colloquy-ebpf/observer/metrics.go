package observer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
)

type metrics struct {
	anomalies *prometheus.CounterVec
	begun     prometheus.Counter
	ended     *prometheus.CounterVec
	open      prometheus.Gauge
	stuck     prometheus.Gauge
	missed    *prometheus.CounterVec
	joined    prometheus.Counter
	watches   *prometheus.CounterVec
	attached  prometheus.Gauge
	attaches  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		anomalies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_ebpf_anomalies_total", Help: "Findings of the observer outside the node, by kind.",
		}, []string{"kind"}),
		begun: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_ebpf_turns_begun_total", Help: "Turns of the bot that were seen to begin.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_ebpf_turns_ended_total", Help: "Turns of the bot that were seen to end.",
		}, []string{"outcome"}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_ebpf_turns_open", Help: "Turns of the bot that have begun and not ended.",
		}),
		stuck: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_ebpf_turns_stuck", Help: "Open turns that are older than they should be.",
		}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_ebpf_missed_total", Help: "What was not seen, by reason: too many open turns, unreadable arguments, a full ring, a begin before the observer came.",
		}, []string{"reason"}),
		joined: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_ebpf_connections_seen_total", Help: "Visitors' connections seen to join a conversation, or to write in it.",
		}),
		watches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_ebpf_watches_total", Help: "Requests to nodes to watch a conversation, by result.",
		}, []string{"result"}),
		attached: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_ebpf_attached", Help: "1 while the observer is attached to the program.",
		}),
		attaches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_ebpf_attaches_total", Help: "Attempts to attach to the program; more than one when it was replaced.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.anomalies, m.begun, m.ended, m.open, m.stuck, m.missed, m.joined, m.watches, m.attached, m.attaches)
	for _, k := range Kinds() {
		m.anomalies.WithLabelValues(string(k))
	}
	for _, r := range []string{watchDone, watchUnknown, watchFailed, watchFull} {
		m.watches.WithLabelValues(r)
	}
	for _, r := range []string{"done", "failed"} {
		m.attaches.WithLabelValues(r)
	}
	m.add(kernel.Counts{}, kernel.Counts{})
	return m
}

// add counts what the kernel has counted between two looks.
func (m *metrics) add(before, now kernel.Counts) {
	m.begun.Add(float64(now.Begun - before.Begun))
	m.joined.Add(float64(now.Joined - before.Joined))
	for _, c := range []struct {
		vec    *prometheus.CounterVec
		label  string
		was, n uint64
	}{
		{m.ended, "done", before.Done, now.Done},
		{m.ended, "failed", before.Failed, now.Failed},
		{m.ended, "dropped", before.Dropped, now.Dropped},
		{m.missed, "full", before.Full, now.Full},
		{m.missed, "unreadable", before.Unreadable, now.Unreadable},
		{m.missed, "lost", before.Lost, now.Lost},
		{m.missed, "unmatched", before.Unmatched, now.Unmatched},
	} {
		c.vec.WithLabelValues(c.label).Add(float64(c.n - c.was))
	}
}
