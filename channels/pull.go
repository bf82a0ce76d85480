package channels

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Puller is a driver that fetches what visitors write, because the provider does
// not deliver it, or only announces it.
type Puller interface {
	Driver
	// Pull asks once for what came after the cursor, waiting for it if the
	// provider can make it wait. It changes nothing but what the provider itself
	// forgets once a later cursor is presented.
	//
	// Errors: [ErrDelivered] for an account that needs no fetching, else
	// [*SendError].
	Pull(ctx context.Context, p Pull) (Pulled, error)
}

// Pull asks for events.
type Pull struct {
	Account conversation.InboxID
	Cursor  []byte // nil = from the beginning
	Hint    string // of the delivery that announced them; empty = nobody did
	At      time.Time
}

// Pulled is what came.
type Pulled struct {
	Events []Event
	Cursor []byte        // behind them; nil = the same as before
	More   bool          // more are there already
	Wait   time.Duration // before the next look when nothing more is there; zero = look again soon
}

// ErrDelivered says that an account's messages are delivered, so that there is
// nothing to fetch until the account changes.
var ErrDelivered = errors.New("the account's messages are delivered")

// Cursors keeps how far each account's events were fetched, durably and the same
// on all nodes.
type Cursors interface {
	// Cursor gives the newest cursor and its version; nil and zero at first.
	Cursor(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID) (cursor []byte, version uint64, err error)
	// SetCursor stores a cursor that follows the one of that version. Errors:
	// class ErrConflict when another node was faster.
	SetCursor(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, version uint64, cursor []byte) error
}

// memoryCursors are those of a registry that was given none.
type memoryCursors struct {
	mu struct {
		sync.Mutex

		of map[place]memoryCursor
	}
}

type memoryCursor struct {
	cursor  []byte
	version uint64
}

// Cursor implements [Cursors].
func (m *memoryCursors) Cursor(
	_ context.Context, kind conversation.ChannelKind, inbox conversation.InboxID,
) (cursor []byte, version uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.mu.of[place{kind, inbox}]
	return c.cursor, c.version, nil
}

// SetCursor implements [Cursors].
func (m *memoryCursors) SetCursor(
	_ context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, version uint64, cursor []byte,
) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := place{kind, inbox}
	if m.mu.of[at].version != version {
		return conversation.Refuse(conversation.CodeConflict, "another cursor is newer")
	}
	if m.mu.of == nil {
		m.mu.of = make(map[place]memoryCursor)
	}
	m.mu.of[at] = memoryCursor{cursor, version + 1}
	return nil
}

const (
	pullTimeout = time.Minute // one look, and storing what it brought
	pullLeast   = time.Second // between two looks that brought nothing
	pullRounds  = 100         // looks for one announcement
)

// PullLoop fetches the account's events until ctx ends or the account turns out
// to need no fetching. One node of a cluster should do it for an account at a
// time; if two do, events are stored once all the same.
func (c *Channel) PullLoop(ctx context.Context) {
	p, ok := c.driver.(Puller)
	if !ok {
		return
	}
	defer c.health.pulling()()
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		wait, err := c.pullOnce(ctx, p, "")
		switch {
		case errors.Is(err, ErrDelivered):
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			wait = pauseAfter(err, failures)
			c.logger.WarnContext(ctx, "messages not fetched", "err", err)
		default:
			failures = 0
		}
		if rest := pullLeast - time.Since(began); wait >= 0 {
			pause(ctx, max(wait, rest))
		}
	}
}

// pauseAfter says how long to leave a provider alone that failed.
func pauseAfter(err error, failures int) time.Duration {
	wait := backoff(failures)
	var e *SendError
	if errors.As(err, &e) {
		wait = max(wait, min(e.After, maxAfter))
	}
	return wait
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// pullAnnounced fetches everything that a delivery has announced.
func (c *Channel) pullAnnounced(ctx context.Context, hint string) error {
	p, ok := c.driver.(Puller)
	if !ok {
		return conversation.Refuse(conversation.CodeInternal, "the driver announces events that it cannot fetch")
	}
	for range pullRounds {
		wait, err := c.pullOnce(ctx, p, hint)
		var failure *SendError
		switch {
		case errors.As(err, &failure): // the provider repeats the announcement
			return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the events could not be fetched", Err: err}
		case err != nil:
			return err
		case wait >= 0:
			return nil
		}
	}
	return nil
}

// pullOnce makes one look: fetch, store, remember. It gives how long to wait
// until the next, negative when more is there already.
func (c *Channel) pullOnce(ctx context.Context, p Puller, hint string) (time.Duration, error) {
	select {
	case c.pulling <- struct{}{}:
		defer func() { <-c.pulling }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for another look: %w", ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	cursor, version, err := c.shared.cursors.Cursor(ctx, c.Kind(), c.account)
	if err != nil {
		return 0, fmt.Errorf("read the cursor: %w", err)
	}
	got, err := p.Pull(ctx, Pull{Account: c.account, Cursor: cursor, Hint: hint, At: time.Now()})
	if errors.Is(err, ErrDelivered) {
		return 0, err
	}
	failure := classified(err)
	c.health.pulled(time.Now(), failure)
	if failure != nil {
		return 0, failure
	}
	if _, err := c.handIn(ctx, got.Events, 0); err != nil {
		return 0, err
	}
	if len(got.Events) > 0 {
		c.health.received(time.Now())
	}
	if got.Cursor != nil && string(got.Cursor) != string(cursor) {
		err = c.shared.cursors.SetCursor(ctx, c.Kind(), c.account, version, got.Cursor)
		if err != nil && !errors.Is(err, conversation.ErrConflict) {
			return 0, fmt.Errorf("store the cursor: %w", err)
		}
	}
	if got.More || len(got.Events) > 0 {
		return -1, nil
	}
	return max(got.Wait, 0), nil
}
