package persistence

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// A stored pack is one document with the list of its versions, and one for the
// text of each. A text is written before the list that names it, and is never
// changed: who sees a version in the list finds its text.
const (
	// maxStoredPacks bounds the packs in the journal.
	maxStoredPacks = 256
	// maxPackTextBytes bounds a text as it is stored, compressed: that of a
	// pack's file, and some more for what does not compress.
	maxPackTextBytes = 4<<20 + 64<<10
	maxPackNameBytes = 64
)

// packTextPrefix starts the ids of the texts of a pack.
func packTextPrefix(name string) string { return name + "/" }

// packTextID names a text by version and hash, so that two that are saved at
// the same time do not meet.
func packTextID(name string, v *conversation.PackVersion) string {
	return fmt.Sprintf("%s%016x/%s", packTextPrefix(name), v.Number, v.Hash)
}

// packTextNumber reads the version out of an id.
func packTextNumber(name, id string) (uint64, bool) {
	number, _, ok := strings.Cut(strings.TrimPrefix(id, packTextPrefix(name)), "/")
	n, err := strconv.ParseUint(number, 16, 64)
	return n, ok && err == nil
}

// StoredPacks gives all packs of the journal by name. What they point to is
// shared: callers must not change it.
func (s *Store) StoredPacks() []conversation.StoredPack {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.directory.mu.packs), func(a, b conversation.StoredPack) int {
		return cmp.Compare(a.Name, b.Name)
	})
}

// StoredPack gives a pack of the journal; what it points to is shared. Errors:
// [ErrNotFound].
func (s *Store) StoredPack(name string) (conversation.StoredPack, error) {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	v, ok := s.directory.mu.packs[name]
	if !ok {
		return v, fmt.Errorf("pack %q: %w", name, ErrNotFound)
	}
	return v, nil
}

// PackChanges gets a word after packs of the journal have changed, by whatever
// node. It has room for one: who misses a word reads all anyway.
func (s *Store) PackChanges() <-chan struct{} { return s.directory.packsChanged }

// PackText gives the text of a version. Errors: [ErrNotFound] for one that is
// not kept any more.
func (s *Store) PackText(ctx context.Context, name string, v conversation.PackVersion) ([]byte, error) {
	d, err := s.Doc(ctx, docPackText, packTextID(name, &v))
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(d.Data))
	if err != nil {
		return nil, fmt.Errorf("%w: text of pack %s, version %d: %w", ErrCorrupt, name, v.Number, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(v.Bytes)+1))
	if err != nil || len(text) != v.Bytes {
		return nil, fmt.Errorf("%w: text of pack %s, version %d: %w", ErrCorrupt, name, v.Number, err)
	}
	return text, nil
}

// PutPack saves a text as the new version of a pack whose stored version is
// expect, where 0 makes a new pack, and gives the pack as it is then. The
// number and the size of v are filled in. Versions over
// [conversation.MaxPackVersions] are dropped, oldest first.
//
// Errors: [ErrConflict] when another version is stored, class
// [conversation.ErrTooLarge] for too many packs or a text that is too long.
func (s *Store) PutPack(
	ctx context.Context, name string, expect uint64, v conversation.PackVersion, text []byte,
) (conversation.StoredPack, error) {
	next := conversation.StoredPack{Name: name}
	if name == "" || len(name) > maxPackNameBytes || strings.ContainsAny(name, "/\x00") {
		return next, conversation.Refuse(conversation.CodeBadID, "the name of a pack has 1 to 64 bytes")
	}
	old, err := s.StoredPack(name)
	switch {
	case err == nil && old.Version != expect || err != nil && expect != 0:
		return old, fmt.Errorf("put pack %s: %w", name, &ConflictError{Expect: expect, Have: old.Version})
	case err != nil && len(s.StoredPacks()) >= maxStoredPacks:
		return old, conversation.Refusef(conversation.CodeTooLarge, "%d packs are stored, that is the limit", maxStoredPacks)
	}
	v.Number, v.Bytes = expect+1, len(text)
	next.Versions = append(slices.Clone(old.Versions), v)
	if over := len(next.Versions) - conversation.MaxPackVersions; over > 0 {
		next.Versions = next.Versions[over:]
	}
	if err := s.putPackText(ctx, name, &v, text); err != nil {
		return old, err
	}
	if next.Version, err = s.putJSON(ctx, &document{kind: docPack, id: name, expect: expect}, next); err != nil {
		return old, err
	}
	s.dropPackTexts(ctx, next)
	return next, nil
}

func (s *Store) putPackText(ctx context.Context, name string, v *conversation.PackVersion, text []byte) error {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("compress pack %s: %w", name, err)
	}
	d := &document{kind: docPackText, id: packTextID(name, v), doc: packed.Bytes()}
	_, err = s.putDoc(ctx, d)
	var there *ConflictError
	if errors.As(err, &there) {
		// Left by a save that did not come to its end; it has the same hash.
		d.expect = there.Have
		_, err = s.putDoc(ctx, d)
	}
	return err
}

// dropPackTexts deletes the texts that no version of a pack names: of versions
// that made room, and of saves that did not come to their end. Younger ones
// may belong to a save that is under way. What cannot be deleted now is
// deleted after the next save.
func (s *Store) dropPackTexts(ctx context.Context, p conversation.StoredPack) {
	keep := map[string]bool{}
	for i := range p.Versions {
		keep[packTextID(p.Name, &p.Versions[i])] = true
	}
	ids, err := s.docIDs(ctx, docPackText, packTextPrefix(p.Name))
	for _, id := range ids {
		if n, ok := packTextNumber(p.Name, id); keep[id] || ok && n > p.Version {
			continue
		}
		err = errors.Join(err, s.DeleteDoc(ctx, docPackText, id, 0))
	}
	if err != nil && !isGone(err) {
		s.options.Logger.WarnContext(ctx, "texts of a pack not deleted", "pack", p.Name, "err", err)
	}
}

// DeletePack removes a pack whose stored version is the given one, with all its
// versions. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) DeletePack(ctx context.Context, name string, version uint64) error {
	if version == 0 {
		return fmt.Errorf("delete pack %s: %w", name, ErrNotFound)
	}
	if err := s.DeleteDoc(ctx, docPack, name, version); err != nil {
		return err
	}
	s.dropPackTexts(ctx, conversation.StoredPack{Name: name, Version: version})
	return nil
}

// docIDs lists the documents of a kind whose ids start with prefix.
func (s *Store) docIDs(ctx context.Context, kind, prefix string) ([]string, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, fmt.Errorf("documents of kind %s: %w", kind, err)
	}
	defer done()
	var out []string
	err = scan(s.db, prefixBounds(append(documentPrefix(kind), prefix...), nil), func(key, _ []byte) (bool, error) {
		_, id, err := documentKeyParts(key)
		out = append(out, id)
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("documents of kind %s: %w", kind, err)
	}
	return out, nil
}
