package engine

import (
	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/intent"
)

// NewRehearsal gives the bot that packs make, for turns that are over. The packs
// have to be prepared.
func NewRehearsal(l *intent.Library) *actors.Rehearsal { return actors.NewRehearsal(l, library{l}) }
