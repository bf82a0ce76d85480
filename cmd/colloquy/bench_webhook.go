package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/cmd/colloquy/webhooks"
)

// webhookLoadCmd is the worker of the benchmark.
type webhookLoadCmd struct{}

// Run implements the subcommand.
func (*webhookLoadCmd) Run(t *tool) error { return webhooks.Work(t.ctx, os.Stdin, t.stdout) }

// benchWebhookCmd is `colloquy bench webhook`.
type benchWebhookCmd struct {
	Connections int           `help:"Connections, each with one message in flight." default:"64"`
	People      int           `help:"People who write in turn, each in a conversation of their own; all have written once before it is measured." default:"1000"`
	Bytes       int           `help:"Bytes of a message's text." default:"200"`
	Duration    time.Duration `help:"How long to measure, after the warm-up." default:"10s"`
	Warmup      time.Duration `help:"How long to run before." default:"3s"`
	Apart       bool          `help:"Give the node and the load a core each, instead of letting them share all."`
	Dir         string        `help:"Where to put the data, which is removed afterwards; default: the system's temporary folder." type:"path"`
	Profile     string        `name:"cpu-profile" help:"Write a processor profile of the node to this file." placeholder:"FILE" type:"path"`
	JSON        bool          `help:"Print JSON."`
}

func (c *benchWebhookCmd) options() *webhooks.Options {
	o := &webhooks.Options{
		Connections: c.Connections, People: c.People, Bytes: c.Bytes, Warmup: c.Warmup, Duration: c.Duration, Apart: c.Apart, Dir: c.Dir,
		Worker: []string{"bench", "webhook-load"}, Version: buildVersion(),
	}
	if c.Profile != "" {
		o.Profile = func(ctx context.Context, n *lab.Node) <-chan error { return profileNode(ctx, n, c.Profile, c.Duration) }
	}
	return o
}

// Validate implements kong's check of flags.
func (c *benchWebhookCmd) Validate() error { return c.options().Validate() }

// Run implements the subcommand.
func (c *benchWebhookCmd) Run(t *tool) error {
	r, err := webhooks.Run(t.ctx, c.options())
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	_, err = fmt.Fprintf(t.stdout, "%d connections, %.1f s: %.0f durable deliveries/s, %.1f µs CPU of the node each, p50 %.2f ms, p99 %.2f ms, %d errors; node busy on %.2f cores, load on %.2f\n",
		r.Connections, r.Seconds, r.DeliveriesPS, r.CPUMicros, r.P50, r.P99, r.Errors, r.NodeBusy, r.LoadBusy)
	return err
}
