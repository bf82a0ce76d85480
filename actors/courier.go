package actors

import (
	"context"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Sender brings outbound messages to their providers.
type Sender interface {
	// Send makes one attempt. attempt counts from 1; first is when the first
	// attempt was made.
	Send(ctx context.Context, out conversation.Outbound, attempt int, first time.Time) Attempt
}

// Attempt is what came of sending a message once.
type Attempt struct {
	Result     conversation.Delivery // DeliveryPending = try again at RetryAt
	ProviderID string
	Detail     string // error class and code; never message text
	RetryAt    time.Time
}

// The limits of the courier.
const (
	sendTimeout   = 30 * time.Second
	outboxPage    = 512
	outboxRefresh = 30 * time.Second
	recordTimeout = 10 * time.Second
	recordRetry   = 2 * time.Second
)

// courier sends what is in the outbox: rows come from the journal when it
// starts and from the apply stream after that. Order is kept in a conversation,
// with one message in flight; a failed attempt waits for its time and holds up
// the ones behind it.
//
// bound: Options.OutboxRows rows in memory; what does not fit stays in the
// journal and is read again · how it ends: with run's ctx; rows that are not
// settled are found again at the next start, so a message is sent at least once.
type courier struct {
	e      *Engine
	places chan struct{}
	kick   chan struct{}

	mu struct {
		sync.Mutex
		lines map[conversation.ConversationID]*line
		rows  int
		full  bool // rows were left in the journal
	}
}

// line is the outbox of one conversation.
type line struct {
	rows     []conversation.Outbound // by message
	busy     bool
	attempt  int
	first    time.Time
	notUntil time.Time
	outcome  *Attempt // final, not recorded yet
}

func newCourier(e *Engine) *courier {
	c := &courier{e: e, places: make(chan struct{}, e.o.Sends), kick: make(chan struct{}, 1)}
	c.mu.lines = map[conversation.ConversationID]*line{}
	return c
}

// offer takes rows that have just become durable.
func (c *courier) offer(rows []conversation.Outbound) {
	c.mu.Lock()
	for i := range rows {
		c.add(rows[i])
	}
	c.mu.Unlock()
	c.nudge()
}

// missed says that rows may have been committed that offer was not told of.
func (c *courier) missed() {
	c.mu.Lock()
	c.mu.full = true
	c.mu.Unlock()
	c.nudge()
}

func (c *courier) nudge() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// add puts a row into its line, unless it is there. The lock is held.
func (c *courier) add(row conversation.Outbound) {
	l := c.mu.lines[row.Conversation]
	if l != nil {
		if last := l.rows[len(l.rows)-1].Message; row.Message <= last {
			return
		}
	}
	if c.mu.rows >= c.e.o.OutboxRows {
		c.mu.full = true
		return
	}
	if l == nil {
		l = &line{}
		c.mu.lines[row.Conversation] = l
	}
	l.rows = append(l.rows, row)
	c.mu.rows++
	c.e.metrics.outbox.Set(float64(c.mu.rows))
}

func (c *courier) run(ctx context.Context) {
	var sends sync.WaitGroup
	defer sends.Wait()
	c.refill(ctx)
	refresh := time.NewTicker(outboxRefresh)
	defer refresh.Stop()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		again.Reset(c.dispatch(ctx, &sends))
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		case <-again.C:
		case <-refresh.C:
			c.mu.Lock()
			full := c.mu.full && c.mu.rows < c.e.o.OutboxRows/2
			c.mu.Unlock()
			if full {
				c.refill(ctx)
			}
		}
	}
}

// refill reads the journal's outbox until memory is full.
func (c *courier) refill(ctx context.Context) {
	c.mu.Lock()
	c.mu.full = false
	c.mu.Unlock()
	cursor := ""
	for {
		rows, next, err := c.e.o.Lists.Unsent(ctx, cursor, outboxPage)
		if err != nil {
			c.e.log.Warn("outbox not read", "err", err)
			c.mu.Lock()
			c.mu.full = true // so that it is tried again
			c.mu.Unlock()
			return
		}
		c.mu.Lock()
		for i := range rows {
			c.add(rows[i])
		}
		full := c.mu.full
		c.mu.Unlock()
		if cursor = next; next == "" || full {
			return
		}
	}
}

// dispatch starts whatever may be sent now and says when to look again.
func (c *courier) dispatch(ctx context.Context, sends *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wait := time.Now(), time.Hour
	for id, l := range c.mu.lines {
		if l.busy {
			continue
		}
		if d := l.notUntil.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		select {
		case c.places <- struct{}{}:
		default:
			return wait // a send that ends kicks
		}
		l.busy = true
		if l.attempt++; l.attempt == 1 {
			l.first = now
		}
		row, attempt, first, done := l.rows[0], l.attempt, l.first, l.outcome
		sends.Go(func() {
			c.send(ctx, id, row, attempt, first, done)
			<-c.places
			c.nudge()
		})
	}
	return wait
}

// send makes one attempt, and records it when it is final. A row is only
// settled by its record; if that fails, the record is repeated, not the send.
func (c *courier) send(ctx context.Context, id conversation.ConversationID, row conversation.Outbound, attempt int, first time.Time, done *Attempt) {
	if done == nil {
		sctx, cancel := context.WithTimeout(ctx, sendTimeout)
		a := c.e.o.Sender.Send(sctx, row, attempt, first)
		cancel()
		if a.Result == conversation.DeliveryPending {
			c.e.metrics.deliveries.WithLabelValues("retry").Inc()
			c.later(id, a.RetryAt, nil)
			return
		}
		c.e.metrics.deliveries.WithLabelValues(string(a.Result)).Inc()
		done = &a
	}
	rctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_, err := c.e.Do(rctx, id, conversation.RecordDelivery{
		Message: row.Message, Result: done.Result, ProviderID: done.ProviderID, Detail: done.Detail,
	})
	if err != nil {
		c.e.log.Warn("delivery not recorded", "conversation_id", id.String(), "seq", uint64(row.Message), "err", err)
		c.later(id, time.Now().Add(recordRetry), done)
		return
	}
	c.next(id)
}

func (c *courier) later(id conversation.ConversationID, at time.Time, outcome *Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.mu.lines[id]
	l.busy, l.notUntil, l.outcome = false, at, outcome
}

func (c *courier) next(id conversation.ConversationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.mu.lines[id]
	c.mu.rows--
	c.e.metrics.outbox.Set(float64(c.mu.rows))
	if l.rows = l.rows[1:]; len(l.rows) == 0 {
		delete(c.mu.lines, id)
		return
	}
	l.busy, l.attempt, l.notUntil, l.outcome = false, 0, time.Time{}, nil
}
