package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Letters keeps what could not be handed in, so that a person can look at it.
type Letters interface {
	// Keep stores a letter. header is that of a delivery, and secret.
	Keep(ctx context.Context, l conversation.DeadLetter, header map[string][]string) error
}

const (
	// letterEvery and letterBurst bound what one account writes into the journal
	// because somebody sends it garbage.
	letterEvery = time.Second
	letterBurst = 20

	maxLetterReason = 300 // bytes
)

// letterRate lets through the letters of one account.
type letterRate struct {
	mu struct {
		sync.Mutex

		clock time.Time
	}
}

func (l *letterRate) take(now time.Time) bool {
	r := rule{interval: letterEvery, tolerance: letterEvery * (letterBurst - 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.wait(l.mu.clock, now) > 0 {
		return false
	}
	l.mu.clock = r.advance(l.mu.clock, now)
	return true
}

// keepDelivery keeps a delivery that the driver could not make anything of.
func (c *Channel) keepDelivery(ctx context.Context, r Request, body []byte, why error) {
	d := &conversation.DeadDelivery{Method: r.Method, Query: r.Query.Encode(), Body: body}
	if len(body) > conversation.MaxDeadLetterBody {
		d.Body, d.Cut = body[:conversation.MaxDeadLetterBody], true
	}
	c.keep(ctx, conversation.DeadLetter{At: r.At, Delivery: d}, r.Header, why)
}

// keepEvent keeps an event that was refused for good, if it was.
func (c *Channel) keepEvent(ctx context.Context, e *Event, why error) {
	if why == nil || e.Receipt != nil || redelivering(ctx) {
		return
	}
	b, err := json.Marshal(e)
	if err != nil || len(b) > conversation.MaxDeadLetterBody {
		// It can only be looked at: what it says is no event any more.
		c.keep(ctx, conversation.DeadLetter{At: time.Now(), Delivery: &conversation.DeadDelivery{
			Body: b[:min(len(b), conversation.MaxDeadLetterBody)], Cut: true,
		}}, nil, why)
		return
	}
	c.keep(ctx, conversation.DeadLetter{At: time.Now(), Event: b}, nil, why)
}

func (c *Channel) keep(ctx context.Context, l conversation.DeadLetter, header map[string][]string, why error) {
	l.Inbox, l.Channel, l.Direction, l.Reason, l.At = c.account, c.Kind(), conversation.DirectionIn, reasonText(why), l.At.UTC()
	if c.shared.letters == nil || redelivering(ctx) {
		return
	}
	if !c.letters.take(time.Now()) {
		c.logger.DebugContext(ctx, "too many dead letters, one not kept")
		return
	}
	if err := c.shared.letters.Keep(ctx, l, header); err != nil {
		c.logger.WarnContext(ctx, "dead letter not kept", "err", err)
		return
	}
	c.shared.metrics.letters.WithLabelValues(string(c.Kind())).Inc()
}

// reasonText says in words why something was refused, without what it held.
func reasonText(err error) string {
	s := string(conversation.CodeOf(err))
	var e *conversation.Error
	if errors.As(err, &e) && e.Detail != "" {
		s += ": " + e.Detail
	}
	return s[:min(len(s), maxLetterReason)]
}

// redeliverKey marks the context of a letter that is tried again: what fails then
// is a letter already.
type redeliverKey struct{}

func redelivering(ctx context.Context) bool { return ctx.Value(redeliverKey{}) != nil }

// Redeliver takes an inbound letter the way that it should have gone, with the
// headers of its delivery. Events that were stored meanwhile are recognized.
//
// Errors: why it cannot be handed in now either; class ErrInvalid for a letter of
// which only a part was kept.
func (c *Channel) Redeliver(ctx context.Context, l *conversation.DeadLetter, header map[string][]string) error {
	ctx = context.WithValue(ctx, redeliverKey{}, true)
	events, err := c.eventsOf(ctx, l, header)
	if err != nil {
		return err
	}
	outcomes, err := c.handIn(ctx, events, 0)
	if err != nil {
		return err
	}
	for i := range outcomes {
		if outcomes[i].Err != nil {
			return outcomes[i].Err
		}
	}
	return nil
}

// eventsOf gives what a letter says. The driver is told the time at which the
// delivery came, so that it can check the signature as it was then.
func (c *Channel) eventsOf(ctx context.Context, l *conversation.DeadLetter, header map[string][]string) ([]Event, error) {
	d := l.Delivery
	switch {
	case d == nil:
		var e Event
		if err := json.Unmarshal(l.Event, &e); err != nil {
			return nil, fmt.Errorf("read the event of dead letter %s: %w", l.ID, err)
		}
		return []Event{e}, nil
	case d.Cut:
		return nil, conversation.Refusef(conversation.CodeInvalid, "only the first %d bytes were kept, which cannot be tried again", len(d.Body))
	}
	query, err := url.ParseQuery(d.Query)
	if err != nil {
		return nil, conversation.Refuse(conversation.CodeInvalid, "the query of the delivery cannot be read")
	}
	events, ack, err := c.translate(ctx, Request{Method: d.Method, Header: header, Query: query, Account: c.account, At: l.At}, d.Body)
	if err == nil && ack.Pull != "" {
		err = c.pullAnnounced(ctx, ack.Pull)
	}
	return events, err
}
