package flight

import (
	"maps"
	"sync"
	"sync/atomic"
)

// labels give words numbers, so that records need no pointers. Words come from a
// small set: intents, outcomes, channels, behaviors.
//
// bound: maxLabels words; one that comes later is shown as otherLabel.
type labels struct {
	known atomic.Pointer[map[string]uint16] // replaced, never changed

	mu struct {
		sync.Mutex
		texts atomic.Pointer[[]string] // by number; only grows
	}
}

const (
	maxLabels  = 4096
	otherLabel = "(other)"
	noLabel    = 0 // the empty word
	tooMany    = 1
)

func (l *labels) start() {
	l.known.Store(&map[string]uint16{"": noLabel, otherLabel: tooMany})
	l.mu.texts.Store(&[]string{"", otherLabel})
}

// of gives the number of a word.
func (l *labels) of(s string) uint16 {
	if s == "" {
		return noLabel
	}
	if n, ok := (*l.known.Load())[s]; ok {
		return n
	}
	return l.learn(s)
}

func (l *labels) learn(s string) uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := *l.known.Load()
	if n, ok := known[s]; ok {
		return n
	}
	if len(known) >= maxLabels {
		return tooMany
	}
	n := uint16(len(known)) //nolint:gosec // below maxLabels
	texts := append(append([]string{}, *l.mu.texts.Load()...), s)
	l.mu.texts.Store(&texts)
	next := maps.Clone(known)
	next[s] = n
	l.known.Store(&next)
	return n
}

func (l *labels) text(n uint16) string {
	if texts := *l.mu.texts.Load(); int(n) < len(texts) {
		return texts[n]
	}
	return ""
}
