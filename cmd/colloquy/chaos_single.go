package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/chaos"
)

// chaosSingleCmd is `colloquy chaos single`.
type chaosSingleCmd struct {
	botFlags

	Visitors int           `help:"Visitors who write at random." default:"200"`
	Kills    int           `help:"How often the node is killed with signal 9." default:"10"`
	Up       time.Duration `help:"How long the node lives between kills, give or take half." default:"2s"`
	Think    time.Duration `help:"Longest pause of a visitor between messages." default:"400ms"`
	Seed     uint64        `help:"Of the random choices; 0 means one from the clock." default:"0"`
	Dir      string        `help:"Where to put the data directory, which is removed when nothing was lost." type:"path"`
	JSON     bool          `help:"Print JSON."`
}

// Validate implements kong's check of flags.
func (c *chaosSingleCmd) Validate() error {
	if c.Visitors < 1 || c.Kills < 1 || c.Up <= 0 || c.Think <= 0 {
		return errors.New("--visitors, --kills, --up and --think must be above zero")
	}
	return nil
}

// chaosResult is the ledger of a run with one node. A run passes when lost,
// duplicated, reordered, missed, shown twice and violations are all zero.
type chaosResult struct {
	Visitors   int      `json:"visitors"`
	Kills      int      `json:"kills"`
	Seed       uint64   `json:"seed"`
	Sent       int      `json:"sent"`        // messages that visitors wrote
	Acked      int      `json:"acked"`       // acknowledged as durable
	Stored     int      `json:"stored"`      // visitor messages in the journal at the end
	Replies    int      `json:"replies"`     // bot replies in the journal at the end
	Lost       int      `json:"lost"`        // acknowledged, not in the journal, or under another seq
	Duplicated int      `json:"duplicated"`  // in the journal more than once
	Reordered  int      `json:"reordered"`   // in the journal before one that the same visitor wrote earlier
	Missed     int      `json:"missed"`      // in the journal, never shown to the visitor's client
	ShownTwice int      `json:"shown_twice"` // shown to the client more than once
	Violations int      `json:"violations"`  // any other broken promise
	Notes      []string `json:"notes"`       // what the counts stand for, the first of them
	Reconnects int      `json:"reconnects"`
	RecoveryMS []int64  `json:"recovery_ms"` // from each kill until the node served again
	Seconds    float64  `json:"seconds"`
}

// Run implements the subcommand.
func (c *chaosSingleCmd) Run(t *tool) error {
	const once = time.Second // for what a killed node never needs
	if err := c.check(); err != nil {
		return err
	}
	ctx, done := t.interruptible()
	defer done()
	r, err := chaos.Run(ctx, chaos.Options{
		Enough: t.ctx.Done(),
		Nodes:  1, Faults: []chaos.Kind{chaos.Kill}, Cycles: c.Kills, Calm: c.Up, Pause: once, Cut: once, Skew: once, Heal: time.Minute, Loss: 1,
		Visitors: c.Visitors, Think: c.Think, Pack: c.Pack, PacksDir: c.PacksDir, Seed: c.Seed, Dir: c.Dir,
	})
	if err != nil {
		return err
	}
	result := chaosResult{
		Visitors: r.Visitors, Kills: r.Cycles, Seed: r.Seed, Sent: r.Sent, Acked: r.Acked, Stored: r.Stored, Replies: r.Replies,
		Lost: r.Lost, Duplicated: r.Duplicated, Reordered: r.Reordered, Missed: r.Missed, ShownTwice: r.ShownTwice,
		Violations: r.Violations, Notes: r.Notes, Reconnects: r.Reconnects, Seconds: r.Seconds,
	}
	for _, took := range r.Recoveries {
		result.RecoveryMS = append(result.RecoveryMS, took.Milliseconds())
	}
	if c.JSON {
		err = writeJSON(t.stdout, result)
	} else {
		_, err = fmt.Fprintf(t.stdout, "%d kills, %d messages acknowledged: %d lost, %d duplicated, %d reordered, %d missed by clients, %d shown twice, %d other violations (seed %d)\n",
			result.Kills, result.Acked, result.Lost, result.Duplicated, result.Reordered, result.Missed, result.ShownTwice, result.Violations, result.Seed)
	}
	if err == nil && !r.Passed {
		return &failure{exitCheck, fmt.Errorf("messages were harmed; data and logs are kept in %s", r.Kept)}
	}
	return err
}
