package channels

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Sender carries outbound messages through whichever channel they belong to.
type Sender struct {
	registry *Registry
}

// NewSender makes a sender over the channels of r.
func NewSender(r *Registry) *Sender { return &Sender{registry: r} }

// Send carries o to its provider and gives the provider's name for it.
//
// Errors: [*SendError]. What to do then, [Sender.Next] says.
func (s *Sender) Send(ctx context.Context, o conversation.Outbound) (string, error) {
	c, err := s.registry.find(o.Channel, o.Inbox)
	switch {
	case errors.Is(err, conversation.ErrNotFound):
		return "", &SendError{Class: Permanent, Scope: ScopeAccount, Code: "no_inbox"}
	case errors.Is(err, conversation.ErrInvalid):
		return "", &SendError{Class: Permanent, Scope: ScopeAccount, Code: "no_driver"}
	case err != nil:
		return "", &SendError{Class: Retry, Scope: ScopeAccount, Code: "no_inbox_yet", Err: err}
	}
	return c.Send(ctx, o)
}

// Next decides what becomes of o after attempt number attempt failed with err,
// and says why in words that may be kept with the message.
func (s *Sender) Next(o conversation.Outbound, err error, attempt int, first time.Time) (Step, string) {
	failure := classified(err)
	if failure == nil {
		return Step{Result: conversation.DeliverySent}, ""
	}
	if Held(failure) {
		return Step{Result: conversation.DeliveryPending, At: time.Now().Add(spread(holdLook, jitter(o, attempt)))}, failure.Detail()
	}
	step := Next(failure.Class, Attempt{
		Number: attempt, First: first, Now: time.Now(), After: failure.After,
		Idempotent: s.idempotent(o) && !failure.Once, Jitter: jitter(o, attempt),
	})
	return step, failure.Detail()
}

func (s *Sender) idempotent(o conversation.Outbound) bool {
	c, ok := s.registry.For(o.Channel, o.Inbox)
	return ok && c.limits.Idempotent
}

// jitter gives a number between 0 and 1 that differs between messages and
// between attempts, and is the same on every node.
func jitter(o conversation.Outbound, attempt int) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(conversation.MessageID(o.Conversation, o.Message)))
	_, _ = h.Write([]byte(strconv.Itoa(attempt)))
	return float64(h.Sum64()>>11) / (1 << 53)
}
