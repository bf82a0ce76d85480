package webhook

import (
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// eventCreated is the type of the events that carry a message out.
const eventCreated = "message.created"

// timeForm is RFC 3339 with milliseconds, which every event has.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// event is the body of an outgoing webhook, in the envelope that Standard
// Webhooks recommends.
type event struct {
	Type      string  `json:"type"`
	Timestamp string  `json:"timestamp"` // of the message, not of the attempt
	Data      created `json:"data"`
}

// created is a message for a visitor.
type created struct {
	ConversationID conversation.ConversationID `json:"conversation_id"`
	MessageID      string                      `json:"message_id"`
	Seq            conversation.Seq            `json:"seq"`
	Channel        conversation.ChannelKind    `json:"channel"`
	User           string                      `json:"user"`
	Text           conversation.Text           `json:"text"`
	Buttons        []conversation.Button       `json:"buttons,omitempty"`
	Attachments    []outgoing                  `json:"attachments,omitempty"`
	InReplyTo      conversation.Seq            `json:"in_reply_to_seq,omitempty"`
	From           conversation.Party          `json:"from"`
}

// encode gives the body for a part. It is the same at every attempt, but for the
// address of a file.
func encode(p channels.Part) ([]byte, error) {
	at := p.At.UTC().Truncate(time.Millisecond)
	return channels.EncodeJSON(event{
		Type: eventCreated, Timestamp: at.Format(timeForm),
		Data: created{
			ConversationID: p.Conversation, MessageID: conversation.MessageID(p.Conversation, p.Message),
			Seq: p.Message, Channel: p.Channel, User: p.Peer, Text: p.Text, Buttons: p.Buttons,
			Attachments: outgoingOf(p.File),
			InReplyTo:   p.InReplyTo, From: p.From,
		},
	})
}
