package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible gives a context for work that ends well when t.ctx does, which
// the first interrupt ends: only the second interrupt ends this one. done lets
// go of it.
func (t *tool) interruptible() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.ctx))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}
