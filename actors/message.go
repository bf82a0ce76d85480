package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
)

// The messages of a conversation grain. They are values that nobody changes
// after sending.

// deliver hands in a visitor's message. The answer is a receipt, or an error, as
// it is for do and wake.
type deliver struct {
	in     conversation.Inbound
	origin conversation.Origin
	via    string // the node that it came by, to ask for its part of the trace; empty = this one
}

// do carries any other command.
type do struct{ cmd conversation.Command }

// wake asks a grain to look at its timers and at a turn that a crash left
// unanswered.
type wake struct{}

// classified is a scoring actor's answer.
type classified struct {
	attempt uint64
	pred    *conversation.Prediction
	err     error
}

// budgetOver says that a turn's classification takes too long to wait for, or,
// the second time, that it will not come.
type budgetOver struct{ attempt uint64 }

// concluded is what a behavior on the runner decided.
type concluded struct {
	attempt  uint64
	behavior string
	outcome  conversation.Outcome
	err      error
}

// waitOver says that somebody has waited long enough for a reply.
type waitOver struct {
	turn conversation.Seq
	who  *waiter
}

// lookNow makes a grain do what wake does, of its own accord.
type lookNow struct{}

// Internal implements [cluster.Internal].
func (*classified) Internal() {}

// Internal implements [cluster.Internal].
func (*budgetOver) Internal() {}

// Internal implements [cluster.Internal].
func (*concluded) Internal() {}

// Internal implements [cluster.Internal].
func (*waitOver) Internal() {}

// Internal implements [cluster.Internal].
func (*lookNow) Internal() {}

// takeAgain makes a grain take the messages that an append's conflict has put
// back.
type takeAgain struct{}

// Internal implements [cluster.Internal].
func (*takeAgain) Internal() {}

// waiter is somebody who gets an answer later.
type waiter struct {
	sender *actor.PID
	replay bool // a repeated delivery
}
