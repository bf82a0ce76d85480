package wire

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// KindUpdated is the kind of the event that followers of an inbox get: the
// whole summary of a conversation that changed.
const KindUpdated = "conversation.updated"

// EventData is what happened, in the words that the receiver may read.
//
//sumtype:decl
type EventData interface{ eventData() }

// Message is a message or note. In REST answers and in events it is the same.
type Message struct {
	ID   string             `json:"id"`
	Seq  conversation.Seq   `json:"seq"`
	At   time.Time          `json:"at"`
	From conversation.Party `json:"from"`
	// Agent is who wrote it; agents only.
	Agent conversation.AgentID `json:"agent,omitempty"`
	// Name is the display name of the agent who wrote it.
	Name string            `json:"name,omitempty"`
	Text conversation.Text `json:"text"`
	// Note marks an internal remark; visitors never get one.
	Note bool `json:"note,omitempty"`
	// ClientID is the sender's own id, to find the local copy by.
	ClientID  conversation.Ref      `json:"client_id,omitempty"`
	InReplyTo conversation.Seq      `json:"in_reply_to_seq,omitempty"`
	Buttons   []conversation.Button `json:"buttons,omitempty"`
	// Bot says why the bot answered so; agents only.
	Bot *conversation.Provenance `json:"bot,omitempty"`
	// Metadata came with the message; agents only.
	Metadata map[string]string     `json:"metadata,omitempty"`
	Delivery conversation.Delivery `json:"delivery,omitempty"`
	// Attachments are the files that ride on it.
	Attachments []Attachment `json:"attachments,omitempty"`
}

// Attachment is a file that rides on a message. While its state is stored, its
// bytes are at /v1/attachments/{id} for who may read the conversation.
type Attachment struct {
	ID   conversation.AttachmentID `json:"id"`
	Name string                    `json:"name"`
	// Type is the media type that the bytes show, once they are there.
	Type string `json:"type,omitempty"`
	// Size is in bytes.
	Size  int64                        `json:"size,omitempty"`
	State conversation.AttachmentState `json:"state"`
	// Reason says why it is unavailable, in a short code.
	Reason string `json:"reason,omitempty"`
}

// AttachmentsOf gives attachments without where their bytes lie.
func AttachmentsOf(all []conversation.Attachment) []Attachment {
	if len(all) == 0 {
		return nil
	}
	out := make([]Attachment, len(all))
	for i := range all {
		out[i] = AttachmentOf(&all[i])
	}
	return out
}

// AttachmentOf is [AttachmentsOf] for one.
func AttachmentOf(a *conversation.Attachment) Attachment {
	return Attachment{ID: a.ID, Name: a.Name, Type: a.Type, Size: a.Size, State: a.State, Reason: a.Reason}
}

// AttachmentData says what became of an attachment that was pending.
type AttachmentData struct {
	Message    conversation.Seq `json:"message"`
	Attachment Attachment       `json:"attachment"`
}

// StartedData is the beginning of a conversation.
type StartedData struct {
	Status   conversation.Status         `json:"status"`
	Inbox    conversation.InboxID        `json:"inbox,omitempty"`
	Channel  conversation.ChannelKind    `json:"channel,omitempty"`
	Contact  conversation.ContactID      `json:"contact,omitzero"`
	Peer     string                      `json:"peer,omitempty"`
	Previous conversation.ConversationID `json:"previous,omitzero"`
	Handler  conversation.Handler        `json:"handler,omitempty"`
}

// TurnData says what a visitor's message was taken for; agents only.
type TurnData struct {
	Turn       conversation.Seq  `json:"turn"`
	Intent     string            `json:"intent,omitempty"`
	Confidence float32           `json:"confidence,omitempty"`
	Lang       string            `json:"lang,omitempty"`
	Model      string            `json:"model,omitempty"`
	Behavior   string            `json:"behavior,omitempty"`
	Ask        string            `json:"ask,omitempty"`
	Slots      map[string]string `json:"slots,omitempty"`
	Abstained  bool              `json:"abstained,omitempty"`
}

// HandoverData says that humans have the conversation now. Visitors get it
// empty.
type HandoverData struct {
	Reason     conversation.HandoverReason `json:"reason,omitempty"`
	Intent     string                      `json:"intent,omitempty"`
	Confidence float32                     `json:"confidence,omitempty"`
	Summary    string                      `json:"summary,omitempty"`
	By         conversation.AgentID        `json:"by,omitempty"`
}

// AssignedData says who has the conversation now. Visitors get the name only.
type AssignedData struct {
	Name    string               `json:"name"`
	Agent   conversation.AgentID `json:"agent,omitempty"`
	Before  conversation.AgentID `json:"before,omitempty"`
	By      conversation.AgentID `json:"by,omitempty"`
	Claimed bool                 `json:"claimed,omitempty"`
}

