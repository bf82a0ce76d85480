package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
)

// DocParked is the kind of document under which messages are kept that a grain
// could not handle twice.
const DocParked = "parked"

// maxParked bounds the parked messages that are kept; beyond it they are only
// counted and logged, because something is wrong with the code and not with
// one message.
const maxParked = 1000

// Limits of one kept message; what is longer is cut.
const (
	maxParkedText = 64 << 10
	maxParkedID   = 128
)

// Parked is a kept message.
type Parked struct {
	At      time.Time `json:"at"`
	Grain   string    `json:"grain"`
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Stack   string    `json:"stack"`
	Message string    `json:"message"` // as Go prints it, for a person to read
}

func (e *Engine) storeParked(ctx context.Context, p *cluster.Parked) error {
	kept, err := e.store.Docs(ctx, DocParked)
	if err != nil || len(kept) >= maxParked {
		return err
	}
	now := time.Now().UTC()
	doc, err := json.Marshal(Parked{
		At: now, Grain: p.Grain.String(), Type: fmt.Sprintf("%T", p.Message), Reason: cut(p.Reason, maxParkedText),
		Stack: cut(p.Stack, maxParkedText), Message: cut(fmt.Sprintf("%+v", p.Message), maxParkedText),
	})
	if err != nil {
		return err
	}
	// The time first, so that they are listed in the order in which they came.
	_, err = e.store.PutDoc(ctx, DocParked, fmt.Sprintf("%d-%s", now.UnixNano(), cut(p.Grain.ID, maxParkedID)), 0, doc)
	return err
}

// cut shortens text to a number of bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
