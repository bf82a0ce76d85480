package conversation

import "time"

// What is learned from conversations, as operators see it.

// IntentName is an intent with its title in some language.
type IntentName struct {
	Intent string `json:"intent"`
	Title  string `json:"title"`
}

// IntentState says whether an inbox's bot answers by itself, and why.
type IntentState struct {
	Inbox    InboxID `json:"inbox_id"`
	Answers  Answers `json:"answers"`   // the inbox's policy
	ByItself bool    `json:"by_itself"` // what it comes to
	Reason   string  `json:"reason"`
	Evidence any     `json:"evidence,omitempty"` // the figures behind it
}

// MissedReason says why a visitor's text counts as a missing question.
type MissedReason string

// The reasons.
const (
	MissedNotUnderstood MissedReason = "not_understood" // the bot did not understand it
	MissedHandedOver    MissedReason = "handed_over"    // the visitor wanted a human right after the answer
	MissedDenied        MissedReason = "denied"         // the visitor said that the answer was not what they had asked
	MissedWrong         MissedReason = "wrong"          // an agent or the visitor judged the answer wrong
)

// Suggestion is a group of visitors' texts that the bot had no right answer
// for, offered to the operator as questions for the packs.
type Suggestion struct {
	ID       string               `json:"id"`
	Inbox    InboxID              `json:"inbox_id"`
	Lang     string               `json:"lang,omitempty"`
	Visitors int                  `json:"visitors"` // different ones
	Texts    int                  `json:"texts"`
	Reasons  map[MissedReason]int `json:"reasons"`
	Examples []Text               `json:"examples"`         // different ones, numbers and addresses masked
	Nearest  []Candidate          `json:"nearest"`          // what the packs would take them for
	Taken    string               `json:"taken,omitempty"`  // the intent whose answer was wrong, most often
	Right    string               `json:"right,omitempty"`  // the intent that agents named, most often
	Answer   Text                 `json:"answer,omitempty"` // what agents answered, most often
	Newest   time.Time            `json:"newest"`
}

// Acceptance is what an operator makes of a [Suggestion].
type Acceptance struct {
	Intent   string `json:"intent"`              // gets the texts; one that the packs do not have is made
	Title    string `json:"title,omitempty"`     // of a new intent
	Answer   string `json:"answer,omitempty"`    // of a new intent
	Lang     string `json:"lang,omitempty"`      // of title, answer and texts; empty = that of the texts
	Texts    []Text `json:"texts,omitempty"`     // those of the examples that are taken; empty = all
	NotTaken bool   `json:"not_taken,omitempty"` // the texts also become counter-examples of the intent that was wrong
}

// TurnOutcome is what a conversation shows, later on, about how a visitor's
// message was understood.
type TurnOutcome struct {
	Right  bool    `json:"right"`            // what the bot took it for
	Intent string  `json:"intent,omitempty"` // what was really asked; empty when that is not known
	Weight float64 `json:"weight"`           // of the sign, see learning: 1 = an agent said so; 0 = there is none
}
