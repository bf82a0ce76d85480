package channels

import (
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// holdRepeat is what a provider is asked to wait before it repeats a delivery
	// to an account that is stopped.
	holdRepeat = time.Minute
	// holdLook is how often a message looks whether its account goes on.
	holdLook = 5 * time.Second
)

// errHeld says that nothing was tried, because an admin has stopped the account.
var errHeld = errors.New("the account is stopped")

// Paused reports whether an admin has stopped the account: it takes no delivery,
// fetches nothing and sends nothing until it is resumed. That is stored, unlike
// the pause that a failing provider earns.
func (c *Channel) Paused() bool { return c.shared.paused(c.Kind(), c.account) }

// notNow is the answer to a delivery while the account is stopped. It is a fault
// of ours for a while, so that providers that repeat do so.
func (c *Channel) notNow() reply {
	return reply{
		Answer: Refusal(conversation.Refuse(conversation.CodeUnavailable, "the account is paused; repeat the delivery later")),
		after:  holdRepeat,
	}
}

// held is what a send gets while the account is stopped.
func held() *SendError {
	return &SendError{Class: Limited, Scope: ScopeAccount, Code: "paused_by_admin", After: holdLook, Idle: true, Err: errHeld}
}

// Idle reports whether err says that no call was made, because it was not the
// message's turn. That counts as no attempt, but its time goes on.
func Idle(err error) bool {
	var e *SendError
	return errors.As(err, &e) && e.Idle
}

// Held reports whether err says that nothing was tried because an admin has
// stopped the account. Such a message waits as long as the account does: its
// attempts and their time are counted anew afterwards.
func Held(err error) bool { return errors.Is(err, errHeld) }
