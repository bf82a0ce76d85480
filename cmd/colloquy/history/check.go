package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxDiffering bounds how many conversations a [Checked] names.
const maxDiffering = 20

// Checked is what reading all conversations again came to.
type Checked struct {
	Conversations int     `json:"conversations"`
	Events        int     `json:"events"`
	Differ        int     `json:"differ"`  // conversations whose events give another state than is stored
	Named         []Named `json:"named"`   // the first of them
	Seconds       float64 `json:"seconds"` // that it took
}

// Named is a conversation that differs, and how.
type Named struct {
	Conversation conversation.ConversationID `json:"conversation"`
	Why          string                      `json:"why"`
}

// Check folds the events of every conversation of an inbox, or of all inboxes,
// and compares each with the state that is stored.
//
// Errors: those of the journal; a conversation that differs is none.
func Check(ctx context.Context, j Journal, inbox conversation.InboxID) (*Checked, error) {
	began, out := time.Now(), &Checked{Named: []Named{}}
	err := each(ctx, j, inbox, time.Time{}, func(h *conversation.Head, list []conversation.Entry) error {
		out.Conversations++
		out.Events += len(list)
		err := lastState(ctx, j, h.ID, list)
		if !errors.Is(err, ErrDiffers) {
			return err
		}
		if out.Differ++; len(out.Named) < maxDiffering {
			out.Named = append(out.Named, Named{h.ID, err.Error()})
		}
		return nil
	})
	out.Seconds = time.Since(began).Seconds()
	return out, err
}

// lastState compares what the events add up to with the stored state.
// Errors: [ErrDiffers], also for a conversation that is listed and has no events.
func lastState(ctx context.Context, j Journal, id conversation.ConversationID, list []conversation.Entry) error {
	if len(list) == 0 {
		return fmt.Errorf("%w: there are no events", ErrDiffers)
	}
	return fold(ctx, j, id, list, func(Step) error { return nil })
}
