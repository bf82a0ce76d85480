package probe

import "encoding/binary"

// Outcome says how a turn ended.
type Outcome uint64

// The outcomes. Their numbers are part of the contract.
const (
	Done    Outcome = iota // with what the bot has to say, if only that a human takes over
	Failed                 // the bot or the journal failed it
	Dropped                // without a result: an agent came in, or the conversation moved on
)

// TurnBegin marks that a turn begins. attempt is unique in the process.
//
// It must not be called from code that may not grow its stack (go:nosplit): the
// call that the kernel puts in place of the NOP needs a few bytes below it.
func TurnBegin(conversation [16]byte, attempt uint64) {
	turnBegin(binary.BigEndian.Uint64(conversation[:8]), binary.BigEndian.Uint64(conversation[8:]), attempt)
}

// TurnEnd marks that a turn has ended; as TurnBegin.
func TurnEnd(conversation [16]byte, attempt uint64, o Outcome) {
	turnEnd(binary.BigEndian.Uint64(conversation[:8]), binary.BigEndian.Uint64(conversation[8:]), attempt, uint64(o))
}

// ConnJoin marks that a visitor's connection is in a conversation. cookie is the
// kernel's number of its socket (SO_COOKIE); as TurnBegin.
func ConnJoin(conversation [16]byte, cookie uint64) {
	connJoin(binary.BigEndian.Uint64(conversation[:8]), binary.BigEndian.Uint64(conversation[8:]), cookie)
}

// ConnJoinWatched reports whether somebody is attached to ConnJoin, so that a
// cookie is asked for only then: that takes a system call. It looks at the mark's
// own instructions, which the kernel changes for this process while somebody is.
func ConnJoinWatched() bool { return connJoinWatched() }
