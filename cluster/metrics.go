package cluster

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	active      *prometheus.GaugeVec
	activations *prometheus.CounterVec
	passivated  *prometheus.CounterVec
	overloaded  *prometheus.CounterVec
	restarts    *prometheus.CounterVec
	parked      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, kinds []Kind) *metrics {
	label := []string{"kind"}
	m := &metrics{
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_grains_active", Help: "Grains in memory on this node.",
		}, label),
		activations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_grain_activations_total", Help: "Grains started.",
		}, label),
		passivated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_grain_passivations_total", Help: "Idle grains put to rest.",
		}, label),
		overloaded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_grain_overloads_total", Help: "Messages refused because a grain's mailbox was full.",
		}, label),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_actor_restarts_total", Help: "Grains rebuilt after a panic.",
		}, label),
		parked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_actor_parked_messages_total", Help: "Messages set aside because they panicked twice.",
		}, label),
	}
	reg.MustRegister(m.active, m.activations, m.passivated, m.overloaded, m.restarts, m.parked)
	for _, k := range kinds {
		for _, v := range []*prometheus.CounterVec{m.activations, m.passivated, m.overloaded, m.restarts, m.parked} {
			v.WithLabelValues(k.Name)
		}
		m.active.WithLabelValues(k.Name)
	}
	return m
}
