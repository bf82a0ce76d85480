package actors

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

type metrics struct {
	accepted    *prometheus.CounterVec
	duplicates  prometheus.Counter
	turns       *prometheus.HistogramVec
	turnCPU     *prometheus.HistogramVec
	handovers   *prometheus.CounterVec
	moods       *prometheus.CounterVec
	moodReasons *prometheus.CounterVec
	anomalies   *prometheus.CounterVec
	anomalous   *prometheus.GaugeVec
	suppressed  *prometheus.CounterVec
	stale       prometheus.Counter
	behaviors   *prometheus.CounterVec
	appendFails *prometheus.CounterVec
	scoring     prometheus.Gauge
	scoringFull prometheus.Counter
	requests    prometheus.Gauge
	waiting     *prometheus.GaugeVec
	agents      *prometheus.GaugeVec
	outbox      prometheus.Gauge
	deliveries  *prometheus.CounterVec
	behind      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_messages_accepted_total", Help: "Visitor messages made durable.",
		}, []string{"channel"}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_messages_duplicate_total", Help: "Repeated deliveries answered with the first receipt.",
		}),
		turns: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "colloquy_turn_duration_seconds", Help: "From a visitor's message reaching its grain to the bot's part being durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}, []string{"outcome"}),
		turnCPU: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "colloquy_turn_cpu_seconds", Help: "Processor time that a conversation was charged for a turn of the bot, up to its append.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 2, 14),
		}, []string{"channel"}),
		handovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_handovers_total", Help: "Conversations given to humans.",
		}, []string{"reason"}),
		moods: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_mood_changes_total", Help: "Visitors who became angry, or calm again.",
		}, []string{"to"}),
		moodReasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_mood_reasons_total", Help: "Reasons told with a change of mood, or with grave words in the same mood.",
		}, []string{"reason"}),
		anomalies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_anomalies_total", Help: "Conversations found to be unlike others of their channel.",
		}, []string{"kind", "channel"}),
		anomalous: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_conversations_anomalous", Help: "Conversations of this node of which that was found in the last ten minutes and is not over.",
		}, []string{"kind"}),
		suppressed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_anomalies_suppressed_total", Help: "Anomalies that were not told because a node has too many of a kind at once.",
		}, []string{"kind"}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_turns_stale_total", Help: "Bot results dropped because the conversation had moved on.",
		}),
		behaviors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_behavior_runs_total", Help: "Behaviors run off the mailbox.",
		}, []string{"result"}),
		appendFails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_append_failures_total", Help: "Appends that did not become durable, by class.",
		}, []string{"class"}),
		scoring: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_intent_queue_length", Help: "Utterances waiting for or in a scoring actor.",
		}),
		scoringFull: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_intent_queue_full_total", Help: "Utterances refused because the scoring queue was full.",
		}),
		requests: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_requests_inflight", Help: "Requests of sockets and calls that wait for a grain's answer.",
		}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_queue_waiting", Help: "Conversations waiting for an agent.",
		}, []string{"inbox"}),
		agents: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_queue_agents_online", Help: "Agents online for an inbox.",
		}, []string{"inbox"}),
		outbox: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "colloquy_outbox_rows", Help: "Outbound messages the courier has in hand.",
		}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_deliveries_total", Help: "Outbound messages by outcome; retry counts each failed try.",
		}, []string{"result"}),
		behind: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_reads_behind_total", Help: "Answers given while this node's copy of the journal did not show them yet.",
		}),
	}
	reg.MustRegister(m.accepted, m.duplicates, m.turns, m.turnCPU, m.handovers, m.moods, m.moodReasons,
		m.anomalies, m.anomalous, m.suppressed, m.stale, m.behaviors, m.appendFails, m.scoring,
		m.scoringFull, m.requests, m.waiting, m.agents, m.outbox, m.deliveries, m.behind)
	m.start()
	return m
}

// start makes the children of all known label values, so that series begin at
// zero.
func (m *metrics) start() {
	for _, k := range conversation.ChannelKinds() {
		m.accepted.WithLabelValues(string(k))
	}
	for _, r := range handoverReasons() {
		m.handovers.WithLabelValues(string(r))
	}
	for _, to := range []conversation.Temper{conversation.TemperCalm, conversation.TemperAngry} {
		m.moods.WithLabelValues(string(to))
	}
	for _, r := range conversation.MoodReasons() {
		m.moodReasons.WithLabelValues(string(r))
	}
	for _, k := range conversation.AnomalyKinds() {
		m.anomalous.WithLabelValues(string(k))
		m.suppressed.WithLabelValues(string(k))
		for _, c := range conversation.ChannelKinds() {
			m.anomalies.WithLabelValues(string(k), string(c))
		}
	}
	for _, r := range []string{"ok", "error", "panic", "timeout", "canceled"} {
		m.behaviors.WithLabelValues(r)
	}
	for _, r := range []string{"sent", "uncertain", "failed", "retry"} {
		m.deliveries.WithLabelValues(r)
	}
	for _, o := range []string{"answered", "clarified", "abstained", "handover", "stale", "silent"} {
		m.turns.WithLabelValues(o)
	}
	for _, c := range []string{"fenced", "conflict", "unavailable", "unknown", "other"} {
		m.appendFails.WithLabelValues(c)
	}
}

func handoverReasons() []conversation.HandoverReason {
	return []conversation.HandoverReason{
		conversation.HandoverAsked, conversation.HandoverAbstained, conversation.HandoverPolicy, conversation.HandoverBotFailed,
		conversation.HandoverNoBot, conversation.HandoverLookup, conversation.HandoverMissingSlot, conversation.HandoverByAgent,
		conversation.HandoverReopened, conversation.HandoverBehavior, conversation.HandoverAnger,
		conversation.HandoverAnomaly,
	}
}

// moodChanged counts a change of mood.
func (m *metrics) moodChanged(ev conversation.MoodChanged) {
	if ev.From != ev.To {
		m.moods.WithLabelValues(string(ev.To)).Inc()
	}
	for _, r := range ev.Reasons {
		m.moodReasons.WithLabelValues(string(r)).Inc()
	}
}

// handedOver counts a handover. A reason that a behavior has made up is no
// label: it may be any text.
func (m *metrics) handedOver(r conversation.HandoverReason) {
	if !slices.Contains(handoverReasons(), r) {
		r = conversation.HandoverBehavior
	}
	m.handovers.WithLabelValues(string(r)).Inc()
}
