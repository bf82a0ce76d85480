package loop

import (
	"context"
	"net"
	"runtime"
	"sync"
	"time"
)

// Time is in milliseconds since the group was made, modulo 2^32. Only
// differences below 24 days mean anything.
type Time uint32

// Sub gives t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(int32(t-u)) * time.Millisecond } //nolint:gosec // meant to wrap

// Add gives t+d, rounded up to milliseconds.
func (t Time) Add(d time.Duration) Time {
	return t + Time((d+time.Millisecond-1)/time.Millisecond) //nolint:gosec // meant to wrap
}

// Turn says who is calling a [Handler], and when.
type Turn struct {
	Loop int // number of the event loop; -1 on a goroutine of the connection's own
	Now  Time
}

// State says what is behind the bytes that [Handler.Output] gives.
type State uint8

// The states.
const (
	Drained State = iota // nothing
	More                 // more bytes
	End                  // the end: nothing will ever follow
)

// Handler is whose a connection is.
//
// The methods are called one at a time and must not block, or they hold up
// every other connection of the loop. A connection that has no loop calls
// Output and Wrote, Due, and the rest from three goroutines; then it may wait
// in Input.
type Handler interface {
	// Input takes what the other side has sent. b is lent until it returns. It
	// reports whether Output has something to give.
	Input(t Turn, b []byte) bool
	// Resume is called after a [Conn.Hold] has ended, as Input without bytes.
	Resume(t Turn) bool
	// Ended says that the other side will send no more.
	Ended()
	// Output gives what should be written next, in buf or elsewhere; the bytes
	// must not change until Wrote.
	Output(buf []byte) ([]byte, State)
	// Wrote says how many of the bytes of the last Output have been written.
	Wrote(n int)
	// Due is called when the time that it gave last has come, or a bit later.
	// heard is when bytes came last.
	Due(now, heard Time) Time
	// Gone says once that the connection has ended; nothing else is called
	// afterwards.
	Gone()
}

// Conn is a connection that a [Group] looks after.
type Conn interface {
	// Start begins to serve it, as if first had been received. Nothing calls the
	// handler before.
	Start(first []byte)
	// Flush says that Output has something to give. It never blocks and may be
	// called from anywhere.
	Flush()
	// Hold stops reading until Resume. It may be called within Input and Resume
	// of the handler only.
	Hold()
	// Resume ends a hold, from anywhere.
	Resume()
	// Arm makes Due be called not later than at. It may be called by the
	// handler's methods only.
	Arm(at Time)
	// Remind makes Due be called soon, from anywhere.
	Remind()
	// Abort ends the connection at once, from anywhere.
	Abort()
}

// Options of a [Group]. Zero means the default that stands beside each.
type Options struct {
	Loops       int           // one for each processor; below zero = none, every connection has goroutines
	Tick        time.Duration // 1 s; how finely time is kept
	UserTimeout time.Duration // 30 s; what has been sent must be received by then
	Moderation  time.Duration // 300 µs; a busy loop lets so much time pass to find more to do at once; below zero = none
	// Ledger makes the one that is told what a loop does, or, for -1, connections
	// without one. nil, or one that gives nil = nobody is told.
	Ledger func(loop int) Ledger
	// Panicked is told what a handler's panic was; the connection is over then.
	Panicked func(v any, stack []byte) // nil = nobody
}

func (o Options) withDefaults() Options {
	if o.Loops == 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	if o.Tick <= 0 {
		o.Tick = time.Second
	}
	if o.UserTimeout <= 0 {
		o.UserTimeout = 30 * time.Second
	}
	if o.Moderation == 0 {
		o.Moderation = 300 * time.Microsecond
	}
	if o.Panicked == nil {
		o.Panicked = func(any, []byte) {}
	}
	return o
}

// Group looks after connections.
//
// Concurrency: safe for all.
type Group struct {
	o     Options
	began time.Time
	loops []*eventLoop
	keep  *keeper // of the connections without a loop
	books *ledgers
}

// New makes a group. It starts nothing.
func New(o Options) *Group {
	g := &Group{o: o.withDefaults(), began: time.Now()}
	g.keep, g.books = newKeeper(g), newLedgers(&g.o)
	if canLoop {
		for i := range max(g.o.Loops, 0) {
			g.loops = append(g.loops, newEventLoop(g, i))
		}
	}
	return g
}

// Now gives the time by the group's clock.
func (g *Group) Now() Time { return g.at(time.Now()) }

// age is how long the group has been there.
func (g *Group) age() time.Duration { return time.Since(g.began) }

func (g *Group) at(t time.Time) Time { return Time(t.Sub(g.began).Milliseconds()) } //nolint:gosec // meant to wrap

// Loops says how many event loops there are.
func (g *Group) Loops() int { return len(g.loops) }

// Run keeps the loops going until ctx ends; then it ends the connections that
// are left. each is called on the goroutine of every loop when it has ended.
func (g *Group) Run(ctx context.Context, each func(loop int)) error {
	var running sync.WaitGroup
	var broken error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	once := sync.Once{}
	for _, l := range g.loops {
		running.Go(func() {
			defer each(l.on)
			if err := l.run(); err != nil {
				once.Do(func() { broken = err })
				cancel()
			}
		})
	}
	tick := time.NewTicker(g.o.Tick)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			g.keep.turn(g.Now())
			for _, l := range g.loops {
				l.wake()
			}
		}
	}
	g.keep.abortAll()
	for _, l := range g.loops {
		l.stop()
	}
	running.Wait()
	return broken
}

// Adopt takes a connection over. Before [Conn.Start] the caller may still use
// nc; afterwards it is not theirs any more, also when it was aborted.
//
// Errors: those of the operating system when it has no descriptor left; then nc
// is as it was.
func (g *Group) Adopt(nc net.Conn, h Handler) (Conn, error) {
	if l := g.idlest(); l != nil {
		if c, ok, err := l.adopt(nc, h); ok || err != nil {
			return c, err
		}
	}
	return newStream(g, nc, h), nil
}

// idlest gives the loop with the fewest connections.
func (g *Group) idlest() *eventLoop {
	var best *eventLoop
	for _, l := range g.loops {
		if best == nil || l.count.Load() < best.count.Load() {
			best = l
		}
	}
	return best
}

// Yield lets others have the processor, also the loops that wait. Whoever has much
// to do without a pause calls it now and then: of what the kernel has for a waiting
// loop the runtime hears when a processor has no goroutine to run, and otherwise
// every 10 ms. A loop that has looked within the time of Options.Moderation is left
// alone.
func (g *Group) Yield() {
	now := time.Now()
	for _, l := range g.loops {
		l.nudge(now)
	}
	runtime.Gosched()
}

// Load is what a loop has done so far.
type Load struct {
	Connections int           // now
	Waiting     int           // connections in the mailbox, now
	Busy        time.Duration // in all
	Stalls      uint64        // writes that the kernel took in part or not at all
	Nudges      uint64        // waits that Yield has ended
}

// Load gives the figures of every loop.
func (g *Group) Load() []Load {
	out := make([]Load, 0, len(g.loops))
	for _, l := range g.loops {
		out = append(out, l.load())
	}
	return out
}
