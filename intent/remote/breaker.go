package remote

import (
	"sync"
	"time"
)

const (
	breakerStrikes  = 5 // failures in a row that open it
	breakerCooldown = time.Second
	breakerCap      = 30 * time.Second
)

// breaker spares turns the wait for a backend that keeps failing: while it is
// open nothing is asked, then one request probes and the others go on without.
type breaker struct {
	mu struct {
		sync.Mutex

		strikes int       // failures in a row
		trips   int       // times opened in a row
		until   time.Time // open before this; zero = closed
		probing time.Time // a probe is under way and has this long to report; zero = none
	}
}

// pass is what a breaker gives to a request.
type pass uint8

const (
	passNone   pass = iota // not to be made
	passNormal             // to be made
	passProbe              // to be made, and told: others wait for its outcome
)

// change is how a breaker changed.
type change uint8

const (
	changeNone change = iota
	changeOpened
	changeClosed
)

// allow says whether a request may be made. patience is how long a probe has to be
// told of; then another one may be made.
func (b *breaker) allow(now time.Time, patience time.Duration) pass {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.mu.until.IsZero():
		return passNormal
	case now.Before(b.mu.until), now.Before(b.mu.probing):
		return passNone
	}
	b.mu.probing = now.Add(patience)
	return passProbe
}

// open reports whether requests that are no probe are refused.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.mu.until.IsZero()
}

// succeeded and failed take the outcome of a request. What was under way when
// the breaker opened no longer counts; only the probe does.
func (b *breaker) succeeded(as pass) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen := !b.mu.until.IsZero()
	if wasOpen && as != passProbe {
		return changeNone
	}
	b.mu.strikes, b.mu.trips, b.mu.until, b.mu.probing = 0, 0, time.Time{}, time.Time{}
	if wasOpen {
		return changeClosed
	}
	return changeNone
}

func (b *breaker) failed(as pass, now time.Time) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen := !b.mu.until.IsZero()
	if wasOpen && as != passProbe {
		return changeNone
	}
	if b.mu.strikes++; b.mu.strikes < breakerStrikes && !wasOpen {
		return changeNone
	}
	b.mu.until = now.Add(min(breakerCooldown<<min(b.mu.trips, 8), breakerCap))
	b.mu.trips++
	b.mu.probing = time.Time{}
	if wasOpen {
		return changeNone
	}
	return changeOpened
}
