package channels

import (
	"sync"
	"time"
)

// Health is what this node has seen of an account since it started.
type Health struct {
	LastIn    time.Time `json:"last_in,omitzero"`    // a message came
	LastOut   time.Time `json:"last_out,omitzero"`   // a message was taken by the provider
	Error     string    `json:"error,omitempty"`     // class and code of the newest failure; empty after a success
	ErrorAt   time.Time `json:"error_at,omitzero"`   // of that failure
	PausedTo  time.Time `json:"paused_to,omitzero"`  // nothing is sent before this: the provider keeps failing
	LimitedTo time.Time `json:"limited_to,omitzero"` // the provider asked to send nothing before this
	Broken    bool      `json:"broken,omitempty"`    // the provider does not accept the account's credentials
	Pulling   bool      `json:"pulling,omitempty"`   // this node fetches the account's messages
}

// health remembers.
type health struct {
	mu struct {
		sync.Mutex

		Health

		pulls int // loops that fetch; two for a moment when the account changes
	}
}

func (h *health) received(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.LastIn = at
}

// sent takes the outcome of a call; nil is success.
func (h *health) sent(at time.Time, err *SendError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.mu.LastOut = at
	}
	h.judged(at, err)
}

// pulled takes the outcome of a fetch; nil is success.
func (h *health) pulled(at time.Time, err *SendError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.judged(at, err)
}

// judged draws the conclusions; the lock is held. A message that the provider
// refuses says nothing about the account.
func (h *health) judged(at time.Time, err *SendError) {
	if err == nil {
		h.mu.Error, h.mu.ErrorAt, h.mu.Broken = "", time.Time{}, false
		return
	}
	h.mu.Error, h.mu.ErrorAt = err.Detail(), at
	h.mu.Broken = h.mu.Broken || err.Class == Auth
}

// limited takes how long the provider wants to be left alone.
func (h *health) limited(to time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to.After(h.mu.LimitedTo) {
		h.mu.LimitedTo = to
	}
}

// pulling counts a loop that fetches, until the function that it gives is called.
func (h *health) pulling() (done func()) {
	count := func(n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.mu.pulls += n
		h.mu.Pulling = h.mu.pulls > 0
	}
	count(1)
	return func() { count(-1) }
}

// Health says how the account is, as this node has seen it.
func (c *Channel) Health() Health {
	c.health.mu.Lock()
	out := c.health.mu.Health
	c.health.mu.Unlock()
	out.PausedTo = c.breaker.pausedTo()
	return out
}
