package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// Supported reports whether this system can run a load process.
func Supported() error { return nil }

// maxOrder bounds an order: it carries a token for every socket.
const maxOrder = 64 << 20

// orderTime is how long opening sockets and answers to the last questions may
// take.
const orderTime = 2 * time.Minute

// Serve is the life of a load process: it reads orders from in and writes an
// answer for each to out, and keeps the sockets alive in between. It returns
// when in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	// No collection of garbage in the middle of a measurement. And the goroutine is
	// not locked to its thread: every 10 ms the runtime would have it ask another
	// thread for its turn.
	const memory = 2 << 30
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memory)
	l, err := newLoop()
	if err != nil {
		return err
	}
	defer l.close()
	orders, obeyed, ended := make(chan Order), make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- readOrders(ctx, in, orders, obeyed) }()
	for {
		select {
		case o := <-orders:
			if err := json.NewEncoder(out).Encode(l.obey(ctx, &o)); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
			obeyed <- struct{}{}
		case err := <-ended:
			return err
		default:
			l.poll(time.Millisecond)
			runtime.Gosched() // for who reads orders
		}
	}
}

// readOrders reads an order when the one before has been obeyed: who waits for in
// may take the processor along for 10 ms, until the runtime notices.
func readOrders(ctx context.Context, in io.Reader, orders chan<- Order, obeyed <-chan struct{}) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxOrder)
	for lines.Scan() {
		var o Order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		select {
		case orders <- o:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-obeyed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return lines.Err()
}

// obey carries out one order.
func (l *loop) obey(ctx context.Context, o *Order) Answer {
	began, cpu, before := l.clock(), processTime(), l.count
	a := Answer{}
	err := l.err
	switch {
	case err != nil:
	case o.Connect != nil:
		err = l.connectAll(ctx, o.Connect)
	case o.Ask != nil:
		err = l.ask(ctx, o.Ask, &a)
	case o.Await != nil:
		err = l.await(ctx, o.Await)
	case o.Stall != nil:
		a.Closed, err = l.stall(ctx, o.Stall)
	case o.Herd != nil:
		err = l.herd(ctx, o.Herd, &a)
	default:
		err = errors.New("an empty order")
	}
	if err != nil {
		a.Err = err.Error()
	}
	if a.Seconds == 0 {
		a.Seconds = time.Duration(l.clock() - began).Seconds()
	}
	a.Open, a.Events = l.count.open, l.count.events-before.events
	a.Unanswered = l.count.unanswered
	a.Missed, a.Twice, a.Resent, a.Refused = l.count.missing, l.count.twice-before.twice, l.count.resent-before.resent, l.count.refused-before.refused
	a.CPUMicros = float64((processTime() - cpu).Microseconds())
	return a
}

func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
