package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

// Options say how a backend is asked. The first block is needed; zero means the
// stated default in the second.
type Options struct {
	URL  string       // where the server is; [Path] is added
	HTTP *http.Client // expected to refuse addresses that the operator has not allowed

	Token      string        // sent as a bearer token; empty = none
	Labels     Labels        // the packs; nil = any well-formed name goes
	Foreign    Foreign       // default [ForeignRefuse]
	Timeout    time.Duration // of an utterance, waiting included; default 300 ms
	Batch      int           // utterances in a request; default 16, at most [MaxBatch]
	InFlight   int           // requests at a time; default 4
	Queue      int           // utterances that may wait for a request; default 256
	Logger     *slog.Logger  // nil = silent
	Registerer prometheus.Registerer
}

// ParseURL checks the address of a backend: http or https, a host, and nothing
// that would be lost or leaked, such as a password.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("is no URL") // the parser's error repeats it, with a password that may be in it
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("must be http://host or https://host")
	case u.User != nil:
		return nil, errors.New("must hold no user or password")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("must have no query and no fragment")
	}
	return u, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.HTTP == nil {
		return o, errors.New("remote: an HTTP client is needed")
	}
	if _, err := ParseURL(o.URL); err != nil {
		return o, fmt.Errorf("remote: the URL %w", err)
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	for _, n := range []struct {
		at  *int
		def int
	}{{&o.Batch, 16}, {&o.InFlight, 4}, {&o.Queue, 256}} {
		if *n.at <= 0 {
			*n.at = n.def
		}
	}
	o.Batch = min(o.Batch, MaxBatch)
	if o.Timeout <= 0 {
		o.Timeout = 300 * time.Millisecond
	}
	if o.Foreign == "" {
		o.Foreign = ForeignRefuse
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Client asks a backend. While fewer requests than Options.InFlight are on their
// way an utterance is sent at once, alone; otherwise it waits for the next that
// comes back and shares a request with the others that do. There is no timer: a
// busy backend gets large requests, an idle one small ones.
//
// bound: Options.Queue utterances wait and Options.InFlight requests are under
// way; when full, an utterance is refused at once · when late: an utterance is
// given up after Options.Timeout, wherever it is · how it ends: Close cancels
// the requests and returns when their goroutines have ended.
type Client struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	breaker breaker
	base    context.Context //nolint:containedctx // the lifetime of all requests; ended by Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu struct {
		sync.Mutex

		waiting  []*asked
		inflight int
		closed   bool
	}
}

// asked is an utterance on its way.
type asked struct {
	u     *conversation.Utterance
	trace conversation.Trace // where the turn is in its trace
	until time.Time
	as    pass
	late  *time.Timer
	done  func(Answer, error)
	over  atomic.Bool
}

// Answer is what a backend understood, and which model it was.
type Answer struct {
	Understood

	Model string // name and version, for people
}

// New makes a client. It connects to nothing yet. Errors: what is wrong with o.
func New(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, log: o.Logger.With("component", "intent"), metrics: newMetrics(o.Registerer)}
	c.base, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Ask asks about one utterance and calls done once: at once when it is refused,
// else from another goroutine. done must not block. u must not change until then.
//
// Errors: [ErrLate], [ErrOpen], [ErrFull], [ErrFailed], an [InvalidError] or a
// [DeclinedError].
func (c *Client) Ask(ctx context.Context, u *conversation.Utterance, done func(Answer, error)) {
	now := time.Now()
	a := &asked{u: u, trace: conversation.TraceOf(ctx), until: now.Add(c.o.Timeout), done: done}
	if d, ok := ctx.Deadline(); ok && d.Before(a.until) {
		a.until = d
	}
	if a.as = c.breaker.allow(now, 2*c.o.Timeout); a.as == passNone {
		c.settle(a, Answer{}, ErrOpen)
		return
	}
	if err := c.enter(a); err != nil {
		c.settle(a, Answer{}, err)
	}
}

// enter starts a request for a, or puts it behind those that wait.
func (c *Client) enter(a *asked) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.closed:
		return ErrFailed
	case c.mu.inflight >= c.o.InFlight && len(c.mu.waiting) >= c.o.Queue:
		return ErrFull
	}
	a.late = time.AfterFunc(time.Until(a.until), func() { c.finish(a, Answer{}, ErrLate) })
	if c.mu.inflight >= c.o.InFlight {
		c.mu.waiting = append(c.mu.waiting, a)
		c.metrics.waiting.Set(float64(len(c.mu.waiting)))
		return nil
	}
	c.mu.inflight++
	c.metrics.inflight.Set(float64(c.mu.inflight))
	c.running.Go(func() { c.work([]*asked{a}) })
	return nil
}

// work makes requests until nothing waits.
func (c *Client) work(batch []*asked) {
	for len(batch) > 0 {
		c.request(batch)
		batch = c.next()
	}
}

// next takes what waits for the request after this one; nothing ends the worker.
func (c *Client) next() []*asked {
	open := c.breaker.open()
	var batch, refused []*asked
	c.mu.Lock()
	for len(c.mu.waiting) > 0 && len(batch) < c.o.Batch {
		a := c.mu.waiting[0]
		c.mu.waiting[0] = nil
		c.mu.waiting = c.mu.waiting[1:]
		switch {
		case a.over.Load(): // too late by now
		case open && a.as != passProbe:
			refused = append(refused, a)
		default:
			batch = append(batch, a)
		}
	}
	if len(batch) == 0 {
		c.mu.inflight--
	}
	c.metrics.waiting.Set(float64(len(c.mu.waiting)))
	c.metrics.inflight.Set(float64(c.mu.inflight))
	c.mu.Unlock()
	for _, a := range refused {
		c.settle(a, Answer{}, ErrOpen)
	}
	return batch
}

// settle gives an utterance its one answer and stops its clock.
func (c *Client) settle(a *asked, answer Answer, err error) {
	if a.late != nil {
		a.late.Stop()
	}
	c.finish(a, answer, err)
}

// finish is settle for the clock itself, which may run before it is known to a.
func (c *Client) finish(a *asked, answer Answer, err error) {
	if !a.over.CompareAndSwap(false, true) {
		return
	}
	c.metrics.utterances.WithLabelValues(outcomeOf(err)).Inc()
	a.done(answer, err)
}

// Close gives up what is under way and returns when nothing is left. What is
// asked afterwards fails.
func (c *Client) Close() {
	c.mu.Lock()
	c.mu.closed = true
	waiting := c.mu.waiting
	c.mu.waiting = nil
	c.mu.Unlock()
	for _, a := range waiting {
		c.settle(a, Answer{}, ErrFailed)
	}
	c.cancel()
	c.running.Wait()
	c.o.HTTP.CloseIdleConnections()
}
