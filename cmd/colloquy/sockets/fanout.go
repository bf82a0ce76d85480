package sockets

import (
	"context"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

// fanoutTime is how long a round may take until everybody has everything.
const fanoutTime = time.Minute

// Fanout measures what it costs to give an event to everybody who follows its
// conversation, when so many of them are given at once.
func Fanout(ctx context.Context, o *Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := startPair(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := p.fanout(o)
	return r, errors.Join(err, p.end())
}

func (p *pair) fanout(o *Options) (*Result, error) {
	_, err := p.load.do(&load.Order{Connect: &load.Connect{
		Addr: p.addr, Path: lab.AgentPath, Tokens: []string{stubToken}, Count: o.Connections, Subscribe: stubConversation().String(),
	}})
	if err != nil {
		return nil, err
	}
	var before usage
	var began time.Time
	warm := max(1, o.Rounds/10)
	for i := range warm + o.Rounds {
		if i == warm {
			before, began = p.used(), time.Now()
		}
		if err := p.server.ask(order{Publish: &publish{From: 0, To: 1, Events: o.Queued, Bytes: o.Bytes}}, &standing{}); err != nil {
			return nil, err
		}
		if _, err := p.load.do(&load.Order{Await: &load.Await{Events: (i + 1) * o.Queued, Timeout: fanoutTime}}); err != nil {
			return nil, err
		}
	}
	r := o.result("fanout")
	r.Seconds = time.Since(began).Seconds()
	used := p.used().since(before)
	r.Queued, r.Deliveries = o.Queued, o.Rounds*o.Queued*o.Connections
	r.DeliveriesPS = float64(r.Deliveries) / r.Seconds
	r.DeliverMicros = micros(used.total) / float64(r.Deliveries)
	r.UserMicros = micros(used.user) / float64(r.Deliveries)
	r.Busy = used.total.Seconds() / r.Seconds
	return r, nil
}
