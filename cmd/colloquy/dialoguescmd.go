package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/colloquyhq/colloquy/cmd/colloquy/replay"
	"github.com/colloquyhq/colloquy/conversation"
)

// dialoguesCmd is `colloquy dialogues`.
type dialoguesCmd struct {
	packFlags

	Data   string            `help:"JSON lines, one dialogue each; - is standard input." required:"" placeholder:"FILE"`
	Domain string            `help:"Only dialogues of this domain."`
	Orders string            `help:"Records that the packs' look-ups find; without it look-ups are off." placeholder:"FILE"`
	Var    map[string]string `help:"A variable of the inbox." placeholder:"NAME=VALUE"`

	Auto        float32 `help:"Answer at or above this confidence, instead of the packs' thresholds." placeholder:"SHARE"`
	Suggest     float32 `help:"Offer candidates at or above this confidence, instead of the packs' thresholds." placeholder:"SHARE"`
	MaxAbstains int     `help:"Turns in a row not understood before handover; 0 = as an inbox has it." placeholder:"N"`

	MinResolved float64 `help:"Exit with status 3 when less of the automatable dialogues is resolved, 0 to 1." placeholder:"SHARE"`
	MaxWrong    float64 `help:"Exit with status 3 when more of all dialogues gets a wrong answer, 0 to 1." placeholder:"SHARE" default:"1"`
}

// Run implements the subcommand.
func (c *dialoguesCmd) Run(t *tool) (err error) {
	config, err := c.load(t, nil)
	if err != nil {
		return err
	}
	o := replay.Options{
		Packs: c.Pack, Dir: config.Packs.Dir, Vars: c.Var,
		Policy: conversation.Policy{Auto: c.Auto, Suggest: c.Suggest, MaxAbstains: c.MaxAbstains},
	}
	if c.Orders != "" {
		if o.Orders, err = readOrders(c.Orders); err != nil {
			return err
		}
	}
	in := io.Reader(os.Stdin)
	if c.Data != "-" {
		f, err := os.Open(c.Data)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	house, err := replay.Open(t.ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	r, err := house.Replay(t.ctx, in, c.Domain)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Data, err)
	}
	if c.JSON {
		err = writeJSON(t.stdout, r)
	} else {
		err = r.Print(t.stdout)
	}
	if err == nil && (r.AutomatableResolved < c.MinResolved || r.WronglyResolved > c.MaxWrong) {
		err = &failure{exitCheck, fmt.Errorf("resolved %.3f of what is automatable, answered %.3f wrongly", r.AutomatableResolved, r.WronglyResolved)}
	}
	return err
}

func readOrders(path string) (*replay.Orders, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	o, err := replay.ReadOrders(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}
