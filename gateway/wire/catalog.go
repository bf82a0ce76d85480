package wire

import "github.com/colloquyhq/colloquy/conversation"

// Use says who takes part in a frame.
type Use string

// The uses.
const (
	UseBoth    Use = "both"
	UseVisitor Use = "visitor"
	UseAgent   Use = "agent"
)

// ClientCatalog lists every frame that clients send, with who may.
func ClientCatalog() []struct {
	Frame ClientFrame
	Use   Use
} {
	return []struct {
		Frame ClientFrame
		Use   Use
	}{
		{&Hello{}, UseBoth},
		{&Send{}, UseBoth},
		{&Note{}, UseAgent},
		{&Read{}, UseBoth},
		{&Delivered{}, UseVisitor},
		{&Typing{}, UseBoth},
		{&Claim{}, UseAgent},
		{&Assign{}, UseAgent},
		{&Resolve{}, UseAgent},
		{&Reopen{}, UseAgent},
		{&Snooze{}, UseAgent},
		{&Handover{}, UseBoth},
		{&Subscribe{}, UseAgent},
		{&Unsubscribe{}, UseAgent},
		{&SetPresence{}, UseAgent},
		{&Ping{}, UseBoth},
	}
}

// ServerCatalog lists every frame that the server sends, with who gets it.
func ServerCatalog() []struct {
	Frame ServerFrame
	Use   Use
} {
	return []struct {
		Frame ServerFrame
		Use   Use
	}{
		{&Welcome{}, UseBoth},
		{&Resumed{}, UseBoth},
		{&Reset{}, UseBoth},
		{&Ack{}, UseBoth},
		{&Done{}, UseBoth},
		{&Error{}, UseBoth},
		{&Event{}, UseBoth},
		{&TypingNotice{}, UseBoth},
		{&QueuePosition{}, UseVisitor},
		{&PresenceNotice{}, UseAgent},
		{&Reconnect{}, UseBoth},
		{&Pong{}, UseBoth},
	}
}

// EventRow says what data an event of a kind carries and who gets it.
type EventRow struct {
	Kind string
	Data EventData
	Use  Use
}

// EventCatalog lists every kind of event.
func EventCatalog() []EventRow {
	return []EventRow{
		{conversation.ConversationStarted{}.Kind(), &StartedData{}, UseBoth},
		{conversation.MessageAccepted{}.Kind(), &Message{}, UseBoth},
		{conversation.ReplyComposed{}.Kind(), &Message{}, UseBoth},
		{conversation.AgentReplied{}.Kind(), &Message{}, UseBoth},
		{conversation.NoteAdded{}.Kind(), &Message{}, UseAgent},
		{conversation.TurnCompleted{}.Kind(), &TurnData{}, UseAgent},
		{conversation.HandoverRequested{}.Kind(), &HandoverData{}, UseBoth},
		{conversation.AgentAssigned{}.Kind(), &AssignedData{}, UseBoth},
		{conversation.AgentUnassigned{}.Kind(), &UnassignedData{}, UseAgent},
		{conversation.StatusChanged{}.Kind(), &StatusData{}, UseBoth},
		{conversation.MessagesRead{}.Kind(), &ReadData{}, UseBoth},
		{conversation.MessagesDelivered{}.Kind(), &DeliveredData{}, UseAgent},
		{conversation.TagsChanged{}.Kind(), &TagsData{}, UseAgent},
		{conversation.PriorityChanged{}.Kind(), &PriorityData{}, UseAgent},
		{conversation.MessageSent{}.Kind(), &DeliveryData{}, UseBoth},
		{conversation.TimerStarted{}.Kind(), &TimerData{}, UseAgent},
		{conversation.TimerEnded{}.Kind(), &TimerData{}, UseAgent},
		{conversation.MoodChanged{}.Kind(), &MoodData{}, UseAgent},
		{conversation.AnomalyFound{}.Kind(), &AnomalyData{}, UseAgent},
		{conversation.AnswerJudged{}.Kind(), &JudgedData{}, UseAgent},
		{conversation.AttachmentChanged{}.Kind(), &AttachmentData{}, UseBoth},
		{conversation.ConversationErased{}.Kind(), &ErasedData{}, UseBoth},
		{KindUpdated, &Summary{}, UseAgent},
	}
}
