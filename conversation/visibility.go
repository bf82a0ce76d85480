package conversation

// VisibleToVisitor reports whether a visitor may learn of e. Notes, tags,
// priorities, moods, anomalies, verdicts on answers, assignments by name and everything that
// explains the bot stay with the agents.
func VisibleToVisitor(e Event) bool {
	switch e.(type) {
	case MessageAccepted, ReplyComposed, AgentReplied, StatusChanged, HandoverRequested, AgentAssigned,
		MessagesRead, MessageSent, ConversationStarted, AttachmentChanged, ConversationErased:
		return true
	case NoteAdded, TurnCompleted, AgentUnassigned, MessagesDelivered, TagsChanged, PriorityChanged,
		TimerStarted, TimerEnded, MoodChanged, AnswerJudged, AnomalyFound:
		return false
	}
	return false
}