// UnassignedData says that the conversation is back in the queue; agents only.
type UnassignedData struct {
	Agent  conversation.AgentID `json:"agent"`
	By     conversation.AgentID `json:"by,omitempty"`
	Reason string               `json:"reason,omitempty"`
}

// StatusData is a change of status. Visitors get the new status only, and see
// a snoozed conversation as an open one.
type StatusData struct {
	To           conversation.Status  `json:"to"`
	From         conversation.Status  `json:"from,omitempty"`
	Trigger      conversation.Trigger `json:"trigger,omitempty"`
	By           conversation.AgentID `json:"by,omitempty"`
	Reason       string               `json:"reason,omitempty"`
	SnoozedUntil time.Time            `json:"snoozed_until,omitzero"`
}

// ReadData says that a party has seen everything up to a seq.
type ReadData struct {
	By    conversation.Party   `json:"by"`
	Agent conversation.AgentID `json:"agent,omitempty"`
	UpTo  conversation.Seq     `json:"up_to"`
}

// DeliveredData says that the visitor's side has everything up to a seq;
// agents only.
type DeliveredData struct {
	UpTo conversation.Seq `json:"up_to"`
}

// TagsData holds the tags that changed; agents only.
type TagsData struct {
	By      conversation.AgentID `json:"by,omitempty"`
	Added   []string             `json:"added,omitempty"`
	Removed []string             `json:"removed,omitempty"`
}

// PriorityData is a change of priority; agents only.
type PriorityData struct {
	By   conversation.AgentID  `json:"by,omitempty"`
	From conversation.Priority `json:"from"`
	To   conversation.Priority `json:"to"`
}

// MoodData says that the visitor is in another mood, or has said something grave
// in the same one; agents only.
type MoodData struct {
	From    conversation.Temper       `json:"from"`
	To      conversation.Temper       `json:"to"`
	Reasons []conversation.MoodReason `json:"reasons,omitempty"`
	// Heat is the moving average behind it, in hundredths of log-odds; zero is calm.
	Heat int `json:"heat,omitempty"`
}

// AnomalyData says in what the conversation is unlike the others; agents only.
type AnomalyData struct {
	Anomaly conversation.AnomalyKind `json:"anomaly"`
	// Explanation says it in English words and figures.
	Explanation string `json:"explanation"`
	// MeasuredMS is what was seen, and UsualMS what is usual in the channel, or the
	// inbox's objective; milliseconds.
	MeasuredMS float64 `json:"measured_ms,omitempty"`
	UsualMS    float64 `json:"usual_ms,omitempty"`
	// Count is the turns or messages that it was seen in.
	Count int `json:"count,omitempty"`
	// Same is how many of them have the same text, or are angry.
	Same int `json:"same,omitempty"`
	// Score is how angry the visitor sounds at most, and UsualScore how angry
	// visitors of the channel do; 0 to 1.
	Score      float32 `json:"score,omitempty"`
	UsualScore float32 `json:"usual_score,omitempty"`
}

// DeliveryData is the fate of a message on its way to a provider.
type DeliveryData struct {
	Message conversation.Seq      `json:"message"`
	Result  conversation.Delivery `json:"result"`
	// ProviderID is the provider's name for it; agents only.
	ProviderID string `json:"provider_id,omitempty"`
	// Detail is the class of a failure; agents only.
	Detail string `json:"detail,omitempty"`
	// By is the agent who had it sent once more; agents only.
	By conversation.AgentID `json:"by,omitempty"`
}

// TimerData is a timer of a behavior; agents only.
type TimerData struct {
	ID    string    `json:"id"`
	Due   time.Time `json:"due,omitzero"`
	Fired bool      `json:"fired,omitempty"`
}

// JudgedData is a verdict on a message of the bot; agents only.
type JudgedData struct {
	By conversation.Party `json:"by"`
	// Agent and Name say who judged, when an agent did.
	Agent   conversation.AgentID `json:"agent,omitempty"`
	Name    string               `json:"name,omitempty"`
	Answer  conversation.Seq     `json:"answer"`
	Turn    conversation.Seq     `json:"turn"`
	Verdict conversation.Verdict `json:"verdict"`
	// Intent is what was really asked, when it is known.
	Intent string `json:"intent,omitempty"`
	Taken  string `json:"taken,omitempty"`
}

// ErasedData says that a conversation is gone, with everything that was in it:
// who shows it forgets it. Visitors get it empty.
type ErasedData struct {
	Reason conversation.ErasureReason `json:"reason,omitempty"`
	By     conversation.AgentID       `json:"by,omitempty"`
}

