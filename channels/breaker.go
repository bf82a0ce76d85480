package channels

import (
	"sync"
	"time"
)

const (
	breakerStrikes  = 5 // failures in a row that pause an account
	breakerAuth     = 3 // what a refused credential counts for
	breakerCooldown = 5 * time.Second
	breakerCap      = 5 * time.Minute
	breakerProbing  = time.Second // others come back after this while one send tries
)

// breaker pauses an account whose provider keeps failing, so that a dead
// provider costs one attempt per pause and not one per message.
type breaker struct {
	mu struct {
		sync.Mutex

		strikes int       // failures in a row
		trips   int       // pauses in a row
		until   time.Time // paused before this; zero = closed
		probing bool
	}
}

// turn is how a breaker changed.
type turn uint8

const (
	turnNone turn = iota
	turnPaused
	turnResumed
)

// allow gives zero when a send may be made, and otherwise when to ask again. A
// send that was allowed must be reported by record.
func (b *breaker) allow(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.mu.until.IsZero():
		return 0
	case now.Before(b.mu.until):
		return b.mu.until.Sub(now)
	case b.mu.probing:
		return breakerProbing
	}
	b.mu.probing = true
	return 0
}

// record takes the outcome of an allowed send; nil is success.
func (b *breaker) record(err *SendError, now time.Time) turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	probe := b.mu.probing
	b.mu.probing = false
	weight, neutral := strike(err)
	switch {
	case neutral:
		return turnNone
	case weight == 0:
		paused := !b.mu.until.IsZero()
		b.mu.strikes, b.mu.trips, b.mu.until = 0, 0, time.Time{}
		if paused {
			return turnResumed
		}
		return turnNone
	}
	b.mu.strikes += weight
	wasPaused := !b.mu.until.IsZero()
	switch {
	case wasPaused && !probe:
		return turnNone // was under way when the account was paused
	case b.mu.strikes < breakerStrikes && !wasPaused:
		return turnNone
	}
	b.mu.until = now.Add(min(breakerCooldown<<min(b.mu.trips, 10), breakerCap))
	b.mu.trips++
	if wasPaused {
		return turnNone
	}
	return turnPaused
}

// strike says how much a failure tells about the account's health. A provider
// that refuses one message, or asks to slow down, is alive.
func strike(err *SendError) (weight int, neutral bool) {
	if err == nil {
		return 0, false
	}
	switch err.Class {
	case Retry, Unknown:
		return 1, false
	case Auth:
		return breakerAuth, false
	case Limited:
		return 0, true
	case Permanent, WindowClosed, Gone:
		return 0, false
	}
	return 1, false
}

// watched reports whether a success would change anything.
func (b *breaker) watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.strikes > 0 || !b.mu.until.IsZero()
}

// pausedTo says until when nothing is sent; zero when the account is not paused.
func (b *breaker) pausedTo() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.until
}
