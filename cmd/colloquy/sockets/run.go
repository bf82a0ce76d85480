package sockets

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

func processors() int { return runtime.NumCPU() }

// pair is a server with its load. The server is nil when only an address of it
// is known.
type pair struct {
	server *process
	load   *loader
	addr   string
	path   string
}

// startPair starts a server, by default the gateway with its engine stubbed,
// and a load.
func startPair(ctx context.Context, o *Options) (*pair, error) {
	if err := load.Supported(); err != nil {
		return nil, err
	}
	p := &pair{path: lab.VisitorPath}
	if address, ok := strings.CutPrefix(o.Against, "ws://"); ok {
		host, path, _ := strings.Cut(address, "/")
		p.addr, p.path = host, "/"+path
	} else if err := p.startServer(ctx, o); err != nil {
		return nil, err
	}
	var err error
	if p.load, err = startLoader(ctx, o); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

func (p *pair) startServer(ctx context.Context, o *Options) error {
	argv := strings.Fields(o.Against)
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		argv = append([]string{self}, o.ServerWorker...)
		if o.Known {
			argv = append(argv, "--known")
		}
	}
	var err error
	if p.server, err = startProcess(ctx, "the server", serverCore, argv...); err != nil {
		return err
	}
	var first standing
	if err := p.server.hear(&first); err != nil {
		return errors.Join(err, p.server.end())
	}
	p.addr = first.Addr
	return nil
}

func (p *pair) end() error {
	var errs []error
	for _, one := range []*process{p.loading(), p.server} {
		if one != nil {
			errs = append(errs, one.end())
		}
	}
	return errors.Join(errs...)
}

func (p *pair) loading() *process {
	if p.load == nil {
		return nil
	}
	return p.load.process
}

// used is the server's processor time.
func (p *pair) used() usage {
	if p.server == nil {
		return usage{}
	}
	return usageOf(p.server.pid())
}

// weigh lets the server collect garbage and say what it holds.
func (p *pair) weigh() (standing, error) {
	var s standing
	if p.server == nil {
		return s, nil
	}
	return s, p.server.ask(order{GC: true}, &s)
}

// connect opens the connections of visitors.
func (p *pair) connect(o *Options, first int) error {
	tokens, err := visitorTokens(first, o.Connections)
	if err != nil {
		return err
	}
	_, err = p.load.do(&load.Order{Connect: &load.Connect{Addr: p.addr, Path: p.path, Tokens: tokens, Count: o.Connections, First: first}})
	return err
}

// Messages measures what a message costs: an answer to a ping of the protocol,
// or an acknowledgment, one at a time or several in one write.
func Messages(ctx context.Context, bench string, o *Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := startPair(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := p.messages(bench, o)
	return r, errors.Join(err, p.end())
}

func (p *pair) messages(bench string, o *Options) (*Result, error) {
	if err := p.connect(o, 0); err != nil {
		return nil, err
	}
	ask := load.Ask{Kind: o.Kind, Rate: o.Rate, Burst: o.Burst, Bytes: o.Bytes, Duration: o.Warmup}
	if o.Warmup > 0 {
		if _, err := p.load.do(&load.Order{Ask: &ask}); err != nil {
			return nil, err
		}
	}
	ask.Duration = o.Duration
	before := p.used()
	a, err := p.load.do(&load.Order{Ask: &ask})
	if err != nil {
		return nil, err
	}
	r := o.result(bench)
	r.fill(a, p.used().since(before))
	return r, nil
}
