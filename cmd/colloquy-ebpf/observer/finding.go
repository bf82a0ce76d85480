package observer

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
)

// Kind says what is wrong with a conversation.
type Kind string

// The kinds.
const (
	Stuck      Kind = "stuck"       // a turn is open for too long
	Slow       Kind = "slow"        // a turn took too long
	Flood      Kind = "flood"       // too many turns
	Errors     Kind = "errors"      // too many failed turns
	ErrorBurst Kind = "error_burst" // too many failed turns in the whole process
	Lossy      Kind = "lossy"       // the visitor's connection loses too much
	Far        Kind = "far"         // the visitor's connection takes too long
)

// Kinds gives all kinds.
func Kinds() []Kind { return []Kind{Stuck, Slow, Flood, Errors, ErrorBurst, Lossy, Far} }

// Finding is what the observer tells about a conversation: one line of JSON.
type Finding struct {
	At           time.Time `json:"at"`
	Kind         Kind      `json:"kind"`
	Conversation string    `json:"conversation_id"` // of an error burst, the one that made it complete
	PID          uint32    `json:"pid"`
	Seconds      float64   `json:"seconds,omitempty"` // stuck, slow: of the turn · far: of the round trip
	Turns        uint64    `json:"turns,omitempty"`   // flood: in the window · errors, error_burst: failed ones in the minute
	Retransmits  uint64    `json:"retransmits,omitempty"`
	Segments     uint32    `json:"segments,omitempty"` // lossy: sent with data, retransmissions among them
	Says         string    `json:"says"`
}

// about makes a finding without its figures.
func about(kind Kind, k kernel.Key, at uint64) Finding {
	return Finding{At: timeOf(at), Kind: kind, Conversation: k.Conversation().String(), PID: k.PID}
}

// timeOf turns a time since boot into one by the calendar.
func timeOf(sinceBoot uint64) time.Time {
	ago := time.Duration(kernel.Now() - sinceBoot) //nolint:gosec // small
	return time.Now().Add(-ago).UTC().Truncate(time.Millisecond)
}

// write puts a finding on a line.
func (f *Finding) write(w io.Writer) error {
	line, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode finding: %w", err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write finding: %w", err)
	}
	return nil
}
