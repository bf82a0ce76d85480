package conversation

import (
	"maps"
	"slices"
	"time"
)

// Party is one of the three sides of a conversation.
type Party string

// The parties.
const (
	PartyVisitor Party = "visitor"
	PartyBot     Party = "bot"
	PartyAgent   Party = "agent"
)

// Delivery is how far an outbound message has come.
type Delivery string

// The delivery states. A message on the web channel is sent once it is durable.
const (
	DeliveryPending   Delivery = "pending"
	DeliverySent      Delivery = "sent"
	DeliveryUncertain Delivery = "uncertain" // the provider may have it; not repeated by itself
	DeliveryFailed    Delivery = "failed"
)

// Message is the view of one message or note, folded from the events.
type Message struct {
	Seq         Seq               `json:"seq"`
	At          time.Time         `json:"at"`
	From        Party             `json:"from"`
	Agent       AgentID           `json:"agent,omitempty"`
	Text        Text              `json:"text"`
	Note        bool              `json:"note,omitempty"` // internal; visitors never see it
	InReplyTo   Seq               `json:"in_reply_to_seq,omitempty"`
	Buttons     []Button          `json:"buttons,omitempty"`
	Bot         *Provenance       `json:"bot,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Delivery    Delivery          `json:"delivery,omitempty"`
	Attachments []Attachment      `json:"attachments,omitempty"`
}

// MetadataBotReply is the metadata key by which a channel keeps the bot from
// answering a visitor's message, lest two programs write to each other for ever.
const MetadataBotReply = "bot_reply"

// The values of [MetadataBotReply].
const (
	BotReplyNone  = "none"  // a program wrote it: nobody has to answer
	BotReplyHuman = "human" // a human may
)

// clone copies what a message points to.
func (m Message) clone() Message {
	m.Buttons = slices.Clone(m.Buttons)
	m.Metadata = maps.Clone(m.Metadata)
	m.Attachments = slices.Clone(m.Attachments)
	if m.Bot != nil {
		bot := *m.Bot
		m.Bot = &bot
	}
	return m
}

// Provenance says why the bot answered as it did.
type Provenance struct {
	Intent     string  `json:"intent,omitempty"`
	Confidence float32 `json:"confidence,omitempty"`
	Raw        float32 `json:"raw_confidence,omitempty"` // as in [Prediction]; zero = the same
	Model      string  `json:"model,omitempty"`
	Behavior   string  `json:"behavior,omitempty"`
}

// Reply is one message that a behavior wants said.
type Reply struct {
	Text    Text     `json:"text"`
	Buttons []Button `json:"buttons,omitempty"`
}
