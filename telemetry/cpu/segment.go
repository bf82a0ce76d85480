package cpu

import (
	"context"
	"runtime"
	"time"
)

// Segment is a stretch of work for one conversation on one goroutine. The zero
// value is a segment that has not begun.
//
// Concurrency: all calls come from the goroutine that began it.
type Segment struct {
	meter  *Meter
	from   int64
	clock  clock
	paused bool
}

// clock is what a segment is measured by.
type clock uint8

const (
	clockOff    clock = iota // not measured
	clockThread              // the clock of the thread, to which the goroutine is locked
	clockWall                // wall time, because too many goroutines are locked
)

// wallTime is in ns. Where the clock is set back, a segment costs nothing.
func wallTime() int64 { return time.Now().UnixNano() }

// Begin opens the segment for a conversation. A nil meter measures nothing.
func (s *Segment) Begin(m *Meter) {
	*s = Segment{meter: m}
	if m != nil && m.meters.picks() {
		s.open()
	}
}

// End closes the segment and charges the conversation.
func (s *Segment) End() {
	s.close()
	s.paused = false
}

// Pause stops the clock, because what comes next waits. It does nothing for nil
// and when nothing is measured.
func (s *Segment) Pause() {
	if s == nil || s.clock == clockOff {
		return
	}
	s.close()
	s.paused = true
}

// Resume goes on after [Segment.Pause].
func (s *Segment) Resume() {
	if s == nil || !s.paused {
		return
	}
	s.paused = false
	s.open()
}

func (s *Segment) open() {
	ms := s.meter.meters
	if ms.locked.Add(1) > ms.lockedMost {
		ms.locked.Add(-1)
		ms.approximate.Add(1)
		s.clock = clockWall
	} else {
		runtime.LockOSThread()
		s.clock = clockThread
	}
	s.from = s.clock.now()
}

func (s *Segment) close() {
	if s.clock == clockOff {
		return
	}
	s.meter.charge(s.clock.now() - s.from)
	if s.clock == clockThread {
		runtime.UnlockOSThread()
		s.meter.meters.locked.Add(-1)
	}
	s.clock = clockOff
}

func (c clock) now() int64 {
	if c == clockThread {
		return threadTime()
	}
	return wallTime()
}

type contextKey struct{}

// With gives a context for what a conversation's mailbox calls, so that what waits
// further down can pause the segment.
func With(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, contextKey{}, m)
}

// SegmentOf gives the segment that is open on the mailbox which a context comes
// from; nil, of which all methods can be called, when there is none.
func SegmentOf(ctx context.Context) *Segment {
	if m, _ := ctx.Value(contextKey{}).(*Meter); m != nil {
		return m.running.Load()
	}
	return nil
}
