package main

import (
	"fmt"
	"os"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/appends"
)

// benchAppendsCmd is `colloquy bench appends`.
type benchAppendsCmd struct {
	Nodes    int           `help:"Nodes, each a process of its own; 1 is alone." default:"3"`
	Writers  int           `help:"Writers of each node, each with one append in flight." default:"256"`
	Plain    bool          `help:"Appends of an entry and the head of its conversation alone, without the sender's id and without a move in a list: two rows instead of five."`
	Bytes    int           `help:"Bytes of a message." default:"300"`
	Duration time.Duration `help:"How long to measure, after the warm-up." default:"10s"`
	Warmup   time.Duration `help:"How long to run before." default:"3s"`
	Profile  string        `help:"Failure detection of the nodes: fast or careful." default:"fast" enum:"fast,careful"`
	Dir      string        `help:"Where to put the data, which is removed afterwards; default: the system's temporary folder." type:"path"`
	CPU      string        `name:"cpu-profile" help:"Write a processor profile of each node to this file with the number of the node added." placeholder:"FILE" type:"path"`
	JSON     bool          `help:"Print JSON."`
	Worker   bool          `help:"Be one of the nodes." hidden:""`
}

func (c *benchAppendsCmd) options() *appends.Options {
	return &appends.Options{
		Nodes: c.Nodes, Writers: c.Writers, Bytes: c.Bytes, Plain: c.Plain, Duration: c.Duration, Warmup: c.Warmup, Profile: c.Profile, Dir: c.Dir, CPU: c.CPU,
		Worker: []string{"bench", "appends", "--worker"}, Version: buildVersion(),
	}
}

// Validate implements kong's check of flags.
func (c *benchAppendsCmd) Validate() error { return c.options().Validate() }

// Run implements the subcommand.
func (c *benchAppendsCmd) Run(t *tool) error {
	if c.Worker {
		return appends.Work(t.ctx, os.Stdin, t.stdout)
	}
	r, err := appends.Run(t.ctx, c.options())
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	_, err = fmt.Fprintf(t.stdout, "%d nodes, %d writers, %.1f s: %.0f durable appends/s, %.1f µs CPU an append over all nodes, p50 %.2f ms, p99 %.2f ms, %d errors\n"+
		"the database alone: %.0f rows/s, %.1f µs CPU a row\n",
		r.Nodes, r.Writers, r.Seconds, r.AppendsPS, r.CPUMicros, r.P50, r.P99, r.Errors, r.YardstickPS, r.YardstickCPU)
	return err
}
