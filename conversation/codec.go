package conversation

import (
	"encoding/json"
	"fmt"
)

// DecodeEvent reads the JSON of an event of a kind.
//
// Fields that this version does not know are ignored, so that a newer minor
// version's records can be read. Errors: class [ErrInvalid] for a kind that
// this version does not know and for what is not its JSON.
func DecodeEvent(kind string, data []byte) (Event, error) {
	switch kind {
	case ConversationStarted{}.Kind():
		return decodeAs[ConversationStarted](data)
	case MessageAccepted{}.Kind():
		return decodeAs[MessageAccepted](data)
	case ReplyComposed{}.Kind():
		return decodeAs[ReplyComposed](data)
	case AgentReplied{}.Kind():
		return decodeAs[AgentReplied](data)
	case NoteAdded{}.Kind():
		return decodeAs[NoteAdded](data)
	case TurnCompleted{}.Kind():
		return decodeAs[TurnCompleted](data)
	case HandoverRequested{}.Kind():
		return decodeAs[HandoverRequested](data)
	case AgentAssigned{}.Kind():
		return decodeAs[AgentAssigned](data)
	case AgentUnassigned{}.Kind():
		return decodeAs[AgentUnassigned](data)
	case StatusChanged{}.Kind():
		return decodeAs[StatusChanged](data)
	case MessagesRead{}.Kind():
		return decodeAs[MessagesRead](data)
	case MessagesDelivered{}.Kind():
		return decodeAs[MessagesDelivered](data)
	case TagsChanged{}.Kind():
		return decodeAs[TagsChanged](data)
	case PriorityChanged{}.Kind():
		return decodeAs[PriorityChanged](data)
	case MessageSent{}.Kind():
		return decodeAs[MessageSent](data)
	case TimerStarted{}.Kind():
		return decodeAs[TimerStarted](data)
	case TimerEnded{}.Kind():
		return decodeAs[TimerEnded](data)
	case MoodChanged{}.Kind():
		return decodeAs[MoodChanged](data)
	case AnswerJudged{}.Kind():
		return decodeAs[AnswerJudged](data)
	case AttachmentChanged{}.Kind():
		return decodeAs[AttachmentChanged](data)
	case AnomalyFound{}.Kind():
		return decodeAs[AnomalyFound](data)
	case ConversationErased{}.Kind():
		return decodeAs[ConversationErased](data)
	}
	return nil, Refusef(CodeInvalid, "event kind %q is not known to this version", kind)
}

func decodeAs[E Event](data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, &Error{Code: CodeInvalid, Detail: fmt.Sprintf("event %s", e.Kind()), Err: err}
	}
	return e, nil
}

// EventKinds lists the kinds of all events in the order of their declaration.
func EventKinds() []string {
	return []string{
		ConversationStarted{}.Kind(),
		MessageAccepted{}.Kind(),
		ReplyComposed{}.Kind(),
		AgentReplied{}.Kind(),
		NoteAdded{}.Kind(),
		TurnCompleted{}.Kind(),
		HandoverRequested{}.Kind(),
		AgentAssigned{}.Kind(),
		AgentUnassigned{}.Kind(),
		StatusChanged{}.Kind(),
		MessagesRead{}.Kind(),
		MessagesDelivered{}.Kind(),
		TagsChanged{}.Kind(),
		PriorityChanged{}.Kind(),
		MessageSent{}.Kind(),
		TimerStarted{}.Kind(),
		TimerEnded{}.Kind(),
		MoodChanged{}.Kind(),
		AnswerJudged{}.Kind(),
		AttachmentChanged{}.Kind(),
		AnomalyFound{}.Kind(),
		ConversationErased{}.Kind(),
	}
}
