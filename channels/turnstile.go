package channels

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Turnstiles is the way to the holders that let sends through for all nodes, one
// for each account. Without one every node would send at the account's whole rate,
// and find out by itself that its provider is failing.
//
// Concurrency: all methods may run together.
type Turnstiles interface {
	// Nodes says how many nodes send; 1 = there is nothing to share.
	Nodes() int
	// Ask asks for up to n sends at the account's rate. An error says that the holder
	// could not be asked.
	Ask(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, rate Rate, n int) (Pass, error)
	// Tell says what became of a send.
	Tell(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, v Verdict) error
}

// Pass is what a turnstile lets through.
type Pass struct {
	Sends   int           `json:"sends,omitempty"`   // that may be made; 0 = none now
	For     time.Duration `json:"for,omitempty"`     // they must have begun by then
	Wait    time.Duration `json:"wait,omitempty"`    // with no sends: ask again then
	Paused  bool          `json:"paused,omitempty"`  // the wait is because the provider keeps failing
	Watched bool          `json:"watched,omitempty"` // successes are to be told, too
}

// Verdict is what became of a send, as far as it tells something about the account.
type Verdict struct {
	Class Class         `json:"class,omitempty"` // empty = the provider took it
	Hold  time.Duration `json:"hold,omitempty"`  // the provider wants the account to send nothing for so long
}

const (
	passFor     = time.Second     // what is not used by then is let through again, to whoever asks
	passSends   = 32              // at once
	probeWithin = 2 * time.Minute // a probe that nobody has told of by then is forgotten
)

// Turnstile lets the sends of one account through: at its rate, and one at a time
// while its provider keeps failing. The zero value is open.
//
// Concurrency: one caller at a time.
type Turnstile struct {
	breaker breaker
	rule    rule
	clock   time.Time
	held    time.Time // the provider wants nothing before this; counted into clock at the next question, which brings the rate
	probed  time.Time // when a send was let through to see whether the provider answers again; zero = none is out
}

// Ask lets up to n sends through at a rate.
func (t *Turnstile) Ask(rate Rate, n int, now time.Time) Pass {
	t.rule = rate.rule()
	if clock := t.held.Add(t.rule.tolerance); clock.After(t.clock) {
		t.clock = clock // so that no burst follows the wait
	}
	if wait := t.rule.wait(t.clock, now); wait > 0 {
		return Pass{Wait: wait}
	}
	if !t.probed.IsZero() && now.Sub(t.probed) > probeWithin {
		t.Told(Verdict{Class: Limited}, now) // its node is gone
	}
	if wait := t.breaker.allow(now); wait > 0 {
		return Pass{Wait: wait, Paused: true}
	}
	p := Pass{For: passFor, Watched: t.breaker.watched()}
	n = min(max(n, 1), passSends)
	if !t.breaker.pausedTo().IsZero() {
		n, t.probed = 1, now
	}
	for p.Sends < n && t.rule.wait(t.clock, now) == 0 {
		t.clock = t.rule.advance(t.clock, now)
		p.Sends++
	}
	return p
}

// Told takes what became of a send.
func (t *Turnstile) Told(v Verdict, now time.Time) {
	if until := now.Add(v.Hold); v.Hold > 0 && until.After(t.held) {
		t.held = until
	}
	t.probed = time.Time{}
	t.breaker.record(asError(v.Class), now)
}
