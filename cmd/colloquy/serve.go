package main

import (
	"context"
	"errors"

	"github.com/colloquyhq/colloquy/cmd/colloquy/pages"
	"github.com/colloquyhq/colloquy/engine"
)

// serveCmd is `colloquy serve`.
type serveCmd struct {
	configFlags

	Listen          string `help:"Address of API, WebSockets and pages." placeholder:"HOST:PORT"`
	OpsListen       string `help:"Address of metrics and health." placeholder:"HOST:PORT"`
	ClusterListen   string `help:"Address for the other nodes; the two ports after it are used as well." placeholder:"HOST:PORT"`
	Join            string `help:"Nodes to find the others by, their cluster.listen, separated by commas." placeholder:"HOST:PORT"`
	InsecureIngress string `help:"Take POST /webhook without a credential into this inbox." placeholder:"INBOX"`
	Demo            bool   `help:"Also set up a demo shop and school with look-ups, and print a login. For trying out, on a loopback address."`
}

// Run implements the subcommand.
func (c *serveCmd) Run(t *tool) error {
	config, err := c.load(t, map[string]string{
		"listen": c.Listen, "ops_listen": c.OpsListen, "gateway.insecure_ingress": c.InsecureIngress,
		"cluster.listen": c.ClusterListen, "cluster.join": c.Join,
	})
	if err != nil {
		return err
	}
	options := engine.Options{Config: config, Version: buildVersion(), LogTo: t.stderr}
	var show *demo
	if c.Demo {
		if show, err = newDemo(t, &options); err != nil {
			return &failure{exitUsage, err}
		}
	}
	return serve(t, options, show)
}

// serve runs nodes on the same settings one after another: when the others have
// given one up, a new one takes its place under a new name.
func serve(t *tool, options engine.Options, show *demo) error {
	for {
		e, err := engine.NewContext(t.ctx, options)
		if err != nil {
			return unlessCalledOff(t.ctx, err)
		}
		if show != nil {
			if err := show.start(t, e); err != nil {
				e.Close()
				return err
			}
		}
		// Where any free port was asked for, the next node takes the same.
		options.Config.Listen, options.Config.OpsListen = e.Addr(), e.OpsAddr()
		if err = runNode(t.ctx, e); !errors.Is(err, engine.ErrEvicted) || t.ctx.Err() != nil {
			return err
		}
	}
}

// runNode runs a node, and gives back what only its start has needed of the program
// once that is over.
func runNode(ctx context.Context, e *engine.Engine) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	go func() {
		select {
		case <-e.Ready():
			_ = pages.Release() // where all memory is pinned nothing is gained
		case <-ctx.Done():
		}
	}()
	return e.Run(ctx)
}

// unlessCalledOff gives the error of a start, but for one that was told to end
// before it had begun.
func unlessCalledOff(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