// Summary is a conversation as a list shows it; agents only.
type Summary struct {
	conversation.Head
	// AssigneeName is the display name of the assignee.
	AssigneeName string `json:"assignee_name,omitempty"`
}

func (*Message) eventData()        {}
func (*StartedData) eventData()    {}
func (*TurnData) eventData()       {}
func (*HandoverData) eventData()   {}
func (*AssignedData) eventData()   {}
func (*UnassignedData) eventData() {}
func (*StatusData) eventData()     {}
func (*ReadData) eventData()       {}
func (*DeliveredData) eventData()  {}
func (*TagsData) eventData()       {}
func (*PriorityData) eventData()   {}
func (*MoodData) eventData()       {}
func (*AnomalyData) eventData()    {}
func (*DeliveryData) eventData()   {}
func (*TimerData) eventData()      {}
func (*JudgedData) eventData()     {}
func (*AttachmentData) eventData() {}
func (*ErasedData) eventData()     {}
func (*Summary) eventData()        {}

// Names gives the display name of an agent; "" when there is none.
type Names func(conversation.AgentID) string

// AgentEvent is an entry as an agent may see it: all of it.
func AgentEvent(id conversation.ConversationID, e conversation.Entry, names Names) *Event {
	return &Event{Conversation: id, Seq: e.Seq, At: e.At, Kind: e.Event.Kind(), Data: agentData(id, e, names)}
}

func agentData(id conversation.ConversationID, e conversation.Entry, names Names) EventData {
	switch v := e.Event.(type) {
	case conversation.MessageAccepted:
		m := message(id, e, conversation.PartyVisitor, v.Text)
		m.ClientID, m.Metadata, m.Attachments = v.Ref.Shown(), v.Metadata, AttachmentsOf(v.Attachments)
		return m
	case conversation.ReplyComposed:
		m := message(id, e, conversation.PartyBot, v.Text)
		bot := v.Bot
		m.InReplyTo, m.Buttons, m.Bot = v.InReplyTo, v.Buttons, &bot
		return m
	case conversation.AgentReplied:
		m := message(id, e, conversation.PartyAgent, v.Text)
		m.Agent, m.Name, m.ClientID, m.Attachments = v.Agent, names(v.Agent), v.Ref.Shown(), AttachmentsOf(v.Attachments)
		return m
	case conversation.NoteAdded:
		m := message(id, e, conversation.PartyAgent, v.Text)
		m.Agent, m.Name, m.ClientID, m.Note = v.Agent, names(v.Agent), v.Ref.Shown(), true
		return m
	case conversation.ConversationStarted:
		return &StartedData{
			Status: v.Status, Inbox: v.Inbox, Channel: v.Channel, Contact: v.Contact, Peer: v.Peer, Previous: v.Previous, Handler: v.Handler,
		}
	case conversation.TurnCompleted:
		return &TurnData{
			Turn: v.Turn, Intent: v.Intent, Confidence: v.Confidence, Lang: v.Lang, Model: v.Model,
			Behavior: v.Behavior, Ask: v.Ask, Slots: v.Slots, Abstained: v.Abstained,
		}
	default:
		return agentChange(e.Event, names)
	}
}

// agentChange is the part of agentData that is not about what was said.
func agentChange(ev conversation.Event, names Names) EventData {
	switch v := ev.(type) {
	case conversation.HandoverRequested:
		return &HandoverData{Reason: v.Reason, Intent: v.Intent, Confidence: v.Confidence, Summary: v.Summary, By: v.By}
	case conversation.AgentAssigned:
		return &AssignedData{Name: names(v.Agent), Agent: v.Agent, Before: v.Before, By: v.By, Claimed: v.Claimed}
	case conversation.AgentUnassigned:
		return &UnassignedData{Agent: v.Agent, By: v.By, Reason: v.Reason}
	case conversation.StatusChanged:
		return &StatusData{
			To: v.To, From: v.From, Trigger: v.Trigger, By: v.By, Reason: v.Reason, SnoozedUntil: v.SnoozedUntil,
		}
	case conversation.MessagesRead:
		return &ReadData{By: v.By, Agent: v.Agent, UpTo: v.UpTo}
	case conversation.MessagesDelivered:
		return &DeliveredData{UpTo: v.UpTo}
	case conversation.TagsChanged:
		return &TagsData{By: v.By, Added: v.Added, Removed: v.Removed}
	case conversation.PriorityChanged:
		return &PriorityData{By: v.By, From: v.From, To: v.To}
	case conversation.MoodChanged:
		return &MoodData{From: v.From, To: v.To, Reasons: v.Reasons, Heat: v.Heat}
	case conversation.AnomalyFound:
		return anomalyData(v)
	case conversation.MessageSent:
		return &DeliveryData{Message: v.Message, Result: v.Result, ProviderID: v.ProviderID, Detail: v.Detail, By: v.By}
	case conversation.AttachmentChanged:
		return &AttachmentData{Message: v.Message, Attachment: AttachmentOf(&v.Attachment)}
	case conversation.TimerStarted:
		return &TimerData{ID: v.ID, Due: v.Due}
	case conversation.TimerEnded:
		return &TimerData{ID: v.ID, Fired: v.Fired}
	case conversation.AnswerJudged:
		return &JudgedData{
			By: v.By, Agent: v.Agent, Name: names(v.Agent), Answer: v.Answer, Turn: v.Turn, Verdict: v.Verdict, Intent: v.Intent, Taken: v.Taken,
		}
	case conversation.ConversationErased:
		return &ErasedData{Reason: v.Reason, By: v.By}
	default:
		return &TimerData{}
	}
}

