package main

import (
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/soak"
)

// soakCmd is `colloquy soak`.
type soakCmd struct {
	botFlags

	Duration time.Duration `help:"How long." default:"24h"`
	Visitors int           `help:"Visitors at a time; when one goes the next one comes." default:"60"`
	Think    time.Duration `help:"Longest pause of a visitor between two messages." default:"4s"`
	Sample   time.Duration `help:"Between two looks at the node." default:"10s"`
	Seed     uint64        `help:"Of the visitors' random choices." default:"1"`
	Dir      string        `help:"Where to put the data, which is removed afterwards; default: the system's temporary folder." type:"path"`
	JSON     bool          `help:"Print JSON, with every sample."`
}

func (c *soakCmd) options(t *tool) *soak.Options {
	return &soak.Options{
		Duration: c.Duration, Visitors: c.Visitors, Think: c.Think, Sample: c.Sample, Pack: c.Pack, Args: c.flags(), Dir: c.Dir, Seed: c.Seed,
		Version: buildVersion(), Progress: t.stderr,
	}
}

// Validate implements kong's check of flags.
func (c *soakCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *soakCmd) Run(t *tool) error {
	r, err := soak.Run(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(t.stdout, r)
	} else {
		err = r.Print(t.stdout)
	}
	if err == nil && !r.Good {
		err = errors.New("the soak is not good: something was lost, or the node grew")
	}
	return err
}
