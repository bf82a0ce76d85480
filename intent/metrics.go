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

// Outcomes of a save.
const (
	saveDone    = "saved"
	saveRefused = "refused" // bad text, or another version is stored
	saveFailed  = "failed"  // the journal did not take it
)

// metrics are what the package tells Prometheus.
type metrics struct {
	predictions map[string]prometheus.Counter
	seconds     prometheus.Histogram
	reloads     prometheus.Counter
	failures    prometheus.Counter
	training    prometheus.Histogram
	saves       map[string]prometheus.Counter
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
		training: f.NewHistogram(prometheus.HistogramOpts{
			Name: "colloquy_intent_training_duration_seconds", Help: "Time to train the model of a combination of packs, without its calibrator.",
			Buckets: []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30},
		}),
		packs: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_intent_pack_info", Help: "Packs in use, always 1; state is ok or bad, when the newest files are not in use.",
		}, []string{"pack", "version", "state"}),
	}
	saves := f.NewCounterVec(prometheus.CounterOpts{
		Name: "colloquy_intent_pack_saves_total", Help: "Packs saved or deleted through this node, and what was refused.",
	}, []string{"outcome"})
	m.saves = map[string]prometheus.Counter{}
	for _, outcome := range []string{saveDone, saveRefused, saveFailed} {
		m.saves[outcome] = saves.WithLabelValues(outcome)
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
