package persistence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxEntryOps   = 256       // operations in one raft entry
	maxEntryBytes = 256 << 10 // and their bytes, give or take the last one
	maxInFlight   = 4         // entries on their way at a time

	retryMin = 2 * time.Millisecond
	retryMax = 100 * time.Millisecond
)

// errAgain says that a write was certainly not stored and may be tried again.
var errAgain = errors.New("not the leader at this moment")

// request is one operation on its way into the log.
type request struct {
	op     []byte
	append *conversation.Append // what op was made of, for the watchers; nil for other operations
	fate   atomic.Int32
	done   chan result // room for one
}

// The fates of a request: whoever waits gives it up, or a sender takes it.
const (
	fateQueued int32 = iota
	fateTaken
	fateAbandoned
)

// queue packs operations into raft entries. There is no timer in it: an entry
// goes as soon as none is on its way, and while one is, the next gathers, so
// that the fsync sets the pace. A second one follows only when it is full;
// small entries side by side cost more and are no faster, because the log
// writes them one after the other.
type queue struct {
	raft    *raft.Raft
	flights *flights
	halt    *halt
	metrics *metrics
	c       chan *request
	landed  chan struct{} // an entry is back from the log; room for all
	spare   sync.Pool     // of *raftEntry
	senders sync.WaitGroup
	mu      struct {
		sync.RWMutex
		closed bool
	}
}

// raftEntry is an entry that gathers, or is on its way.
type raftEntry struct {
	requests []*request
	data     []byte
	size     int
}

// add takes a request over, unless whoever asked has given it up. It reports
// false when there is none, as a closed queue gives.
func (e *raftEntry) add(r *request) bool {
	if r == nil {
		return false
	}
	if r.fate.CompareAndSwap(fateQueued, fateTaken) {
		e.requests = append(e.requests, r)
		e.size += len(r.op)
	}
	return true
}

func (e *raftEntry) full() bool { return len(e.requests) >= maxEntryOps || e.size >= maxEntryBytes }

func newQueue(r *raft.Raft, f *flights, h *halt, m *metrics, length int) *queue {
	q := &queue{
		raft: r, flights: f, halt: h, metrics: m,
		c: make(chan *request, length), landed: make(chan struct{}, maxInFlight),
	}
	q.spare.New = func() any { return new(raftEntry) }
	q.senders.Go(q.gather)
	return q
}

