package gateway

import (
	"context"

	"github.com/colloquyhq/colloquy/conversation"
)

// LinkedFile is a file that a system has at an address of its own.
type LinkedFile struct {
	URL  string `json:"url"`
	Name string `json:"name"` // as the sender calls it; empty = made from Type
	Type string `json:"type"` // as the sender says; what counts is what the bytes show
}

// Linked hands in messages with files that are fetched from where the sender has
// them.
type Linked interface {
	// DeliverLinked hands in a visitor's message and answers when it is durable,
	// and with it what is to be fetched.
	//
	// Errors: the code [conversation.CodeBadAttachment] for what is no address of
	// a file; what an address leads to is found out behind the answer.
	DeliverLinked(ctx context.Context, in conversation.Inbound, files []LinkedFile) (conversation.Receipt, error)
}

// deliverLinked hands in a message, with files if there are any.
func (g *Gateway) deliverLinked(ctx context.Context, in conversation.Inbound, files []LinkedFile) (conversation.Receipt, error) {
	switch {
	case len(files) == 0:
		return g.opts.Conversations.Deliver(ctx, in)
	case g.opts.Linked == nil:
		return conversation.Receipt{}, conversation.Refuse(conversation.CodeBadAttachment, "this server fetches no files")
	}
	return g.opts.Linked.DeliverLinked(ctx, in, files)
}
