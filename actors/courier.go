package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// Sender brings outbound messages to their providers.
type Sender interface {
	// Send makes one attempt. attempt counts from 1; first is when the first
	// attempt was made.
	Send(ctx context.Context, out conversation.Outbound, attempt int, first time.Time) Attempt
	// Merge joins the first of the messages that wait in a conversation, oldest
	// first, into one, where the provider's window leaves few. It gives what is to
	// be sent and how many are in it, at least one.
	Merge(rows []conversation.Outbound) (out conversation.Outbound, n int)
}

// Attempt is what came of sending a message once.
type Attempt struct {
	Result     conversation.Delivery // DeliveryPending = try again at RetryAt
	ProviderID string
	Detail     string // error class and code; never message text
	RetryAt    time.Time
	Idle       bool // no call was made, because it was not the message's turn: it counts as no attempt
	Held       bool // nothing was tried, because an admin has stopped the account: the attempts are counted anew
}

// The limits of the courier.
const (
	sendTimeout   = 30 * time.Second
	outboxPage    = 512
	outboxRefresh = 30 * time.Second
	recordTimeout = 10 * time.Second
	recordRetry   = 2 * time.Second
	outboxRetry   = 2 * time.Second // after the outbox could not be read
	sendRetry     = time.Second     // the least pause between two attempts
)

// courier sends what is in the outbox: rows come from the journal when it
// starts and from the apply stream after that. Order is kept in a conversation,
// with one message in flight; a failed attempt waits for its time and holds up
// the ones behind it.
//
// Each node sends the rows of its own conversations; those of others are not
// kept. What a node gains from one that lives on waits until that one has ended
// the sends that it has begun, so that providers do not get a message twice.
//
// Memory and journal are in one of two relations. Mostly memory holds all there
// is, and takes what the apply stream offers. Or it is behind: then it takes
// offers only while it reads, and adds them last, because a row must not come
// before an older one of its conversation.
//
// bound: Options.OutboxRows rows in memory; what does not fit stays in the
// journal and is read again · how it ends: rest starts nothing new and waits for
// what is under way, run ends with its ctx; rows that are not settled are found
// again at the next start, so a message is sent at least once.
type courier struct {
	e      *Engine
	places chan struct{}
	kick   chan struct{}

	mu struct {
		sync.Mutex
		lines   map[conversation.ConversationID]*line
		rows    int
		settled settledRows
		resting bool
		past    []pastView // the views of the last moments

		behind  bool                    // the journal has rows that memory has not
		reading bool                    // refill is at work
		late    []conversation.Outbound // offered meanwhile
		missed  bool                    // so much came meanwhile that it has to read once more
		read    time.Time               // when refill ended last without having all
		failed  bool                    // because of an error
	}
}

// line is the outbox of one conversation.
type line struct {
	rows     []conversation.Outbound // by row
	busy     bool
	attempt  int
	first    time.Time // zero = not tried yet
	notUntil time.Time
	outcome  *Attempt // final, not recorded yet
	done     bool     // the first row has been settled while it was being sent

	sends   conversation.Outbound   // what is sent of the rows
	carried []conversation.Outbound // the first rows, which are in it
}

// pastView is a view that other nodes may still act on.
type pastView struct {
	view  *cluster.View // nil = whatever was before this node
	until time.Time
}

// settledRows remembers the newest messages that are done with, because a row
// may arrive, from the stream or from a read, after it was settled.
type settledRows struct {
	newest map[conversation.ConversationID]conversation.Seq
	order  []conversation.ConversationID // a ring of the keys, oldest at next
	next   int
}

func (s *settledRows) add(id conversation.ConversationID, seq conversation.Seq, limit int) {
	if _, known := s.newest[id]; !known {
		if len(s.order) < limit {
			s.order = append(s.order, id)
		} else {
			delete(s.newest, s.order[s.next])
			s.order[s.next] = id
			s.next = (s.next + 1) % limit
		}
	}
	s.newest[id] = seq
}

func newCourier(e *Engine) *courier {
	c := &courier{e: e, places: make(chan struct{}, e.o.Sends), kick: make(chan struct{}, 1)}
	c.mu.lines = map[conversation.ConversationID]*line{}
	c.mu.settled.newest = map[conversation.ConversationID]conversation.Seq{}
	c.mu.behind = true
	c.mu.past = []pastView{{until: time.Now().Add(e.o.Settle)}}
	return c
}

// offer takes rows that have just become durable.
func (c *courier) offer(rows []conversation.Outbound) {
	c.mu.Lock()
	for i := range rows {
		c.take(rows[i])
	}
	c.mu.Unlock()
	c.nudge()
}