func anomalyData(v conversation.AnomalyFound) *AnomalyData {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return &AnomalyData{
		Anomaly: v.Anomaly, Explanation: v.Explanation(), MeasuredMS: ms(v.Measured), UsualMS: ms(v.Usual), Count: v.Count, Same: v.Same,
		Score: v.Score, UsualScore: v.UsualScore,
	}
}

// VisitorEvent is an entry as a visitor may see it; false when there is
// nothing to see. It builds up from nothing, so that a field added to an event
// stays hidden until somebody decides otherwise.
func VisitorEvent(id conversation.ConversationID, e conversation.Entry, names Names) (*Event, bool) {
	if !conversation.VisibleToVisitor(e.Event) {
		return nil, false
	}
	data := visitorData(id, e, names)
	if data == nil {
		return nil, false
	}
	return &Event{Conversation: id, Seq: e.Seq, At: e.At, Kind: e.Event.Kind(), Data: data}, true
}

func visitorData(id conversation.ConversationID, e conversation.Entry, names Names) EventData {
	switch v := e.Event.(type) {
	case conversation.MessageAccepted:
		m := message(id, e, conversation.PartyVisitor, v.Text)
		m.ClientID, m.Attachments = v.Ref.Shown(), AttachmentsOf(v.Attachments)
		return m
	case conversation.ReplyComposed:
		m := message(id, e, conversation.PartyBot, v.Text)
		m.InReplyTo, m.Buttons = v.InReplyTo, v.Buttons
		return m
	case conversation.AgentReplied:
		m := message(id, e, conversation.PartyAgent, v.Text)
		m.Name, m.Attachments = names(v.Agent), AttachmentsOf(v.Attachments)
		return m
	case conversation.ConversationStarted:
		return &StartedData{Status: v.Status}
	case conversation.HandoverRequested:
		return &HandoverData{}
	case conversation.AgentAssigned:
		return &AssignedData{Name: names(v.Agent)}
	case conversation.StatusChanged:
		return &StatusData{To: VisitorStatus(v.To)}
	case conversation.MessagesRead:
		return &ReadData{By: v.By, UpTo: v.UpTo}
	case conversation.MessageSent:
		return &DeliveryData{Message: v.Message, Result: v.Result}
	case conversation.AttachmentChanged:
		return &AttachmentData{Message: v.Message, Attachment: AttachmentOf(&v.Attachment)}
	case conversation.ConversationErased:
		return &ErasedData{}
	default:
		return nil
	}
}

// VisitorStatus hides from visitors that their conversation was put aside.
func VisitorStatus(s conversation.Status) conversation.Status {
	if s == conversation.StatusSnoozed {
		return conversation.StatusOpen
	}
	return s
}

// VisitorHead is a conversation as its visitor may see it.
func VisitorHead(h conversation.Head, names Names) *VisitorConversation {
	v := &VisitorConversation{
		ID: h.ID, Status: VisitorStatus(h.Status), CreatedAt: h.CreatedAt, LastActivity: h.LastActivity, Version: h.Version,
	}
	if h.Assignee != "" {
		v.Agent = names(h.Assignee)
	}
	return v
}

// UpdatedEvent is what the followers of an inbox get about a conversation.
func UpdatedEvent(h conversation.Head, names Names) *Event {
	s := &Summary{Head: h}
	if h.Assignee != "" {
		s.AssigneeName = names(h.Assignee)
	}
	return &Event{Conversation: h.ID, Seq: h.Version, At: h.LastActivity, Kind: KindUpdated, Data: s}
}

func message(id conversation.ConversationID, e conversation.Entry, from conversation.Party, text conversation.Text) *Message {
	return &Message{ID: conversation.MessageID(id, e.Seq), Seq: e.Seq, At: e.At, From: from, Text: text}
}
