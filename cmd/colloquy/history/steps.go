package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// Step is an event and the state after it.
type Step struct {
	Entry conversation.Entry  `json:"entry"`
	State *conversation.State `json:"state"` // valid until the next step
}

// ErrDiffers says that a conversation folds to another state than is stored.
var ErrDiffers = errors.New("the events do not give the state that is stored")

// ErrUnknown says that there is no such conversation.
var ErrUnknown = errors.New("no such conversation")

// Steps calls f with every event of a conversation and the state after it. Then
// it compares the last one with what the journal has, which is a snapshot with
// the events after it.
//
// Errors: [ErrUnknown], [ErrDiffers], those of f.
func Steps(ctx context.Context, j Journal, id conversation.ConversationID, f func(Step) error) error {
	list, err := entries(ctx, j, id)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	return fold(ctx, j, id, list, f)
}

// fold calls f with every event and the state after it, and compares the last
// state with the stored one. Errors: [ErrDiffers], those of f.
func fold(ctx context.Context, j Journal, id conversation.ConversationID, list []conversation.Entry, f func(Step) error) error {
	state := &conversation.State{ID: id}
	for _, e := range list {
		state.Apply(e)
		state.ID = id
		if err := f(Step{Entry: e, State: state}); err != nil {
			return err
		}
	}
	stored, err := j.Load(ctx, id)
	if err != nil {
		return err
	}
	return compare(state, stored)
}

// compare looks at the form in which states are stored: what it does not hold
// is not part of one.
func compare(folded, stored *conversation.State) error {
	a, err := json.Marshal(folded) //nolint:musttag // as the journal stores it
	if err != nil {
		return err
	}
	b, err := json.Marshal(stored) //nolint:musttag // likewise
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%w:\nfolded %s\nstored %s", ErrDiffers, a, b)
	}
	return nil
}
