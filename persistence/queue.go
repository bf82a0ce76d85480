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
	"github.com/colloquyhq/colloquy/telemetry/cpu"
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
	// bring puts an entry into the log and waits until it is applied here.
	bring   func(data []byte, f *flight) ([]result, error)
	leader  func() (string, <-chan struct{}) // who leads, and when that changes
	keeps   bool                             // the log keeps the bytes of an entry after it is applied
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

func newQueue(f *flights, h *halt, m *metrics, length int) *queue {
	return &queue{flights: f, halt: h, metrics: m, c: make(chan *request, length)}
}

// start begins to send; bring, leader and keeps are set before.
func (q *queue) start() {
	q.landed = make(chan struct{}, maxInFlight)
	q.spare.New = func() any { return new(raftEntry) }
	q.senders.Go(q.gather)
}

// do brings one operation into the log and waits until it is applied here. It
// tries again by itself as long as ctx lasts, so op must be one that is stored
// once however often it is sent.
func (q *queue) do(ctx context.Context, op []byte, a *conversation.Append) (uint64, error) {
	work := cpu.SegmentOf(ctx)
	work.Pause() // from here on, others work
	defer work.Resume()
	unknown := false
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		_, changed := q.leader()
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
		if err := pause(ctx, wait, changed); err != nil {
			if unknown {
				return 0, maybeStored(ctx)
			}
			return 0, notStored(ctx)
		}
	}
}

// pause waits a while, or until early is closed.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-early:
		return ctx.Err()
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
	f := q.flights.add(e.requests)
	if q.keeps {
		e.data = make([]byte, 0, e.size+proposalRoom)
	}
	e.data = appendProposalHeader(e.data, f.id, len(e.requests))
	for _, r := range e.requests {
		e.data = appendBytes(e.data, r.op)
	}
	q.metrics.entryOps.Observe(float64(len(e.requests)))
	results, err := q.bring(e.data, f)
	if err == nil && (len(results) != len(e.requests) || q.halt.failed()) {
		err = ErrUnknown
	}
	q.landed <- struct{}{}
	if err != nil {
		// Raft or the state machine may still hold the entry, so that it must
		// not be used again.
		q.flights.take(f.id)
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

// bringHere brings an entry into the log of this node, which has to lead.
func bringHere(r *raft.Raft, data []byte) ([]result, error) {
	f := r.Apply(data, 0)
	if err := outcomeOf(f.Error()); err != nil {
		return nil, err
	}
	results, ok := f.Response().([]result)
	if !ok {
		return nil, ErrUnknown
	}
	return results, nil
}

// outcomeOf says what an error of raft means for the writes of an entry.
func outcomeOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", errAgain, err)
	case errors.Is(err, ErrUnknown):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// flights remembers the requests of the entries that this process has in the
// log, so that the state machine needs not decode what is in memory already,
// and so that the results of entries that went by way of the leader are found.
type flights struct {
	nonce uint64
	mu    struct {
		sync.Mutex
		counter uint64
		flights map[uint64]*flight
	}
}

// flight is one entry on its way.
type flight struct {
	id       proposalID
	requests []*request
	applied  chan []result // room for one; nil results = the state was replaced
}

func newFlights(nonce uint64) *flights {
	f := &flights{nonce: nonce}
	f.mu.flights = make(map[uint64]*flight)
	return f
}

func (f *flights) add(batch []*request) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.counter++
	fl := &flight{
		id: proposalID{nonce: f.nonce, counter: f.mu.counter}, requests: batch, applied: make(chan []result, 1),
	}
	f.mu.flights[f.mu.counter] = fl
	return fl
}

// take gives the flight of a proposal and forgets it; nil when another process,
// or an earlier one, made it.
func (f *flights) take(id proposalID) *flight {
	if id.nonce != f.nonce {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.mu.flights[id.counter]
	delete(f.mu.flights, id.counter)
	return fl
}

// lose ends all flights without results: what became of them is not known, as
// the state that would tell was replaced as a whole.
func (f *flights) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fl := range f.mu.flights {
		fl.applied <- nil
	}
	clear(f.mu.flights)
}
