package engine

import (
	"context"

	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// CPUConfig is how it is measured what conversations cost.
type CPUConfig struct {
	Accounting cpu.Accounting `yaml:"accounting" help:"exact: all work for a conversation is measured; sampled: one piece of cpu.every; off: none."`
	Every      int            `yaml:"every" help:"With sampled: one of so many pieces of work is measured and counts for all of them."`
	Top        int            `yaml:"top" help:"Conversations with a series of their own in /metrics, those that cost most of late. /metrics/sessions has all of them."`
}

func (c *CPUConfig) options() cpu.Options {
	return cpu.Options{Accounting: c.Accounting, Every: c.Every, Top: c.Top}
}

// newMeters makes the books of what conversations cost. A conversation is kept in
// them for longer than in memory.
func (e *Engine) newMeters() *cpu.Meters {
	o := e.config.CPU.options()
	o.Forget = 3 * e.config.Turns.Idle
	ms := cpu.NewMeters(o)
	e.registry.MustRegister(ms.Collector())
	return ms
}

func (e *Engine) surveyCosts(ctx context.Context) error {
	e.meters.Run(ctx)
	return nil
}
