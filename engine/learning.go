package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/learning"
	"github.com/colloquyhq/colloquy/persistence"
)

// openLearning makes what draws from conversations what the packs lack.
func (e *Engine) openLearning() error {
	var err error
	e.learning, err = learning.New(learning.Options{
		Journal: books{e.store}, Library: e.library, Directory: e.store, Owns: e.actors.OwnsInbox,
		Editor: editor{e.library, e.store},
		Logger: e.opts.Logger, Registerer: e.registry,
	})
	return err
}

// editor saves what is taken into an inbox's packs.
type editor struct {
	library *intent.Library
	store   *persistence.Store
}

// learnedComment is what such a save says about itself.
const learnedComment = "from what visitors asked"

// EditPacks implements [learning.PackEditor]. Of the packs that can be changed here
// (files are the operator's own) it adds to the first that knows the intent, or
// else to the first.
func (e editor) EditPacks(ctx context.Context, packs []string, by conversation.AgentID, edits []learning.Edit) error {
	files := map[string]bool{}
	for _, p := range e.library.Packs() {
		files[p.Name] = files[p.Name] || p.Origin == intent.OriginFile
	}
	packs = slices.DeleteFunc(slices.Clone(packs), func(name string) bool { return files[name] })
	if len(packs) == 0 {
		return &conversation.Error{
			Code: conversation.CodeConflict, Detail: "all packs of the inbox come from files in packs.dir", Hint: "add the questions to the files",
		}
	}
	at := slices.IndexFunc(packs, func(name string) bool { return e.library.HasIntent([]string{name}, edits[0].Intent) })
	save := intent.PackSave{Name: packs[max(at, 0)], By: by, Comment: learnedComment}
	if p, err := e.store.StoredPack(save.Name); err == nil {
		save.Expect = p.Version
	}
	out := make([]intent.PackEdit, len(edits))
	for i, x := range edits {
		out[i] = intent.PackEdit{Intent: x.Intent, Lang: x.Lang, Ask: x.Ask, Not: x.Not}
		if x.Title != "" {
			out[i].Title, out[i].Answer = map[string]string{x.Lang: x.Title}, map[string]string{x.Lang: x.Answer}
		}
	}
	_, err := e.library.EditPack(ctx, save, out)
	return err
}

// books is the journal as [learning.Journal].
type books struct{ *persistence.Store }

// Since implements [learning.Journal].
func (b books) Since(ctx context.Context, at time.Time, cursor string, limit int) ([]conversation.Head, string, error) {
	return b.List(ctx, persistence.ListQuery{Since: at, Cursor: cursor, Limit: limit})
}

// Doc implements [learning.Journal].
func (b books) Doc(ctx context.Context, kind, id string) ([]byte, uint64, error) {
	d, err := b.Store.Doc(ctx, kind, id)
	if errors.Is(err, conversation.ErrNotFound) {
		return nil, 0, nil
	}
	return d.Data, d.Version, err
}

// Exists implements [learning.Journal]: of an erased conversation there is nothing
// to learn.
func (b books) Exists(ctx context.Context, id conversation.ConversationID) (bool, error) {
	h, err := b.Head(ctx, id)
	if errors.Is(err, conversation.ErrNotFound) {
		return false, nil
	}
	return err == nil && !h.Erased, err
}
