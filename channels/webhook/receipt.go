package webhook

import (
	"net/http"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// receipt is what a sender gets for one message.
type receipt struct {
	ID             conversation.Ref            `json:"id,omitempty"`
	ConversationID conversation.ConversationID `json:"conversation_id,omitzero"`
	MessageID      string                      `json:"message_id,omitempty"`
	Seq            conversation.Seq            `json:"seq,omitempty"`
	Duplicate      bool                        `json:"duplicate,omitempty"`
	Replies        []said                      `json:"replies,omitempty"`
	Code           conversation.Code           `json:"code,omitempty"` // of a refusal
	Detail         string                      `json:"detail,omitempty"`
}

// said is a reply of the bot that came in time.
type said struct {
	MessageID string                `json:"message_id"`
	Seq       conversation.Seq      `json:"seq"`
	Text      conversation.Text     `json:"text"`
	Buttons   []conversation.Button `json:"buttons,omitempty"`
	InReplyTo conversation.Seq      `json:"in_reply_to_seq,omitempty"`
}

// composeOne answers a single message: the receipt, or the refusal's status.
func composeOne(outcomes []channels.Outcome) channels.Answer {
	if len(outcomes) != 1 {
		return channels.Answer{Status: http.StatusNoContent}
	}
	if err := outcomes[0].Err; err != nil {
		return channels.Refusal(err)
	}
	return answerJSON(receiptOf(outcomes[0]))
}

// composeBatch answers a batch: success if anything of it was taken, because
// repeating the batch would not change what was refused.
func composeBatch(outcomes []channels.Outcome) channels.Answer {
	results := make([]receipt, len(outcomes))
	var refusal error
	taken := 0
	for i, o := range outcomes {
		results[i] = receiptOf(o)
		if o.Err == nil {
			taken++
		} else if refusal == nil {
			refusal = o.Err
		}
	}
	if taken == 0 && refusal != nil {
		return channels.Refusal(refusal)
	}
	return answerJSON(struct {
		Results []receipt `json:"results"`
	}{results})
}

func receiptOf(o channels.Outcome) receipt {
	if o.Err != nil {
		row := conversation.CodeOf(o.Err).Row()
		return receipt{ID: o.Ref, Code: row.Code, Detail: row.Means}
	}
	id := o.Receipt.Conversation
	r := receipt{
		ID: o.Ref, ConversationID: id, MessageID: conversation.MessageID(id, o.Receipt.Seq),
		Seq: o.Receipt.Seq, Duplicate: o.Receipt.Duplicate,
	}
	for _, m := range o.Receipt.Replies {
		r.Replies = append(r.Replies, said{
			MessageID: conversation.MessageID(id, m.Seq), Seq: m.Seq, Text: m.Text, Buttons: m.Buttons, InReplyTo: m.InReplyTo,
		})
	}
	return r
}

func answerJSON(v any) channels.Answer {
	body, err := channels.EncodeJSON(v)
	if err != nil {
		// The message is stored; that the receipt cannot be written must not
		// make the sender repeat it.
		return channels.Answer{Status: http.StatusNoContent}
	}
	return channels.Answer{Status: http.StatusOK, Type: "application/json", Body: body}
}
