package conversation

import "time"

// Event is a stored fact about a conversation; it never changes.
//
//sumtype:decl
type Event interface {
	event()
	// Kind is the stable name under which the event is stored and shown.
	Kind() string
}

// Entry is an event with its place and time in the conversation's log.
type Entry struct {
	Seq   Seq
	At    time.Time // UTC, millisecond precision
	Event Event
}

// HandoverReason says why humans got a conversation.
type HandoverReason string

// The reasons.
const (
	HandoverAsked       HandoverReason = "asked"         // the visitor asked for a human
	HandoverAbstained   HandoverReason = "abstained"     // the bot did not understand, repeatedly
	HandoverPolicy      HandoverReason = "policy"        // the pack sends this intent to humans
	HandoverBotFailed   HandoverReason = "bot_failed"    // the behavior failed, panicked or was late
	HandoverNoBot       HandoverReason = "no_bot"        // the inbox has none
	HandoverLookup      HandoverReason = "lookup_failed" // a flow's look-up failed
	HandoverMissingSlot HandoverReason = "slot_missing"  // the visitor could not give what was asked for
	HandoverByAgent     HandoverReason = "by_agent"
	HandoverReopened    HandoverReason = "reopened"
	HandoverBehavior    HandoverReason = "behavior"   // a custom behavior said so
	HandoverAttachment  HandoverReason = "attachment" // the visitor sent a file and no words
	HandoverAnger       HandoverReason = "anger"      // the visitor is angry, and the bot has nothing certain to say
	HandoverAnomaly     HandoverReason = "anomaly"    // the conversation is unlike others, and the inbox's policy says so
)

// ConversationStarted is always the first event.
type ConversationStarted struct {
	Inbox    InboxID        `json:"inbox"`
	Channel  ChannelKind    `json:"channel"`
	Contact  ContactID      `json:"contact"`
	Peer     string         `json:"peer,omitempty"`
	Previous ConversationID `json:"previous,omitzero"`
	Status   Status         `json:"status"`
	Handler  Handler        `json:"handler"`
}