// take adds an offered row, or leaves it to refill. The lock is held.
func (c *courier) take(row conversation.Outbound) {
	switch {
	case !c.e.has(row.Conversation):
	case !c.mu.behind:
		c.mu.behind = !c.add(row)
	case !c.mu.reading:
	case len(c.mu.late) < c.e.o.OutboxRows:
		c.mu.late = append(c.mu.late, row)
	default:
		c.mu.missed = true
	}
}

// missed says that rows may have been committed that offer was not told of.
func (c *courier) missed() {
	c.mu.Lock()
	c.mu.behind, c.mu.missed = true, true
	c.mu.Unlock()
	c.nudge()
}

func (c *courier) nudge() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// add puts a row into its line, unless it is or was there, and reports whether
// there was room. The lock is held.
func (c *courier) add(row conversation.Outbound) bool {
	l := c.mu.lines[row.Conversation]
	if row.Row() <= c.mu.settled.newest[row.Conversation] || l != nil && row.Row() <= l.rows[len(l.rows)-1].Row() {
		return true
	}
	if c.mu.rows >= c.e.o.OutboxRows {
		return false
	}
	if l == nil {
		l = &line{notUntil: c.settles(row.Conversation)}
		c.mu.lines[row.Conversation] = l
	}
	l.rows = append(l.rows, row)
	c.mu.rows++
	c.e.metrics.outbox.Set(float64(c.mu.rows))
	return true
}

// settles says until when a line must wait because another node, which is still
// there, may be sending from it. The lock is held.
func (c *courier) settles(id conversation.ConversationID) time.Time {
	var until time.Time
	if c.e.alone() {
		return until
	}
	now := time.Now()
	c.mu.past = slices.DeleteFunc(c.mu.past, func(p pastView) bool { return now.After(p.until) })
	for _, p := range c.mu.past {
		if p.until.After(until) && (p.view == nil || c.livesOn(p.view, id)) {
			until = p.until
		}
	}
	return until
}

// livesOn reports whether a conversation belonged to another node in a view, and
// that node is still a member.
func (c *courier) livesOn(v *cluster.View, id conversation.ConversationID) bool {
	owner, ok := v.Owner(conversationID(id))
	return ok && owner.ID != v.Self() && c.e.isMember(owner.ID)
}

// moved follows a change of the view: lines of conversations that belong to
// other nodes now are dropped, and those that came here are read.
func (c *courier) moved(before *cluster.View) {
	c.mu.Lock()
	if len(c.mu.past) >= maxPastViews {
		c.mu.past, before = nil, nil // too many to tell apart
	}
	c.mu.past = append(c.mu.past, pastView{view: before, until: time.Now().Add(c.e.o.Settle)})
	for id, l := range c.mu.lines {
		if !l.busy && l.outcome == nil && !c.e.has(id) {
			c.drop(id, l)
		}
	}
	c.mu.behind, c.mu.missed = true, true
	c.mu.Unlock()
	c.nudge()
}

// drop lets go of a line whose rows the journal still has. The lock is held.
func (c *courier) drop(id conversation.ConversationID, l *line) {
	c.mu.rows -= len(l.rows)
	delete(c.mu.lines, id)
	c.e.metrics.outbox.Set(float64(c.mu.rows))
}

// settled takes rows out that are done with, whoever sent them.
func (c *courier) settled(id conversation.ConversationID, rows []conversation.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.mu.lines[id]
	if l == nil && !c.e.has(id) {
		return
	}
	c.mu.settled.add(id, max(slices.Max(rows), c.mu.settled.newest[id]), c.e.o.OutboxRows)
	if l == nil {
		return
	}
	first := l.rows[0].Row()
	kept := l.rows[:0]
	for _, row := range l.rows {
		if l.busy && row.Row() == first || !slices.Contains(rows, row.Row()) {
			kept = append(kept, row)
		}
	}
	clear(l.rows[len(kept):])
	c.mu.rows -= len(l.rows) - len(kept)
	c.e.metrics.outbox.Set(float64(c.mu.rows))
	l.rows = kept
	switch {
	case l.busy:
		l.done = l.done || slices.Contains(rows, first)
	case len(kept) == 0:
		delete(c.mu.lines, id)
	case kept[0].Row() != first:
		l.attempt, l.first, l.notUntil, l.outcome = 0, time.Time{}, time.Time{}, nil
	}
}

