package webhooks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets"
)

// order is what the load process is told.
type order struct {
	Addr, Token string
	Connections int
	People      int // who write, each in a conversation of their own
	Bytes       int // of a message's text
	Warmup      time.Duration
	Duration    time.Duration
}

// answer is what it tells: once when it is warm, and once at the end.
type answer struct {
	Warm       bool
	Deliveries int64 // acknowledged as durable while it was measured
	Errors     int64
	FirstError string
	Seconds    float64
	P50, P99   float64 // ms
	BusySecs   float64 // processor time of this process while it was measured
}

const (
	answerPatience = 30 * time.Second
	maxHeader      = 64 << 10
	maxLatencies   = 1 << 20 // of one connection that are kept, the newest
)

// Work is the load process: it takes one order from in and answers on out.
func Work(ctx context.Context, in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	runtime.GOMAXPROCS(1) // it has a core, and must not take the node's where there is only one machine
	l := &loader{o: o, enc: json.NewEncoder(out)}
	return l.run(ctx)
}

// loader asks over many connections, each again when it has its answer.
type loader struct {
	o         order
	enc       *json.Encoder
	next      atomic.Int64
	measuring atomic.Bool
	errs      atomic.Int64
	first     atomic.Pointer[string]
}

func (l *loader) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	took := make([][]time.Duration, l.o.Connections)
	var all sync.WaitGroup
	for i := range l.o.Connections {
		all.Go(func() { took[i] = l.ask(ctx) })
	}
	sleep(ctx, l.o.Warmup)
	for ctx.Err() == nil && l.next.Load() < int64(l.o.People) { // everybody has a conversation then
		sleep(ctx, 100*time.Millisecond)
	}
	l.errs.Store(0)
	if err := l.enc.Encode(answer{Warm: true}); err != nil {
		return err
	}
	began, busy := time.Now(), sockets.CPUTime(os.Getpid())
	l.measuring.Store(true)
	sleep(ctx, l.o.Duration)
	l.measuring.Store(false)
	a := answer{Seconds: time.Since(began).Seconds(), BusySecs: (sockets.CPUTime(os.Getpid()) - busy).Seconds(), Errors: l.errs.Load()}
	cancel()
	all.Wait()
	latencies := slices.Concat(took...)
	slices.Sort(latencies)
	a.Deliveries = int64(len(latencies))
	a.P50, a.P99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
	if s := l.first.Load(); s != nil {
		a.FirstError = *s
	}
	return l.enc.Encode(a)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return float64(sorted[max(i, 0)]) / float64(time.Millisecond)
}

func (l *loader) fail(err error) {
	l.errs.Add(1)
	s := err.Error()
	l.first.CompareAndSwap(nil, &s)
}

// ask is one connection. It gives how long each delivery took that was measured.
func (l *loader) ask(ctx context.Context) []time.Duration {
	var took []time.Duration
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.o.Addr)
		if err == nil {
			err = l.askOn(ctx, conn, &took)
			_ = conn.Close()
		}
		if err != nil && ctx.Err() == nil {
			l.fail(err)
			sleep(ctx, 100*time.Millisecond)
		}
	}
	return took
}

func (l *loader) askOn(ctx context.Context, conn net.Conn, took *[]time.Duration) error {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	r := bufio.NewReaderSize(conn, 4<<10)
	filler := strings.Repeat("where is my order? ", l.o.Bytes/19+1)[:l.o.Bytes]
	var b []byte
	for {
		n := l.next.Add(1)
		began := time.Now()
		b = l.request(b[:0], n, filler)
		_ = conn.SetDeadline(began.Add(answerPatience))
		if ctx.Err() != nil {
			return nil
		}
		if _, err := conn.Write(b); err != nil {
			return err
		}
		if err := readAnswer(r); err != nil {
			return err
		}
		if l.measuring.Load() && len(*took) < maxLatencies {
			*took = append(*took, time.Since(began))
		}
	}
}

// request is what a provider's bridge sends, with an id that is never the same.
func (l *loader) request(b []byte, n int64, filler string) []byte {
	body := `{"user":"visitor-` + strconv.FormatInt(n%int64(l.o.People), 10) + `","id":"m-` + strconv.FormatInt(n, 10) +
		`","text":"` + filler + `","metadata":{"page":"/orders","lang":"en"}}`
	b = append(b, "POST /webhook HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "...)
	b = append(b, l.o.Token...)
	b = append(b, "\r\nContent-Type: application/json\r\nX-Channel-Type: sms\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}

// readAnswer reads one answer, which must say that the message is stored. Its
// status is 202: nobody answers in this inbox.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	status := strings.TrimSpace(string(line))
	length, size := -1, 0
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if size += len(line); size > maxHeader {
			return errors.New("the header of the answer has no end")
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length > maxHeader {
				return fmt.Errorf("content length %q", value)
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("%s: no length", status)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var stored struct {
		Seq int64 `json:"seq"`
	}
	if !strings.HasPrefix(status, "HTTP/1.1 202 ") || json.Unmarshal(body, &stored) != nil || stored.Seq == 0 {
		return fmt.Errorf("%s: %s", status, strings.TrimSpace(string(body)))
	}
	return nil
}
