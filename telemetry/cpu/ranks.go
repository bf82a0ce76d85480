package cpu

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// ranks are which conversations cost most.
type ranks struct {
	mu struct {
		sync.Mutex
		at time.Time // of the last survey
	}
}

const (
	surveyEvery = 10 * time.Second
	recently    = time.Minute
	// stay is how long a conversation keeps its series at least: one that came
	// and went with every scrape would be of no use, and cost a series each time.
	stay = 5 * time.Minute
	// MaxSessions bounds a list of sessions.
	MaxSessions = 10_000
)

// survey finds out what each conversation cost of late and which cost most, and
// forgets those that have cost nothing for long.
func (ms *Meters) survey(now time.Time) {
	ms.ranks.mu.Lock()
	defer ms.ranks.mu.Unlock()
	fade := 0.0
	if !ms.ranks.mu.at.IsZero() {
		fade = math.Exp(-float64(now.Sub(ms.ranks.mu.at)) / float64(recently))
	}
	ms.ranks.mu.at = now
	all := ms.all()
	var old []*Meter
	active := all[:0]
	for _, m := range all {
		spent := m.spent.Load()
		m.recent = m.recent*fade + float64(spent-m.counted)
		if spent != m.counted {
			m.counted = spent
			m.last.Store(max(m.last.Load(), now.UnixNano()))
		}
		if now.UnixNano()-m.last.Load() > int64(ms.options.Forget) && !m.isWatched(now) {
			m.shown.Store(false)
			old = append(old, m)
			continue
		}
		active = append(active, m)
	}
	ms.forget(old)
	ms.rank(active, now)
}

// rank chooses the conversations that get a series of their own.
func (ms *Meters) rank(active []*Meter, now time.Time) {
	slices.SortFunc(active, func(a, b *Meter) int {
		return cmp.Or(cmp.Compare(b.recent, a.recent), cmp.Compare(a.id, b.id))
	})
	for i, m := range active {
		if i < ms.options.Top && m.recent > 0 {
			m.top = now.Add(stay)
		}
	}
	// Who was among the top a while ago stays, but not without end: twice as many
	// series are the most.
	room := 2 * ms.options.Top
	for _, m := range active {
		show := m.isWatched(now)
		if !show && room > 0 && now.Before(m.top) {
			show = true
			room--
		}
		m.shown.Store(show)
	}
}

// Order is what sessions are sorted by.
type Order string

// The orders; the highest comes first.
const (
	ByCPU    Order = "cpu"
	ByRecent Order = "recent"
	ByTurns  Order = "turns"
	ByLast   Order = "last"
)

// Query asks for sessions.
type Query struct {
	Order   Order
	Channel string // empty = all
	Limit   int    // at most MaxSessions
}

// Sessions lists the conversations that are, or just were, active on this node.
func (ms *Meters) Sessions(q Query) []Session {
	now := time.Now()
	out := ms.sessions(now)
	if q.Channel != "" {
		out = slices.DeleteFunc(out, func(s Session) bool { return s.Channel != q.Channel })
	}
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(q.Order.compare(&a, &b), cmp.Compare(a.Conversation, b.Conversation))
	})
	return out[:min(len(out), max(q.Limit, 0), MaxSessions)]
}

func (ms *Meters) sessions(now time.Time) []Session {
	all := ms.all()
	ms.ranks.mu.Lock()
	defer ms.ranks.mu.Unlock()
	out := make([]Session, len(all))
	for i, m := range all {
		out[i] = m.session(now)
		out[i].Recent = time.Duration(m.recent).Seconds()
	}
	return out
}

func (o Order) compare(a, b *Session) int {
	switch o {
	case ByRecent:
		return cmp.Compare(b.Recent, a.Recent)
	case ByTurns:
		return cmp.Compare(b.Turns, a.Turns)
	case ByLast:
		return b.Last.Compare(a.Last)
	case ByCPU:
	}
	return cmp.Compare(b.CPU, a.CPU)
}
