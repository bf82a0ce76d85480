package cluster

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// The defaults of a [Kind].
const (
	defaultMailbox = 256
	defaultIdle    = 5 * time.Minute
)

// GrainID names a grain.
type GrainID struct {
	Kind string
	ID   string
}

// String gives kind/id, which is also the name of the actor.
func (g GrainID) String() string { return g.Kind + "/" + g.ID }

// Kind is a sort of grain.
type Kind struct {
	Name    string                      // lower case, no slash
	New     func(id string) actor.Actor // makes a fresh instance; it rebuilds its state by itself
	Props   *actor.Props                // instead of New: an actor in protoactor's own style, which finds its name by cluster.GetClusterIdentity and takes care of its own panics
	Mailbox int                         // messages that may wait for or be in one grain; zero means 256
	Idle    time.Duration               // passivated when nothing came for so long; zero means 5 minutes, negative means never
	Meter   func(id string) *cpu.Meter  // what a grain's work is charged to; nil = it is not measured. Not with Props
	Codec   Codec                       // for messages from and answers to other nodes; nil = the kind can be asked on its own node only, or with Props by any protobuf message
}

// Codec turns the messages of a kind, and its answers, into bytes for the way
// between nodes, and back. Errors need no place in it: the gate carries them.
//
// Decode copies what it keeps. It must take what an older or newer minor
// version wrote, and answer anything else with an error of class invalid.
type Codec interface {
	Encode(msg any) ([]byte, error)
	Decode(data []byte) (any, error)
}

func (k Kind) validate() error {
	if k.Name == "" || (k.New == nil) == (k.Props == nil) {
		return conversation.Refuse(conversation.CodeInvalid, "a grain kind needs a name and either a constructor or props")
	}
	if len(k.Name) > maxNameBytes {
		return conversation.Refuse(conversation.CodeInvalid, "the name of a grain kind is too long")
	}
	for _, r := range k.Name {
		if r == '/' || r <= ' ' {
			return conversation.Refuse(conversation.CodeInvalid, fmt.Sprintf("grain kind %q holds a slash or a blank", k.Name))
		}
	}
	return nil
}

func (k Kind) withDefaults() Kind {
	if k.Mailbox <= 0 {
		k.Mailbox = defaultMailbox
	}
	if k.Idle == 0 {
		k.Idle = defaultIdle
	}
	if k.Props != nil && k.Codec == nil {
		k.Codec = ProtoCodec{}
	}
	return k
}

// Internal marks what a grain sends to itself, or has sent to it by its own
// helpers, past the gate. Such messages do not count against the mailbox.
type Internal interface{ Internal() }

// Passivate is sent to a grain before it is put to rest, after every other
// message. It is the time to write down what is only in memory.
type Passivate struct{}

// Parked is the answer to a message that panicked twice. It is an error.
type Parked struct { //nolint:errname // it is an answer first
	Grain   GrainID
	Message any
	Reason  string // type and text of the panic value
	Stack   string
}

// Error implements error.
func (p *Parked) Error() string { return "message parked after two panics in " + p.Grain.Kind }

// Unwrap gives the class.
func (p *Parked) Unwrap() error { return conversation.ErrInternal }
