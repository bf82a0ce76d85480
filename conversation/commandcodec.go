package conversation

import (
	"encoding/json"
	"fmt"
)

// EncodeCommand gives a command's kind and its JSON, for the way between nodes.
// Errors: class [ErrInvalid] for values that JSON has no form for.
func EncodeCommand(c Command) (kind string, data []byte, err error) {
	if c == nil {
		return "", nil, Refuse(CodeInvalid, "no command")
	}
	data, err = json.Marshal(c)
	if err != nil {
		return "", nil, &Error{Code: CodeInvalid, Detail: fmt.Sprintf("command %s", c.Kind()), Err: err}
	}
	return c.Kind(), data, nil
}

// DecodeCommand reads what [EncodeCommand] wrote, also that of a newer minor
// version: fields that this version does not know are ignored.
//
// Errors: class [ErrInvalid] for a kind that this version does not know and for
// what is not its JSON.
func DecodeCommand(kind string, data []byte) (Command, error) {
	switch kind {
	case AcceptMessage{}.Kind():
		return commandAs[AcceptMessage](data)
	case CompleteTurn{}.Kind():
		return commandAs[CompleteTurn](data)
	case ReplyAsAgent{}.Kind():
		return commandAs[ReplyAsAgent](data)
	case AddNote{}.Kind():
		return commandAs[AddNote](data)
	case RequestHandover{}.Kind():
		return commandAs[RequestHandover](data)
	case Claim{}.Kind():
		return commandAs[Claim](data)
	case Assign{}.Kind():
		return commandAs[Assign](data)
	case Unassign{}.Kind():
		return commandAs[Unassign](data)
	case ReturnToBot{}.Kind():
		return commandAs[ReturnToBot](data)
	case Snooze{}.Kind():
		return commandAs[Snooze](data)
	case Wake{}.Kind():
		return commandAs[Wake](data)
	case Resolve{}.Kind():
		return commandAs[Resolve](data)
	case Reopen{}.Kind():
		return commandAs[Reopen](data)
	case Close{}.Kind():
		return commandAs[Close](data)
	case MarkRead{}.Kind():
		return commandAs[MarkRead](data)
	case MarkDelivered{}.Kind():
		return commandAs[MarkDelivered](data)
	case ChangeTags{}.Kind():
		return commandAs[ChangeTags](data)
	case ChangePriority{}.Kind():
		return commandAs[ChangePriority](data)
	case RecordDelivery{}.Kind():
		return commandAs[RecordDelivery](data)
	case SendAgain{}.Kind():
		return commandAs[SendAgain](data)
	case FireTimer{}.Kind():
		return commandAs[FireTimer](data)
	case JudgeAnswer{}.Kind():
		return commandAs[JudgeAnswer](data)
	case RecordAttachment{}.Kind():
		return commandAs[RecordAttachment](data)
	}
	return nil, Refusef(CodeInvalid, "a command kind of %d bytes is not known to this version", len(kind))
}

func commandAs[C Command](data []byte) (Command, error) {
	var c C
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, &Error{Code: CodeInvalid, Detail: fmt.Sprintf("command %s", c.Kind())}
	}
	return c, nil
}

// CommandKinds lists the kinds of all commands in the order of their
// declaration.
func CommandKinds() []string {
	return []string{
		AcceptMessage{}.Kind(), CompleteTurn{}.Kind(), ReplyAsAgent{}.Kind(), AddNote{}.Kind(), RequestHandover{}.Kind(),
		Claim{}.Kind(), Assign{}.Kind(), Unassign{}.Kind(), ReturnToBot{}.Kind(), Snooze{}.Kind(), Wake{}.Kind(),
		Resolve{}.Kind(), Reopen{}.Kind(), Close{}.Kind(), MarkRead{}.Kind(), MarkDelivered{}.Kind(), ChangeTags{}.Kind(),
		ChangePriority{}.Kind(), RecordDelivery{}.Kind(), SendAgain{}.Kind(), FireTimer{}.Kind(), JudgeAnswer{}.Kind(), RecordAttachment{}.Kind(),
	}
}
