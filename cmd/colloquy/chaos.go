package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/chaos"
)

// chaosCmd is `colloquy chaos`.
type chaosCmd struct {
	Storm  chaosStormCmd  `cmd:"" default:"withargs" help:"A cluster, broken in many ways while visitors, agents and webhooks write."`
	Single chaosSingleCmd `cmd:"" help:"One node, killed again and again while visitors write."`
}

// chaosStormCmd is `colloquy chaos storm`, and `colloquy chaos` with flags.
type chaosStormCmd struct {
	botFlags

	Nodes    int           `help:"Nodes of the cluster; 1 is alone." default:"3"`
	Faults   []string      `help:"Kinds of faults, or all: ${faults}." default:"kill,wipe,pause,partition,oneway,loss,clock,diskfull,restart" placeholder:"KIND,..."`
	Cycles   int           `help:"Faults in all; 0 = as many as fit into --duration." default:"0"`
	Duration time.Duration `help:"No fault begins after so long; 0 = no limit. Without --cycles and --duration there are 9 faults." default:"0s"`

	Visitors int           `help:"Visitors who write through sockets." default:"40"`
	Agents   int           `help:"Agents who claim, answer and resolve." default:"4"`
	Webhooks int           `help:"Systems that post to the webhook." default:"4"`
	Think    time.Duration `help:"Longest pause of a client between messages." default:"1s"`

	Calm    time.Duration `help:"Between two faults, give or take half." default:"3s"`
	Pause   time.Duration `help:"How long a frozen node stays frozen." default:"30s"`
	Cut     time.Duration `help:"How long a network stays cut, a clock wrong, a disk full." default:"5s"`
	Skew    time.Duration `help:"How far a clock jumps, forwards or backwards." default:"5m"`
	Loss    int           `help:"Percent of the packets between nodes that a loss drops." default:"30"`
	Heal    time.Duration `help:"How long the cluster may take to be whole again." default:"90s"`
	Profile string        `help:"Failure detection of the nodes: fast or careful." default:"fast" enum:"fast,careful"`

	UpgradeFrom string `help:"Program of the version before: the nodes begin with it, and the first restart upgrades them, one after the other." type:"existingfile" placeholder:"FILE"`

	Seed     uint64 `help:"Of the random choices; 0 means one from the clock." default:"0"`
	Dir      string `help:"Where to put data and logs, which are removed when nothing was harmed." type:"path"`
	Keep     bool   `help:"Keep data and logs in any case."`
	Loopback bool   `help:"Stay in the network of this machine, also where namespaces are to be had."`
	JSON     bool   `help:"Print JSON."`
	Sabotage string `help:"Harm the data on purpose." hidden:"" enum:",rollback" default:""`
}

// options are those of the run.
func (c *chaosStormCmd) options(t *tool) (chaos.Options, error) {
	kinds, err := chaos.ParseKinds(strings.Join(c.Faults, ","))
	o := chaos.Options{
		Nodes: c.Nodes, Faults: kinds, Cycles: c.Cycles, Duration: c.Duration,
		Calm: c.Calm, Pause: c.Pause, Cut: c.Cut, Skew: c.Skew, Heal: c.Heal, Loss: c.Loss,
		Visitors: c.Visitors, Agents: c.Agents, Webhooks: c.Webhooks, Think: c.Think,
		Pack: c.Pack, PacksDir: c.PacksDir, Profile: c.Profile, Seed: c.Seed, Dir: c.Dir, Keep: c.Keep, Sabotage: chaos.Sabotage(c.Sabotage),
		UpgradeFrom: c.UpgradeFrom,
		Command:     append([]string{"colloquy"}, t.args...), Version: buildVersion(), Progress: t.stderr,
	}
	if o.Cycles == 0 && o.Duration == 0 {
		o.Cycles = len(chaos.Kinds()) - 1
	}
	return o, err
}

// Validate implements kong's check of flags.
func (c *chaosStormCmd) Validate() error {
	o, err := c.options(&tool{})
	if err != nil {
		return err
	}
	return o.Validate()
}

// Run implements the subcommand.
func (c *chaosStormCmd) Run(t *tool) error {
	if err := c.check(); err != nil {
		return err
	}
	o, err := c.options(t)
	if err != nil {
		return err
	}
	ctx, done := t.interruptible()
	defer done()
	o.Enough = t.ctx.Done()
	limit := "the run was asked to stay in the network of this machine"
	if !c.Loopback && !chaos.InCell() {
		code, err := chaos.NewCell(ctx, o.Enough, t.args, chaos.Streams{Out: t.stdout, Err: t.stderr})
		switch {
		case err == nil && code == exitOK:
			return nil
		case err == nil:
			return &failure{code: code} // it has said why
		}
		limit = fmt.Sprintf("the run stayed in the network of this machine: %v", err)
	}
	if !chaos.InCell() {
		o.Limits = append(o.Limits, limit)
	}
	report, err := chaos.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(t.stdout, report)
	} else {
		err = report.WriteText(t.stdout)
	}
	if err == nil && !report.Passed && !report.Harmed() {
		return &failure{exitCheck, errors.New("nothing was acknowledged, so nothing was shown")}
	}
	if err == nil && !report.Passed {
		return &failure{exitCheck, fmt.Errorf("a promise was broken; data and logs are kept in %s", report.Kept)}
	}
	return err
}

// faultNames lists the kinds of faults for the help.
func faultNames() string { return chaos.Names(chaos.Kinds()) }
