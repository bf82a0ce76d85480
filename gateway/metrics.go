package gateway

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// metrics are the series of this package. Every label value that is known is
// made at the start, so that series begin at zero.
type metrics struct {
	connections *prometheus.GaugeVec
	handshakes  *prometheus.CounterVec
	frames      *prometheus.CounterVec
	eventsOut   prometheus.Counter // of frames, found once because it is the hot one
	closes      *prometheus.CounterVec
	resumes     *prometheus.CounterVec
	requests    *prometheus.CounterVec
	requestTime prometheus.Histogram
	ackTime     prometheus.Histogram
	logins      *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	dropped     prometheus.Counter
	writes      prometheus.Counter
	panics      prometheus.Counter
	relayJunk   prometheus.Counter
	shed        prometheus.Counter
	crewWaiting prometheus.Gauge

	loopBusy    *prometheus.CounterVec
	loopStalls  *prometheus.CounterVec
	loopConns   *prometheus.GaugeVec
	loopWaiting *prometheus.GaugeVec
	loops       []loop.Load // what has been counted of them; touched by observeLoops only

	framesIn, framesOut map[string]prometheus.Counter // of frames, by the type of the frame
}

const resumeComplete = "complete"

func newMetrics(reg prometheus.Registerer, queues *outRules) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "colloquy", Subsystem: "gateway", Name: name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	single := func(name, help string) prometheus.Counter {
		v := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "colloquy", Subsystem: "gateway", Name: name, Help: help})
		reg.MustRegister(v)
		return v
	}
	latency := func(name, help string) prometheus.Histogram {
		v := prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "colloquy", Subsystem: "gateway", Name: name, Help: help,
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		})
		reg.MustRegister(v)
		return v
	}
	m := &metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "colloquy", Subsystem: "gateway", Name: "connections", Help: "WebSocket connections that are open.",
		}, []string{"role"}),
		handshakes:  counter("handshakes_total", "WebSocket upgrades asked for, by outcome.", "outcome"),
		frames:      counter("frames_total", "Frames of the client protocol, by direction and kind.", "direction", "type"),
		closes:      counter("closes_total", "Connections closed by this side, by close code.", "code"),
		resumes:     counter("resumes_total", "Cursors served, by outcome.", "outcome"),
		requests:    counter("requests_total", "HTTP requests answered, by class of status.", "status"),
		requestTime: latency("request_duration_seconds", "Time from the head of an HTTP request to its answer."),
		ackTime:     latency("ack_duration_seconds", "Time from a message frame to its ack."),
		logins:      counter("logins_total", "Logins tried, by outcome.", "outcome"),
		webhooks:    counter("webhook_messages_total", "Messages that came in by the webhook, by outcome.", "outcome"),
		dropped:     single("ephemera_dropped_total", "Typing, presence and queue frames dropped because a client read slowly."),
		writes:      single("writes_total", "Writes to sockets; each carries one or more frames."),
		relayJunk:   single("relay_refused_total", "Payloads of other nodes that were none."),
		panics:      single("panics_total", "Panics that were caught in connections and requests."),
		shed:        single("shed_total", "Connections closed at once because the process had no descriptor left."),
		crewWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "colloquy", Subsystem: "gateway", Name: "crew_waiting", Help: "Frames that wait for somebody to work on them, because they take time.",
		}),
		loopBusy:   counter("loop_busy_seconds_total", "Time that an event loop has worked; one that comes near a second a second is the limit.", "loop"),
		loopStalls: counter("loop_stalls_total", "Writes of an event loop that the kernel did not take whole, because a client reads slowly.", "loop"),
		loopConns: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "colloquy", Subsystem: "gateway", Name: "loop_connections", Help: "Connections that an event loop looks after.",
		}, []string{"loop"}),
		loopWaiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "colloquy", Subsystem: "gateway", Name: "loop_mailbox", Help: "Connections in the mailbox of an event loop; each is there once at most, so that none is ever refused.",
		}, []string{"loop"}),
		framesIn: map[string]prometheus.Counter{}, framesOut: map[string]prometheus.Counter{},
	}
	reg.MustRegister(m.connections, m.crewWaiting, m.loopConns, m.loopWaiting, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "colloquy", Subsystem: "gateway", Name: "queued_bytes", Help: "Bytes that wait for sockets to take them; what many wait for is counted for each.",
	}, func() float64 { return float64(queues.queued.Load()) }))
	m.eventsOut = m.frames.WithLabelValues("out", "event")
	m.start()
	return m
}

