package channels

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Driver speaks one provider's protocol and nothing else. One driver serves
// all inboxes of its kind; what differs between them it looks up by the
// account that comes with each call.
//
// Concurrency: all methods may run together.
type Driver interface {
	// Kind names the transport.
	Kind() conversation.ChannelKind
	// Limits says what the provider allows; it never changes.
	Limits() Limits
	// Receive verifies a delivery and translates it, in the order in which the
	// provider lists the events; where that says nothing, in that of their times. It
	// is pure: it reads no clock, stores nothing and calls nobody. A kind of message
	// that it does not know becomes an event with Unsupported set, and an element
	// that it cannot read one with Unreadable set; neither is an error.
	//
	// Errors: those of package conversation; class ErrUnauthenticated for a
	// signature that is missing, wrong or old.
	Receive(ctx context.Context, r Request, body []byte) ([]Event, Ack, error)
	// Send carries one part of a message and gives the provider's name for it,
	// if there is one. It returns only when nothing of it is left running.
	//
	// Errors: [*SendError]; anything else counts as [Unknown].
	Send(ctx context.Context, p Part) (providerID string, err error)
}

// Request is what a driver may see of a delivery besides its body.
type Request struct {
	Method  string
	Header  http.Header
	Query   url.Values
	Account conversation.InboxID
	At      time.Time // when it arrived
}

// Event is one visitor's message as the provider tells it, or what became of one
// of ours.
type Event struct {
	Receipt *Receipt `json:"-"` // of a message that was sent; the other fields are empty then

	// Unreadable is an element of the delivery that should be a message and cannot
	// be made one: it is malformed, or names no sender. It is kept as a dead letter,
	// as it came; the other fields are empty then.
	Unreadable json.RawMessage `json:"unreadable,omitempty"`

	Channel     conversation.ChannelKind `json:"channel,omitempty"` // empty = the driver's kind
	Peer        string                   `json:"peer"`              // the provider's name of the visitor
	Ref         conversation.Ref         `json:"ref,omitempty"`     // the provider's name of the message; the same again when it is repeated
	Text        conversation.Text        `json:"text"`
	Metadata    map[string]string        `json:"metadata,omitempty"`
	Files       []File                   `json:"files,omitempty"`       // that ride on the message
	Unsupported string                   `json:"unsupported,omitempty"` // the provider's name for a kind of message that is not text; empty = text
	ReplyTo     string                   `json:"-"`                     // lets one message be sent back at no cost, within Limits.ReplyWithin; empty = nothing does
}

// Ack is how a delivery is answered once all its events are durable.
type Ack struct {
	Answer
	// Wait asks for the bot's reply, to carry it on the answer. It applies only
	// when the delivery holds a single event, and is cut to what Limits.AckWithin
	// leaves. Zero means do not wait.
	Wait time.Duration
	// Compose makes the answer from what became of the events, in their order.
	// Nil means that Answer is given as it stands, also when events were
	// refused: repeating them would not help.
	Compose func([]Outcome) Answer
	// Pull says that the delivery only announced events: the channel fetches them
	// with this hint before it answers. Empty means that there is nothing to fetch.
	Pull string
	// Elsewhere counts the messages of the delivery that are for other accounts.
	Elsewhere int
}

// Answer is an HTTP answer. The zero value is an empty 200.
type Answer struct {
	Status int
	Type   string // content type
	Body   []byte
}

// Outcome is what became of one event: a receipt, or a refusal that repeating
// does not change.
type Outcome struct {
	Ref     conversation.Ref
	Receipt conversation.Receipt
	Err     error
}

// Part is one piece of a message that is to be sent. A message is one part
// unless it is longer than Limits.MaxText.
type Part struct {
	conversation.Outbound

	Key  string // the same for every attempt at this part, different for any other
	Last bool   // buttons ride only on the last part

	File     *OutFile  // this part is a file and no text; nil = text
	Enclosed []OutFile // files that go with the text, for drivers that [Limits.Encloses] names

	ReplyTo string // of the peer's newest event, if no part has had it; empty = none, or too late
}

// Limits says what a provider allows. The zero value is a provider that takes
// POST deliveries and sends without limits of its own.
type Limits struct {
	Methods     []string      // of deliveries; none = POST only
	MaxBody     int64         // bytes of a delivery; zero = 1 MiB, at most 4 MiB
	AckWithin   time.Duration // the answer must be out by then; zero = 5 s
	SendTimeout time.Duration // of one call; zero = 30 s

	MaxText int     // of one part, counted in Unit; zero = any length
	Unit    Unit    // zero = UnitRunes
	Buttons int     // that a message may have; more, or any when zero, are written into the text
	Dialect Dialect // nil = texts are sent as they are written

	// Encloses is how many bytes of files go with a text, as one call; what is beyond
	// goes as links in the text. Zero means that each of them is a call of its own.
	Encloses int64

	Account Rate // of all sends of an account; zero = no limit
	Peer    Rate // of sends to one peer; zero = no limit

	Idempotent  bool          // the provider drops a repeated Part.Key by itself
	ReplyWithin time.Duration // how long Event.ReplyTo is good for
}

// Rate is a sustained rate with a burst.
type Rate struct {
	PerSec float64 // zero = no limit
	Burst  int     // zero = 1
}

// Dialect rewrites the markdown of a reply into what the provider displays.
type Dialect func(conversation.Text) conversation.Text

const (
	defaultMaxBody     = 1 << 20
	maxMaxBody         = 4 << 20
	defaultAckWithin   = 5 * time.Second
	defaultSendTimeout = 30 * time.Second
)

// filled puts the defaults in.
func (l Limits) filled() Limits {
	if len(l.Methods) == 0 {
		l.Methods = []string{http.MethodPost}
	}
	if l.MaxBody <= 0 {
		l.MaxBody = defaultMaxBody
	}
	l.MaxBody = min(l.MaxBody, maxMaxBody)
	if l.AckWithin <= 0 {
		l.AckWithin = defaultAckWithin
	}
	if l.SendTimeout <= 0 {
		l.SendTimeout = defaultSendTimeout
	}
	return l
}
