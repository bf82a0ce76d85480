package engine

import (
	"time"

	"github.com/colloquyhq/colloquy/telemetry/anomaly"
)

// AnomalyConfig is from when on it is told that a conversation is unlike the
// others. What comes of it is the inbox's policy.
type AnomalyConfig struct {
	SlowFrom   time.Duration `yaml:"slow_from" help:"A turn of the bot that is quicker is never called slow, whatever is usual."`
	CostlyFrom time.Duration `yaml:"costly_from" help:"A turn that takes less processor time is never called costly."`
	BotTurns   int           `yaml:"bot_turns" help:"More turns of the bot in a row, without a human and without half an hour's pause, are called a loop."`
}

func (c *AnomalyConfig) options() anomaly.Options {
	return anomaly.Options{SlowFrom: c.SlowFrom, CostlyFrom: c.CostlyFrom, Unattended: c.BotTurns}
}
