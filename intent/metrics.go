package intent

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Outcomes of a prediction, as metrics and evaluation name them.
const (
	outcomeAnswer  = "answer"  // at or above auto
	outcomeSuggest = "suggest" // at or above suggest
	outcomeAbstain = "abstain"
	outcomeError   = "error"
)

// metrics are what the package tells Prometheus.
type metrics struct {
	predictions map[string]prometheus.Counter
	seconds     prometheus.Histogram
	reloads     prometheus.Counter
	failures    prometheus.Counter
	packs       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	predictions := f.NewCounterVec(prometheus.CounterOpts{
		Name: "colloquy_intent_predictions_total", Help: "Utterances classified, by what the confidence allows.",
	}, []string{"outcome"})
	m := &metrics{
		predictions: map[string]prometheus.Counter{},
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "colloquy_intent_prediction_duration_seconds", Help: "Time to classify one utterance.",
			Buckets: []float64{5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1, 1},
		}),
		reloads: f.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_intent_reloads_total", Help: "Times the packs were read again.",
		}),
		failures: f.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_intent_reload_failures_total", Help: "Reloads in which a pack kept its earlier version because the new one is bad.",
		}),
		packs: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_intent_pack_info", Help: "Packs in use, always 1; state is ok or bad, when the newest files are not in use.",
		}, []string{"pack", "version", "state"}),
	}
	for _, outcome := range []string{outcomeAnswer, outcomeSuggest, outcomeAbstain, outcomeError} {
		m.predictions[outcome] = predictions.WithLabelValues(outcome)
	}
	return m
}

func (m *metrics) reloaded(err error) {
	m.reloads.Inc()
	if err != nil {
		m.failures.Inc()
	}
}

// packsAre replaces the info series.
func (m *metrics) packsAre(packs []PackInfo) {
	m.packs.Reset()
	for i := range packs {
		state := "ok"
		if packs[i].Err != "" {
			state = "bad"
		}
		m.packs.WithLabelValues(packs[i].Name, packs[i].Version, state).Set(1)
	}
}
