package main

import (
	"fmt"

	"github.com/colloquyhq/colloquy/cmd/colloquy/chaos"
)

// benchMovesCmd is `colloquy bench moves`.
type benchMovesCmd struct {
	botFlags

	Nodes         int    `help:"Nodes of the cluster." default:"3"`
	Conversations int    `help:"Conversations in memory on all nodes when one is lost." default:"100000"`
	Clients       int    `help:"Clients that post at the same time." default:"512"`
	Profile       string `help:"Failure detection of the nodes: fast or careful." default:"fast" enum:"fast,careful"`
	Dir           string `help:"Where to put the data, which is removed afterwards." type:"path"`
	JSON          bool   `help:"Print JSON."`
}

func (c *benchMovesCmd) options(t *tool) *chaos.MovesOptions {
	return &chaos.MovesOptions{
		Nodes: c.Nodes, Conversations: c.Conversations, Clients: c.Clients, Pack: c.Pack, PacksDir: c.PacksDir, Profile: c.Profile, Dir: c.Dir,
		Version: buildVersion(), Progress: t.stderr,
	}
}

// Validate implements kong's check of flags.
func (c *benchMovesCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *benchMovesCmd) Run(t *tool) error {
	if err := c.check(); err != nil {
		return err
	}
	r, err := chaos.Moves(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	_, err = fmt.Fprintf(t.stdout, "%d conversations, %d of them on the node that was lost: the first answered again after %d ms, all after %d ms; a command took p50 %.0f ms, p99 %.0f ms\n",
		r.Conversations, r.Moved, r.FirstMS, r.AllMS, r.P50MS, r.P99MS)
	return err
}
