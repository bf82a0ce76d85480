package conversation

import "time"

// Upload says whose a file is that is being handed in, and what is said about
// it. Its bytes come beside it.
type Upload struct {
	ID           AttachmentID   // zero = a new one; the same id and bytes again are the same file
	Inbox        InboxID        // where it was handed in
	Contact      ContactID      // who may read it besides the agents of the inbox
	Agent        AgentID        // the agent who handed it in; empty = the visitor, or their provider
	Conversation ConversationID // that an agent's file is for; zero = not known yet
	Name         string         // as the sender calls it; it is cleaned
	Declared     string         // media type as the sender says; a hint where bytes look the same
}

// File is a stored file and whose it is.
type File struct {
	Attachment

	Inbox        InboxID        `json:"inbox"`
	Contact      ContactID      `json:"contact"`
	Agent        AgentID        `json:"agent,omitempty"`
	Conversation ConversationID `json:"conversation,omitzero"`
	Sent         bool           `json:"sent,omitempty"` // it rides on a message; until then only who handed it in may see it
	At           time.Time      `json:"at"`             // when it was handed in
}
