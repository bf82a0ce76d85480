package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
)

// The messages of a conversation grain. They are values that nobody changes
// after sending.

// deliver hands in a visitor's message.
type deliver struct {
	token  uint64
	in     conversation.Inbound
	origin conversation.Origin
}

// do carries any other command.
type do struct {
	token uint64
	cmd   conversation.Command
}

// wake asks a grain to look at its timers and at a turn that a crash left
// unanswered.
type wake struct{ token uint64 }

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
	turn  conversation.Seq
	token uint64
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

// answer goes back to the sender of deliver, do and wake.
type answer struct {
	token   uint64
	receipt conversation.Receipt
	err     error
}

// tokenOf finds the token of a message that came back undelivered or parked.
func tokenOf(msg any) (uint64, bool) {
	switch m := msg.(type) {
	case *deliver:
		return m.token, true
	case *do:
		return m.token, true
	case *wake:
		return m.token, true
	}
	return 0, false
}

// waiter is somebody who gets an answer later.
type waiter struct {
	sender *actor.PID
	token  uint64
	replay bool // a repeated delivery
}
