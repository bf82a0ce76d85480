// Package web is the driver of the browser widget. The widget holds a socket
// on which the gateway takes messages in and follows the conversation's
// journal, so there is nothing here to receive or to send: a message has been
// sent once it is durable. The driver exists so that the web is a channel like
// any other to everything that deals with channels.
package web

import (
	"context"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Driver implements [channels.Driver]. The zero value is ready for use.
type Driver struct{}

// Kind implements [channels.Driver].
func (Driver) Kind() conversation.ChannelKind { return conversation.ChannelWeb }

// Limits implements [channels.Driver]: the widget takes every text and button
// that a conversation can hold.
func (Driver) Limits() channels.Limits {
	return channels.Limits{
		MaxText: conversation.MaxTextBytes, Unit: channels.UnitBytes, Buttons: conversation.MaxButtons,
		Idempotent: true, // clients drop a seq that they know
	}
}

// Receive refuses every delivery: visitors on the web are known by the token
// of their session, which only the gateway checks.
func (Driver) Receive(context.Context, channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
	return nil, channels.Ack{}, conversation.Refuse(
		conversation.CodeForbidden, "the widget writes through its own socket")
}

// Send has nothing to do.
func (Driver) Send(context.Context, channels.Part) (string, error) { return "", nil }