// do brings one operation into the log and waits until it is applied here. It
// tries again by itself as long as ctx lasts, so op must be one that is stored
// once however often it is sent.
func (q *queue) do(ctx context.Context, op []byte, a *conversation.Append) (uint64, error) {
	unknown := false
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		res := q.try(ctx, &request{op: op, append: a, done: make(chan result, 1)})
		switch {
		case res.err == nil:
			return res.n, nil
		case errors.Is(res.err, errAgain), unknown && errors.Is(res.err, ErrOverloaded):
		case errors.Is(res.err, ErrUnknown) && ctx.Err() == nil && !q.halt.failed():
			unknown = true
		case unknown && errors.Is(res.err, conversation.ErrUnavailable) && !errors.Is(res.err, ErrFenced):
			return 0, fmt.Errorf("%w: then %w", ErrUnknown, res.err)
		default:
			return res.n, res.err
		}
		if err := pause(ctx, wait); err != nil {
			if unknown {
				return 0, maybeStored(ctx)
			}
			return 0, notStored(ctx)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *queue) try(ctx context.Context, r *request) result {
	if err := ctx.Err(); err != nil {
		return result{err: notStored(ctx)}
	}
	if err := q.submit(r); err != nil {
		return result{err: err}
	}
	select {
	case res := <-r.done:
		return res
	case <-ctx.Done():
	case <-q.halt.c:
	}
	if r.fate.CompareAndSwap(fateQueued, fateAbandoned) {
		if q.halt.failed() {
			return result{err: ErrUnavailable}
		}
		return result{err: notStored(ctx)}
	}
	select {
	case res := <-r.done:
		return res
	default:
	}
	if q.halt.failed() {
		return result{err: ErrUnknown}
	}
	return result{err: maybeStored(ctx)}
}

// submit puts a request into the queue, or says at once that it is full.
func (q *queue) submit(r *request) error {
	if q.halt.failed() {
		return ErrUnavailable
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.mu.closed {
		return ErrClosed
	}
	select {
	case q.c <- r:
		return nil
	default:
		q.metrics.overloaded.Inc()
		return ErrOverloaded
	}
}

// close takes no more requests and waits for those that are queued.
func (q *queue) close() {
	q.mu.Lock()
	if !q.mu.closed {
		q.mu.closed = true
		close(q.c)
	}
	q.mu.Unlock()
	q.senders.Wait()
}

// gather makes entries of what is queued and sends them, until the queue is
// closed and empty.
func (q *queue) gather() {
	next, inFlight := new(raftEntry), 0
	for open := true; open || len(next.requests) > 0; {
		open = q.fill(next) && open
		switch {
		case len(next.requests) > 0 && (inFlight == 0 || next.full() && inFlight < maxInFlight):
			e := next
			next, _ = q.spare.Get().(*raftEntry)
			inFlight++
			q.senders.Go(func() { q.send(e) })
		case next.full() || !open && inFlight > 0:
			<-q.landed
			inFlight--
		case open:
			select {
			case <-q.landed:
				inFlight--
			case r := <-q.c:
				open = next.add(r)
			}
		}
	}
}

// fill adds what is queued, as long as there is room. It reports false when the
// queue is closed and empty.
func (q *queue) fill(e *raftEntry) bool {
	for !e.full() {
		select {
		case r := <-q.c:
			if !e.add(r) {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// send brings one entry into the log and answers its requests.
func (q *queue) send(e *raftEntry) {
	id := q.flights.add(e.requests)
	e.data = appendProposalHeader(e.data, id, len(e.requests))
	for _, r := range e.requests {
		e.data = appendBytes(e.data, r.op)
	}
	q.metrics.entryOps.Observe(float64(len(e.requests)))
	f := q.raft.Apply(e.data, 0)
	err := f.Error()
	results, ok := f.Response().([]result)
	if err == nil && (!ok || len(results) != len(e.requests) || q.halt.failed()) {
		err = ErrUnknown
	}
	q.landed <- struct{}{}
	if err != nil {
		// Raft or the state machine may still hold the entry, so that it must
		// not be used again.
		q.flights.take(id)
		err = outcome(err)
		for _, r := range e.requests {
			r.done <- result{err: err}
		}
		return
	}
	for i, r := range e.requests {
		r.done <- results[i]
	}
	clear(e.requests)
	e.requests, e.data, e.size = e.requests[:0], e.data[:0], 0
	q.spare.Put(e)
}

// outcome says what an error of raft means for the writes of an entry.
func outcome(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", errAgain, err)
	case errors.Is(err, ErrUnknown):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// flights remembers the requests of the entries that this process has in the
// log, so that the state machine needs not decode what is in memory already.
type flights struct {
	nonce uint64
	mu    struct {
		sync.Mutex
		counter uint64
		batches map[uint64][]*request
	}
}

func newFlights(nonce uint64) *flights {
	f := &flights{nonce: nonce}
	f.mu.batches = make(map[uint64][]*request)
	return f
}

func (f *flights) add(batch []*request) proposalID {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.counter++
	f.mu.batches[f.mu.counter] = batch
	return proposalID{nonce: f.nonce, counter: f.mu.counter}
}

// take gives the requests of a proposal and forgets them; nil when another
// process, or an earlier one, made it.
func (f *flights) take(id proposalID) []*request {
	if id.nonce != f.nonce {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.mu.batches[id.counter]
	delete(f.mu.batches, id.counter)
	return batch
}
