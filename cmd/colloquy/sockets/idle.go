package sockets

import (
	"context"
	"errors"
	"strconv"

	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

// touches is how many messages each connection sends between two weighings:
// what they leave behind belongs to a connection that has been used.
const touches = 3

// Idle measures the memory of connections that say nothing, over one server or
// several.
func Idle(ctx context.Context, o *Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	pairs := make([]*pair, 0, o.Processes)
	r := o.result("idle")
	r.Connections = o.Connections * o.Processes
	var err error
	for range o.Processes {
		var p *pair
		if p, err = startPair(ctx, o); err != nil {
			break
		}
		pairs = append(pairs, p)
	}
	if err == nil {
		err = measureIdle(pairs, o, r)
	}
	for _, p := range pairs {
		err = errors.Join(err, p.end())
	}
	return r, err
}

func measureIdle(pairs []*pair, o *Options, r *Result) error {
	var before, after standing
	var anonBefore int64
	var connecting usage
	for i, p := range pairs {
		s, err := p.weigh()
		if err != nil {
			return err
		}
		before = sum(before, s)
		anonBefore += total(pairs[i:i+1], anonBytes)
		used := p.used()
		if err := p.connect(o, i*o.Connections); err != nil {
			return err
		}
		connecting.total += p.used().since(used).total
		o.say("%d connections", (i+1)*o.Connections)
	}
	r.RSSAfter = total(pairs, residentBytes)
	for _, p := range pairs {
		a, err := p.load.do(&load.Order{Ask: &load.Ask{Kind: load.KindSend, Each: touches, Rate: touchRate, Bytes: o.Bytes}})
		if err != nil {
			return err
		}
		r.Answering += a.Answering
	}
	r.RSSTouched = total(pairs, residentBytes)
	for _, p := range pairs {
		s, err := p.weigh()
		if err != nil {
			return err
		}
		after = sum(after, s)
	}
	n := float64(r.Connections)
	r.RSSBefore, r.RSSAfterGC, r.AnonAfterGC = before.RSS, after.RSS, total(pairs, anonBytes)
	r.BytesPerConn = float64(after.RSS-before.RSS) / n
	r.AnonPerConn = float64(r.AnonAfterGC-anonBefore) / n
	r.HeapPerConn = (float64(after.Heap) - float64(before.Heap)) / n
	r.StackPerConn = (float64(after.Stack) - float64(before.Stack)) / n
	r.ConnectUS = micros(connecting.total) / n
	return nil
}

// touchRate is slow enough that no queue forms.
const touchRate = 10_000

func sum(a, b standing) standing {
	return standing{RSS: a.RSS + b.RSS, Heap: a.Heap + b.Heap, Stack: a.Stack + b.Stack, Goroutines: a.Goroutines + b.Goroutines}
}

// total adds up a figure of all servers as it is, garbage included.
func total(pairs []*pair, of func(pid string) int64) int64 {
	var n int64
	for _, p := range pairs {
		if p.server != nil {
			n += of(strconv.Itoa(p.server.pid()))
		}
	}
	return n
}