// erased takes all rows of a conversation out. What is being sent of them is on
// its way, and nobody is told what became of it.
func (c *courier) erased(id conversation.ConversationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.mu.lines[id]
	if l == nil {
		return
	}
	if !l.busy {
		c.drop(id, l)
		return
	}
	c.mu.rows -= len(l.rows) - 1
	clear(l.rows[1:])
	l.rows, l.done = l.rows[:1], true
	c.e.metrics.outbox.Set(float64(c.mu.rows))
}

func (c *courier) run(ctx context.Context) {
	var sends sync.WaitGroup
	defer sends.Wait()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		wait := c.readIn()
		if wait <= 0 {
			c.refill(ctx)
			wait = c.readIn()
		}
		again.Reset(min(max(wait, 0), c.dispatch(ctx, &sends)))
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		case <-again.C:
		}
	}
}

// readIn says when the journal is to be read: when memory is behind and half
// empty, or at least has had some room for a while.
func (c *courier) readIn() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.behind || c.mu.resting || c.mu.rows >= c.e.o.OutboxRows {
		return time.Hour
	}
	switch {
	case c.mu.failed:
		return time.Until(c.mu.read.Add(outboxRetry))
	case c.mu.rows <= c.e.o.OutboxRows/2:
		return 0
	}
	return time.Until(c.mu.read.Add(outboxRefresh))
}

// refill reads the journal's outbox, from the oldest row on, until memory is
// full or holds all there is.
func (c *courier) refill(ctx context.Context) {
	c.mu.Lock()
	c.mu.reading, c.mu.late, c.mu.missed = true, nil, false
	c.mu.Unlock()
	cursor := ""
	for {
		rows, next, err := c.e.o.Lists.Unsent(ctx, cursor, outboxPage)
		if err != nil {
			c.e.log.Warn("outbox not read", "err", err)
			c.broke(err)
			return
		}
		if !c.addAll(rows) {
			c.broke(nil)
			return
		}
		if cursor = next; next == "" {
			c.caughtUp()
			return
		}
	}
}

func (c *courier) addAll(rows []conversation.Outbound) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range rows {
		if c.e.has(rows[i].Conversation) && !c.add(rows[i]) {
			return false
		}
	}
	return true
}

// broke ends a read that did not come to the end: memory is full, or err.
func (c *courier) broke(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.reading, c.mu.late, c.mu.read, c.mu.failed = false, nil, time.Now(), err != nil
}

// caughtUp adds what was offered while the journal was being read.
func (c *courier) caughtUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.behind = c.mu.missed
	for _, row := range c.mu.late {
		if !c.add(row) {
			c.mu.behind = true
			break
		}
	}
	c.mu.reading, c.mu.late, c.mu.read, c.mu.failed = false, nil, time.Now(), false
}

// rest starts nothing new and waits until what is being sent has been recorded,
// or ctx ends.
func (c *courier) rest(ctx context.Context) {
	c.mu.Lock()
	c.mu.resting = true
	c.mu.Unlock()
	for range cap(c.places) {
		select {
		case c.places <- struct{}{}:
		case <-ctx.Done():
			c.e.log.Warn("messages still being sent at the end of their grace")
			return
		}
	}
}

// dispatch starts whatever may be sent now and says when to look again.
func (c *courier) dispatch(ctx context.Context, sends *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wait := time.Now(), time.Hour
	if c.mu.resting {
		return wait
	}
	if c.e.o.Leaderless() > 0 {
		return sendRetry // somebody else may be sending the same
	}
	for id, l := range c.mu.lines {
		if l.busy {
			continue
		}
		if d := l.notUntil.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		if l.outcome == nil && !c.e.has(id) {
			c.drop(id, l)
			continue
		}
		select {
		case c.places <- struct{}{}:
		default:
			return wait // a send that ends kicks
		}
		l.busy = true
		if l.attempt++; l.first.IsZero() {
			l.first = now
		}
		if l.attempt == 1 && l.outcome == nil { // what has been tried stays what it is
			var n int
			l.sends, n = c.e.o.Sender.Merge(l.rows)
			l.carried = slices.Clone(l.rows[:n])
		}
		s := sending{row: l.sends, carried: l.carried, attempt: l.attempt, first: l.first, done: l.outcome}
		sends.Go(func() {
			c.send(ctx, id, s)
			<-c.places
			c.nudge()
		})
	}
	return wait
}

// sending is what one attempt needs to know.
type sending struct {
	row     conversation.Outbound
	carried []conversation.Outbound
	attempt int
	first   time.Time
	done    *Attempt // final already, and only not recorded
}

