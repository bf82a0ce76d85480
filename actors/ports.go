package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// Gate is the way to grains, on whichever node they are. [cluster.Gate] is the
// one; a type of its own lets tests put several nodes into one process.
type Gate interface { //nolint:interfacebloat // one thing with many sides, for which a test has another
	// Tell hands over a message without an answer; to another node at best effort.
	Tell(id cluster.GrainID, msg any, sender *actor.PID) error
	// Ask hands over a message wherever the grain is, trying again until deadline,
	// and calls done once. done must not block.
	Ask(id cluster.GrainID, msg any, deadline time.Time, done func(answer any, err error))
	// Request is Ask that waits.
	Request(ctx context.Context, id cluster.GrainID, msg any) (any, error)
	// Owns reports whether a grain belongs to this node.
	Owns(id cluster.GrainID) bool
	// View gives the present view.
	View() *cluster.View
	// OnView has f called with every view that follows another, once the gate has
	// acted on it. f must not block.
	OnView(f func(before, now *cluster.View))
	// Broadcast hands payload to the other members, at best effort.
	Broadcast(topic string, payload []byte)
	// OnBroadcast has f called with what others broadcast. f must not block.
	OnBroadcast(topic string, f func(from cluster.NodeID, payload []byte))
	// Passivate puts a grain of this node to rest.
	Passivate(id cluster.GrainID)
	// Active counts this node's grains of a kind.
	Active(kind string) int
	// Run does the gate's own work until ctx ends.
	Run(ctx context.Context) error
	// Drain refuses new messages and puts all grains to rest.
	Drain(ctx context.Context) error
}

// Journal is where a grain's truth is.
type Journal interface {
	// Claim makes this activation the owner; appends of older ones are fenced.
	Claim(ctx context.Context, id conversation.ConversationID) (epoch uint64, err error)
	// Exists reports whether anything of a conversation is stored.
	Exists(ctx context.Context, id conversation.ConversationID) (bool, error)
	// Load gives the state as stored; not started when nothing is.
	Load(ctx context.Context, id conversation.ConversationID) (*conversation.State, error)
	// Append returns nil only when everything in a is durable and can be read here.
	Append(ctx context.Context, a *conversation.Append) error
	// SaveState stores a snapshot without new entries.
	SaveState(ctx context.Context, s *conversation.State, epoch uint64) error
}

// Index finds things that a grain does not keep in memory. It reads what this
// node has; after a claim that is everything the conversation ever stored.
type Index interface {
	// Current gives a contact's newest conversation, zero when there is none.
	Current(ctx context.Context, key conversation.ContactKey) (conversation.ConversationID, error)
	// FindRef gives where a sender's message id was stored, zero when it was not.
	FindRef(ctx context.Context, key conversation.ContactKey, ref conversation.Ref) (conversation.ConversationID, conversation.Seq, error)
	// Entries reads a conversation's log.
	Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error)
}

// Lists are the projections that survive a restart.
type Lists interface {
	// Heads gives a page of conversations, newest activity first. An empty next
	// means that this was the last page.
	Heads(ctx context.Context, q HeadsQuery) (heads []conversation.Head, next string, err error)
	// Due lists conversations with a timer due until then.
	Due(ctx context.Context, until time.Time, limit int) ([]conversation.ConversationID, error)
	// Unsent lists outbox rows in order; cursor "" starts at the oldest.
	Unsent(ctx context.Context, cursor string, limit int) (rows []conversation.Outbound, next string, err error)
}

// HeadsQuery asks for a page of conversations.
type HeadsQuery struct {
	Inboxes []conversation.InboxID // nil = all
	Status  []conversation.Status
	Since   time.Time                              // of the last activity; zero = from the beginning
	Only    func(conversation.ConversationID) bool // nil = all; others are passed over without being read
	Cursor  string                                 // next of the page before; empty = the first page
	Limit   int
}

// Directory gives an inbox's settings. It is asked for every turn and must be
// quick.
type Directory interface {
	Inbox(id conversation.InboxID) (conversation.Inbox, error)
	Inboxes() []conversation.Inbox
}

// Classifier understands utterances. It is called by several scoring actors at
// once.
type Classifier interface {
	Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error
}

// AsyncClassifier is a [Classifier] that asks somebody else and waits. The scoring
// actors do not wait with it: they go on to the next utterance.
type AsyncClassifier interface {
	Classifier
	// PredictAsync calls done once: at once, or later from another goroutine, at
	// the latest when ctx ends. done does not block, and u does not change.
	PredictAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error))
}

// InstantClassifier is a [Classifier] that knows when it needs nobody else: then
// it is asked where the conversation runs, which spares the way to a scoring
// actor and back.
type InstantClassifier interface {
	Classifier
	// Instant reports whether Predict would answer u within some tens of
	// microseconds, without waiting for anything.
	Instant(u *conversation.Utterance) bool
}

// Ear hears the tone of a message. It is asked on a conversation's own mailbox
// and must take microseconds.
type Ear interface {
	Tone(text conversation.Text) conversation.Tone
}

// Library is what the packs say.
type Library interface {
	Playbook(packs []string, intent, lang string) (*conversation.Playbook, bool)
	Slot(packs []string, name, lang string) (conversation.Slot, bool)
	// SlotValue reads the answer to the question for a slot out of text, which
	// may be no more than the bare value.
	SlotValue(packs []string, name string, text conversation.Text) (string, bool)
	Phrase(packs []string, name, lang string) string
}
