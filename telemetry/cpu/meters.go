package cpu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Accounting says which segments are measured.
type Accounting string

// The ways of accounting.
const (
	Exact   Accounting = "exact"   // all
	Sampled Accounting = "sampled" // one of many, by chance, which counts for all of them
	Off     Accounting = "off"     // none
)

// Options configure [NewMeters]. Zero means the default.
type Options struct {
	Accounting Accounting    // default: exact
	Every      int           // sampled: one of so many segments is measured; default 16
	Top        int           // conversations with a series of their own in /metrics; default 100
	Forget     time.Duration // a conversation that costs nothing for so long is forgotten; longer than it stays in memory; default 15 min
}

// The limits of [Options].
const (
	maxEvery = 10_000
	maxTop   = 1_000
)

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	var errs []error
	switch o.Accounting {
	case "", Exact, Sampled, Off:
	default:
		errs = append(errs, fmt.Errorf("accounting: %q is none of exact, sampled, off", o.Accounting))
	}
	if o.Every < 0 || o.Every > maxEvery {
		errs = append(errs, fmt.Errorf("every: %d is not between 1 and %d", o.Every, maxEvery))
	}
	if o.Top < 0 || o.Top > maxTop {
		errs = append(errs, fmt.Errorf("top: %d is not between 0 and %d", o.Top, maxTop))
	}
	return errors.Join(errs...)
}

// Meters are the meters of all conversations that are, or just were, active on
// this node.
//
// Concurrency: all methods may run together.
type Meters struct {
	options     Options
	every       uint32 // one of so many segments is measured; 0 = none
	lockedMost  int32
	locked      atomic.Int32
	approximate atomic.Int64
	total       atomic.Int64 // ns

	mu struct {
		sync.RWMutex
		meters map[string]*Meter
	}
	ranks ranks
}

// Beyond what the processors can do at a time, a locked goroutine is one that
// waits, and each costs a thread; Go ends a process of ten thousand.
const (
	lockedPerProcessor = 4
	lockedBesides      = 64
)

// maxMeters bounds the memory that ids take which somebody makes up.
const maxMeters = 250_000

// NewMeters makes the books of a node. The options have to be valid.
func NewMeters(o Options) *Meters {
	if o.Accounting == "" {
		o.Accounting = Exact
	}
	if o.Every == 0 {
		o.Every = 16
	}
	if o.Top == 0 {
		o.Top = 100
	}
	if o.Forget == 0 {
		o.Forget = 15 * time.Minute
	}
	ms := &Meters{options: o, lockedMost: int32(lockedPerProcessor*runtime.GOMAXPROCS(0) + lockedBesides)} //nolint:gosec // a small number
	switch o.Accounting {
	case Exact:
		ms.every = 1
	case Sampled:
		ms.every = uint32(o.Every) //nolint:gosec // bounded by Validate
	case Off:
	}
	ms.mu.meters = make(map[string]*Meter)
	return ms
}

// picks says whether a segment is measured.
func (ms *Meters) picks() bool {
	return ms.every == 1 || ms.every > 1 && rand.Uint32N(ms.every) == 0 //nolint:gosec // a sample
}

// Of gives the meter of a conversation, which is made if there is none. It is
// nil, and measures nothing, for nil meters and when there are too many.
func (ms *Meters) Of(conversation string) *Meter {
	if ms == nil {
		return nil
	}
	ms.mu.RLock()
	m := ms.mu.meters[conversation]
	ms.mu.RUnlock()
	if m != nil {
		return m
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m = ms.mu.meters[conversation]; m == nil && len(ms.mu.meters) < maxMeters {
		m = newMeter(ms, conversation)
		ms.mu.meters[conversation] = m
	}
	return m
}

// Find gives what a conversation has cost on this node; false when nothing is
// known of it here.
func (ms *Meters) Find(conversation string) (Session, bool) {
	ms.mu.RLock()
	m := ms.mu.meters[conversation]
	ms.mu.RUnlock()
	return m.Session()
}

// Watch keeps a conversation among those with a series of their own until a
// time, whatever it costs. False when it is not active on this node.
func (ms *Meters) Watch(conversation string, until time.Time) bool {
	ms.mu.RLock()
	defer ms.mu.RUnlock()
	m := ms.mu.meters[conversation]
	if m == nil {
		return false
	}
	m.watched.Store(until.UnixNano())
	return true
}

// Run surveys the conversations until ctx ends.
func (ms *Meters) Run(ctx context.Context) {
	tick := time.NewTicker(surveyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			ms.survey(now)
		}
	}
}

func (ms *Meters) all() []*Meter {
	ms.mu.RLock()
	defer ms.mu.RUnlock()
	out := make([]*Meter, 0, len(ms.mu.meters))
	for _, m := range ms.mu.meters {
		out = append(out, m)
	}
	return out
}

func (ms *Meters) len() int {
	ms.mu.RLock()
	defer ms.mu.RUnlock()
	return len(ms.mu.meters)
}

func (ms *Meters) forget(list []*Meter) {
	if len(list) == 0 {
		return
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, m := range list {
		delete(ms.mu.meters, m.id)
	}
}
