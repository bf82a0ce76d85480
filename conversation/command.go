package conversation

import "time"

// Command asks something of a conversation; it may be refused.
//
//sumtype:decl
type Command interface{ command() }

// Origin says where a conversation comes from. It rides on [AcceptMessage],
// because the first message starts the conversation.
type Origin struct {
	ID       ConversationID
	Inbox    InboxID
	Channel  ChannelKind
	Contact  ContactID
	Peer     string         // the provider's name of the visitor, such as an openid; empty on the web
	Previous ConversationID // the closed conversation this one continues, if any

	Bot           bool          // the inbox has a bot
	ReopenWindow  time.Duration // zero = DefaultReopenWindow
	ReopenToHuman bool
}

// AcceptMessage is a visitor's message. The first one starts the conversation.
type AcceptMessage struct {
	Origin   Origin
	Ref      Ref // the sender's id of this message; empty = cannot be recognized when repeated
	Text     Text
	Metadata map[string]string
	Known    Seq // where an older delivery of Ref was stored, when the journal knows and the state no longer does
}

// CompleteTurn brings what the bot made of a visitor's message.
type CompleteTurn struct {
	Turn       Seq // of the MessageAccepted it answers
	Prediction *Prediction
	Outcome    Outcome
	Behavior   string // the name of the behavior that made the outcome
	Inline     bool   // somebody waits for the reply on the response, so it needs no outbox row
}

// Outcome is what a behavior decided. The zero value says nothing.
type Outcome struct {
	Replies  []Reply           // at most MaxRepliesATurn
	Intent   string            // what the turn was taken for; empty = not understood
	Ask      string            // the name of the slot that the last reply asks for; empty = none
	Slots    map[string]string // values learned; merged over the ones known
	Forget   bool              // drop the dialogue's intent and slots (the matter is settled)
	Abstain  bool              // the bot did not understand; counted towards handover
	Handover HandoverReason    // not empty = give to humans
	Summary  string            // for the agent, with a handover
	Timers   []Timer           // to be fired at the behavior
	Priority Priority          // raise to this
	Tags     []string          // added
	Resolve  bool
}

// ReplyAsAgent is an agent's public message. It takes the conversation over
// when nobody has it.
type ReplyAsAgent struct {
	Agent AgentID
	Ref   Ref
	Text  Text
}

// AddNote is an internal remark; visitors never see it.
type AddNote struct {
	Agent AgentID
	Ref   Ref
	Text  Text
}

// RequestHandover gives a conversation from the bot to the humans.
type RequestHandover struct {
	Reason HandoverReason
	Detail string
	By     AgentID // empty = not asked for by an agent
}

// Claim makes the agent the assignee, if nobody else is.
type Claim struct{ Agent AgentID }

// Assign makes To the assignee, whoever had it.
type Assign struct {
	To AgentID
	By AgentID // empty = the queue
}

// Unassign puts the conversation back into the queue.
type Unassign struct {
	By     AgentID
	Reason string
}

// ReturnToBot gives the conversation back to the bot.
type ReturnToBot struct{ By AgentID }

// Snooze puts the conversation aside until a time or the next message.
type Snooze struct {
	By    AgentID
	Until time.Time
}

// Wake ends a snooze.
type Wake struct{ By AgentID }

// Resolve says that the matter is settled.
type Resolve struct {
	By     AgentID // empty = bot or inactivity
	Reason string
}

// Reopen takes a resolved conversation up again.
type Reopen struct{ By AgentID }

// Close archives a resolved conversation for good.
type Close struct{ By AgentID }

// MarkRead says that a party has seen everything up to Seq.
type MarkRead struct {
	By    Party
	Agent AgentID
	UpTo  Seq
}

// MarkDelivered says that the visitor's side has everything up to Seq.
type MarkDelivered struct{ UpTo Seq }

// ChangeTags adds and removes tags.
type ChangeTags struct {
	By          AgentID
	Add, Remove []string
}

// ChangePriority sets the priority.
type ChangePriority struct {
	By AgentID
	To Priority
}

// RecordDelivery brings the fate of an outbound message.
type RecordDelivery struct {
	Message    Seq
	Result     Delivery // sent, uncertain or failed
	ProviderID string   // the provider's name for it
	Detail     string   // error class and code on failure; never message text
}

// FireTimer says that a timer's time has come.
type FireTimer struct{ ID string }

func (AcceptMessage) command()   {}
func (CompleteTurn) command()    {}
func (ReplyAsAgent) command()    {}
func (AddNote) command()         {}
func (RequestHandover) command() {}
func (Claim) command()           {}
func (Assign) command()          {}
func (Unassign) command()        {}
func (ReturnToBot) command()     {}
func (Snooze) command()          {}
func (Wake) command()            {}
func (Resolve) command()         {}
func (Reopen) command()          {}
func (Close) command()           {}
func (MarkRead) command()        {}
func (MarkDelivered) command()   {}
func (ChangeTags) command()      {}
func (ChangePriority) command()  {}
func (RecordDelivery) command()  {}
func (FireTimer) command()       {}
