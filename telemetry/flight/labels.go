package flight

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// labels give words numbers, so that records need no pointers. Words come from a
// small set: intents, outcomes, channels, behaviors.
//
// bound: maxLabels words; one that comes later is shown as otherLabel.
type labels struct {
	near  [nearLabels]atomic.Pointer[word] // of the words that share a place, the last one asked for
	known atomic.Pointer[map[string]*word] // replaced, never changed

	mu struct {
		sync.Mutex
		texts atomic.Pointer[[]string] // by number; only grows
	}
}

type word struct {
	text   string
	number uint16
}

const (
	maxLabels  = 4096
	nearLabels = 256
	otherLabel = "(other)"
	noLabel    = 0 // the empty word
	tooMany    = 1
)

func (l *labels) start() {
	l.known.Store(&map[string]*word{otherLabel: {text: otherLabel, number: tooMany}})
	l.mu.texts.Store(&[]string{"", otherLabel})
}

// of gives the number of a word.
func (l *labels) of(s string) uint16 {
	if s == "" {
		return noLabel
	}
	near := &l.near[nearPlace(s)]
	if w := near.Load(); w != nil && w.text == s {
		return w.number
	}
	w, ok := (*l.known.Load())[s]
	if !ok {
		if w = l.learn(s); w == nil {
			return tooMany
		}
	}
	near.Store(w)
	return w.number
}

// nearPlace is a hash that costs less than to look at all of the word, which is
// compared afterwards anyway.
func nearPlace(s string) uint8 {
	n := len(s)
	return uint8(n)*31 ^ s[0]*7 ^ s[n/2]*13 ^ s[n-1] //nolint:gosec // bits
}

// learn gives a word its number; nil when there are too many.
func (l *labels) learn(s string) *word {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, texts := *l.known.Load(), *l.mu.texts.Load()
	if w := known[s]; w != nil {
		return w
	}
	if len(texts) >= maxLabels {
		return nil
	}
	w := &word{text: strings.Clone(s), number: uint16(len(texts))} //nolint:gosec // below maxLabels
	texts = append(append([]string{}, texts...), w.text)
	l.mu.texts.Store(&texts)
	next := maps.Clone(known)
	next[w.text] = w
	l.known.Store(&next)
	return w
}

func (l *labels) text(n uint16) string {
	if texts := *l.mu.texts.Load(); int(n) < len(texts) {
		return texts[n]
	}
	return ""
}
