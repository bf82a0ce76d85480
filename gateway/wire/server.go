package wire

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// ServerFrame is a frame that this server sends.
//
//sumtype:decl
type ServerFrame interface {
	serverFrame()
	// Type is the value of the field "t".
	Type() string
}

// Welcome answers hello.
type Welcome struct {
	// Session names the connection in logs.
	Session string `json:"session"`
	// Epoch names the incarnation of the log; cursors are only good within one.
	Epoch string `json:"epoch"`
	// HeartbeatMS is how long the connection may be silent; send a ping when
	// nothing has been heard for so long.
	HeartbeatMS int64 `json:"heartbeat_ms"`
	// MaxFrame is the largest frame taken, in bytes.
	MaxFrame int `json:"max_frame"`
	// Agent is who the connection speaks for, at the console.
	Agent *Profile `json:"agent,omitempty"`
	// Contact is who the connection speaks for, in the widget.
	Contact conversation.ContactID `json:"contact,omitzero"`
	// Conversation is the visitor's current one, if there is one.
	Conversation *VisitorConversation `json:"conversation,omitempty"`
}

// Profile is an agent as the console shows one.
type Profile struct {
	ID       conversation.AgentID   `json:"id"`
	Name     string                 `json:"name"`
	Email    string                 `json:"email,omitempty"`
	Role     conversation.Role      `json:"role"`
	Inboxes  []conversation.InboxID `json:"inboxes,omitempty"`
	Capacity int                    `json:"capacity,omitempty"`
}

// VisitorConversation is what a visitor may know about a conversation.
type VisitorConversation struct {
	ID     conversation.ConversationID `json:"id"`
	Status conversation.Status         `json:"status"`
	// Agent is the display name of the assignee.
	Agent        string           `json:"agent,omitempty"`
	CreatedAt    time.Time        `json:"created_at"`
	LastActivity time.Time        `json:"last_activity"`
	Version      conversation.Seq `json:"version"`
}

// Resumed says that all cursors have been served.
type Resumed struct {
	// Complete is false when a reset was sent for at least one of them.
	Complete bool `json:"complete"`
}

// Reset says that events cannot be continued from a cursor: load again.
type Reset struct {
	// Reason is epoch_changed, too_far_behind or not_available.
	Reason ResetReason `json:"reason"`
	// Conversation is the one that is meant; left out, all are.
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
}

// ResetReason says why events cannot be continued.
type ResetReason string

// The reasons.
const (
	ResetEpochChanged ResetReason = "epoch_changed"
	ResetTooFarBehind ResetReason = "too_far_behind"
	ResetNotAvailable ResetReason = "not_available"
)

// Ack says that a message is durable.
type Ack struct {
	ClientID     conversation.Ref            `json:"client_id"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	MessageID    string                      `json:"message_id"`
	Seq          conversation.Seq            `json:"seq"`
	At           time.Time                   `json:"at"`
	// Durable is always true: there is no ack before that.
	Durable bool `json:"durable"`
	// Duplicate says that the client id was known; nothing new was stored.
	Duplicate bool `json:"duplicate"`
}

// Done answers the commands other than messages, when they carry a ref.
type Done struct {
	Ref          string                      `json:"ref"`
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	// Version is the seq of the newest entry afterwards.
	Version conversation.Seq    `json:"version,omitempty"`
	Status  conversation.Status `json:"status,omitempty"`
}

// Error says why a frame was refused.
type Error struct {
	Ref     string  `json:"ref"`
	Problem Problem `json:"problem"`
}

// Problem is the description of a refusal, RFC 9457.
type Problem struct {
	// Kind is an address under /problems/ that names the code.
	Kind   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Instance is the id of the request.
	Instance string            `json:"instance,omitempty"`
	Code     conversation.Code `json:"code"`
	Hint     string            `json:"hint,omitempty"`
	// Allowed lists what would have been legal, for invalid_transition.
	Allowed []string `json:"allowed,omitempty"`
	// Retry says that the same request may work later.
	Retry bool `json:"retry,omitempty"`
	// RetryAfterMS says when.
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	RequestID    string `json:"request_id,omitempty"`
}

// Event is an entry of a conversation's log as its receiver may see it, or
// conversation.updated for those who follow an inbox.
type Event struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	Seq          conversation.Seq            `json:"seq"`
	At           time.Time                   `json:"at"`
	// Kind says what Data is.
	Kind string    `json:"type"`
	Data EventData `json:"data"`
}

// TypingNotice says that the other side is typing.
type TypingNotice struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	On           bool                        `json:"on"`
	From         conversation.Party          `json:"from"`
	// Name is the agent's display name.
	Name string `json:"name,omitempty"`
}

// QueuePosition tells a visitor how many are before them.
type QueuePosition struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	Position     int                         `json:"position"`
}

// PresenceNotice tells agents about another agent's presence.
type PresenceNotice struct {
	Agent conversation.AgentID  `json:"agent"`
	Name  string                `json:"name,omitempty"`
	State conversation.Presence `json:"state"`
}

// Reconnect asks the client to come back after a while; the connection is
// closed with 3001 soon after.
type Reconnect struct {
	AfterMS int64 `json:"after_ms"`
}

// Pong answers ping.
type Pong struct {
	Ref string `json:"ref,omitempty"`
}

func (*Welcome) serverFrame()        {}
func (*Resumed) serverFrame()        {}
func (*Reset) serverFrame()          {}
func (*Ack) serverFrame()            {}
func (*Done) serverFrame()           {}
func (*Error) serverFrame()          {}
func (*Event) serverFrame()          {}
func (*TypingNotice) serverFrame()   {}
func (*QueuePosition) serverFrame()  {}
func (*PresenceNotice) serverFrame() {}
func (*Reconnect) serverFrame()      {}
func (*Pong) serverFrame()           {}

// Type implements [ServerFrame].
func (*Welcome) Type() string { return "welcome" }

// Type implements [ServerFrame].
func (*Resumed) Type() string { return "resumed" }

// Type implements [ServerFrame].
func (*Reset) Type() string { return "reset" }

// Type implements [ServerFrame].
func (*Ack) Type() string { return "ack" }

// Type implements [ServerFrame].
func (*Done) Type() string { return "done" }

// Type implements [ServerFrame].
func (*Error) Type() string { return "error" }

// Type implements [ServerFrame].
func (*Event) Type() string { return "event" }

// Type implements [ServerFrame].
func (*TypingNotice) Type() string { return "typing" }

// Type implements [ServerFrame].
func (*QueuePosition) Type() string { return "queue.position" }

// Type implements [ServerFrame].
func (*PresenceNotice) Type() string { return "presence" }

// Type implements [ServerFrame].
func (*Reconnect) Type() string { return "reconnect" }

// Type implements [ServerFrame].
func (*Pong) Type() string { return "pong" }
