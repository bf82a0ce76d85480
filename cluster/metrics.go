package cluster

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	active      *prometheus.GaugeVec
	activations *prometheus.CounterVec
	passivated  *prometheus.CounterVec
	overloaded  *prometheus.CounterVec
	restarts    *prometheus.CounterVec
	parked      *prometheus.CounterVec
	retries     *prometheus.CounterVec
	releases    *prometheus.CounterVec
	nacks       prometheus.Counter
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
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_grain_retries_total", Help: "Requests to other nodes that were sent again, by reason: moved, nack, silence, broken, left or nobody.",
		}, []string{"reason"}),
		releases: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_grain_releases_total", Help: "Grains taken over from a node that lives, by outcome: given or unanswered.",
		}, []string{"outcome"}),
		nacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_grain_nacks_total", Help: "Requests of other nodes that were sent back because the grain is not here.",
		}),
	}
	reg.MustRegister(m.active, m.activations, m.passivated, m.overloaded, m.restarts, m.parked, m.retries, m.releases, m.nacks)
	for _, l := range []string{"moved", "nack", "silence", "broken", "left", "nobody"} {
		m.retries.WithLabelValues(l)
	}
	for _, l := range []string{"given", "unanswered"} {
		m.releases.WithLabelValues(l)
	}
	for _, k := range kinds {
		for _, v := range []*prometheus.CounterVec{m.activations, m.passivated, m.overloaded, m.restarts, m.parked} {
			v.WithLabelValues(k.Name)
		}
		m.active.WithLabelValues(k.Name)
	}
	return m
}

// nodeMetrics are those of a node as a member.
type nodeMetrics struct {
	members      *prometheus.GaugeVec
	evictions    *prometheus.CounterVec
	votes        prometheus.Counter
	views        prometheus.Counter
	strangers    prometheus.Counter
	linkErrors   *prometheus.CounterVec
	remoteErrors *prometheus.CounterVec
}

func newNodeMetrics(reg prometheus.Registerer) *nodeMetrics {
	m := &nodeMetrics{
		members: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "colloquy_cluster_members", Help: "Members of the cluster in this node's view, by state: serving, waiting, draining or suspect.",
		}, []string{"state"}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_cluster_evictions_total", Help: "Members that left the view for good, by reason: voted, replaced or left.",
		}, []string{"reason"}),
		votes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_cluster_votes_total", Help: "Votes of this node that a member is gone.",
		}),
		views: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_cluster_view_changes_total", Help: "Views of the cluster that this node has published.",
		}),
		strangers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colloquy_cluster_strangers_total", Help: "Nodes kept out because of another cluster identity or a version too far away.",
		}),
		linkErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_cluster_link_errors_total", Help: "Failures on the link between nodes, by kind: accept, handshake, crowded or dial.",
		}, []string{"kind"}),
		remoteErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_cluster_remote_errors_total", Help: "Failures between the gates of nodes, by kind: broken, dial, panic, frame or overload.",
		}, []string{"kind"}),
	}
	reg.MustRegister(m.members, m.evictions, m.votes, m.views, m.strangers, m.linkErrors, m.remoteErrors)
	for vec, labels := range map[*prometheus.CounterVec][]string{
		m.evictions:    {tombVoted, tombReplaced, tombLeft},
		m.linkErrors:   {"accept", "handshake", "crowded", "dial"},
		m.remoteErrors: {"broken", "dial", "panic", "frame", "overload"},
	} {
		for _, l := range labels {
			vec.WithLabelValues(l)
		}
	}
	m.show(SingleNode(""))
	return m
}

// buried counts a tombstone. The reason comes from another node, so that only
// the known ones become a label.
func (m *nodeMetrics) buried(why string) {
	if why != tombReplaced && why != tombLeft {
		why = tombVoted
	}
	m.evictions.WithLabelValues(why).Inc()
}

func (m *nodeMetrics) show(v *View) {
	n := map[string]int{"serving": 0, "waiting": 0, "draining": 0, "suspect": 0}
	for _, member := range v.Members() {
		switch {
		case member.Suspect:
			n["suspect"]++
		case member.Draining:
			n["draining"]++
		case member.Serving:
			n["serving"]++
		default:
			n["waiting"]++
		}
	}
	for state, count := range n {
		m.members.WithLabelValues(state).Set(float64(count))
	}
	m.views.Inc()
}
