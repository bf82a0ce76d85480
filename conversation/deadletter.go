package conversation

import (
	"encoding/json"
	"time"
)

// Direction is which way a message was going.
type Direction string

// The two directions.
const (
	DirectionIn  Direction = "in"
	DirectionOut Direction = "out"
)

// DeadLetter is what could not be understood, or not be delivered for good, kept
// for a while so that a person can look at it and have it tried again.
type DeadLetter struct {
	ID        string      `json:"id"`
	Inbox     InboxID     `json:"inbox_id"`
	Channel   ChannelKind `json:"channel"` // kind of the driver that had it
	Direction Direction   `json:"direction"`
	At        time.Time   `json:"at"`
	Reason    string      `json:"reason"` // error code and words, or class and code of the provider's error; never message text

	Delivery *DeadDelivery   `json:"delivery,omitempty"` // of the provider, as it came; nil = it was understood
	Event    json.RawMessage `json:"event,omitempty"`    // what was understood, as package channels writes it
	Message  *Outbound       `json:"message,omitempty"`  // what was to be sent
}

// DeadDelivery is a provider's delivery that no driver could make anything of.
type DeadDelivery struct {
	Method string              `json:"method"`
	Query  string              `json:"query,omitempty"`
	Sealed []byte              `json:"sealed,omitempty"` // its headers, encrypted: some providers send a secret in one
	Header map[string][]string `json:"header,omitempty"` // where there is no key to encrypt them with: those that are no secret
	Body   []byte              `json:"body,omitempty"`
	Cut    bool                `json:"cut,omitempty"` // the body was longer; what is left cannot be tried again
}

// Limits of dead letters.
const (
	MaxDeadLetters    = 1000                // of all inboxes; beyond it the oldest go
	MaxDeadLetterBody = 64 << 10            // bytes
	DeadLetterTTL     = 30 * 24 * time.Hour // after that they go
)
