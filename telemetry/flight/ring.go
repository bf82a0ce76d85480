package flight

import (
	"sync"
	"sync/atomic"

	"github.com/colloquyhq/colloquy/conversation"
)

// ring keeps the newest records. It is cut into lanes, each with a lock, and the
// trace chooses the lane. Whoever writes and finds the lock taken goes to one of
// the next lanes, so that nobody waits; a record that finds all of them taken is
// lost and counted, which takes several writers that stand still at that moment.
type ring struct {
	lanes []lane
	lost  atomic.Uint64
}

// lane is a part of the ring. Its records are memory without pointers, so that
// the garbage collector does not look at them.
type lane struct {
	sync.Mutex
	next    uint64 // records so far
	mask    uint64 // one less than the number of records, which is a power of two
	records []record
	_       [16]byte // to a cache line, so that lanes do not disturb each other
}

const (
	// More lanes than processors, so that two writers seldom meet.
	ringLanes = 16
	// A ring so small is for tests, which want to know what it evicts.
	oneLaneBelow = 64 * ringLanes
	ringTries    = 4
	// So many records are read at a time; the lock is free in between.
	readAtOnce = 64
)

// record is a span as it is stored: 88 bytes.
type record struct {
	trace        traceNumbers
	span, parent uint64
	conversation conversation.ConversationID
	start, took  int64 // Unix ns, ns
	seq          uint64
	value        int64
	label        uint16
	channel      uint16
	name         Name
	failed       bool
}

func (r *ring) start(spans int) {
	lanes := 1
	if spans >= oneLaneBelow {
		lanes = ringLanes
	}
	size := 1
	for lanes*size < spans {
		size *= 2
	}
	r.lanes = make([]lane, lanes)
	for i := range r.lanes {
		r.lanes[i].records, r.lanes[i].mask = make([]record, size), uint64(size-1) //nolint:gosec // at least zero
	}
}

// laneOf gives the number of a trace's first lane. Callers may choose the ids of
// traces, but both halves are not theirs to choose in a way that fits.
func (r *ring) laneOf(t traceNumbers) int {
	return int((t.hi ^ t.lo) * step >> 32 % uint64(len(r.lanes))) //nolint:gosec // below the number of lanes
}

func (r *ring) put(rec *record) {
	at := r.laneOf(rec.trace)
	for i := range ringTries {
		l := &r.lanes[(at+i)&(len(r.lanes)-1)]
		if l.TryLock() {
			l.records[l.next&l.mask] = *rec
			l.next++
			l.Unlock()
			return
		}
	}
	r.lost.Add(1)
}

// wanted are the traces that somebody looks for. Nearly every record of the ring
// is of another one, which a look at a few bits tells.
type wanted struct {
	all  map[traceNumbers]bool
	bits [64]uint64
}

func newWanted(of map[conversation.TraceID]bool) *wanted {
	w := &wanted{all: make(map[traceNumbers]bool, len(of))}
	for id := range of {
		t := numbersOf(&id)
		w.all[t] = true
		w.bits[t.hi>>6&63] |= 1 << (t.hi & 63)
	}
	return w
}

func (w *wanted) has(t traceNumbers) bool { return w.bits[t.hi>>6&63]>>(t.hi&63)&1 != 0 && w.all[t] }

// find gives the records of some traces, from the lanes that may hold them.
func (r *ring) find(w *wanted) []record {
	var look [ringLanes]bool
	for t := range w.all {
		for i := range ringTries {
			look[(r.laneOf(t)+i)&(len(r.lanes)-1)] = true
		}
	}
	var found []record
	for i := range r.lanes {
		if look[i] {
			found = r.lanes[i].find(w, found)
		}
	}
	return found
}

func (l *lane) find(w *wanted, found []record) []record {
	for from := 0; from < len(l.records); from += readAtOnce {
		l.Lock()
		until := int(min(uint64(len(l.records)), l.next)) //nolint:gosec // at most the length
		for i := from; i < min(from+readAtOnce, until); i++ {
			if w.has(l.records[i].trace) {
				found = append(found, l.records[i])
			}
		}
		l.Unlock()
	}
	return found
}

// counts gives the records so far, and how many of them newer ones replaced.
func (r *ring) counts() (recorded, evicted uint64) {
	for i := range r.lanes {
		l := &r.lanes[i]
		l.Lock()
		recorded += l.next
		evicted += l.next - min(l.next, uint64(len(l.records)))
		l.Unlock()
	}
	return recorded, evicted
}
