package conversation

import "time"

// Inbound is a visitor's message as an entrance hands it in, before it is
// known which conversation it belongs to.
type Inbound struct {
	Inbox       InboxID
	Channel     ChannelKind
	Contact     ContactID
	Peer        string // the provider's name of the visitor; empty on the web
	Ref         Ref
	Text        Text
	Metadata    map[string]string
	Attachments []Attachment  // the text may be empty when there are any
	Wait        time.Duration // wait so long for the bot's reply, to carry it on the response; zero = do not
	Trace       Trace         // where the sender is in a trace; zero = the message begins its own
}

// PresenceChange says whether an agent takes conversations, as one node sees it:
// it is told by the sockets that hold the agent's sessions there.
type PresenceChange struct {
	Agent    AgentID   `json:"agent"`
	Presence Presence  `json:"presence"`
	Inboxes  []InboxID `json:"inboxes,omitempty"` // where the agent works
	Capacity int       `json:"capacity,omitempty"`
	Chosen   time.Time `json:"chosen,omitzero"` // when the agent said so; zero = by being there. The newest choice counts on all nodes
}
