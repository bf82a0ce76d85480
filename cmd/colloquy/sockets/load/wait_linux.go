package load

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// await carries out an [Await].
func (l *loop) await(ctx context.Context, o *Await) error {
	if o.To == 0 {
		o.To = len(l.sockets)
	}
	if o.From < 0 || o.To > len(l.sockets) {
		return fmt.Errorf("there are %d sockets", len(l.sockets))
	}
	next := o.From // all before have what is awaited
	return l.until(ctx, o.Timeout, "events", func() bool {
		for next < o.To && l.sockets[next].events >= o.Events {
			next++
		}
		return next == o.To
	})
}

// stall carries out a [Stall] and counts the sockets that ended with its code.
func (l *loop) stall(ctx context.Context, o *Stall) (int, error) {
	if o.From < 0 || o.From >= o.To || o.To > len(l.sockets) {
		return 0, fmt.Errorf("there are %d sockets", len(l.sockets))
	}
	some := l.sockets[o.From:o.To]
	if !o.Resume {
		for _, s := range some {
			l.stallAt(s)
		}
		return 0, nil
	}
	for _, s := range some {
		l.watch(s, unix.EPOLL_CTL_ADD)
	}
	before := l.count.ended
	err := l.until(ctx, o.Timeout, "end of the stalled", func() bool { return l.count.ended-before == len(some) })
	closed := 0
	for _, s := range some {
		if s.code == o.Code {
			closed++
		}
	}
	return closed, err
}

// herd carries out a [Herd].
func (l *loop) herd(ctx context.Context, o *Herd, out *Answer) error {
	all := len(l.sockets)
	if o.Lost {
		return l.until(ctx, o.Timeout, "loss of all", func() bool { return l.count.lost == all })
	}
	began := l.clock()
	l.now = began
	for _, s := range l.sockets {
		if s.phase == phaseLost {
			l.dial(s)
		}
	}
	err := l.until(ctx, o.Timeout, "return of all", func() bool { return l.count.open == all })
	out.Seconds = time.Duration(l.clock() - began).Seconds()
	if err != nil {
		return err
	}
	err = l.until(ctx, o.Timeout, "acknowledgments and events", func() bool { return l.count.unanswered == 0 && l.count.missing == 0 })
	out.Settled = time.Duration(l.clock() - began).Seconds()
	return err
}
