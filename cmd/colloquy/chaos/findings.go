package chaos

import (
	"fmt"
)

// maxNotes bounds how many findings are told in words; all are counted.
const maxNotes = 30

// Findings is what an audit found. A run passes when all counts that stand for
// harm are zero.
type Findings struct {
	Sent  int `json:"sent"`  // messages that clients wrote
	Acked int `json:"acked"` // acknowledged as durable

	Lost       int `json:"lost"`        // acknowledged, and not under its seq on every node
	Duplicated int `json:"duplicated"`  // stored more than once
	Reordered  int `json:"reordered"`   // stored before one that the same client wrote earlier
	Violations int `json:"violations"`  // any other promise that was broken
	Missed     int `json:"missed"`      // stored, and not shown to a client that was shown later ones
	ShownTwice int `json:"shown_twice"` // shown to the same client more than once
	Stored     int `json:"stored"`      // messages of visitors and webhooks, in the journal
	Replies    int `json:"replies"`     // of the bot and of agents, in the journal

	Conversations int      `json:"conversations"`
	Entries       int      `json:"entries"` // of all conversations, on one node
	Notes         []string `json:"notes"`   // what the counts stand for, the first of them
}

// Harmed reports whether a promise was broken.
func (f *Findings) Harmed() bool {
	return f.Lost+f.Duplicated+f.Reordered+f.Violations+f.Missed+f.ShownTwice > 0
}

func (f *Findings) note(format string, args ...any) {
	if len(f.Notes) < maxNotes {
		f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
	}
}

// violated counts a broken promise.
func (f *Findings) violated(format string, args ...any) {
	f.Violations++
	f.note(format, args...)
}
