package sockets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

const (
	stormTime  = 3 * time.Minute // for everybody to be back
	lossTime   = time.Minute
	tokenHands = 16                     // that ask for visitors' tokens
	underWay   = 100 * time.Millisecond // between the last messages and the end of the node
)

// Storm takes a real node away from many visitors who have just said something,
// starts it again and lets them all come back at the same moment. In the end
// everything that was acknowledged must have been seen, once, and everything
// that was not is sent again.
func Storm(ctx context.Context, o *Options) (*Result, error) {
	if err := errors.Join(o.Validate(), load.Supported()); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-storm-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := lab.Furnish(ctx, dir, lab.House{}); err != nil {
		return nil, err
	}
	s := &storm{options: o, spec: lab.Spec{Dir: dir, Spawn: func(c *exec.Cmd) error { return startOn(c, serverCore) }}}
	r, err := s.run(ctx)
	if s.node != nil {
		err = errors.Join(err, s.node.Stop())
	}
	if s.load != nil {
		err = errors.Join(err, s.load.end())
	}
	return r, err
}

type storm struct {
	options *Options
	spec    lab.Spec
	node    *lab.Node
	load    *loader
}

func (s *storm) run(ctx context.Context) (*Result, error) {
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.load, err = startLoader(ctx, s.options); err != nil {
		return nil, err
	}
	if err := s.gather(ctx); err != nil {
		return nil, err
	}
	outage, err := s.strike(ctx)
	if err != nil {
		return nil, err
	}
	used := usageOf(s.node.PID())
	a, err := s.load.do(&load.Order{Herd: &load.Herd{Timeout: stormTime}})
	if err != nil {
		return nil, err
	}
	r := s.options.result("storm")
	r.Resumed, r.Outage, r.ResumeS, r.SettledS = a.Open, outage.Seconds(), a.Seconds, a.Settled
	r.Missed, r.Twice, r.Resent, r.Refused = &a.Missed, &a.Twice, a.Resent, a.Refused
	r.ConnectUS = micros(usageOf(s.node.PID()).since(used).total) / float64(a.Open)
	return r, nil
}

func (s *storm) start(ctx context.Context) error {
	var err error
	if s.node, err = lab.Start(ctx, &s.spec); err != nil {
		return err
	}
	s.spec.Listen = s.node.Addr() // the clients know no other
	return nil
}

// gather connects the visitors and lets each say something.
func (s *storm) gather(ctx context.Context) error {
	o := s.options
	tokens, err := s.tokens(ctx)
	if err != nil {
		return err
	}
	o.say("%d visitors have tokens", len(tokens))
	_, err = s.load.do(&load.Order{Connect: &load.Connect{Addr: s.node.Addr(), Path: lab.VisitorPath, Tokens: tokens, Count: o.Connections, Return: true}})
	if err != nil {
		return err
	}
	o.say("%d visitors are connected", o.Connections)
	if _, err := s.load.do(&load.Order{Ask: &load.Ask{Kind: load.KindSend, Each: o.Messages, Rate: o.Rate, Bytes: o.Bytes}}); err != nil {
		return err
	}
	// Nobody is lost, so this waits for the events only.
	_, err = s.load.do(&load.Order{Herd: &load.Herd{Timeout: lossTime}})
	o.say("%d messages are stored and seen", o.Connections*o.Messages)
	return err
}

// tokens asks for visitors' tokens as their widgets would.
func (s *storm) tokens(ctx context.Context) ([]string, error) {
	out := make([]string, s.options.Connections)
	errs := make([]error, tokenHands)
	var hands sync.WaitGroup
	for h := range tokenHands {
		hands.Go(func() {
			for i := h; i < len(out) && errs[h] == nil; i += tokenHands {
				out[i], errs[h] = lab.VisitorToken(ctx, s.node.Addr(), lab.Inbox)
			}
		})
	}
	hands.Wait()
	return out, errors.Join(errs...)
}

// strike ends the node while everybody's last message is on its way, starts it
// again and says how long nobody served.
func (s *storm) strike(ctx context.Context) (time.Duration, error) {
	if _, err := s.load.do(&load.Order{Ask: &load.Ask{Kind: load.KindSend, Each: 1, Bytes: s.options.Bytes, Leave: true}}); err != nil {
		return 0, err
	}
	select {
	case <-time.After(underWay):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	began := time.Now()
	if s.options.Sigterm {
		if err := s.node.Stop(); err != nil {
			return 0, err
		}
	} else {
		s.node.Kill()
	}
	s.node = nil
	a, err := s.load.do(&load.Order{Herd: &load.Herd{Lost: true, Timeout: lossTime}})
	if err != nil {
		return 0, fmt.Errorf("after the end of the node: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return 0, err
	}
	s.options.say("the node is back; %d messages were not acknowledged", a.Unanswered)
	return time.Since(began), nil
}
