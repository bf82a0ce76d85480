package kernel

import (
	"encoding/binary"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The records below are laid out as in bpf/observer.c, which says more about them.
// TestRecordsFitTheObject compares.

// Key names a conversation in a process.
type Key struct {
	Hi, Lo uint64
	PID    uint32
	_      uint32
}

// Conversation gives the conversation's id.
func (k Key) Conversation() conversation.ConversationID {
	var id conversation.ConversationID
	binary.BigEndian.PutUint64(id[:8], k.Hi)
	binary.BigEndian.PutUint64(id[8:], k.Lo)
	return id
}

// KeyOf gives the key of a conversation in a process.
func KeyOf(id conversation.ConversationID, pid uint32) Key {
	return Key{Hi: binary.BigEndian.Uint64(id[:8]), Lo: binary.BigEndian.Uint64(id[8:]), PID: pid}
}

// Turn is a turn that has begun and not ended.
type Turn struct {
	Began   uint64 // ns since boot
	Attempt uint64
}

// Talk is what a conversation's turns were like so far.
type Talk struct {
	Last     uint64 // ns since boot
	Longest  uint64 // ns
	_        uint64
	InWindow uint32
	Turns    uint32
	Failed   uint32
	Slow     uint32
}

// Line is a connection whose conversation is known.
type Line struct {
	Key         Key
	Seen        uint64 // ns since boot
	Retransmits uint32
	Segments    uint32 // with data
	RTTMicros   uint32
	_           uint32
}

// EventKind says what an [Event] is about.
type EventKind uint32

// The kinds of events.
const (
	Slow EventKind = iota + 1
	Failure
	Flood
	Lossy
	Far
)

// Event is something out of the ordinary, told the moment it was seen.
type Event struct {
	Key   Key
	At    uint64 // ns since boot
	Value uint64 // Slow, Failure: ns · Flood: turns · Lossy: retransmissions · Far: µs
	Kind  EventKind
	Of    uint32 // Lossy: segments
}

// Counts are totals since the programs were loaded.
type Counts struct {
	Begun, Done, Failed, Dropped uint64 // turns
	Unmatched                    uint64 // ends without a begin: older than the observer
	Joined                       uint64 // connections that joined a conversation, or wrote in it
	Full                         uint64 // turns not followed, because there were too many
	Unreadable                   uint64 // marks whose arguments could not be read
	Lost                         uint64 // events that found the ring full
}

// Limits say what is out of the ordinary. Zero means never, but for the window.
type Limits struct {
	Slow         time.Duration
	FloodTurns   uint32
	FloodWindow  time.Duration
	LossyLeast   uint32 // retransmissions
	LossyPercent uint32
	Far          time.Duration
}
