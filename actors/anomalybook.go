package actors

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// maxAnomalous bounds the conversations that are known to be unlike others.
	maxAnomalous = 65_536
	// admitted is how many anomalies of a kind a node tells in a minute. If there
	// are more it is the node that has one, which is not told to every conversation
	// on it: there are alerts for that.
	admitted = 60
)

// anomalyBook knows which conversations of this node are unlike the others: what
// was found of them is neither over nor older than [conversation.AnomalyRest].
//
// Concurrency: all methods may run together.
type anomalyBook struct {
	anomalous  *prometheus.GaugeVec
	suppressed *prometheus.CounterVec
	mu         struct {
		sync.Mutex
		until  map[anomalyOf]time.Time
		minute time.Time // that told is about
		told   map[conversation.AnomalyKind]int
	}
}

type anomalyOf struct {
	id   conversation.ConversationID
	kind conversation.AnomalyKind
}

func newAnomalyBook(m *metrics) *anomalyBook {
	b := &anomalyBook{anomalous: m.anomalous, suppressed: m.suppressed}
	b.mu.until = map[anomalyOf]time.Time{}
	b.mu.told = map[conversation.AnomalyKind]int{}
	return b
}

// admit reports whether one more anomaly of a kind may be told now.
func (b *anomalyBook) admit(k conversation.AnomalyKind, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.mu.minute) >= time.Minute {
		b.mu.minute = now
		clear(b.mu.told)
	}
	if b.mu.told[k] >= admitted {
		b.suppressed.WithLabelValues(string(k)).Inc()
		return false
	}
	b.mu.told[k]++
	return true
}

// found enters an anomaly, or one that is known for some time more.
func (b *anomalyBook) found(id conversation.ConversationID, k conversation.AnomalyKind, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := anomalyOf{id, k}
	if _, known := b.mu.until[at]; !known {
		if len(b.mu.until) >= maxAnomalous {
			return
		}
		b.anomalous.WithLabelValues(string(k)).Inc()
	}
	b.mu.until[at] = now.Add(conversation.AnomalyRest)
}

// over takes out what has ended.
func (b *anomalyBook) over(id conversation.ConversationID, kinds ...conversation.AnomalyKind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mu.until) == 0 {
		return
	}
	for _, k := range kinds {
		b.remove(anomalyOf{id, k})
	}
}

func (b *anomalyBook) remove(at anomalyOf) {
	if _, known := b.mu.until[at]; known {
		delete(b.mu.until, at)
		b.anomalous.WithLabelValues(string(at.kind)).Dec()
	}
}

// expire takes out what is old.
func (b *anomalyBook) expire(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, until := range b.mu.until {
		if now.After(until) {
			b.remove(at)
		}
	}
}
