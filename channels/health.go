package channels

import (
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Health is what this node has seen of an account since it started.
type Health struct {
	LastIn    time.Time `json:"last_in,omitzero"`     // a message came
	LastOut   time.Time `json:"last_out,omitzero"`    // a message was taken by the provider
	Error     string    `json:"error,omitempty"`      // class and code of the newest failure; empty after a success
	ErrorAt   time.Time `json:"error_at,omitzero"`    // of that failure
	PausedTo  time.Time `json:"paused_to,omitzero"`   // nothing is sent before this: the provider keeps failing
	LimitedTo time.Time `json:"limited_to,omitzero"`  // the provider asked to send nothing before this
	QuotaLeft *int      `json:"quota_left,omitempty"` // messages that the provider's window leaves the conversation with the fewest, of those written to; nil = it counts none
	WindowTo  time.Time `json:"window_to,omitzero"`   // until when that window is open
	Broken    bool      `json:"broken,omitempty"`     // the provider does not accept the account's credentials
	Pulling   bool      `json:"pulling,omitempty"`    // this node fetches the account's messages
}

// health remembers.
type health struct {
	mu struct {
		sync.Mutex

		Health

		tightest conversation.ConversationID // whose window QuotaLeft is about

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

// counted takes a message that a provider's window counts, after it was sent.
func (h *health) counted(o *conversation.Outbound, now time.Time) {
	room := o.Channel.Window().Messages
	if room == 0 || o.Count == 0 {
		return
	}
	left := max(room-o.Count, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	over := h.mu.QuotaLeft == nil || now.After(h.mu.WindowTo)
	if over || h.mu.tightest == o.Conversation || left <= *h.mu.QuotaLeft {
		h.mu.QuotaLeft, h.mu.WindowTo, h.mu.tightest = &left, o.WindowTo, o.Conversation
	}
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
	if out.PausedTo = c.breaker.pausedTo(); c.gate.pausedTo().After(out.PausedTo) {
		out.PausedTo = c.gate.pausedTo() // another node's sends failed
	}
	return out
}
