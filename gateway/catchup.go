package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// catchUpTime is how long a client waits at most for this node to learn what
// another one has acknowledged.
const catchUpTime = 3 * time.Second

// head gives the summary of a conversation at seen or a later version.
//
// Among several nodes, one that has just acknowledged something may be ahead of
// this one. So before it is said that a conversation, or a version of it, does
// not exist, its owner is asked: with a command that changes nothing, whose
// answer names the version, and which returns once this node shows that.
//
// Errors: class [conversation.ErrNotFound]; class [conversation.ErrUnavailable]
// when this node is still behind. A version that nobody has is no error: the
// head is as new as there is.
func (g *Gateway) head(ctx context.Context, id conversation.ConversationID, seen conversation.Seq) (conversation.Head, error) {
	head, err := g.present(ctx, id)
	if g.opts.Relay == nil || err == nil && head.Version >= seen || err != nil && !errors.Is(err, conversation.ErrNotFound) {
		return head, err
	}
	if id.IsZero() {
		return head, err
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	owner, asked := g.opts.Conversations.Do(ctx, id, conversation.MarkDelivered{})
	if errors.Is(asked, conversation.ErrNotFound) {
		return head, err
	}
	if asked != nil {
		return head, errBehind()
	}
	head, err = g.present(ctx, id)
	if err != nil || head.Version < min(seen, owner.Version) {
		return head, errBehind()
	}
	return head, nil
}

// present gives the summary of a conversation, unless it was erased: what is left
// of one is for nobody to see.
func (g *Gateway) present(ctx context.Context, id conversation.ConversationID) (conversation.Head, error) {
	head, err := g.opts.Journal.Head(ctx, id)
	if err == nil && head.Erased {
		return conversation.Head{}, errNoConversation()
	}
	return head, err
}

func errBehind() error {
	return conversation.Refuse(conversation.CodeUnavailable, "this node has not caught up yet; try again")
}
