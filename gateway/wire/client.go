package wire

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Version is the protocol version that hello asks for.
const Version = 1

// Limits of single fields; longer ones make the frame an error.
const (
	MaxTokenBytes  = 2048
	MaxCursors     = 64  // conversations resumed in one hello
	MaxReasonBytes = 256 // free words beside a command
	maxDepth       = 32
)

// ClientFrame is a frame that a browser sends.
//
//sumtype:decl
type ClientFrame interface {
	clientFrame()
	// Type is the value of the field "t".
	Type() string
	// Reference is what the answer to this frame carries as ref; empty when
	// the sender does not care.
	Reference() string
}

// Hello is the first frame of every connection.
type Hello struct {
	// V is the protocol version, 1.
	V int `json:"v"`
	// Token is the visitor's token or an agent's bearer token; empty when the
	// cookie or the subprotocol has brought one already.
	Token string `json:"token,omitempty"`
	// Resume names where an earlier connection stopped.
	Resume *Resume `json:"resume,omitempty"`
}

// Resume is what a client has seen so far.
type Resume struct {
	// Epoch is the one of the last welcome.
	Epoch string `json:"epoch"`
	// Cursors holds the newest seq seen per conversation, 64 at most.
	Cursors map[conversation.ConversationID]conversation.Seq `json:"cursors,omitempty"`
}

// Send is a message: of the visitor, or of an agent to a conversation.
type Send struct {
	// ClientID is the sender's own id, 1 to 128 bytes; the same id again gives
	// the same ack and stores nothing.
	ClientID conversation.Ref `json:"client_id"`
	// Conversation is needed from agents; visitors have one at a time.
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	// Text is what is said, 16 KiB at most. It may be empty beside attachments.
	Text conversation.Text `json:"text"`
	// Attachments names files that were handed in before, 10 at most.
	Attachments []conversation.AttachmentID `json:"attachments,omitempty"`
}

// Note is an internal remark of an agent.
type Note struct {
	// ClientID is the sender's own id, as in message.send.
	ClientID     conversation.Ref            `json:"client_id"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	Text         conversation.Text           `json:"text"`
}

// Read says that everything up to a seq has been seen.
type Read struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	Seq          conversation.Seq            `json:"seq"`
}

// Delivered says that everything up to a seq has arrived.
type Delivered struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	Seq          conversation.Seq            `json:"seq"`
}

// Typing says that the sender started or stopped typing.
type Typing struct {
	// Conversation may be left out by visitors.
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	On           bool                        `json:"on"`
}

// Claim makes the agent who sends it the assignee.
type Claim struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
}

// Assign makes another agent the assignee.
type Assign struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	To           conversation.AgentID        `json:"to"`
}

// Resolve says that the matter is settled.
type Resolve struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	// Reason is a free word for the record, 256 bytes at most.
	Reason string `json:"reason,omitempty"`
}

// Reopen takes a resolved conversation up again.
type Reopen struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
}

// Snooze puts a conversation aside.
type Snooze struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id"`
	// Until is when it comes back by itself; left out, it comes back on the
	// next message.
	Until time.Time `json:"until,omitzero"`
}

// Handover gives a conversation from the bot to the humans.
type Handover struct {
	Ref string `json:"ref,omitempty"`
	// Conversation may be left out by visitors.
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	// Detail is for the agent, 256 bytes at most.
	Detail string `json:"detail,omitempty"`
}

// Subscribe asks for the events of one conversation, or for the changes of
// the conversations of an inbox. Visitors follow their own conversation without
// asking.
type Subscribe struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	// After is the newest seq seen; what follows it is sent before anything
	// live. Left out, only live events come.
	After *conversation.Seq `json:"after,omitempty"`
	// Inbox is the other kind: conversation.updated events of one inbox.
	Inbox conversation.InboxID `json:"inbox,omitempty"`
}

// Unsubscribe ends what Subscribe began.
type Unsubscribe struct {
	Ref          string                      `json:"ref,omitempty"`
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	Inbox        conversation.InboxID        `json:"inbox,omitempty"`
}

// SetPresence says whether the agent takes conversations.
type SetPresence struct {
	Ref   string                `json:"ref,omitempty"`
	State conversation.Presence `json:"state"`
}

// Ping asks for a pong. Scripts cannot see the protocol's own pings, so this
// is how a page notices a dead link.
type Ping struct {
	Ref string `json:"ref,omitempty"`
}

func (*Hello) clientFrame()       {}
func (*Send) clientFrame()        {}
func (*Note) clientFrame()        {}
func (*Read) clientFrame()        {}
func (*Delivered) clientFrame()   {}
func (*Typing) clientFrame()      {}
func (*Claim) clientFrame()       {}
func (*Assign) clientFrame()      {}
func (*Resolve) clientFrame()     {}
func (*Reopen) clientFrame()      {}
func (*Snooze) clientFrame()      {}
func (*Handover) clientFrame()    {}
func (*Subscribe) clientFrame()   {}
func (*Unsubscribe) clientFrame() {}
func (*SetPresence) clientFrame() {}
func (*Ping) clientFrame()        {}

// Type implements [ClientFrame].
func (*Hello) Type() string { return "hello" }

// Type implements [ClientFrame].
func (*Send) Type() string { return "message.send" }

// Type implements [ClientFrame].
func (*Note) Type() string { return "note.add" }

// Type implements [ClientFrame].
func (*Read) Type() string { return "read" }

// Type implements [ClientFrame].
func (*Delivered) Type() string { return "delivered" }

// Type implements [ClientFrame].
func (*Typing) Type() string { return "typing" }

// Type implements [ClientFrame].
func (*Claim) Type() string { return "claim" }

// Type implements [ClientFrame].
func (*Assign) Type() string { return "assign" }

// Type implements [ClientFrame].
func (*Resolve) Type() string { return "resolve" }

// Type implements [ClientFrame].
func (*Reopen) Type() string { return "reopen" }

// Type implements [ClientFrame].
func (*Snooze) Type() string { return "snooze" }

// Type implements [ClientFrame].
func (*Handover) Type() string { return "handover" }

// Type implements [ClientFrame].
func (*Subscribe) Type() string { return "subscribe" }

// Type implements [ClientFrame].
func (*Unsubscribe) Type() string { return "unsubscribe" }

// Type implements [ClientFrame].
func (*SetPresence) Type() string { return "presence" }

// Type implements [ClientFrame].
func (*Ping) Type() string { return "ping" }

// Reference implements [ClientFrame].
func (*Hello) Reference() string { return "" }

// Reference implements [ClientFrame].
func (f *Send) Reference() string { return string(f.ClientID) }

// Reference implements [ClientFrame].
func (f *Note) Reference() string { return string(f.ClientID) }

// Reference implements [ClientFrame].
func (f *Read) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Delivered) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (*Typing) Reference() string { return "" }

// Reference implements [ClientFrame].
func (f *Claim) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Assign) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Resolve) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Reopen) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Snooze) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Handover) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Subscribe) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Unsubscribe) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *SetPresence) Reference() string { return f.Ref }

// Reference implements [ClientFrame].
func (f *Ping) Reference() string { return f.Ref }