// send makes one attempt, and records it when it is final. A row is only
// settled by its record; if that fails, the record is repeated, not the send.
func (c *courier) send(ctx context.Context, id conversation.ConversationID, s sending) {
	row, done := s.row, s.done
	if done == nil {
		sctx, cancel := context.WithTimeout(ctx, sendTimeout)
		a := c.attempt(sctx, row, s.attempt, s.first)
		cancel()
		if a.Result == conversation.DeliveryPending {
			c.uncount(id, &a)
			c.later(id, notBefore(a.RetryAt, time.Now().Add(sendRetry)), nil)
			return
		}
		c.e.metrics.deliveries.WithLabelValues(string(a.Result)).Inc()
		done = &a
	}
	// The first is recorded last: as long as it is open, the others stand behind it
	// and are not sent by themselves.
	for _, carried := range slices.Backward(s.carried) {
		if err := c.record(ctx, id, &carried, &row, done); err != nil {
			c.e.log.Warn("delivery not recorded", "conversation_id", id.String(), "seq", uint64(carried.Message), "err", err)
			c.later(id, time.Now().Add(recordRetry), done)
			return
		}
	}
	c.next(id, s.carried[len(s.carried)-1].Row())
}

// record tells the conversation what became of one of the messages that were sent
// as one. Who is told twice takes it once.
func (c *courier) record(ctx context.Context, id conversation.ConversationID, row, sent *conversation.Outbound, done *Attempt) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	cmd := conversation.RecordDelivery{
		Message: row.Message, Again: row.Again, Result: done.Result, ProviderID: done.ProviderID, Detail: done.Detail,
	}
	if row.Row() != sent.Row() {
		cmd.With = sent.Message
	}
	_, err := await(ctx, func(f func(conversation.Receipt, error)) { c.e.DoAsync(id, cmd, f) })
	if errors.Is(err, conversation.ErrNotFound) {
		return nil
	}
	return err
}

// attempt calls the sender. A driver that panics, or answers what is no outcome,
// may have sent the message: it is not tried again.
func (c *courier) attempt(ctx context.Context, row conversation.Outbound, attempt int, first time.Time) (a Attempt) {
	at, _ := c.e.o.Flights.Shown(row.Conversation, row.Message)
	span := c.e.o.Flights.Below(flight.ChannelSend, at, c.e.o.Flights.Now())
	ctx = conversation.WithTrace(ctx, span.At())
	defer func() { c.sent(&span, row, attempt, a) }()
	defer func() {
		if p := recover(); p != nil {
			c.e.log.Error("sender panicked", "channel", string(row.Channel), "conversation_id", row.Conversation.String(), "err", fmt.Sprintf("%T", p))
			a = Attempt{Result: conversation.DeliveryUncertain, Detail: "panic"}
		}
	}()
	a = c.e.o.Sender.Send(ctx, row, attempt, first)
	switch a.Result {
	case conversation.DeliveryPending, conversation.DeliverySent, conversation.DeliveryUncertain, conversation.DeliveryFailed:
	default:
		a = Attempt{Result: conversation.DeliveryUncertain, ProviderID: a.ProviderID, Detail: "no_outcome"}
	}
	return a
}

func notBefore(at, earliest time.Time) time.Time {
	if at.Before(earliest) {
		return earliest
	}
	return at
}

// uncount takes an attempt back that was none. The time of one that was held by an
// admin begins anew as well.
func (c *courier) uncount(id conversation.ConversationID, a *Attempt) {
	if !a.Idle && !a.Held {
		c.e.metrics.deliveries.WithLabelValues("retry").Inc()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.mu.lines[id]
	l.attempt--
	if a.Held {
		l.attempt, l.first = 0, time.Time{}
	}
}

func (c *courier) later(id conversation.ConversationID, at time.Time, outcome *Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.mu.lines[id]
	if l.done {
		c.advance(id, l, l.rows[0].Row())
		return
	}
	l.busy, l.notUntil, l.outcome = false, at, outcome
}

func (c *courier) next(id conversation.ConversationID, last conversation.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(id, c.mu.lines[id], last)
}

// advance goes on to a line's next row behind last. The lock is held.
func (c *courier) advance(id conversation.ConversationID, l *line, last conversation.Seq) {
	c.mu.settled.add(id, max(last, c.mu.settled.newest[id]), c.e.o.OutboxRows)
	n := 0
	for n < len(l.rows) && l.rows[n].Row() <= last {
		n++
	}
	c.mu.rows -= n
	c.e.metrics.outbox.Set(float64(c.mu.rows))
	if l.rows = l.rows[n:]; len(l.rows) == 0 {
		delete(c.mu.lines, id)
		return
	}
	*l = line{rows: l.rows}
}
