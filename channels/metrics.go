package channels

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

// Reasons why a delivery was not acknowledged.
const (
	rejectedMethod    = "method"
	rejectedOverload  = "overloaded"
	rejectedBody      = "body"
	rejectedSignature = "signature"
	rejectedContent   = "content"
	rejectedStore     = "store"
	rejectedPanic     = "panic"
	rejectedPaused    = "paused"
)

// What becomes of an event.
const (
	eventStored      = "stored"
	eventDuplicate   = "duplicate"
	eventRefused     = "refused"
	eventUnsupported = "unsupported"
	eventReceipt     = "receipt"
	eventUnreadable  = "unreadable"
	eventElsewhere   = "elsewhere"
)

// What becomes of a file that a provider keeps.
const (
	fetchStored  = "stored"
	fetchRetried = "retried"
	fetchFailed  = "failed"
)

// metrics are shared by all channels of a registry. The label channel is the
// driver's kind, never an account.
type metrics struct {
	deliveries *prometheus.CounterVec
	rejected   *prometheus.CounterVec
	events     *prometheus.CounterVec
	ack        *prometheus.HistogramVec
	sends      *prometheus.CounterVec
	sendErrors *prometheus.CounterVec
	send       *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	paused     *prometheus.GaugeVec
	fetches    *prometheus.CounterVec
	letters    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, kinds []conversation.ChannelKind) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_deliveries_total",
			Help: "Deliveries that providers made.",
		}, []string{"channel"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_deliveries_rejected_total",
			Help: "Deliveries that were not acknowledged, by reason.",
		}, []string{"channel", "reason"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_events_total",
			Help: "Events in acknowledged and rejected deliveries, by what became of them. unreadable = kept as a dead letter; elsewhere = for another account.",
		}, []string{"channel", "outcome"}),
		ack: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "colloquy_channel_ack_duration_seconds",
			Help:    "Time from the arrival of a delivery to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"channel"}),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_sends_total",
			Help: "Calls to providers that carry a message, or a part of one.",
		}, []string{"channel"}),
		sendErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_send_errors_total",
			Help: "Sends that failed, by error class. Sends that were held back before any call count too.",
		}, []string{"channel", "class"}),
		send: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "colloquy_channel_send_duration_seconds",
			Help:    "Duration of a provider's call.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30},
		}, []string{"channel"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_channel_sends_in_flight",
			Help: "Provider calls that are running.",
		}, []string{"channel"}),
		paused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_channel_accounts_paused",
			Help: "Accounts that do not send because their provider keeps failing.",
		}, []string{"channel"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_files_fetched_total",
			Help: "Files that were asked of providers, by what became of them.",
		}, []string{"channel", "outcome"}),
		letters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_channel_dead_letters_total",
			Help: "Deliveries and events that could not be handed in and were kept for a person to look at.",
		}, []string{"channel"}),
	}
	for _, k := range kinds {
		m.touch(string(k))
	}
	if reg != nil {
		reg.MustRegister(m.deliveries, m.rejected, m.events, m.ack, m.sends, m.sendErrors, m.send, m.inFlight, m.paused, m.fetches, m.letters)
	}
	return m
}

// touch makes every series of a kind, so that they begin at zero.
func (m *metrics) touch(kind string) {
	m.deliveries.WithLabelValues(kind)
	for _, r := range []string{
		rejectedMethod, rejectedOverload, rejectedBody, rejectedSignature, rejectedContent, rejectedStore, rejectedPanic, rejectedPaused,
	} {
		m.rejected.WithLabelValues(kind, r)
	}
	for _, o := range []string{eventStored, eventDuplicate, eventRefused, eventUnsupported, eventReceipt, eventUnreadable, eventElsewhere} {
		m.events.WithLabelValues(kind, o)
	}
	m.ack.WithLabelValues(kind)
	m.sends.WithLabelValues(kind)
	for _, c := range Classes() {
		m.sendErrors.WithLabelValues(kind, string(c))
	}
	m.send.WithLabelValues(kind)
	m.inFlight.WithLabelValues(kind)
	m.paused.WithLabelValues(kind)
	for _, o := range []string{fetchStored, fetchRetried, fetchFailed} {
		m.fetches.WithLabelValues(kind, o)
	}
	m.letters.WithLabelValues(kind)
}
