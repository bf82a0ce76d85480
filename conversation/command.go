package conversation

import "time"

// Command asks something of a conversation; it may be refused.
//
//sumtype:decl
type Command interface {
	command()
	// Kind is the stable name under which the command travels between nodes.
	Kind() string
}

// Origin says where a conversation comes from. It rides on [AcceptMessage],
// because the first message starts the conversation.
type Origin struct {
	ID       ConversationID `json:"id,omitzero"`
	Inbox    InboxID        `json:"inbox,omitempty"`
	Channel  ChannelKind    `json:"channel,omitempty"`
	Contact  ContactID      `json:"contact,omitzero"`
	Peer     string         `json:"peer,omitempty"`    // the provider's name of the visitor, such as an openid; empty on the web
	Previous ConversationID `json:"previous,omitzero"` // the closed conversation this one continues, if any

	Bot           bool          `json:"bot,omitempty"`           // the inbox has a bot
	ReopenWindow  time.Duration `json:"reopen_window,omitempty"` // zero = DefaultReopenWindow
	ReopenToHuman bool          `json:"reopen_to_human,omitempty"`
}

// AcceptMessage is a visitor's message. The first one starts the conversation.
type AcceptMessage struct {
	Origin      Origin            `json:"origin,omitzero"`
	Ref         Ref               `json:"ref,omitempty"` // the sender's id of this message; empty = cannot be recognized when repeated
	Text        Text              `json:"text,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Attachments []Attachment      `json:"attachments,omitempty"` // the text may be empty when there are any
	Tone        Tone              `json:"tone,omitzero"`         // what it sounds like, when somebody listened
	Raise       Priority          `json:"raise,omitempty"`       // the priority of an angry visitor; empty or none = leave
	Known       Seq               `json:"known,omitempty"`       // where an older delivery of Ref was stored, when the journal knows and the state no longer does
}

// CompleteTurn brings what the bot made of a visitor's message.
type CompleteTurn struct {
	Turn       Seq         `json:"turn,omitempty"` // of the MessageAccepted it answers
	Prediction *Prediction `json:"prediction,omitempty"`
	Outcome    Outcome     `json:"outcome,omitzero"`
	Behavior   string      `json:"behavior,omitempty"` // the name of the behavior that made the outcome
	Inline     bool        `json:"inline,omitempty"`   // somebody waits for the reply on the response, so it needs no outbox row
}

// Outcome is what a behavior decided. The zero value says nothing.
type Outcome struct {
	Replies  []Reply           `json:"replies,omitempty"`  // at most MaxRepliesATurn
	Intent   string            `json:"intent,omitempty"`   // what the turn was taken for; empty = not understood
	Ask      string            `json:"ask,omitempty"`      // the name of the slot that the last reply asks for; empty = none
	Slots    map[string]string `json:"slots,omitempty"`    // values learned; merged over the ones known
	Forget   bool              `json:"forget,omitempty"`   // drop the dialogue's intent and slots (the matter is settled)
	Abstain  bool              `json:"abstain,omitempty"`  // the bot did not understand; counted towards handover
	Offer    []string          `json:"offer,omitempty"`    // intents of the last reply's first buttons, in their order: "the second one" picks among them
	Denied   string            `json:"denied,omitempty"`   // the topic whose answer was not what the visitor had asked
	Handover HandoverReason    `json:"handover,omitempty"` // not empty = give to humans
	Summary  string            `json:"summary,omitempty"`  // for the agent, with a handover
	Timers   []Timer           `json:"timers,omitempty"`   // to be fired at the behavior
	Priority Priority          `json:"priority,omitempty"` // raise to this
	Tags     []string          `json:"tags,omitempty"`     // added
	Resolve  bool              `json:"resolve,omitempty"`
	Softened bool              `json:"softened,omitempty"` // the replies begin with an apology
}

// ReplyAsAgent is an agent's public message. It takes the conversation over
// when nobody has it.
type ReplyAsAgent struct {
	Agent       AgentID      `json:"agent,omitempty"`
	Ref         Ref          `json:"ref,omitempty"`
	Text        Text         `json:"text,omitempty"`
	Attachments []Attachment `json:"attachments,omitempty"` // the text may be empty when there are any
}

// AddNote is an internal remark; visitors never see it.
type AddNote struct {
	Agent AgentID `json:"agent,omitempty"`
	Ref   Ref     `json:"ref,omitempty"`
	Text  Text    `json:"text,omitempty"`
}

// RequestHandover gives a conversation from the bot to the humans.
type RequestHandover struct {
	Reason HandoverReason `json:"reason,omitempty"`
	Detail string         `json:"detail,omitempty"`
	By     AgentID        `json:"by,omitempty"` // empty = not asked for by an agent
}

// Claim makes the agent the assignee, if nobody else is.
type Claim struct {
	Agent AgentID `json:"agent,omitempty"`
}

// Assign makes To the assignee, whoever had it.
type Assign struct {
	To AgentID `json:"to,omitempty"`
	By AgentID `json:"by,omitempty"` // empty = the queue
}

// Unassign puts the conversation back into the queue.
type Unassign struct {
	By     AgentID `json:"by,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

// ReturnToBot gives the conversation back to the bot.
type ReturnToBot struct {
	By AgentID `json:"by,omitempty"`
}

// Snooze puts the conversation aside until a time or the next message.
type Snooze struct {
	By    AgentID   `json:"by,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// Wake ends a snooze.
type Wake struct {
	By AgentID `json:"by,omitempty"`
}

// Resolve says that the matter is settled.
type Resolve struct {
	By     AgentID `json:"by,omitempty"` // empty = bot or inactivity
	Reason string  `json:"reason,omitempty"`
}

// Reopen takes a resolved conversation up again.
type Reopen struct {
	By AgentID `json:"by,omitempty"`
}

// Close archives a resolved conversation for good.
type Close struct {
	By AgentID `json:"by,omitempty"`
}

// MarkRead says that a party has seen everything up to Seq.
type MarkRead struct {
	By    Party   `json:"by,omitempty"`
	Agent AgentID `json:"agent,omitempty"`
	UpTo  Seq     `json:"up_to,omitempty"`
}

// MarkDelivered says that the visitor's side has everything up to Seq.
type MarkDelivered struct {
	UpTo Seq `json:"up_to,omitempty"`
}

// ChangeTags adds and removes tags.
type ChangeTags struct {
	By     AgentID  `json:"by,omitempty"`
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// ChangePriority sets the priority.
type ChangePriority struct {
	By AgentID  `json:"by,omitempty"`
	To Priority `json:"to,omitempty"`
}

// RecordDelivery brings the fate of an outbound message.
type RecordDelivery struct {
	Message    Seq      `json:"message,omitempty"`
	Result     Delivery `json:"result,omitempty"`      // sent, uncertain or failed
	ProviderID string   `json:"provider_id,omitempty"` // the provider's name for it
	Detail     string   `json:"detail,omitempty"`      // error class and code on failure; never message text
	Again      Seq      `json:"again,omitempty"`       // as in [Outbound]
}

// SendAgain has a message sent once more that failed, or of which nobody knows
// whether it arrived.
type SendAgain struct {
	Message Seq     `json:"message,omitempty"`
	By      AgentID `json:"by,omitempty"`
}

// FireTimer says that a timer's time has come.
type FireTimer struct {
	ID string `json:"id,omitempty"`
}

// JudgeAnswer says whether what the bot said was right. A later verdict of the
// same judge about the same answer replaces the earlier one.
type JudgeAnswer struct {
	By      Party   `json:"by,omitempty"` // visitor or agent
	Agent   AgentID `json:"agent,omitempty"`
	Answer  Seq     `json:"answer,omitempty"` // of the bot's message
	Verdict Verdict `json:"verdict,omitempty"`
	Intent  string  `json:"intent,omitempty"` // what was really asked, with wrong and from agents only; empty = not said
}

// RecordAttachment brings what became of an attachment that was pending: it is
// stored now, or it will not come.
type RecordAttachment struct {
	Message    Seq        `json:"message,omitempty"` // the one that it rides on
	Attachment Attachment `json:"attachment,omitzero"`
}

func (AcceptMessage) command()    {}
func (CompleteTurn) command()     {}
func (ReplyAsAgent) command()     {}
func (AddNote) command()          {}
func (RequestHandover) command()  {}
func (Claim) command()            {}
func (Assign) command()           {}
func (Unassign) command()         {}
func (ReturnToBot) command()      {}
func (Snooze) command()           {}
func (Wake) command()             {}
func (Resolve) command()          {}
func (Reopen) command()           {}
func (Close) command()            {}
func (MarkRead) command()         {}
func (MarkDelivered) command()    {}
func (ChangeTags) command()       {}
func (ChangePriority) command()   {}
func (RecordDelivery) command()   {}
func (FireTimer) command()        {}
func (JudgeAnswer) command()      {}
func (RecordAttachment) command() {}
func (SendAgain) command()        {}

// Kind implements [Command].
func (AcceptMessage) Kind() string { return "accept" }

// Kind implements [Command].
func (CompleteTurn) Kind() string { return "complete_turn" }

// Kind implements [Command].
func (ReplyAsAgent) Kind() string { return "reply" }

// Kind implements [Command].
func (AddNote) Kind() string { return "note" }

// Kind implements [Command].
func (RequestHandover) Kind() string { return "handover" }

// Kind implements [Command].
func (Claim) Kind() string { return "claim" }

// Kind implements [Command].
func (Assign) Kind() string { return "assign" }

// Kind implements [Command].
func (Unassign) Kind() string { return "unassign" }

// Kind implements [Command].
func (ReturnToBot) Kind() string { return "return_to_bot" }

// Kind implements [Command].
func (Snooze) Kind() string { return "snooze" }

// Kind implements [Command].
func (Wake) Kind() string { return "wake" }

// Kind implements [Command].
func (Resolve) Kind() string { return "resolve" }

// Kind implements [Command].
func (Reopen) Kind() string { return "reopen" }

// Kind implements [Command].
func (Close) Kind() string { return "close" }

// Kind implements [Command].
func (MarkRead) Kind() string { return "mark_read" }

// Kind implements [Command].
func (MarkDelivered) Kind() string { return "mark_delivered" }

// Kind implements [Command].
func (ChangeTags) Kind() string { return "change_tags" }

// Kind implements [Command].
func (ChangePriority) Kind() string { return "change_priority" }

// Kind implements [Command].
func (RecordDelivery) Kind() string { return "record_delivery" }

// Kind implements [Command].
func (SendAgain) Kind() string { return "send_again" }

// Kind implements [Command].
func (FireTimer) Kind() string { return "fire_timer" }

// Kind implements [Command].
func (JudgeAnswer) Kind() string { return "judge_answer" }

// Kind implements [Command].
func (RecordAttachment) Kind() string { return "record_attachment" }
