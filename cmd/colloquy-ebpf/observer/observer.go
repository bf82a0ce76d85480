// Package observer finds conversations in trouble from outside the node that has
// them: what the kernel has seen at the marks of package telemetry/probe, and on
// the visitors' connections, becomes findings. Each is one line of JSON, one more in
// a metric, and a request to the node to watch the conversation.
//
// It needs nothing of the node, so it works while that is stopped or hangs.
package observer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
)

// Eyes are what an observer sees with: [kernel.Programs].
type Eyes interface {
	// Event waits for the next event. Errors: [io.EOF] after Stop.
	Event() (kernel.Event, error)
	Stop()
	Turns(do func(kernel.Key, kernel.Turn)) error
	Forget(k kernel.Key)
	Counts() (kernel.Counts, error)
	Walk() error
	Attach(path string, pid int) (io.Closer, error)
}

// Observer looks on.
//
// owns: one goroutine that has all state, one that waits for events, one that asks
// nodes to watch · bounds: events wait in the kernel's ring, which says what it
// lost; 256 requests to watch; what was told lately of 32,768 conversations.
type Observer struct {
	o       Options
	eyes    Eyes
	gone    func(pid uint32, began uint64) bool
	target  *target
	watcher *watcher
	metrics *metrics

	// touched by Run only

	told    recent
	failing bursts
	counted kernel.Counts
}

// New makes an observer. Errors: those of [Options.Validate].
func New(o Options, eyes Eyes) (*Observer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m := newMetrics(o.Registry)
	return &Observer{
		o: o, eyes: eyes, gone: processGone, metrics: m,
		target:  &target{exe: o.Exe, pid: o.PID, eyes: eyes, log: o.Log, metrics: m},
		watcher: newWatcher(o.Ops, o.WatchFor, m, o.Log),
		told:    recent{every: uint64(o.Cooldown)}, //nolint:gosec // not negative
		failing: bursts{window: uint64(errorWindow)},
	}, nil
}

// Attach attaches to the program or process. Errors: it is not there, or has
// nothing to attach to.
func (o *Observer) Attach() error { return o.target.attach() }

// Detach leaves it as it was.
func (o *Observer) Detach() error { return o.target.detach() }

// Run looks on, once attached, until ctx ends or the process that was named does.
// Errors: the events cannot be read.
func (o *Observer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan kernel.Event)
	var broken error
	var running sync.WaitGroup
	running.Go(func() { broken = o.read(ctx, events); cancel() })
	running.Go(func() { o.watcher.run(ctx) })
	o.look(ctx, events)
	cancel()
	o.eyes.Stop()
	running.Wait()
	return broken
}

// read brings the events to look.
func (o *Observer) read(ctx context.Context, events chan<- kernel.Event) error {
	for {
		e, err := o.eyes.Event()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return nil
		}
	}
}

// look does everything, one thing after the other.
func (o *Observer) look(ctx context.Context, events <-chan kernel.Event) {
	scan := time.NewTicker(o.o.Scan)
	defer scan.Stop()
	var walks <-chan time.Time
	if o.o.Limits.Far > 0 {
		walk := time.NewTicker(walkEvery)
		defer walk.Stop()
		walks = walk.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			o.onEvent(&e)
		case <-scan.C:
			if !o.target.follow() {
				return
			}
			o.scan(kernel.Now())
		case <-walks:
			if err := o.eyes.Walk(); err != nil {
				o.o.Log.Warn("sockets not looked at", "err", err)
			}
		}
	}
}

// find tells a finding, unless it was told lately.
func (o *Observer) find(f Finding, k kernel.Key, now uint64) {
	if !o.told.first(f.Kind, k, now) {
		return
	}
	o.metrics.anomalies.WithLabelValues(string(f.Kind)).Inc()
	if err := f.write(o.o.Findings); err != nil {
		o.o.Log.Error("finding not written", "err", err)
	}
	o.watcher.ask(f.Conversation)
}

// onEvent judges what the kernel told.
func (o *Observer) onEvent(e *kernel.Event) {
	took := time.Duration(e.Value) //nolint:gosec // for the kinds that have one
	switch e.Kind {
	case kernel.Slow:
		f := about(Slow, e.Key, e.At)
		f.Seconds, f.Says = took.Seconds(), fmt.Sprintf("a turn took %v", took.Round(time.Millisecond))
		o.find(f, e.Key, e.At)
	case kernel.Failure:
		o.onFailure(e)
	case kernel.Flood:
		f := about(Flood, e.Key, e.At)
		f.Turns, f.Says = e.Value, fmt.Sprintf("%d turns within %v", e.Value, floodWindow)
		o.find(f, e.Key, e.At)
	case kernel.Lossy:
		f := about(Lossy, e.Key, e.At)
		f.Retransmits, f.Segments = e.Value, e.Of
		f.Says = fmt.Sprintf("%d of %d segments to the visitor were sent again", e.Value, e.Of)
		o.find(f, e.Key, e.At)
	case kernel.Far:
		rtt := time.Duration(e.Value) * time.Microsecond //nolint:gosec // 32 bits
		f := about(Far, e.Key, e.At)
		f.Seconds, f.Says = rtt.Seconds(), fmt.Sprintf("a round trip to the visitor takes %v", rtt)
		o.find(f, e.Key, e.At)
	}
}

// onFailure counts a failed turn, for its conversation and for the process.
func (o *Observer) onFailure(e *kernel.Event) {
	n := o.failing.count(e.Key, e.At)
	all := kernel.Key{PID: e.Key.PID}
	whole := o.failing.count(all, e.At)
	if least := o.o.Limits.Errors; least > 0 && n >= least {
		f := about(Errors, e.Key, e.At)
		f.Turns, f.Says = uint64(n), fmt.Sprintf("%d turns failed within %v", n, errorWindow)
		o.find(f, e.Key, e.At)
	}
	if least := o.o.Limits.ErrorBurst; least > 0 && whole >= least {
		f := about(ErrorBurst, e.Key, e.At)
		f.Turns, f.Says = uint64(whole), fmt.Sprintf("%d turns failed in the process within %v", whole, errorWindow)
		o.find(f, all, e.At)
	}
}
