package conversation

import "time"

// Inbound is a visitor's message as an entrance hands it in, before it is
// known which conversation it belongs to.
type Inbound struct {
	Inbox    InboxID
	Channel  ChannelKind
	Contact  ContactID
	Peer     string // the provider's name of the visitor; empty on the web
	Ref      Ref
	Text     Text
	Metadata map[string]string
	Wait     time.Duration // wait so long for the bot's reply, to carry it on the response; zero = do not
}

// PresenceChange says whether an agent takes conversations. It is told by the sockets that hold the agent's
// sessions.
type PresenceChange struct {
	Agent    AgentID
	Presence Presence
	Inboxes  []InboxID // where the agent works
	Capacity int
}
