package learning

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	byItself *prometheus.GaugeVec
	shift    *prometheus.GaugeVec
	judged   *prometheus.GaugeVec
	missed   *prometheus.GaugeVec
	reads    prometheus.Counter
	dropped  prometheus.Counter
	failures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	inbox := []string{"inbox"}
	return &metrics{
		byItself: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_intent_answers_by_itself", Help: "1 when an inbox's bot answers by itself, 0 when it only asks back and hands over.",
		}, inbox),
		shift: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_intent_confidence_shift", Help: "What judged answers have an inbox's confidences corrected by, in logarithms of odds.",
		}, inbox),
		judged: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_intent_judged_answers", Help: "Weight of the judged answers of an inbox, by verdict; an agent's verdict weighs 1.",
		}, []string{"inbox", "verdict"}),
		missed: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_intent_missing_questions", Help: "Visitors' texts without a right answer that are kept for suggestions.",
		}, inbox),
		reads: f.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_learning_reads_total", Help: "Conversations read for what can be learned from them.",
		}),
		dropped: f.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_learning_dropped_total", Help: "Conversations not noted for a later look because too many were.",
		}),
		failures: f.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_learning_failures_total", Help: "Reads and writes of the journal that did not work and are tried again.",
		}),
	}
}
