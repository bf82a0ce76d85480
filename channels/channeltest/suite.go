// Package channeltest says what a channel driver must do. Every driver runs
// the suite; where providers differ, the driver's test declares it in
// [Features], so that a difference is written down and not skipped in silence.
//
// The suite plays the provider. What the provider would send and understand
// comes from the functions of a [Suite], which a driver's test should build on
// somebody else's code or on recorded vectors, never on the driver's own.
package channeltest

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Suite describes the driver under test and its provider.
type Suite struct {
	// New makes a driver whose calls go to provider.
	New func(t testing.TB, provider http.RoundTripper) channels.Driver
	// Account is the inbox that the driver knows.
	Account  conversation.InboxID
	Features Features

	// Deliver gives what the provider sends for messages. Needed for Inbound.
	Deliver func(t testing.TB, messages []Message, at time.Time) Delivery
	// Sign gives a delivery with any body, signed as the provider does, so that
	// hostile bodies come past the signature. Needed for Inbound.
	Sign func(t testing.TB, body []byte, at time.Time) Delivery
	// SignatureHeaders and SignatureQuery are those of which no bit may change.
	SignatureHeaders []string
	SignatureQuery   []string
	// Signed gives the part of a body that the signature covers, from and to a
	// byte; nil = all of it.
	Signed func(body []byte) (from, to int)
	// Peer is what the provider calls a visitor; empty = visitor-1. Ref gives its
	// name for the i-th message; nil = ref-a, ref-b and so on.
	Peer string
	Ref  func(i int) string

	// Decode gives what the provider makes of a call; it must check the call's
	// signature or token. Needed for Outbound.
	Decode func(t testing.TB, r *http.Request, body []byte) Sent
	// ClassOf says what a provider's status means; empty for success. Needed
	// for Outbound.
	ClassOf func(status int) channels.Class
	// Taken is how the provider says that it took a message; empty = {}.
	Taken string

	// Markdown is what arrives of the text [Markdown]; empty = the text as it is
	// written.
	Markdown string

	// Media is how files come and go; nil = the driver carries none.
	Media *Media
	// Pulled is how messages are fetched by calls; nil = by none that a transport
	// could answer.
	Pulled *Pulled
}

// Features are the differences between providers.
type Features struct {
	Inbound     bool // the provider makes deliveries
	Clock       bool // deliveries carry a signed time, old ones are refused
	Batch       bool // a delivery may hold several messages
	Unsupported bool // there are kinds of messages that are not text

	Outbound bool           // messages are sent by calls
	Timeout  channels.Class // of a call whose answer never came
}

// Message is a visitor's message at the provider.
type Message struct {
	Peer string
	Ref  string
	Text string
	Kind string // empty = text
}

// Delivery is a provider's request.
type Delivery struct {
	Method string // empty = POST
	Header http.Header
	Query  url.Values
	Body   []byte
}

// Sent is a message as it arrived at the provider.
type Sent struct {
	Peer string
	Text string
	Key  string // the idempotency key, if the provider has such a thing
}

// Markdown is a reply with marks.
const Markdown = "**Now** *or* [later](https://example.com/a_b), 2*3*4"

// canary is a text that may appear in no error and no log.
const canary = "canary-7f3a9c"

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	t.Run("kind is known and limits stay the same", s.testLimits)
	if s.Features.Inbound {
		s.runInbound(t)
	} else {
		t.Run("deliveries are refused", s.testNoInbound)
	}
	t.Run("hostile bodies", s.testHostile)
	if s.Features.Outbound {
		s.runOutbound(t)
	} else {
		t.Run("sending makes no calls", s.testNoOutbound)
	}
	if s.Pulled != nil {
		s.runPulled(t)
	}
	_, carries := s.New(t, &provider{}).(channels.Media)
	switch {
	case s.Media != nil:
		s.runMedia(t)
	case carries:
		t.Error("the driver carries files, and nobody says how the provider does")
	}
}

func (s Suite) testLimits(t *testing.T) {
	d := s.New(t, &provider{})
	if !d.Kind().Known() {
		t.Errorf("Kind() = %q, want one of conversation.ChannelKinds", d.Kind())
	}
	a, b := d.Limits(), d.Limits()
	if a.MaxText != b.MaxText || a.AckWithin != b.AckWithin || a.Idempotent != b.Idempotent {
		t.Errorf("Limits() differ between calls: %+v, %+v", a, b)
	}
	if a.MaxText < 0 || a.MaxText > 0 && a.MaxText < 20 {
		t.Errorf("Limits().MaxText = %d, want 0 or at least 20", a.MaxText)
	}
}

// request gives a delivery as a driver sees it.
func (s Suite) request(d Delivery, at time.Time) channels.Request {
	return channels.Request{
		Method: d.method(), Header: d.Header.Clone(), Query: d.Query, Account: s.Account, At: at,
	}
}

func (d Delivery) method() string {
	if d.Method == "" {
		return http.MethodPost
	}
	return d.Method
}

// message makes the i-th of a row of messages by one visitor.
func (s Suite) message(i int) Message {
	n := string(rune('a' + i%26))
	m := Message{Peer: s.peer(), Ref: "ref-" + n, Text: "message " + n + " 你好"}
	if s.Ref != nil {
		m.Ref = s.Ref(i)
	}
	return m
}

func (s Suite) peer() string {
	if s.Peer == "" {
		return "visitor-1"
	}
	return s.Peer
}

// taken is the provider's word that it took a message.
func (s Suite) taken() string {
	if s.Taken == "" {
		return "{}"
	}
	return s.Taken
}