func (m *metrics) start() {
	for _, s := range []side{visitorSide, agentSide} {
		m.connections.WithLabelValues(s.String())
	}
	for _, o := range []string{"upgraded", "invalid", "refused", "limited", "draining"} {
		m.handshakes.WithLabelValues(o)
	}
	for _, k := range []string{"session", "message", "mark", "typing", "command", "subscribe", "presence", "ping", "invalid"} {
		m.frames.WithLabelValues("in", k)
	}
	for _, k := range []string{"session", "ack", "done", "error", "event", "ephemeral", "pong"} {
		m.frames.WithLabelValues("out", k)
	}
	// The hot ones are found once.
	for _, t := range []string{"message.send", "read", "delivered", "typing", "ping"} {
		m.framesIn[t] = m.frames.WithLabelValues("in", kindIn(t))
	}
	for _, t := range []string{"ack", "done", "pong"} {
		m.framesOut[t] = m.frames.WithLabelValues("out", kindOut(t))
	}
	for _, o := range []string{resumeComplete, string(wire.ResetEpochChanged), string(wire.ResetTooFarBehind), string(wire.ResetNotAvailable)} {
		m.resumes.WithLabelValues(o)
	}
	for _, o := range []string{"granted", "refused", "limited"} {
		m.logins.WithLabelValues(o)
	}
	for _, o := range []string{"replied", "accepted", "duplicate", "refused"} {
		m.webhooks.WithLabelValues(o)
	}
	for _, c := range wire.CloseCodes() {
		m.closes.WithLabelValues(strconv.Itoa(int(c.Code)))
	}
	for _, s := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		m.requests.WithLabelValues(s)
	}
}

// observeLoops takes over what the event loops have counted.
func (m *metrics) observeLoops(now []loop.Load) {
	for i, l := range now {
		if i >= len(m.loops) {
			m.loops = append(m.loops, loop.Load{})
		}
		name, before := strconv.Itoa(i), m.loops[i]
		m.loopBusy.WithLabelValues(name).Add((l.Busy - before.Busy).Seconds())
		m.loopStalls.WithLabelValues(name).Add(float64(l.Stalls - before.Stalls))
		m.loopConns.WithLabelValues(name).Set(float64(l.Connections))
		m.loopWaiting.WithLabelValues(name).Set(float64(l.Waiting))
		m.loops[i] = l
	}
}

// kindIn gives the kind that a frame from a client is counted as.
func kindIn(t string) string {
	switch t {
	case "hello":
		return "session"
	case "message.send", "note.add":
		return "message"
	case "read", "delivered":
		return "mark"
	case "typing", "presence", "ping", "invalid":
		return t
	case "subscribe", "unsubscribe":
		return "subscribe"
	}
	return "command"
}

// kindOut gives the kind that a frame to a client is counted as.
func kindOut(t string) string {
	switch t {
	case "ack", "done", "error", "event", "pong":
		return t
	case "typing", "presence", "queue.position":
		return "ephemeral"
	}
	return "session"
}

// frameIn counts a frame from a client.
func (m *metrics) frameIn(t string) {
	if c, ok := m.framesIn[t]; ok {
		c.Inc()
		return
	}
	m.frames.WithLabelValues("in", kindIn(t)).Inc()
}

// frameOut counts a frame to a client.
func (m *metrics) frameOut(t string) {
	if c, ok := m.framesOut[t]; ok {
		c.Inc()
		return
	}
	m.frames.WithLabelValues("out", kindOut(t)).Inc()
}

func (m *metrics) closed(code wire.CloseCode) {
	m.closes.WithLabelValues(strconv.Itoa(int(code))).Inc()
}

func (m *metrics) answered(status int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(status/100) + "xx").Inc()
	m.requestTime.Observe(took.Seconds())
}
