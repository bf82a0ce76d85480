package conversation

import (
	"cmp"
	"time"
)

// Append is one durable step of a conversation: the entries, and everything
// that has to become true together with them.
type Append struct {
	ID      ConversationID
	Expect  Seq    // the seq of the last stored entry; compare-and-append
	Epoch   uint64 // from the activation's claim; an older one is fenced
	Entries []Entry
	State   *State // a snapshot after Entries, or nil

	Head    Head           // the row that lists show
	Contact ContactKey     // set with the first entry: makes this the contact's current conversation
	Refs    []RefRow       // senders' ids of the entries, for recognizing repeated deliveries
	Outbox  []Outbound     // messages that must be sent
	Settled []Seq          // outbox rows of this conversation that are done with
	NextDue time.Time      // when a timer is due next; zero = none
	Files   []AttachmentID // stored attachments of the entries: the conversation keeps their bytes from now on

	// CheckRefs has the refs compared with those stored for other conversations
	// of the same contact: where one is found, the append is a conflict and
	// nothing is stored. It is for the successors of conversations, whose owner
	// cannot see by itself what was just stored elsewhere.
	CheckRefs bool
}

// ContactKey finds a contact's current conversation.
type ContactKey struct {
	Inbox   InboxID
	Contact ContactID
}

// RefRow remembers under which seq a sender's message id was stored.
type RefRow struct {
	Ref Ref
	Seq Seq
}

// Head is the summary of a conversation that lists are made of.
type Head struct {
	ID           ConversationID `json:"id"`
	Inbox        InboxID        `json:"inbox"`
	Channel      ChannelKind    `json:"channel"`
	Contact      ContactID      `json:"contact"`
	Peer         string         `json:"peer,omitempty"`
	Status       Status         `json:"status"`
	Handler      Handler        `json:"handler"`
	Queue        QueueState     `json:"queue"`
	QueuedAt     time.Time      `json:"queued_at,omitzero"`
	Assignee     AgentID        `json:"assignee,omitempty"`
	Priority     Priority       `json:"priority"`
	Tags         []string       `json:"tags,omitempty"`
	Reason       HandoverReason `json:"handover_reason,omitempty"`
	Intent       string         `json:"intent,omitempty"`
	Mood         Temper         `json:"mood,omitempty"`         // empty = calm
	MoodReasons  []MoodReason   `json:"mood_reasons,omitempty"` // why; of a calm visitor only what agents should know
	Anomalies    []AnomalySeen  `json:"anomalies,omitempty"`    // when which was told last
	CreatedAt    time.Time      `json:"created_at"`
	LastActivity time.Time      `json:"last_activity"`
	WaitingSince time.Time      `json:"waiting_since,omitzero"`
	SnoozedUntil time.Time      `json:"snoozed_until,omitzero"`
	Preview      Text           `json:"preview,omitempty"` // start of the newest public message
	PreviewFrom  Party          `json:"preview_from,omitempty"`
	Version      Seq            `json:"version"`          // seq of the newest entry
	Erased       bool           `json:"erased,omitempty"` // what it held is gone; nobody is shown it any more
}

// QueueState says whether a conversation waits for an agent.
type QueueState string

// The queue states.
const (
	QueueNone     QueueState = "none"
	QueueQueued   QueueState = "queued"
	QueueAssigned QueueState = "assigned"
)

// Outbound is a message on its way to a provider. It survives restarts as an
// outbox row.
type Outbound struct {
	Conversation ConversationID `json:"conversation"`
	Message      Seq            `json:"message"`         // which of the conversation's messages
	Again        Seq            `json:"again,omitempty"` // of the event that had it sent once more; 0 = it goes out for the first time
	Inbox        InboxID        `json:"inbox"`
	Channel      ChannelKind    `json:"channel"`
	Contact      ContactID      `json:"contact"`
	Peer         string         `json:"peer"`
	From         Party          `json:"from"`
	InReplyTo    Seq            `json:"in_reply_to_seq,omitempty"`
	Text         Text           `json:"text"`
	Buttons      []Button       `json:"buttons,omitempty"`
	Attachments  []Attachment   `json:"attachments,omitempty"`
	At           time.Time      `json:"at"`
	Count        int            `json:"count,omitempty"`    // messages of the provider's window, those that wait included, when this one was written; 0 = no window counts them
	WindowTo     time.Time      `json:"window_to,omitzero"` // the provider takes it until then; zero = for ever
	Carries      []Seq          `json:"carries,omitempty"`  // later messages whose texts are in this one; no row of the outbox has any
}

// Row is the key of the outbox row, and its place in the conversation's order.
func (o *Outbound) Row() Seq { return cmp.Or(o.Again, o.Message) }

// Commit is what an apply stream delivers: one append, in commit order.
type Commit struct {
	ID      ConversationID
	Entries []Entry
	Head    Head
	Outbox  []Outbound
	Settled []Seq // outbox rows that are done with
	NextDue time.Time
}

// Receipt is the answer to a command that was accepted. It is given only when
// everything it names is durable.
type Receipt struct {
	Conversation ConversationID
	Seq          Seq       // of the message or, for other commands, of the last entry
	At           time.Time // of the message
	Duplicate    bool      // the ref was known; nothing was stored by this delivery
	Version      Seq
	Status       Status
	Replies      []Message // the bot's replies to the message, if they were asked for and came in time
}
