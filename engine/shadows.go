package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

const (
	// shadowTurns is how many turns are remembered, about two megabytes of them.
	shadowTurns = 1024
	// shadowText and shadowSaid are how many bytes of a text are.
	shadowText = 400
	shadowSaid = 800

	topicShadow = "shadow"
)

// shadows asks the engine that is compared, and remembers what came of the newest
// turns. It is a memory and no record: a restart forgets it, and the metrics keep
// the counts. Nodes tell each other, at best effort, so that each shows the turns
// of all.
//
// Concurrency: safe for all; the lock is a leaf.
type shadows struct {
	e       *Engine
	ask     predictAsync
	inboxes []conversation.InboxID
	metrics *shadowMetrics

	mu struct {
		sync.Mutex

		turns []gateway.ShadowTurn // a ring once it is full
		next  int
	}
}

func newShadows(e *Engine) *shadows {
	s := &shadows{e: e, metrics: newShadowMetrics(e.registry)}
	for _, id := range e.config.Intent.ShadowInboxes {
		s.inboxes = append(s.inboxes, conversation.InboxID(id))
	}
	return s
}

// Watches implements [actors.Shadow].
func (s *shadows) Watches(inbox conversation.InboxID) bool {
	return s.e.config.Intent.Shadow != BackendNone && (len(s.inboxes) == 0 || slices.Contains(s.inboxes, inbox))
}

// PredictAsync implements [actors.Shadow].
func (s *shadows) PredictAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error)) {
	s.ask(ctx, u, done)
}

// Saw implements [actors.Shadow].
func (s *shadows) Saw(t actors.ShadowTurn) {
	row := gateway.ShadowTurn{
		Conversation: t.Conversation, Seq: t.Seq, Inbox: t.Inbox, At: t.At, Silent: t.Silent, Own: verdictRow(&t.Own),
		Text: conversation.Text(cutText(string(t.Text), shadowText)), Failed: t.Err != nil,
	}
	if t.Other != nil {
		other := verdictRow(t.Other)
		row.Other, row.Same = &other, t.Own.Same(t.Other)
	}
	s.metrics.count(&row)
	s.keep(row)
	if s.e.node != nil {
		if b, err := json.Marshal(row); err == nil {
			s.e.gate.Broadcast(topicShadow, b)
		}
	}
}

// hear takes what another node saw.
func (s *shadows) hear(_ cluster.NodeID, payload []byte) {
	var row gateway.ShadowTurn
	if json.Unmarshal(payload, &row) == nil {
		s.keep(row)
	}
}

func (s *shadows) keep(row gateway.ShadowTurn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.turns) < shadowTurns {
		s.mu.turns = append(s.mu.turns, row)
		return
	}
	s.mu.turns[s.mu.next] = row
	s.mu.next = (s.mu.next + 1) % shadowTurns
}

// forget drops the turns of a conversation that was erased.
func (s *shadows) forget(id conversation.ConversationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.mu.turns {
		if s.mu.turns[i].Conversation == id {
			// It keeps its place in the ring, and nothing else.
			s.mu.turns[i] = gateway.ShadowTurn{At: s.mu.turns[i].At}
		}
	}
}

// Shadows implements [gateway.Shadows].
func (s *shadows) Shadows(q gateway.ShadowQuery) ([]gateway.ShadowTurn, gateway.ShadowTotals) {
	totals := gateway.ShadowTotals{Shadow: string(s.e.config.Intent.Shadow)}
	var out []gateway.ShadowTurn
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.turns)
	for i := range n {
		t := &s.mu.turns[(s.mu.next+n-1-i)%n]
		if totals.Since.IsZero() || t.At.Before(totals.Since) {
			totals.Since = t.At
		}
		if (!q.Conversation.IsZero() && q.Conversation != t.Conversation) || (q.Inbox != "" && q.Inbox != t.Inbox) || !q.May(t.Inbox) {
			continue
		}
		add(&totals, t)
		if differs := t.Other != nil && !t.Same; len(out) < q.Limit && (differs || !q.Differs) {
			out = append(out, *t)
		}
	}
	return out, totals
}

func add(totals *gateway.ShadowTotals, t *gateway.ShadowTurn) {
	totals.Turns++
	if t.Silent {
		totals.Silent++
	}
	switch {
	case t.Failed:
		totals.Failed++
	case t.Other != nil:
		totals.Compared++
		totals.Same += count(t.Same)
		totals.OwnAnswers += count(t.Own.Action == conversation.ActionAnswer)
		totals.OtherAnswers += count(t.Other.Action == conversation.ActionAnswer)
	}
}

func count(yes bool) int { //nolint:revive // it is what is counted
	if yes {
		return 1
	}
	return 0
}

func verdictRow(v *actors.Verdict) gateway.ShadowVerdict {
	return gateway.ShadowVerdict{
		Action: v.Action, Intent: v.Intent, Confidence: v.Confidence, Reason: v.Reason, Model: v.Model, Behavior: v.Behavior,
		Text: cutText(v.Text, shadowSaid),
	}
}

func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// shadowMetrics count what is compared. The rate of agreement is same among same
// and differs.
type shadowMetrics struct{ turns *prometheus.CounterVec }

func newShadowMetrics(reg prometheus.Registerer) *shadowMetrics {
	m := &shadowMetrics{turns: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "colloquy_intent_shadow_turns_total",
		Help: "Turns seen by the intent engine that answers nobody: same and differs compare it with the one that answers, failed gave nothing, silent only shows what a silent bot would say.",
	}, []string{"result"})}
	for _, r := range []string{"same", "differs", "failed", "silent"} {
		m.turns.WithLabelValues(r)
	}
	return m
}

func (m *shadowMetrics) count(t *gateway.ShadowTurn) {
	result := "silent"
	switch {
	case t.Failed:
		result = "failed"
	case t.Other != nil && t.Same:
		result = "same"
	case t.Other != nil:
		result = "differs"
	}
	m.turns.WithLabelValues(result).Inc()
}
