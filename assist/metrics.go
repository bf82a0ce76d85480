package assist

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The outcomes of a draft.
const (
	outcomeDrafted   = "drafted"
	outcomeLate      = "late"
	outcomeFailed    = "failed"
	outcomeMalformed = "malformed"
	outcomeTooLarge  = "too_large"
	outcomeFull      = "full"
	outcomeCanceled  = "canceled"
)

type metrics struct {
	drafts  *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		drafts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_assist_drafts_total", Help: "Drafts that agents asked for.",
		}, []string{"outcome"}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "colloquy_assist_draft_duration_seconds", Help: "Time for the model to draft a reply.",
			Buckets: []float64{.1, .25, .5, 1, 2, 4, 8, 16},
		}),
	}
	for _, o := range []string{outcomeDrafted, outcomeLate, outcomeFailed, outcomeMalformed, outcomeTooLarge, outcomeFull, outcomeCanceled} {
		m.drafts.WithLabelValues(o)
	}
	return m
}
