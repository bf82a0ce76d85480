package learning

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// Journal is where conversations and what was learned from them are kept.
type Journal interface {
	// Entries reads a conversation's log.
	Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error)
	// Exists reports whether anything of a conversation is stored.
	Exists(ctx context.Context, id conversation.ConversationID) (bool, error)
	// Since gives a page of conversations whose last activity was not before, newest
	// first. An empty next means that this was the last page.
	Since(ctx context.Context, at time.Time, cursor string, limit int) (heads []conversation.Head, next string, err error)
	// Doc gives a document and its version; version 0 when there is none.
	Doc(ctx context.Context, kind, id string) (data []byte, version uint64, err error)
	// PutDoc writes a document whose stored version is expect. Errors: class
	// [conversation.ErrConflict] when it is another.
	PutDoc(ctx context.Context, kind, id string, expect uint64, data []byte) (version uint64, err error)
}

// Directory gives the inboxes' settings, from memory.
type Directory interface {
	Inbox(id conversation.InboxID) (conversation.Inbox, error)
	Inboxes() []conversation.Inbox
}

// Library is the packs, to be told what was learned. [intent.Library] is one.
type Library interface {
	reader
	Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error
	IntentTitles(packs []string, lang string) []conversation.IntentName
	Learn(inbox conversation.InboxID, packs []string, t intent.Tally)
	Standing(inbox conversation.InboxID, packs []string, auto float32) intent.Standing
}

// Edit adds to one intent of a pack.
type Edit struct {
	Intent string
	Lang   string // of everything below
	Ask    []string
	Not    []string
	Title  string // of an intent that is new
	Answer string // of an intent that is new
}

// PackEditor changes and saves the operator's packs.
type PackEditor interface {
	// EditPacks adds to the packs of an inbox. Errors: class
	// [conversation.ErrInvalid] when the packs would be bad, and are as before.
	EditPacks(ctx context.Context, packs []string, by conversation.AgentID, edits []Edit) error
}

// Options are what a [Keeper] is made of. Journal, Library and Directory are
// needed.
type Options struct {
	Journal    Journal
	Library    Library
	Directory  Directory
	Editor     PackEditor                      // nil = packs cannot be changed from here
	Owns       func(conversation.InboxID) bool // whether this node writes an inbox's book down; nil = all
	Logger     *slog.Logger                    // nil = none
	Registerer prometheus.Registerer           // nil = no metrics
	Now        func() time.Time                // nil = the system's clock
	SaveEvery  time.Duration                   // zero = a minute
}

func (o *Options) fill() error {
	if o.Journal == nil || o.Library == nil || o.Directory == nil {
		return errors.New("learning: a journal, a library and a directory are needed")
	}
	if o.Owns == nil {
		o.Owns = func(conversation.InboxID) bool { return true }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of an injected clock
	}
	if o.SaveEvery <= 0 {
		o.SaveEvery = time.Minute
	}
	return nil
}
