package cpu

// Batch is a stretch of work on one goroutine for several conversations, whose
// owner knows how to share out what it cost. The zero value measures nothing.
//
// Unlike a [Segment] it does not lock the goroutine to its thread, which one that
// switches to coroutines must not be. A batch is short and does not wait, so it
// seldom changes its thread; one that did is measured in wall time and counted as
// approximate, and none costs more than that.
//
// Concurrency: all calls come from one goroutine, which must not wait between
// Begin and End.
type Batch struct {
	meters *Meters // nil = not measured
	thread int
	from   int64 // by the clock of the thread
	wall   int64
}

// Begin opens the batch. It reports whether it is measured; nil meters measure
// nothing.
func (b *Batch) Begin(ms *Meters) bool {
	*b = Batch{}
	if ms == nil || !ms.picks() {
		return false
	}
	*b = Batch{meters: ms, thread: threadID(), wall: wallTime(), from: threadTime()}
	return true
}

// End closes the batch and gives what it cost, in ns, with what sampling has left
// out. What is to be charged of it goes to [Meter.Share].
func (b *Batch) End() int64 {
	ms := b.meters
	if ms == nil {
		return 0
	}
	b.meters = nil
	ns := threadTime() - b.from
	wall := wallTime() - b.wall
	if threadID() != b.thread {
		ms.approximate.Add(1)
		ns = wall
	}
	return max(min(ns, wall), 0) * int64(ms.every)
}

// Share charges the conversation a part of what a [Batch] cost, in ns.
func (m *Meter) Share(ns int64) {
	if m == nil || ns <= 0 {
		return
	}
	m.spent.Add(ns)
	m.meters.total.Add(ns)
}
