package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/persistence"
	"github.com/colloquyhq/colloquy/telemetry"
)

// The rhythm of starting and stopping.
const (
	commitBuffer  = 16_384
	opsHeaderTime = 5 * time.Second
	opsCloseTime  = time.Second
)

// part is something that runs as long as the node does.
type part struct {
	name   string
	before func(ctx context.Context) // ends before it runs; may be nil
	run    func(ctx context.Context) error
	stop   func(ctx context.Context) // before its context ends; may be nil
}

// parts lists what runs, in the order in which it starts. It stops in the
// reverse order: nothing is taken away from somebody who still uses it.
func (e *Engine) parts() []part {
	models := map[string]bool{}
	out := []part{{name: "journal", run: e.store.Run}}
	out = append(out, e.clusterParts()...)
	out = append(out, e.traceParts()...)
	return append(out, []part{
		{name: "packs", run: e.library.Run},
		{
			name: "models", before: func(ctx context.Context) { e.prepareModels(ctx, models) },
			run: func(ctx context.Context) error { return e.watchModels(ctx, models) },
		},
		{name: "tokens", run: e.tokens.Run},
		{name: "actors", run: e.actors.Run, stop: func(ctx context.Context) {
			if err := e.actors.Stop(ctx); err != nil {
				e.log.Warn("conversations not all at rest", "err", err)
			}
		}},
		{name: "learning", run: e.learning.Run},
		{name: "costs", run: e.surveyCosts},
		{name: "stream", run: e.pump},
		{name: "gateway", run: e.gateway.Run, stop: func(ctx context.Context) {
			if err := e.gateway.Drain(ctx, e.config.ShutdownGrace/4); err != nil {
				e.log.Warn("sockets not all told to come back", "err", err)
			}
		}},
		{name: "pulls", run: e.pulls},
		{name: "fetches", run: e.fetches},
		{name: "listener", run: e.serve},
	}...)
}

// Run serves until ctx ends, or until a part that must not end does. It returns
// when everything it started has ended and the journal is closed; nil means a
// clean stop. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	if !e.running.CompareAndSwap(false, true) {
		return errors.New("engine: Run was called before")
	}
	defer e.Close()
	// Before anything reads the journal: what is committed after a part's first
	// look must come through the stream.
	e.stream = e.store.Watch(e.commitBuffer)
	var started []running
	if e.ops != nil {
		started = append(started, *e.ops) // it stops last, to tell what is going on
	}
	for _, p := range e.parts() {
		if p.before != nil {
			p.before(ctx)
		}
		started = append(started, e.start(p))
	}
	close(e.ready)
	e.serving()
	e.log.Info("serving", "address", e.Addr(), "operations", e.OpsAddr(), "version", e.opts.Version)
	var err error
	select {
	case <-ctx.Done():
	case err = <-e.failed:
		e.log.Error("a part of the node ended", "err", err)
	}
	e.stopping.Store(true)
	e.yield(err)
	e.stopAll(started)
	return err
}

// running is a part that has been started.
type running struct {
	part

	cancel context.CancelFunc
	done   <-chan struct{}
}

// start runs a part on a context of its own, so that parts can be ended one
// after the other.
func (e *Engine) start(p part) running {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := p.run(ctx)
		if ctx.Err() == nil {
			select {
			case e.failed <- fmt.Errorf("%s ended: %w", p.name, orUnexpected(err)):
			default: // one reason is enough
			}
		} else if err != nil {
			e.log.Warn("part ended with an error", "part", p.name, "err", err)
		}
	}()
	return running{part: p, cancel: cancel, done: done}
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("unexpectedly")
	}
	return err
}

// stopAll ends the parts, last one first, within the grace.
func (e *Engine) stopAll(started []running) {
	ctx, cancel := context.WithTimeout(context.Background(), e.config.ShutdownGrace)
	defer cancel()
	for _, p := range slices.Backward(started) {
		began := time.Now()
		if p.stop != nil {
			p.stop(ctx)
		}
		p.cancel()
		select {
		case <-p.done:
			e.log.Info("stopped", "part", p.name, "took_ms", time.Since(began).Milliseconds())
		case <-ctx.Done():
			e.log.Warn("part did not stop within the grace", "part", p.name)
		}
	}
}

// pump carries committed events from the journal to the sockets and the courier.
// When it falls behind, the sockets are told to read again what they missed.
func (e *Engine) pump(ctx context.Context) error {
	sub := e.stream
	for e.follow(ctx, sub) {
		sub.Close()
		// The new stream begins before anybody is told to read again, so that
		// nothing falls between the two.
		sub = e.store.Watch(e.commitBuffer)
		e.log.Warn("apply stream overrun, sockets resume from the journal")
		e.gateway.Hub().Lost()
		e.actors.CommitsLost()
		e.learning.Lost()
	}
	sub.Close()
	return nil
}

// follow hands on what a stream brings. It reports true when the stream was
// overrun, false when ctx ended.
func (e *Engine) follow(ctx context.Context, sub *persistence.Subscription) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case c, ok := <-sub.C():
			if !ok {
				return true
			}
			e.gateway.Hub().Publish(c)
			e.actors.Committed(c)
			e.learning.Committed(c)
			if c.Head.Erased {
				e.forget(c.ID)
			}
		}
	}
}

// serve answers on the main listener.
func (e *Engine) serve(ctx context.Context) error {
	srv := e.gateway.Server()
	srv.Handler = e.Handler()
	return serveHTTP(ctx, srv, e.config.ShutdownGrace/4, func() error { return srv.Serve(e.listener) })
}

func (e *Engine) serveOps(ctx context.Context) error {
	handler := telemetry.OpsHandler(e.registry, e.health)
	if e.config.OpsPprof {
		handler = telemetry.WithPprof(handler)
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("GET /cluster", e.serveStatus)
	traced := e.tracesPage()
	mux.Handle("/debug/traces", traced)
	mux.Handle("/debug/traces/", traced)
	mux.Handle("GET /status/", statusPage())
	costs := e.meters.Handler()
	mux.Handle("/metrics/sessions", costs)
	mux.Handle("/debug/sessions", costs)
	mux.Handle("/debug/sessions/", costs)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: opsHeaderTime}
	return serveHTTP(ctx, srv, opsCloseTime, func() error { return srv.Serve(e.opsListener) })
}

// serveHTTP serves until ctx ends, then lets requests finish within grace.
func serveHTTP(ctx context.Context, srv *http.Server, grace time.Duration, serve func() error) error {
	var closing sync.WaitGroup
	closing.Add(1) // before ctx is watched: it may have ended already
	stop := context.AfterFunc(ctx, func() {
		gctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		defer closing.Done()
		if srv.Shutdown(gctx) != nil {
			_ = srv.Close()
		}
	})
	err := serve()
	if stop() {
		closing.Done() // serve ended by itself
	}
	closing.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
