package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

const (
	letterPlace  = "dead_letter" // of the sealed headers
	letterHeader = "header"
	letterWithin = 2 * time.Second // to keep one; the message it is about does not wait longer
)

// letters keeps what could not be understood, or not be delivered for good, in
// the journal, and has it tried again. It is [channels.Letters] and
// [gateway.DeadLetters].
type letters struct {
	store    *persistence.Store
	vault    *channels.Vault
	registry func() *channels.Registry
	do       func(context.Context, conversation.ConversationID, conversation.Command) (conversation.Receipt, error)
	log      *slog.Logger
}

// Keep implements [channels.Letters].
func (l *letters) Keep(ctx context.Context, d conversation.DeadLetter, header map[string][]string) error {
	if d.Delivery != nil && len(header) > 0 {
		if err := l.seal(d.Delivery, header); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letterWithin)
	defer cancel()
	_, err := l.store.PutDeadLetter(ctx, d)
	return err
}

// keepMessage keeps a message that was not delivered, or may not have been.
func (l *letters) keepMessage(ctx context.Context, out conversation.Outbound, reason string) {
	err := l.Keep(ctx, conversation.DeadLetter{
		Inbox: out.Inbox, Channel: out.Channel, Direction: conversation.DirectionOut, At: time.Now().UTC(), Reason: reason, Message: &out,
	}, nil)
	if err != nil {
		l.log.Warn("dead letter not kept", "conversation_id", out.Conversation.String(), "err", err)
	}
}

// seal stores headers. Without a key there are no accounts with secrets either,
// and what a signature needs is kept as it is.
func (l *letters) seal(d *conversation.DeadDelivery, header map[string][]string) error {
	if l.vault == nil {
		d.Header = make(map[string][]string)
		for name, values := range header {
			if strings.HasPrefix(name, "Webhook-") {
				d.Header[name] = values
			}
		}
		return nil
	}
	b, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("encode the headers of a dead letter: %w", err)
	}
	d.Sealed, err = l.vault.Seal(letterPlace, map[string]string{letterHeader: string(b)})
	return err
}

// headerOf gives the headers of a letter's delivery.
func (l *letters) headerOf(d *conversation.DeadDelivery) (map[string][]string, error) {
	if d == nil || d.Sealed == nil {
		if d == nil {
			return nil, nil //nolint:nilnil // no delivery, no headers
		}
		return d.Header, nil
	}
	values, err := l.vault.Open(letterPlace, d.Sealed)
	if err != nil {
		return nil, err
	}
	var header map[string][]string
	if err := json.Unmarshal([]byte(values[letterHeader]), &header); err != nil {
		return nil, fmt.Errorf("read the headers of a dead letter: %w", err)
	}
	return header, nil
}

// List implements [gateway.DeadLetters].
func (l *letters) List(
	ctx context.Context, inbox conversation.InboxID, cursor string, limit int,
) ([]conversation.DeadLetter, string, error) {
	return l.store.DeadLetters(ctx, inbox, cursor, limit)
}

// Show implements [gateway.DeadLetters].
func (l *letters) Show(ctx context.Context, id string) (conversation.DeadLetter, error) {
	d, err := l.store.DeadLetter(ctx, id)
	if d.Delivery != nil {
		d.Delivery.Sealed = nil
	}
	return d, err
}

// Drop implements [gateway.DeadLetters].
func (l *letters) Drop(ctx context.Context, id string) error {
	return l.store.DeleteDeadLetter(ctx, id)
}

// Redeliver implements [gateway.DeadLetters]. The letter goes only when what it
// says is durable; who asks twice has it handed in twice, which stores or sends
// it once.
func (l *letters) Redeliver(ctx context.Context, id string, by conversation.AgentID) error {
	d, err := l.store.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	if err := l.again(ctx, &d, by); err != nil {
		return err
	}
	err = l.store.DeleteDeadLetter(ctx, id)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return nil // somebody else was as fast
	}
	return err
}

func (l *letters) again(ctx context.Context, d *conversation.DeadLetter, by conversation.AgentID) error {
	if d.Message != nil {
		_, err := l.do(ctx, d.Message.Conversation, conversation.SendAgain{Message: d.Message.Message, By: by})
		return err
	}
	c, ok := l.registry().Own(d.Channel, d.Inbox)
	if !ok {
		return conversation.Refuse(conversation.CodeUnknownChannel, "the inbox does not exist any more, or does not serve this channel")
	}
	if c.Paused() {
		return conversation.Refuse(conversation.CodeUnavailable, "the account is paused")
	}
	header, err := l.headerOf(d.Delivery)
	if err != nil {
		return err
	}
	return c.Redeliver(ctx, d, header)
}
