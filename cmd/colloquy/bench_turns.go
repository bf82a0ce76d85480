package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// benchTurnsCmd is `colloquy bench turns`.
type benchTurnsCmd struct {
	botFlags

	Visitors int           `help:"Visitors, each with one message in flight." default:"64"`
	Duration time.Duration `help:"How long to measure, after the warm-up." default:"10s"`
	Warmup   time.Duration `help:"How long to run before; the node also calibrates its models in this time." default:"12s"`
	Dir      string        `help:"Where to put the data directory, which is removed afterwards; default: the system's temporary folder." type:"path"`
	Profile  string        `help:"Also write a processor profile of the node to this file." type:"path"`
	JSON     bool          `help:"Print JSON."`
}

// Validate implements kong's check of flags.
func (c *benchTurnsCmd) Validate() error {
	if c.Visitors < 1 || c.Duration <= 0 || c.Warmup < 0 {
		return errors.New("--visitors and --duration must be above zero, --warmup not below")
	}
	return nil
}

// turnsResult is what the benchmark prints. CPU is of the node's process only;
// the visitors run in this one.
type turnsResult struct {
	Visitors   int     `json:"visitors"`
	Seconds    float64 `json:"seconds"`
	Turns      int64   `json:"turns"`
	TurnsPerS  float64 `json:"turns_per_s"`
	CPUMicros  float64 `json:"cpu_us_per_turn"` // -1 where the system does not say
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Max        float64 `json:"max_ms"`
	Unanswered int64   `json:"unanswered"` // turns without a bot reply: 0 in a valid run
	Errors     int64   `json:"errors"`
	CPUs       int     `json:"cpus"`
	Version    string  `json:"version"`
}

// benchTexts are plain questions of the e-commerce pack that its bot answers by
// itself, in both languages.
func benchTexts() []string {
	return []string{"运费怎么算", "满多少包邮", "how much is shipping", "is there free shipping", "支持哪些付款方式", "what payment methods do you accept", "怎么退货", "how do I return an item"}
}

// Run implements the subcommand.
func (c *benchTurnsCmd) Run(t *tool) error {
	if err := c.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "colloquy-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := c.prepareDir(t.ctx, dir); err != nil {
		return err
	}
	more := c.flags()
	if c.Profile != "" {
		more = append(more, "--set", "ops_pprof=true")
	}
	n, err := lab.Start(t.ctx, &lab.Spec{Dir: dir, Args: more})
	if err != nil {
		return err
	}
	result, err := c.measure(t.ctx, n)
	if err = errors.Join(err, n.Stop()); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, result)
	}
	_, err = fmt.Fprintf(t.stdout, "%d visitors, %.1f s: %.0f turns/s, %.1f µs CPU a turn, p50 %.2f ms, p99 %.2f ms, %d unanswered, %d errors\n",
		result.Visitors, result.Seconds, result.TurnsPerS, result.CPUMicros, result.P50, result.P99, result.Unanswered, result.Errors)
	return err
}

// turnsRun is the state of a measurement.
type turnsRun struct {
	texts      []string
	measuring  atomic.Bool
	turns      atomic.Int64
	unanswered atomic.Int64
	failed     atomic.Int64
	mu         struct {
		sync.Mutex
		took []time.Duration
	}
}

func (c *benchTurnsCmd) measure(ctx context.Context, n *lab.Node) (*turnsResult, error) {
	r := &turnsRun{texts: benchTexts()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var visitors sync.WaitGroup
	errc := make(chan error, c.Visitors)
	for i := range c.Visitors {
		visitors.Go(func() {
			if err := r.visit(ctx, n.Addr(), i); err != nil && ctx.Err() == nil {
				errc <- err
			}
		})
	}
	if err := sleep(ctx, c.Warmup, errc); err != nil {
		return nil, err
	}
	profiled := profileNode(ctx, n, c.Profile, c.Duration)
	before, _ := n.CPU()
	r.measuring.Store(true)
	began := time.Now()
	err := sleep(ctx, c.Duration, errc)
	took := time.Since(began)
	r.measuring.Store(false)
	after, known := n.CPU()
	cancel()
	visitors.Wait()
	if err = errors.Join(err, <-profiled); err != nil {
		return nil, err
	}
	return r.result(c.Visitors, took, after-before, known), nil
}

func (r *turnsRun) result(visitors int, took, cpu time.Duration, cpuKnown bool) *turnsResult { //nolint:revive // says whether cpu means something
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.mu.took)
	turns := r.turns.Load()
	out := &turnsResult{
		Visitors: visitors, Seconds: took.Seconds(), Turns: turns, TurnsPerS: float64(turns) / took.Seconds(), CPUMicros: -1,
		P50: quantile(r.mu.took, 0.5), P99: quantile(r.mu.took, 0.99), Max: quantile(r.mu.took, 1),
		Unanswered: r.unanswered.Load(), Errors: r.failed.Load(), CPUs: runtime.NumCPU(), Version: buildVersion(),
	}
	if cpuKnown && turns > 0 {
		out.CPUMicros = float64(cpu.Microseconds()) / float64(turns)
	}
	return out
}

// quantile gives milliseconds of sorted durations.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1000
}

func sleep(ctx context.Context, d time.Duration, errc <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-errc:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replyTimeout is when a turn counts as unanswered.
const replyTimeout = 5 * time.Second

// visit is one visitor: asks, waits for ack and reply, asks again.
func (r *turnsRun) visit(ctx context.Context, addr string, number int) error {
	token, err := lab.VisitorToken(ctx, addr, lab.Inbox)
	if err != nil {
		return err
	}
	acks, replies := make(chan conversation.Seq, 4), make(chan conversation.Seq, 64)
	l, err := lab.Dial(ctx, lab.Hello{Addr: addr, Path: lab.VisitorPath, Token: token}, func(f *lab.Frame) {
		switch {
		case f.T == "ack":
			acks <- f.Seq
		case f.T == "error":
			r.failed.Add(1)
		case f.T == "event" && f.Kind == (conversation.ReplyComposed{}).Kind():
			replies <- f.Data.InReplyTo
		}
	})
	if err != nil {
		return err
	}
	defer l.Close()
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		text := r.texts[(number+i)%len(r.texts)]
		if err := l.Send(map[string]any{"t": "message.send", "client_id": strconv.Itoa(i), "text": text}); err != nil {
			return err
		}
		answered, err := awaitTurn(ctx, l, acks, replies)
		if err != nil {
			return err
		}
		r.record(time.Since(began), answered)
	}
	return nil
}

func (r *turnsRun) record(took time.Duration, answered bool) { //nolint:revive // a fact about the turn
	if !r.measuring.Load() {
		return
	}
	if !answered {
		r.unanswered.Add(1)
		return
	}
	r.turns.Add(1)
	r.mu.Lock()
	r.mu.took = append(r.mu.took, took)
	r.mu.Unlock()
}

// awaitTurn waits until the message is acknowledged and the bot's reply to it
// has come. The reply may overtake the ack.
func awaitTurn(ctx context.Context, l *lab.Link, acks, replies <-chan conversation.Seq) (bool, error) {
	timeout := time.NewTimer(replyTimeout)
	defer timeout.Stop()
	var acked, replied conversation.Seq
	for acked == 0 || replied < acked {
		select {
		case acked = <-acks:
		case seq := <-replies:
			replied = max(replied, seq)
		case <-timeout.C:
			if acked == 0 {
				return false, errors.New("a message was not acknowledged in time")
			}
			return false, nil
		case <-l.Lost():
			return false, lab.ErrLost
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}
