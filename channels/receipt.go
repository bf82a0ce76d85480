package channels

import (
	"context"
	"errors"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// Receipt is a provider's news of a message that it took earlier.
type Receipt struct {
	Key    string // Part.Key of the message
	Status ReceiptStatus
	Detail string // of a failure: class and code, as [SendError.Detail] gives them
}

// ReceiptStatus is what became of a message.
type ReceiptStatus string

// What becomes of messages. Other news is of no interest.
const (
	ReceiptDelivered ReceiptStatus = "delivered"
	ReceiptRead      ReceiptStatus = "read"
	ReceiptFailed    ReceiptStatus = "failed"
)

// maxReceiptDetail bounds what is kept of a provider's reason.
const maxReceiptDetail = 100

// handInReceipt tells the conversation. News of a message that is not there, or
// of a conversation that is closed, changes nothing.
func (c *Channel) handInReceipt(ctx context.Context, r *Receipt) error {
	name, _, _ := strings.Cut(r.Key, "-") // parts after the first have a number
	id, seq, err := conversation.ParseMessageID(name)
	if err != nil || c.shared.tell == nil {
		return nil //nolint:nilerr // not a message of ours, and no use in repeating it
	}
	var cmd conversation.Command
	switch r.Status {
	case ReceiptDelivered:
		cmd = conversation.MarkDelivered{UpTo: seq}
	case ReceiptRead:
		cmd = conversation.MarkRead{By: conversation.PartyVisitor, UpTo: seq}
	case ReceiptFailed:
		cmd = conversation.RecordDelivery{
			Message: seq, Result: conversation.DeliveryFailed, Detail: r.Detail[:min(len(r.Detail), maxReceiptDetail)],
		}
	default:
		return nil
	}
	err = c.shared.tell(ctx, id, cmd)
	if errors.Is(err, conversation.ErrNotFound) || errors.Is(err, conversation.ErrConflict) {
		return nil
	}
	return err
}
