package persistence

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/colloquyhq/colloquy/conversation"
)

// defaultWatchBuffer is used when a subscriber does not say.
const defaultWatchBuffer = 1024

// Subscription receives every commit from its start on, in commit order.
type Subscription struct {
	c        chan *conversation.Commit
	lost     atomic.Bool
	closed   bool // guarded by the watchers' lock
	watchers *watchers
}

// Watch subscribes to the commits that are applied from now on.
//
// A subscriber that lets more than buffer commits pile up is cut off: C is
// closed, Lost says so, and it has to read again what it shows. Nobody waits
// for a subscriber. The commits are shared: subscribers must not change them.
// A buffer of zero or less means 1024.
func (s *Store) Watch(buffer int) *Subscription {
	if buffer <= 0 {
		buffer = defaultWatchBuffer
	}
	return s.watchers.add(buffer)
}

// C gives the commits. It is closed when the subscription ends: by Close, with
// the store, or because the subscriber was too slow.
func (u *Subscription) C() <-chan *conversation.Commit { return u.c }

// Lost reports whether the subscription ended because commits were missed.
func (u *Subscription) Lost() bool { return u.lost.Load() }

// Close ends the subscription. It may be called more than once.
func (u *Subscription) Close() { u.watchers.remove(u) }

// watchers are the subscriptions of a store.
type watchers struct {
	count atomic.Int32
	mu    struct {
		sync.Mutex
		subs   map[*Subscription]struct{}
		closed bool
	}
}

func newWatchers() *watchers {
	w := new(watchers)
	w.mu.subs = make(map[*Subscription]struct{})
	return w
}

func (w *watchers) any() bool { return w.count.Load() > 0 }

func (w *watchers) add(buffer int) *Subscription {
	u := &Subscription{c: make(chan *conversation.Commit, buffer), watchers: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.closed {
		w.end(u)
		return u
	}
	w.mu.subs[u] = struct{}{}
	w.count.Add(1)
	return u
}

func (w *watchers) remove(u *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end(u)
}

// end closes a subscription; the lock is held.
func (w *watchers) end(u *Subscription) {
	if u.closed {
		return
	}
	u.closed = true
	close(u.c)
	if _, ok := w.mu.subs[u]; ok {
		delete(w.mu.subs, u)
		w.count.Add(-1)
	}
}

// publish hands commits to every subscription that has room.
func (w *watchers) publish(commits []*conversation.Commit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for u := range w.mu.subs {
		w.deliver(u, commits)
	}
}

func (w *watchers) deliver(u *Subscription, commits []*conversation.Commit) {
	for i := range commits {
		select {
		case u.c <- commits[i]:
		default:
			u.lost.Store(true)
			w.end(u)
			return
		}
	}
}

// lose ends every subscription as overrun: the state has changed in a way that
// commits do not tell.
func (w *watchers) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for u := range w.mu.subs {
		u.lost.Store(true)
		w.end(u)
	}
}

func (w *watchers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.closed = true
	for u := range w.mu.subs {
		w.end(u)
	}
}

// announce remembers a commit for the watchers. What this process proposed
// itself is passed on as it is; what came from elsewhere is decoded.
func (m *machine) announce(id conversation.ConversationID, req *request, r reader) error {
	if !m.watchers.any() {
		return nil
	}
	if req != nil && req.append != nil {
		a := req.append
		m.commits = append(m.commits, &conversation.Commit{
			ID: id, Entries: a.Entries, Head: a.Head, Outbox: a.Outbox, Settled: a.Settled, NextDue: a.NextDue,
		})
		return nil
	}
	c, err := decodeCommit(&r)
	if err != nil {
		return fmt.Errorf("commit of %s: %w", id, err)
	}
	m.commits = append(m.commits, &c)
	return nil
}

// decodeCommit reads the operation that encodeAppend wrote, from after its code.
func decodeCommit(r *reader) (conversation.Commit, error) {
	c := conversation.Commit{ID: r.id()}
	r.uint() // expect
	r.uint() // epoch
	for range r.count() {
		e, err := decodeEntry(r.bytes())
		if err != nil {
			return c, err
		}
		c.Entries = append(c.Entries, e)
	}
	r.int() // activity
	c.NextDue = timeOf(r.int())
	r.bytes() // inbox
	r.bytes() // status
	r.id()    // contact
	var err error
	if c.Head, err = decodeHead(r.bytes()); err != nil {
		return c, err
	}
	if r.byte()&appendContact != 0 {
		r.bytes()
		r.id()
	}
	for range r.count() {
		r.uint()
		r.uint()
		r.bytes()
	}
	for range r.count() {
		r.uint()
		var o conversation.Outbound
		if err := decodeJSON(tagOutbox, r.bytes(), &o); err != nil {
			return c, err
		}
		c.Outbox = append(c.Outbox, o)
	}
	for range r.count() {
		c.Settled = append(c.Settled, conversation.Seq(r.uint()))
	}
	if r.bad {
		return c, fmt.Errorf("%w: append", ErrCorrupt)
	}
	return c, nil
}
