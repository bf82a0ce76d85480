package remote

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Why an utterance or a request has no answer. Each is an outcome in the
// metrics.
var (
	// ErrLate is an answer that did not come within the time limit.
	ErrLate = errors.New("the intent backend did not answer in time")
	// ErrOpen is an utterance that was not sent, because the backend keeps failing.
	ErrOpen = errors.New("the intent backend keeps failing and is left alone for a while")
	// ErrFull is an utterance that was not sent, because too many wait.
	ErrFull = errors.New("too many utterances wait for the intent backend")
	// ErrFailed is a backend that could not be reached, or answered with an error.
	ErrFailed = errors.New("the intent backend failed")
)

// The outcomes of utterances and requests.
const (
	outcomeAnswered = "answered"
	outcomeLate     = "late"
	outcomeOpen     = "open"
	outcomeFull     = "full"
	outcomeFailed   = "failed"
	outcomeInvalid  = "invalid"
	outcomeDeclined = "declined"
)

func outcomeOf(err error) string {
	var bad *InvalidError
	var declined *DeclinedError
	switch {
	case err == nil:
		return outcomeAnswered
	case errors.Is(err, ErrLate):
		return outcomeLate
	case errors.Is(err, ErrOpen):
		return outcomeOpen
	case errors.Is(err, ErrFull):
		return outcomeFull
	case errors.As(err, &bad):
		return outcomeInvalid
	case errors.As(err, &declined):
		return outcomeDeclined
	}
	return outcomeFailed
}

type metrics struct {
	utterances *prometheus.CounterVec
	requests   *prometheus.CounterVec
	seconds    prometheus.Histogram
	batch      prometheus.Histogram
	inflight   prometheus.Gauge
	waiting    prometheus.Gauge
	open       prometheus.Gauge
	opened     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		utterances: f.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_intent_remote_utterances_total", Help: "Utterances for the intent backend; all but those answered fell back to the built-in engine.",
		}, []string{"outcome"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_intent_remote_requests_total", Help: "Requests to the intent backend.",
		}, []string{"outcome"}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "colloquy_intent_remote_request_duration_seconds", Help: "Time of a request to the intent backend.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
		}),
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name: "colloquy_intent_remote_batch_utterances", Help: "Utterances in a request to the intent backend.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
		inflight: f.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_intent_remote_inflight_requests", Help: "Requests to the intent backend that have no answer yet.",
		}),
		waiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_intent_remote_queue_length", Help: "Utterances that wait for a request to the intent backend.",
		}),
		open: f.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_intent_remote_breaker_open", Help: "1 while the intent backend is left alone because it keeps failing.",
		}),
		opened: f.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_intent_remote_breaker_opened_total", Help: "Times the intent backend was given up for a while.",
		}),
	}
	for _, o := range []string{outcomeAnswered, outcomeLate, outcomeOpen, outcomeFull, outcomeFailed, outcomeInvalid, outcomeDeclined} {
		m.utterances.WithLabelValues(o)
	}
	for _, o := range []string{outcomeAnswered, outcomeLate, outcomeFailed, outcomeInvalid, outcomeDeclined} {
		m.requests.WithLabelValues(o)
	}
	return m
}
