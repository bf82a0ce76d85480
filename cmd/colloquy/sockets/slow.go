package sockets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

const (
	// stalledBuffer keeps what lies in the client's own kernel small: it is not
	// the server's to bound.
	stalledBuffer = 4 << 10
	stalledEvent  = 1000 // bytes of a message to the stalled
	// stalledStep is less than a queue holds, so that memory can be looked at
	// before the first one is full.
	stalledStep  = 8
	slowTime     = time.Minute
	overflowing  = 400      // more than the hard limit of a queue and what kernels hold
	readingMost  = 64 << 10 // bytes that may wait for each of those who read
	firstVisitor = 0
)

// Slow measures what clients that do not read cost, and what they do to the
// others: each of them has a conversation of its own with something to say. As
// many clients that read are offered the same before, because events take time
// whoever they are for: what is more than that is the stalled clients' doing.
func Slow(ctx context.Context, o *Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := startPair(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := p.slow(o)
	return r, errors.Join(err, p.end())
}

func (p *pair) slow(o *Options) (*Result, error) {
	others := 2 * o.Stalled // the first of them, behind the stalled and as many that read
	tokens, err := visitorTokens(firstVisitor, others+o.Connections)
	if err != nil {
		return nil, err
	}
	for _, c := range []load.Connect{
		{Tokens: tokens[:o.Stalled], Count: o.Stalled, RecvBytes: stalledBuffer},
		{Tokens: tokens[o.Stalled:], Count: o.Stalled + o.Connections},
	} {
		c.Addr, c.Path = p.addr, p.path
		if _, err := p.load.do(&load.Order{Connect: &c}); err != nil {
			return nil, err
		}
	}
	ask := &load.Ask{Kind: load.KindSend, Rate: o.Rate, Bytes: o.Bytes, Duration: o.Duration, From: others, To: others + o.Connections}
	alone, err := p.load.do(&load.Order{Ask: ask})
	if err != nil {
		return nil, err
	}
	r := o.result("slow")
	r.AloneP99, r.Stalled = alone.P99, o.Stalled
	if err := p.offerReading(o, r, ask); err != nil {
		return nil, err
	}
	if _, err := p.load.do(&load.Order{Stall: &load.Stall{From: 0, To: o.Stalled}}); err != nil {
		return nil, err
	}
	if err := p.fillStalled(o, r); err != nil {
		return nil, err
	}
	return r, p.overflow(o, r, ask)
}

// fillStalled offers events until the queues are nearly full and says what they
// hold then.
func (p *pair) fillStalled(o *Options, r *Result) error {
	before, err := p.weigh()
	if err != nil {
		return err
	}
	socketsBefore := socketMemory()
	const nearly = 160 // events; with their frames some 200 KB
	for sent := 0; sent < nearly; sent += stalledStep {
		if err := p.offer(toStalled(o)); err != nil {
			return err
		}
	}
	full, err := p.weigh()
	if err != nil {
		return err
	}
	r.UserPerStalled = float64(full.RSS-before.RSS) / float64(o.Stalled)
	r.KernPerStalled = float64(socketMemory()-socketsBefore) / float64(o.Stalled)
	return nil
}

// toStalled is a step of events for each stalled client, and toReading the same for
// as many that read.
func toStalled(o *Options) *publish {
	return &publish{From: firstVisitor, To: firstVisitor + o.Stalled, Events: stalledStep, Bytes: stalledEvent}
}

func toReading(o *Options) *publish {
	return &publish{
		From: firstVisitor + o.Stalled, To: firstVisitor + 2*o.Stalled, Events: stalledStep, Bytes: stalledEvent,
		Most: readingMost * int64(o.Stalled),
	}
}

func (p *pair) offer(events *publish) error { return p.server.ask(order{Publish: events}, &standing{}) }

// flood offers more events than a queue takes while the others go on.
func (p *pair) flood(events *publish, ask *load.Ask) (*load.Answer, error) {
	if err := p.load.tell(&load.Order{Ask: ask}); err != nil {
		return nil, err
	}
	for sent := 0; sent < overflowing; sent += stalledStep {
		if err := p.offer(events); err != nil {
			return nil, err
		}
	}
	return p.load.answer()
}

// offerReading is the control: the flood for clients that read, who have to get all
// of it.
func (p *pair) offerReading(o *Options, r *Result, ask *load.Ask) error {
	a, err := p.flood(toReading(o), ask)
	if err != nil {
		return err
	}
	r.ReadingP99 = a.P99
	_, err = p.load.do(&load.Order{Await: &load.Await{From: o.Stalled, To: 2 * o.Stalled, Events: overflowing, Timeout: slowTime}})
	return err
}

// overflow floods the stalled clients and looks whether all of them were closed
// for what they are.
func (p *pair) overflow(o *Options, r *Result, ask *load.Ask) error {
	before := p.used()
	a, err := p.flood(toStalled(o), ask)
	if err != nil {
		return err
	}
	r.fill(a, p.used().since(before))
	closed, err := p.load.do(&load.Order{Stall: &load.Stall{From: 0, To: o.Stalled, Resume: true, Code: int(wire.CloseSlow), Timeout: slowTime}})
	if err != nil {
		return fmt.Errorf("the stalled clients: %w", err)
	}
	var s standing
	if err := p.server.ask(order{Closes: true}, &s); err != nil {
		return err
	}
	r.SawSlow, r.ClosedSlow = closed.Closed, s.ClosedSlow
	return nil
}

// socketMemory is what all TCP sockets of this machine hold in their buffers;
// zero where the system does not say.
func socketMemory() int64 {
	raw, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "TCP:" && fields[len(fields)-2] == "mem" {
			pages, _ := strconv.ParseInt(fields[len(fields)-1], 10, 64)
			return pages * int64(os.Getpagesize())
		}
	}
	return 0
}
