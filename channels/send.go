package channels

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// patience is how long a send waits for its turn inside Send. A longer wait is
// given back as [Limited], so that the caller can carry something else.
const patience = 2 * time.Second

// Send carries a message to the provider and gives the provider's name for it,
// or for its first part if it had to be split. A message that fails between
// two parts goes on at the part that failed when it is sent again; that is
// remembered in memory only.
//
// Errors: [*SendError].
func (c *Channel) Send(ctx context.Context, o conversation.Outbound) (string, error) {
	if c.Paused() {
		return "", held()
	}
	parts, err := c.parts(o)
	if err != nil {
		c.shared.metrics.sendErrors.WithLabelValues(string(c.Kind()), string(err.Class)).Inc()
		return "", err
	}
	key := keyOf(&o)
	done := c.progress.take(key)
	for i := done.parts; i < len(parts); i++ {
		id, err := c.sendPart(ctx, parts[i])
		if err != nil {
			c.shared.metrics.sendErrors.WithLabelValues(string(c.Kind()), string(err.Class)).Inc()
			c.progress.keep(key, done)
			return "", err.behind(done.parts, len(parts))
		}
		if i == 0 {
			done.id = id
		}
		done.parts = i + 1
	}
	return done.id, nil
}

// parts renders a message for the provider: its text, and behind it its files.
func (c *Channel) parts(o conversation.Outbound) ([]Part, *SendError) {
	files := c.outFiles(o)
	o.Attachments = nil
	text := o.Text
	if c.limits.Encloses > 0 {
		files, beyond := fitting(files, c.limits.Encloses)
		var err *SendError
		if text, err = withLinks(text, beyond); err != nil {
			err.Code = "files_too_large"
			return nil, err
		}
		return enclosing(c.textParts(o, text), o, files), nil
	}
	if _, carries := c.driver.(Media); !carries && len(files) > 0 {
		// Said before anything is sent: half a message would look like all of it.
		var err *SendError
		if text, err = withLinks(text, files); err != nil {
			return nil, err
		}
		files = nil
	}
	parts := c.textParts(o, text)
	key := conversation.MessageID(o.Conversation, o.Message)
	for i := range files {
		p := Part{Outbound: o, Key: key + "-f" + strconv.Itoa(i+1), File: &files[i]}
		p.Text, p.Buttons = "", nil
		parts = append(parts, p)
	}
	return parts, nil
}

// fitting gives the files that have room in so many bytes, and those that have not.
func fitting(files []OutFile, room int64) (fit, beyond []OutFile) {
	for _, f := range files {
		if f.Size > room {
			beyond = append(beyond, f)
			continue
		}
		room -= f.Size
		fit = append(fit, f)
	}
	return fit, beyond
}

// enclosing puts the files into the last part, or into one that has no text.
func enclosing(parts []Part, o conversation.Outbound, files []OutFile) []Part {
	if len(parts) == 0 {
		parts = []Part{{Outbound: o, Key: conversation.MessageID(o.Conversation, o.Message), Last: true}}
	}
	parts[len(parts)-1].Enclosed = files
	return parts
}

// textParts gives no part for a message of files only.
func (c *Channel) textParts(o conversation.Outbound, text conversation.Text) []Part {
	if text == "" && len(o.Buttons) == 0 {
		return nil
	}
	if c.limits.Dialect != nil {
		text = c.limits.Dialect(text)
	}
	if len(o.Buttons) > c.limits.Buttons {
		text = withButtons(text, o.Buttons)
		o.Buttons = nil
	}
	texts := Split(text, c.limits.MaxText, c.limits.Unit)
	key := keyOf(&o)
	parts := make([]Part, len(texts))
	for i, t := range texts {
		parts[i] = Part{Outbound: o, Key: key, Last: i == len(texts)-1}
		parts[i].Text = t
		if i > 0 {
			parts[i].Key = key + "-" + strconv.Itoa(i+1)
		}
		if !parts[i].Last {
			parts[i].Buttons = nil
		}
	}
	return parts
}

// keyOf names a message for the provider. One that carries others is another
// message than the first of them alone.
func keyOf(o *conversation.Outbound) string {
	key := conversation.MessageID(o.Conversation, o.Message)
	if n := len(o.Carries); n > 0 {
		key += "-with" + strconv.Itoa(n)
	}
	return key
}

// withButtons writes the labels below the text, for providers whose messages
// have no buttons: the visitor then types what they would have pressed.
func withButtons(text conversation.Text, buttons []conversation.Button) conversation.Text {
	var b strings.Builder
	b.WriteString(string(text))
	for i, button := range buttons {
		if i == 0 && text != "" {
			b.WriteString("\n")
		}
		b.WriteString("\n• " + button.Label)
	}
	return conversation.Text(strings.TrimLeft(b.String(), "\n"))
}

