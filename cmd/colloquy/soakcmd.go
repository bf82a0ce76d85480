package main

import (
	"errors"
	"io"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/flaky"
	"github.com/colloquyhq/colloquy/cmd/colloquy/soak"
)

// soakCmd is `colloquy soak`.
type soakCmd struct {
	Node     soakNodeCmd     `cmd:"" default:"withargs" help:"Visitors come and go for hours; the node must lose nothing and not grow."`
	Provider soakProviderCmd `cmd:"" help:"A channel's provider fails in every way; nothing may be lost or sent twice, and the order kept."`
}

// soakNodeCmd is `colloquy soak node`.
type soakNodeCmd struct {
	botFlags

	Duration time.Duration `help:"How long." default:"24h"`
	Visitors int           `help:"Visitors at a time; when one goes the next one comes." default:"60"`
	Think    time.Duration `help:"Longest pause of a visitor between two messages." default:"4s"`
	Sample   time.Duration `help:"Between two looks at the node." default:"10s"`
	Seed     uint64        `help:"Of the visitors' random choices." default:"1"`
	Dir      string        `help:"Where to put the data, which is removed afterwards; default: the system's temporary folder." type:"path"`
	JSON     bool          `help:"Print JSON, with every sample."`
}

func (c *soakNodeCmd) options(t *tool) *soak.Options {
	return &soak.Options{
		Duration: c.Duration, Visitors: c.Visitors, Think: c.Think, Sample: c.Sample, Pack: c.Pack, Args: c.flags(), Dir: c.Dir, Seed: c.Seed,
		Version: buildVersion(), Progress: t.stderr,
	}
}

// Validate implements kong's check of flags.
func (c *soakNodeCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *soakNodeCmd) Run(t *tool) error {
	if err := c.check(); err != nil {
		return err
	}
	r, err := soak.Run(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	return soaked(t, c.JSON, r, r.Good, "the soak is not good: something was lost, or the node grew")
}

// soakProviderCmd is `colloquy soak provider`.
type soakProviderCmd struct {
	Duration time.Duration `help:"How long." default:"10m"`
	Rate     float64       `help:"Messages a second, each way." default:"200"`
	People   int           `help:"People who write and are written to; the provider takes one message in six seconds to each." default:"2000"`
	Seed     uint64        `help:"Of the provider's faults." default:"1"`
	Dir      string        `help:"Where to put the data, which is removed afterwards; default: the system's temporary folder." type:"path"`
	JSON     bool          `help:"Print JSON."`
}

func (c *soakProviderCmd) options(t *tool) *flaky.Options {
	return &flaky.Options{
		Duration: c.Duration, Rate: c.Rate, People: c.People, Seed: c.Seed, Dir: c.Dir, Version: buildVersion(), Progress: t.stderr,
	}
}

// Validate implements kong's check of flags.
func (c *soakProviderCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *soakProviderCmd) Run(t *tool) error {
	r, err := flaky.Run(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	return soaked(t, c.JSON, r, r.Good, "the node did not stand it: see the counts")
}

// soaked writes a report, as JSON or in words, and gives the reason as an error if
// what it says is not good.
func soaked(t *tool, asJSON bool, report interface{ Print(w io.Writer) error }, good bool, why string) error { //nolint:revive // the flag --json and the verdict
	var err error
	if asJSON {
		err = writeJSON(t.stdout, report)
	} else {
		err = report.Print(t.stdout)
	}
	if err == nil && !good {
		err = errors.New(why)
	}
	return err
}
