package intent

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Store keeps packs where all nodes see them, with their versions.
type Store interface {
	// StoredPacks gives all packs by name, from memory.
	StoredPacks() []conversation.StoredPack
	// PackText gives the text of a version. Errors: class
	// [conversation.ErrNotFound] for one that is not kept.
	PackText(ctx context.Context, name string, v conversation.PackVersion) ([]byte, error)
	// PutPack saves a new version of a pack whose stored version is expect, 0
	// for a new one. Errors: class [conversation.ErrConflict].
	PutPack(ctx context.Context, name string, expect uint64, v conversation.PackVersion, text []byte) (conversation.StoredPack, error)
	// DeletePack removes a pack with all its versions.
	DeletePack(ctx context.Context, name string, version uint64) error
	// PackChanges gets a word after a change, by whatever node.
	PackChanges() <-chan struct{}
}

// storedFile is how problems name the text of a stored pack. No pack file can
// have this name.
func storedFile(name string) string { return "saved:" + name }

// loadStored reads the packs of the journal, but for what a draft has read already.
func (l *loader) loadStored(ctx context.Context, before, draft *catalog, now time.Time) []*source {
	if l.store == nil {
		return nil
	}
	var out []*source
	for _, p := range l.store.StoredPacks() {
		v := p.Current()
		next := source{name: storedFile(p.Name), origin: originStored, saved: v.Number}
		stamp := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", p.Name, v.Number, v.Hash))
		known := before.source(next.name, originStored)
		if k := draft.source(next.name, originStored).version(v.Hash); k != nil && known.version(v.Hash) == nil {
			known = &source{pack: k, stamp: stamp}
		}
		s := next.take(known, stamp, l.norm, func() ([]packFile, error) {
			text, err := l.store.PackText(ctx, p.Name, v)
			return []packFile{{name: next.name, content: text}}, err
		})
		if s.loaded.IsZero() {
			s.loaded = now
		}
		out = append(out, s)
	}
	return out
}

// version gives the pack that a source holds, if it is of a text with this hash. The
// source may be nil.
func (s *source) version(hash string) *pack {
	if s == nil || s.pack == nil || s.pack.version != hash {
		return nil
	}
	return s.pack
}

// checkName refuses a stored pack that calls itself something else than it is
// stored under.
func (s *source) checkName(k *pack) error {
	if storedFile(k.name) == s.name {
		return nil
	}
	return &PackError{Pack: k.name, File: s.name, Line: k.nameAt.line, Reason: fmt.Sprintf("the text says pack: %s", k.name)}
}
