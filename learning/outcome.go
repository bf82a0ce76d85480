package learning

import (
	"context"
	"errors"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// Outcome says what became of what the bot made of a visitor's message. Where
// nothing can be told, the outcome weighs nothing.
func (k *Keeper) Outcome(ctx context.Context, id conversation.ConversationID, turn conversation.Seq) (conversation.TurnOutcome, error) {
	// A verdict may come long after the message, but not after so many entries.
	log, err := k.entries(ctx, id, turn-min(turn, 1))
	if err != nil {
		return conversation.TurnOutcome{}, err
	}
	exchanges := exchangesOf(log)
	for i := range exchanges {
		x := &exchanges[i]
		if x.seq != turn {
			continue
		}
		var next *exchange
		if i+1 < len(exchanges) {
			next = &exchanges[i+1]
		}
		right, weight := x.judge(next, k.o.Now())
		return conversation.TurnOutcome{Right: right, Weight: weight, Intent: x.asked(next, right, weight)}, nil
	}
	return conversation.TurnOutcome{}, nil
}

// asked gives what the visitor really wanted, as far as what followed says it.
func (x *exchange) asked(next *exchange, right bool, weight float64) string {
	switch {
	case weight == 0:
		return ""
	case x.said.Intent == "": // a question back, of which a button was pressed
		return next.turn.Intent
	case right:
		return x.said.Intent
	}
	if v := x.verdict(); v != nil {
		return v.Intent
	}
	return ""
}

// entries reads a conversation's log after a seq, as far as it is looked at.
func (k *Keeper) entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq) ([]conversation.Entry, error) {
	var log []conversation.Entry
	for {
		part, err := k.o.Journal.Entries(ctx, id, after, readPage)
		if errors.Is(err, conversation.ErrNotFound) {
			return log, nil
		}
		if err != nil {
			return nil, fmt.Errorf("log of %s: %w", id, err)
		}
		log = append(log, part...)
		if len(part) < readPage || len(log) > 2*maxEntries {
			return log, nil
		}
		after = part[len(part)-1].Seq
	}
}
