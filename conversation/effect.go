package conversation

import "time"

// Effect is something that has to happen outside because of events. It is
// data; nothing has happened yet.
//
//sumtype:decl
type Effect interface{ effect() }

// ClassifyUtterance asks for the turn of a visitor's message to be understood
// and answered by the bot.
type ClassifyUtterance struct{ Turn Seq }

// RunTimer asks the behavior what to do about a timer that fired.
type RunTimer struct{ ID string }

// SendOutbound carries a message to a provider; it becomes an outbox row in
// the same append.
type SendOutbound struct{ Message Outbound }

// EnqueueConversation tells the inbox's queue that an agent is needed.
type EnqueueConversation struct {
	ID       ConversationID
	Inbox    InboxID
	Priority Priority
	Since    time.Time
	Skip     AgentID // who just had it, if anybody
}

// DequeueConversation tells the queue that an agent is no longer needed.
type DequeueConversation struct {
	ID    ConversationID
	Inbox InboxID
}

// OccupyAgent tells the queue that an agent has one conversation more.
type OccupyAgent struct {
	Agent AgentID
	Inbox InboxID
	ID    ConversationID
}

// ReleaseAgent tells the queue that an agent has one conversation less.
type ReleaseAgent struct {
	Agent AgentID
	Inbox InboxID
	ID    ConversationID
}

func (ClassifyUtterance) effect()   {}
func (RunTimer) effect()            {}
func (SendOutbound) effect()        {}
func (EnqueueConversation) effect() {}
func (DequeueConversation) effect() {}
func (OccupyAgent) effect()         {}
func (ReleaseAgent) effect()        {}