// MessageAccepted is a visitor's message.
type MessageAccepted struct {
	Ref         Ref               `json:"ref,omitempty"`
	Text        Text              `json:"text"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Attachments []Attachment      `json:"attachments,omitempty"`
	Tone        Tone              `json:"tone,omitzero"` // of a message that is not calm
}

// ReplyComposed is a message of the bot.
type ReplyComposed struct {
	InReplyTo Seq        `json:"in_reply_to_seq"`
	Text      Text       `json:"text"`
	Buttons   []Button   `json:"buttons,omitempty"`
	Bot       Provenance `json:"bot"`
	Inline    bool       `json:"inline,omitempty"` // rides on the response; no outbox row
}

// AgentReplied is a public message of an agent.
type AgentReplied struct {
	Agent       AgentID      `json:"agent"`
	Ref         Ref          `json:"ref,omitempty"`
	Text        Text         `json:"text"`
	Attachments []Attachment `json:"attachments,omitempty"`
}

// NoteAdded is an internal remark.
type NoteAdded struct {
	Agent AgentID `json:"agent"`
	Ref   Ref     `json:"ref,omitempty"`
	Text  Text    `json:"text"`
}

// TurnCompleted says what a visitor's message was taken for and what the
// dialogue knows now. It precedes the replies of the turn.
type TurnCompleted struct {
	Turn       Seq               `json:"turn"`
	Intent     string            `json:"intent,omitempty"`
	Confidence float32           `json:"confidence,omitempty"`
	Lang       string            `json:"lang,omitempty"`
	Model      string            `json:"model,omitempty"`
	Behavior   string            `json:"behavior,omitempty"`
	Ask        string            `json:"ask,omitempty"`
	Slots      map[string]string `json:"slots,omitempty"`
	Forget     bool              `json:"forget,omitempty"`
	Abstained  bool              `json:"abstained,omitempty"`
	Offered    []string          `json:"offered,omitempty"`  // intents that the reply offers, in the order of its buttons
	Denied     string            `json:"denied,omitempty"`   // the topic whose answer the visitor said was not what was asked
	Softened   bool              `json:"softened,omitempty"` // the replies begin with an apology
}

// MoodChanged says that the visitor is in another mood, or has said something
// grave in the same one. It follows the message that made it so.
type MoodChanged struct {
	From    Temper       `json:"from"`
	To      Temper       `json:"to"`
	Reasons []MoodReason `json:"reasons,omitempty"` // of the new mood; in the order of [MoodReasons]
	Heat    int          `json:"heat,omitempty"`    // see [Mood]
}

// HandoverRequested gives the conversation to the humans of its inbox.
type HandoverRequested struct {
	Reason     HandoverReason `json:"reason"`
	Intent     string         `json:"intent,omitempty"`
	Confidence float32        `json:"confidence,omitempty"`
	Summary    string         `json:"summary,omitempty"`
	By         AgentID        `json:"by,omitempty"`
}

// AgentAssigned makes an agent the assignee.
type AgentAssigned struct {
	Agent   AgentID `json:"agent"`
	Before  AgentID `json:"before,omitempty"`
	By      AgentID `json:"by,omitempty"` // empty = the queue
	Claimed bool    `json:"claimed,omitempty"`
}

// AgentUnassigned puts the conversation back into the queue.
type AgentUnassigned struct {
	Agent  AgentID `json:"agent"`
	By     AgentID `json:"by,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

// StatusChanged moves the conversation between statuses.
type StatusChanged struct {
	From         Status    `json:"from"`
	To           Status    `json:"to"`
	Trigger      Trigger   `json:"trigger"`
	By           AgentID   `json:"by,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	SnoozedUntil time.Time `json:"snoozed_until,omitzero"`
}

// MessagesRead says that a party has seen everything up to a seq.
type MessagesRead struct {
	By    Party   `json:"by"`
	Agent AgentID `json:"agent,omitempty"`
	UpTo  Seq     `json:"up_to"`
}

// MessagesDelivered says that the visitor's side has everything up to a seq.
type MessagesDelivered struct {
	UpTo Seq `json:"up_to"`
}

// TagsChanged holds the tags that really changed.
type TagsChanged struct {
	By      AgentID  `json:"by,omitempty"`
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// PriorityChanged sets the priority.
type PriorityChanged struct {
	By   AgentID  `json:"by,omitempty"`
	From Priority `json:"from"`
	To   Priority `json:"to"`
}

// MessageSent is the fate of an outbound message: delivered to the provider,
// or not. Pending says that one which was not is to be sent once more.
type MessageSent struct {
	Message    Seq      `json:"message"`
	Result     Delivery `json:"result"`
	ProviderID string   `json:"provider_id,omitempty"`
	Detail     string   `json:"detail,omitempty"`
	Again      Seq      `json:"again,omitempty"` // as in [Outbound]
	By         AgentID  `json:"by,omitempty"`    // of pending: who had it sent once more
	With       Seq      `json:"with,omitempty"`  // the message in which it was carried; 0 = it went by itself
}

// TimerStarted remembers a timer of a behavior. An older one of the same id is
// replaced.
type TimerStarted struct {
	Timer
}

// Timer is a moment at which a behavior wants to be asked again.
type Timer struct {
	ID  string    `json:"id"` // 1 to 64 bytes, unique in the conversation
	Due time.Time `json:"due"`
}

// TimerEnded removes a timer: it fired, or the conversation is over.
type TimerEnded struct {
	ID    string `json:"id"`
	Fired bool   `json:"fired,omitempty"`
}

// AnswerJudged says whether a message of the bot was right, as an agent or the
// visitor sees it. It repeats what the message was taken for, so that verdicts
// can be counted without the messages.
type AnswerJudged struct {
	By         Party   `json:"by"`
	Agent      AgentID `json:"agent,omitempty"`
	Answer     Seq     `json:"answer"`
	Turn       Seq     `json:"turn"` // of the visitor's message that was answered
	Verdict    Verdict `json:"verdict"`
	Intent     string  `json:"intent,omitempty"` // what was really asked, when known
	Taken      string  `json:"taken,omitempty"`  // what it was taken for; empty = not understood
	Confidence float32 `json:"confidence,omitempty"`
	Raw        float32 `json:"raw_confidence,omitempty"` // as in [Provenance]
	Model      string  `json:"model,omitempty"`
}

// AttachmentChanged puts an attachment in the place of the pending one of the
// same id.
type AttachmentChanged struct {
	Message    Seq        `json:"message"`
	Attachment Attachment `json:"attachment"`
}

// AnomalyFound says that the conversation is unlike the others of its channel,
// with the figures that say so. What they mean is in [AnomalyFound.Explanation].
type AnomalyFound struct {
	Anomaly  AnomalyKind   `json:"anomaly"`
	Measured time.Duration `json:"measured,omitempty"` // a turn's time, its processor time, the time between messages, the visitor's waiting
	Usual    time.Duration `json:"usual,omitempty"`    // the same in the channel; of stuck the inbox's objective
	Count    int           `json:"count,omitempty"`    // the turns or messages that it was seen in
	Same     int           `json:"same,omitempty"`     // of loop: those of them with the same text; zero = it is the number of turns. Of anger: the angry ones; zero = it rose at once

	Score      float32 `json:"score,omitempty"`       // of anger, 0 to 1: the highest
	UsualScore float32 `json:"usual_score,omitempty"` // the same in the channel
}

func (ConversationStarted) event() {}
func (MessageAccepted) event()     {}
func (ReplyComposed) event()       {}
func (AgentReplied) event()        {}
func (NoteAdded) event()           {}
func (TurnCompleted) event()       {}
func (HandoverRequested) event()   {}
func (AgentAssigned) event()       {}
func (AgentUnassigned) event()     {}
func (StatusChanged) event()       {}
func (MessagesRead) event()        {}
func (MessagesDelivered) event()   {}
func (TagsChanged) event()         {}
func (PriorityChanged) event()     {}
func (MessageSent) event()         {}
func (TimerStarted) event()        {}
func (TimerEnded) event()          {}
func (MoodChanged) event()         {}
func (AnswerJudged) event()        {}
func (AttachmentChanged) event()   {}
func (AnomalyFound) event()        {}
func (ConversationErased) event()  {}

// Kind implements [Event].
func (ConversationStarted) Kind() string { return "conversation.started" }

// Kind implements [Event].
func (MessageAccepted) Kind() string { return "message.accepted" }

// Kind implements [Event].
func (ReplyComposed) Kind() string { return "message.composed" }

// Kind implements [Event].
func (AgentReplied) Kind() string { return "message.replied" }

// Kind implements [Event].
func (NoteAdded) Kind() string { return "note.added" }

// Kind implements [Event].
func (TurnCompleted) Kind() string { return "turn.completed" }

// Kind implements [Event].
func (HandoverRequested) Kind() string { return "conversation.handover" }

// Kind implements [Event].
func (AgentAssigned) Kind() string { return "conversation.assigned" }

// Kind implements [Event].
func (AgentUnassigned) Kind() string { return "conversation.unassigned" }

// Kind implements [Event].
func (StatusChanged) Kind() string { return "conversation.status_changed" }

// Kind implements [Event].
func (MessagesRead) Kind() string { return "messages.read" }

// Kind implements [Event].
func (MessagesDelivered) Kind() string { return "messages.delivered" }

// Kind implements [Event].
func (TagsChanged) Kind() string { return "conversation.tags_changed" }

// Kind implements [Event].
func (PriorityChanged) Kind() string { return "conversation.priority_changed" }

// Kind implements [Event].
func (MessageSent) Kind() string { return "message.delivery_changed" }

// Kind implements [Event].
func (TimerStarted) Kind() string { return "timer.started" }

// Kind implements [Event].
func (TimerEnded) Kind() string { return "timer.ended" }

// Kind implements [Event].
func (MoodChanged) Kind() string { return "conversation.mood_changed" }

// Kind implements [Event].
func (AnswerJudged) Kind() string { return "answer.judged" }

// Kind implements [Event].
func (AttachmentChanged) Kind() string { return "message.attachment_changed" }

// Kind implements [Event].
func (AnomalyFound) Kind() string { return "conversation.anomaly_found" }

// Kind implements [Event].
func (ConversationErased) Kind() string { return "conversation.erased" }