// sendPart waits for its turn and makes one call.
func (c *Channel) sendPart(ctx context.Context, p Part) (string, *SendError) {
	if err := c.waitForSlot(ctx); err != nil {
		return "", err
	}
	defer func() { <-c.sends }()
	if err := c.waitForPace(ctx, p.Peer); err != nil {
		return "", err
	}
	pass, err := c.pass(ctx)
	if err != nil {
		return "", err
	}
	p.ReplyTo = c.replies.take(p.Peer, time.Now())
	id, err := c.call(ctx, p)
	c.tell(ctx, pass, c.judge(ctx, p, err))
	return id, err
}

// call runs the driver under its deadline and counts.
func (c *Channel) call(ctx context.Context, p Part) (id string, failure *SendError) {
	m, kind := c.shared.metrics, string(c.Kind())
	started := time.Now()
	m.sends.WithLabelValues(kind).Inc()
	m.inFlight.WithLabelValues(kind).Inc()
	ctx, cancel := context.WithTimeout(ctx, c.limits.SendTimeout)
	defer func() {
		cancel()
		m.inFlight.WithLabelValues(kind).Dec()
		m.send.WithLabelValues(kind).Observe(time.Since(started).Seconds())
		if r := recover(); r != nil {
			c.logger.ErrorContext(ctx, "driver panicked on a send", "stack", string(debug.Stack()))
			id, failure = "", &SendError{Class: Unknown, Code: "driver_panicked"}
		}
	}()
	id, err := c.carry(ctx, p)
	failure = classified(err)
	c.health.sent(time.Now(), failure)
	if failure == nil {
		c.health.counted(&p.Outbound, time.Now())
	}
	return id, failure
}

// judge draws the conclusions that reach beyond the message, and gives what other
// nodes should know.
func (c *Channel) judge(ctx context.Context, p Part, err *SendError) Verdict {
	now := time.Now()
	var v Verdict
	if err != nil {
		v.Class = err.Class
	}
	if err != nil && ctx.Err() != nil {
		// The caller gave up; that says nothing about the provider.
		c.breaker.record(&SendError{Class: Limited}, now)
		return Verdict{Class: Limited}
	}
	if err != nil && err.Class == Limited {
		wait := err.After
		if wait <= 0 {
			wait = unstatedHold
		}
		wait = min(max(wait, minimumAfter), maxAfter)
		c.pace.hold(err.Scope, p.Peer, now, wait)
		if err.Scope == ScopeAccount {
			c.health.limited(now.Add(wait))
			v.Hold = wait
		}
	}
	switch c.breaker.record(err, now) {
	case turnPaused:
		c.shared.metrics.paused.WithLabelValues(string(c.Kind())).Inc()
		c.logger.WarnContext(ctx, "provider keeps failing, account paused", "err", err)
	case turnResumed:
		c.shared.metrics.paused.WithLabelValues(string(c.Kind())).Dec()
		c.logger.InfoContext(ctx, "provider answers again, account resumed")
	case turnNone:
	}
	if err != nil && err.Class == Gone && err.Scope == ScopeAccount {
		c.logger.ErrorContext(ctx, "provider says that the account's address is gone", "err", err)
	}
	return v
}

// waitForSlot takes one of the account's slots.
func (c *Channel) waitForSlot(ctx context.Context) *SendError {
	select {
	case c.sends <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return &SendError{Class: Limited, Scope: ScopeAccount, Code: "too_many_sends", After: time.Second, Idle: true}
	}
	select {
	case c.sends <- struct{}{}:
		return nil
	case <-ctx.Done():
		return notSent(ctx)
	}
}

// rate is what the account may send.
func (c *Channel) rate(ctx context.Context) Rate {
	if d, ok := c.driver.(Paced); ok {
		if rate, own := d.Pace(ctx, c.account); own {
			return rate
		}
	}
	return c.limits.Account
}

// waitForPace waits until the rates allow a send, unless that takes too long.
func (c *Channel) waitForPace(ctx context.Context, peer string) *SendError {
	rate := c.rate(ctx)
	deadline := time.Now().Add(patience)
	for {
		now := time.Now()
		c.pace.set(rate, c.shares())
		wait, scope := c.pace.take(peer, now)
		if wait == 0 {
			return nil
		}
		if err := waitFor(ctx, wait, deadline, scope); err != nil {
			return err
		}
	}
}

// waitFor waits, unless that takes until after the deadline.
func waitFor(ctx context.Context, wait time.Duration, deadline time.Time, scope Scope) *SendError {
	if time.Now().Add(wait).After(deadline) {
		return &SendError{Class: Limited, Scope: scope, Code: "paced", After: wait, Idle: true}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return notSent(ctx)
	}
}

func notSent(ctx context.Context) *SendError {
	return &SendError{Class: Retry, Code: "canceled", Idle: true, Err: fmt.Errorf("wait for a turn: %w", context.Cause(ctx))}
}
