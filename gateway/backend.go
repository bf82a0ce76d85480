package gateway

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Conversations takes messages and commands to the conversation they are for,
// on whichever node that is. What Deliver and Do answer can be read in [Journal]
// when they return, unless this node is seconds behind; what the asynchronous
// ones answer comes there, and through [Hub.Publish], soon.
type Conversations interface {
	// Deliver hands in a visitor's message and answers when it is durable.
	Deliver(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error)
	// Do hands in a command and answers when what it did is durable.
	Do(ctx context.Context, id conversation.ConversationID, cmd conversation.Command) (conversation.Receipt, error)
	// DeliverAsync is Deliver without a goroutine that waits. done runs once,
	// on a goroutine of the callee, and must not block.
	DeliverAsync(in conversation.Inbound, done func(conversation.Receipt, error))
	// DoAsync is Do without a goroutine that waits, as DeliverAsync.
	DoAsync(id conversation.ConversationID, cmd conversation.Command, done func(conversation.Receipt, error))
}

// Journal reads what this node has of conversations. An entry that was published
// through [Hub.Publish] must be readable here; one that another node has
// acknowledged may come a moment later.
type Journal interface {
	// Head gives the summary. Errors: class [conversation.ErrNotFound].
	Head(ctx context.Context, id conversation.ConversationID) (conversation.Head, error)
	// Entries gives at most limit entries that follow after, in order.
	Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error)
	// List gives heads, newest activity first, and the cursor of the next page.
	List(ctx context.Context, q ListQuery) (heads []conversation.Head, next string, err error)
	// Load gives the folded state; one that has not started when it is unknown.
	Load(ctx context.Context, id conversation.ConversationID) (*conversation.State, error)
}

// ListQuery chooses the conversations of a page.
type ListQuery struct {
	Inboxes []conversation.InboxID // empty = all
	Status  []conversation.Status  // empty = all
	Cursor  string
	Limit   int
}

// Contacts finds the conversation that a contact is in.
type Contacts interface {
	// Current gives the zero id when there is none yet.
	Current(ctx context.Context, key conversation.ContactKey) (conversation.ConversationID, error)
}

// Inboxes is the directory of entrances. Reads are cheap and from memory.
type Inboxes interface {
	Inbox(id conversation.InboxID) (conversation.Inbox, error)
	Inboxes() []conversation.Inbox
	// PutInbox stores an inbox if its Version is the stored one; zero creates.
	PutInbox(ctx context.Context, in conversation.Inbox) (conversation.Inbox, error)
}

// Agents is the directory of people at the console. Reads are cheap and from
// memory.
type Agents interface {
	Agent(id conversation.AgentID) (conversation.Agent, error)
	AgentByEmail(email string) (conversation.Agent, error)
	Agents() []conversation.Agent
	// PutAgent stores an agent if its Version is the stored one; zero creates.
	PutAgent(ctx context.Context, a conversation.Agent) (conversation.Agent, error)
}

// Credentials is the directory of tokens. Only hashes are stored.
type Credentials interface {
	// CredentialByHash finds a token. Errors: class [conversation.ErrNotFound].
	CredentialByHash(hash [32]byte) (Credential, error)
	Credentials() []Credential
	// PutCredential stores a credential if its Version is the stored one; zero
	// creates.
	PutCredential(ctx context.Context, c Credential) error
	DeleteCredential(ctx context.Context, id string) error
}

// CredentialKind says what a token is for.
type CredentialKind string

// The kinds of credentials.
const (
	CredentialInbox   CredentialKind = "ibx"   // ingress of one inbox
	CredentialAgent   CredentialKind = "pat"   // an agent's programs
	CredentialSetup   CredentialKind = "setup" // makes the first admin, once
	CredentialRevoked CredentialKind = "rev"   // remembers a session that was logged out
)

// Credential is a token without the token.
type Credential struct {
	ID        string
	Kind      CredentialKind
	Hash      [32]byte // SHA-256 of the token
	Inbox     conversation.InboxID
	Agent     conversation.AgentID
	CreatedAt time.Time
	ExpiresAt time.Time // zero = never
	Version   uint64    // of the stored one; zero = not stored yet
}

// Secrets keeps the server's own keys.
type Secrets interface {
	// Secret gives n random bytes, made on first use and the same ever after.
	Secret(ctx context.Context, name string, n int) ([]byte, error)
}

// Presence is told which agents take conversations. It must not block.
type Presence interface {
	SetPresence(conversation.PresenceChange)
}

// Relay carries what is worth nothing a second later to the other nodes, at best
// effort. It must not block. What arrives there goes into [Gateway.Relayed].
type Relay interface {
	Broadcast(topic string, payload []byte)
}

// TypingChange says that a party of a conversation started or stopped typing.
type TypingChange struct {
	Conversation conversation.ConversationID
	Inbox        conversation.InboxID
	Contact      conversation.ContactID
	From         conversation.Party
	Agent        conversation.AgentID // when From is an agent
	On           bool
}

// Packs is the intent library as far as the API shows it.
type Packs interface {
	Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error
	Packs() []PackInfo
	Reload(ctx context.Context) (PackReport, error)
}

// Learning is what conversations teach, as far as the API shows it.
type Learning interface {
	State(in conversation.Inbox) conversation.IntentState
	Intents(in conversation.Inbox, lang string) []conversation.IntentName
	// Editable reports whether Accept can do anything here.
	Editable() bool
	Suggestions(ctx context.Context, in conversation.Inbox) ([]conversation.Suggestion, error)
	Accept(ctx context.Context, in conversation.Inbox, id string, by conversation.AgentID, a conversation.Acceptance) error
	Dismiss(ctx context.Context, in conversation.Inbox, id string) error
	// Outcome says what became of what the bot made of a visitor's message.
	Outcome(ctx context.Context, id conversation.ConversationID, turn conversation.Seq) (conversation.TurnOutcome, error)
}

// PackReport says what a reload came to.
type PackReport struct {
	Loaded    []string `json:"loaded"`
	Unchanged []string `json:"unchanged,omitempty"`
	Failed    []string `json:"failed,omitempty"` // file, line, reason
}
