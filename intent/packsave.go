package intent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxCommentBytes bounds what a save may say about itself.
const maxCommentBytes = 500

// PackSave is a new text for a saved pack.
type PackSave struct {
	Name    string
	Text    []byte
	Expect  uint64 // the stored version that the text builds on; 0 = there is none
	By      conversation.AgentID
	Comment string // at most 500 bytes
}

// Saved says what a save has come to. The journal has it, and so will every
// node; a model serves the new text once it is trained.
type Saved struct {
	Pack      conversation.StoredPack
	Hash      string      // of the pack: what [PackInfo.Version] will be
	Models    []ModelInfo // of this node that hold the pack; Hash is what answers will carry
	Unchanged bool        // the text was the stored one already; no version was added
}

// SavePack checks a text and stores it as the new version of a pack. What is
// stored goes live on every node that runs, and after a restart.
//
// Errors: class [conversation.ErrInvalid] with everything that is wrong, see
// [ProblemsOf]; [conversation.ErrConflict] when another version is stored than
// the one expected, or a file of this node holds a pack of the name.
func (l *Library) SavePack(ctx context.Context, s PackSave) (Saved, error) {
	return l.save(ctx, s, 0)
}

// RestorePack saves the text of an earlier version as the new one. Errors: as
// for [Library.SavePack], and class [conversation.ErrNotFound] for a version
// that is not kept.
func (l *Library) RestorePack(ctx context.Context, s PackSave, version uint64) (Saved, error) {
	text, _, err := l.PackVersion(ctx, s.Name, version)
	if err != nil {
		return Saved{}, err
	}
	s.Text = text
	return l.save(ctx, s, version)
}

// EditPack adds to a pack as [EditPack] does and saves it. Where the pack is a
// built-in one and nothing is saved under its name yet, a pack that lies above
// it is begun; Expect 0 then. Errors: as for [Library.SavePack].
func (l *Library) EditPack(ctx context.Context, s PackSave, edits []PackEdit) (Saved, error) {
	text, err := l.editable(ctx, s.Name)
	if err != nil {
		return Saved{}, err
	}
	if s.Text, err = EditPack(text, edits); err != nil {
		return Saved{}, err
	}
	return l.save(ctx, s, 0)
}

// editable gives the text that an edit of a pack builds on.
func (l *Library) editable(ctx context.Context, name string) ([]byte, error) {
	if p, err := l.storedPack(name); err == nil {
		return l.options.Store.PackText(ctx, name, p.Current())
	}
	c := l.now.Load().catalog
	if k := c.operator[name]; k != nil {
		return nil, errIsFile(name, k.source)
	}
	if c.builtin[name] == nil {
		return nil, errNoPack(name)
	}
	return fmt.Appendf(nil, "colloquy: %s\npack: %s\nextends: [%s]\n", formatVersion, name, name), nil
}

func errIsFile(name, file string) error {
	return &conversation.Error{
		Code: conversation.CodeConflict, Detail: fmt.Sprintf("pack %s comes from the file %s in packs.dir of this node", name, file),
		Hint: "change the file, or take it away on every node and save the pack then",
	}
}

func errNoStore() error {
	return conversation.Refuse(conversation.CodeUnavailable, "this library has no journal to save packs in")
}

// storedPack finds a pack of the journal.
func (l *Library) storedPack(name string) (conversation.StoredPack, error) {
	if l.options.Store == nil {
		return conversation.StoredPack{}, errNoStore()
	}
	for _, p := range l.options.Store.StoredPacks() {
		if p.Name == name {
			return p, nil
		}
	}
	return conversation.StoredPack{}, conversation.Refusef(conversation.CodeNotFound, "no pack %q is saved", name)
}

func (l *Library) save(ctx context.Context, s PackSave, restores uint64) (Saved, error) {
	out, err := l.trySave(ctx, s, restores)
	switch {
	case err == nil:
		l.metrics.saves[saveDone].Inc()
	case errors.Is(err, conversation.ErrInvalid), errors.Is(err, conversation.ErrConflict), errors.Is(err, conversation.ErrTooLarge):
		l.metrics.saves[saveRefused].Inc()
	default:
		l.metrics.saves[saveFailed].Inc()
	}
	return out, err
}

func (l *Library) trySave(ctx context.Context, s PackSave, restores uint64) (Saved, error) {
	if l.options.Store == nil {
		return Saved{}, errNoStore()
	}
	if len(s.Comment) > maxCommentBytes || !utf8.ValidString(s.Comment) {
		return Saved{}, conversation.Refusef(conversation.CodeInvalid, "a comment has at most %d bytes of UTF-8", maxCommentBytes)
	}
	t, err := l.tryText(s.Name, s.Text)
	if err != nil {
		return Saved{}, err
	}
	out := Saved{Hash: t.pack.version, Models: t.models()}
	if old, err := l.storedPack(s.Name); err == nil && old.Version == s.Expect && old.Current().Hash == t.pack.version {
		out.Pack, out.Unchanged = old, true
		return out, nil
	}
	v := conversation.PackVersion{Hash: t.pack.version, At: l.options.Now().UTC(), By: s.By, Comment: s.Comment, Restores: restores}
	l.loader.draft.Store(t.catalog) // before anybody can hear of the change
	out.Pack, err = l.options.Store.PutPack(ctx, s.Name, s.Expect, v, s.Text)
	return out, err
}

// DeletePack removes a saved pack and its versions. Errors: class
// [conversation.ErrConflict] when another version is stored, or when the pack
// is needed: by a pack that extends it, or under one of the names given.
func (l *Library) DeletePack(ctx context.Context, name string, expect uint64, needed []string) error {
	p, err := l.storedPack(name)
	if err != nil {
		return err
	}
	t := l.trial(name, nil)
	if err := t.layOut(l.loader.norm); err != nil {
		return &conversation.Error{Code: conversation.CodeConflict, Detail: "another pack needs it: " + err.Error(), Err: err}
	}
	if slices.Contains(needed, name) && t.catalog.find(name, nil) == nil {
		return conversation.Refusef(conversation.CodeConflict, "an inbox uses the pack %s", p.Name)
	}
	if err := l.options.Store.DeletePack(ctx, name, expect); err != nil {
		return err
	}
	l.metrics.saves[saveDone].Inc()
	return nil
}

// PackVersion gives the text of a version of a saved pack. Errors: class
// [conversation.ErrNotFound].
func (l *Library) PackVersion(ctx context.Context, name string, version uint64) ([]byte, conversation.PackVersion, error) {
	p, err := l.storedPack(name)
	if err != nil {
		return nil, conversation.PackVersion{}, err
	}
	v, ok := p.Find(version)
	if !ok {
		return nil, v, conversation.Refusef(conversation.CodeNotFound, "pack %s has no version %d any more", name, version)
	}
	text, err := l.options.Store.PackText(ctx, name, v)
	return text, v, err
}

// trial is the catalog as it would be with another text for one saved pack, or
// without it.
type trial struct {
	catalog *catalog
	before  *generation
	name    string
	pack    *pack // nil = it is taken away
}

// tryText lays out all packs with a text in place of a saved pack. Errors:
// everything that is wrong with it, or with the packs that lie above it.
func (l *Library) tryText(name string, text []byte) (*trial, error) {
	if !isName(name) || len(name) > maxNameBytes {
		return nil, conversation.Refusef(conversation.CodeInvalid, "%q is not a name: lower-case letters, digits, and _ - . inside", name)
	}
	if k := l.now.Load().catalog.operator[name]; k != nil && k.source != storedFile(name) {
		return nil, errIsFile(name, k.source)
	}
	if len(text) <= maxFileBytes && !utf8.Valid(text) {
		return nil, &PackError{Pack: name, File: storedFile(name), Line: 1 + bytes.Count(text[:invalidAt(text)], []byte("\n")), Reason: "the text is not valid UTF-8"}
	}
	s := &source{name: storedFile(name), origin: originStored}
	k, err := parsePack([]packFile{{name: s.name, content: text}}, l.loader.norm)
	if k != nil && k.name != "" {
		err = errors.Join(err, s.checkName(k))
	}
	if err != nil {
		return nil, err
	}
	k.source, s.pack = s.name, k
	t := l.trial(name, s)
	if known := len(t.catalog.sources); known > maxPacks {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "%d packs, the limit is %d", known, maxPacks)
	}
	return t, t.layOut(l.loader.norm)
}

// invalidAt finds the first byte that is not UTF-8.
func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(text)
}

// trial makes the catalog with a source in place of a saved pack, or without
// it. It is not laid out yet.
func (l *Library) trial(name string, with *source) *trial {
	g := l.now.Load()
	c := &catalog{builtin: map[string]*pack{}, operator: map[string]*pack{}, bundles: map[string]*bundle{}}
	for _, s := range g.catalog.sources {
		if s.origin != originStored || s.name != storedFile(name) {
			own := *s
			c.sources = append(c.sources, &own)
		}
	}
	t := &trial{catalog: c, before: g, name: name}
	if with != nil {
		c.sources, t.pack = append(c.sources, with), with.pack
	}
	c.index()
	return t
}

// layOut lays out every pack, and the combinations that have a model.
func (t *trial) layOut(norm *normalizer) error {
	bad := t.catalog.makeBundles(norm, t.before.catalog)
	var errs []error
	for _, name := range langs(bad) {
		if bad[t.name] != nil && name != t.name && t.isAbove(name) {
			continue // the same problems once more
		}
		errs = append(errs, bad[name])
	}
	if len(errs) == 0 {
		for _, m := range t.before.models {
			if packs := m.bundle.packs; len(packs) > 1 && t.concerns(packs) {
				_, err := t.catalog.bundle(packs, norm)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// isAbove reports whether a pack lies above the one that is tried.
func (t *trial) isAbove(name string) bool {
	return t.pack != nil && t.catalog.within(t.catalog.find(name, nil))[t.pack]
}

// concerns reports whether a combination of packs holds the one that is tried,
// now or then.
func (t *trial) concerns(packs []string) bool {
	for _, c := range []*catalog{t.catalog, t.before.catalog} {
		layers, err := c.layers(packs)
		if err != nil || slices.ContainsFunc(layers, func(k *pack) bool { return k.name == t.name }) {
			return true
		}
	}
	return false
}

// models lists the combinations that hold the pack, with the hashes that they
// will have.
func (t *trial) models() []ModelInfo {
	var out []ModelInfo
	for _, m := range t.before.models {
		layers, err := t.catalog.layers(m.bundle.packs)
		if err == nil && slices.Contains(layers, t.pack) {
			out = append(out, ModelInfo{Packs: m.bundle.packs, Hash: hashOf(layers), Live: m.bundle.hash})
		}
	}
	return out
}

// ProblemsOf lists what is wrong with packs as an error says it, in its order.
func ProblemsOf(err error) []*PackError {
	var out []*PackError
	seen := map[PackError]bool{}
	var walk func(err error)
	walk = func(err error) {
		if p, ok := err.(*PackError); ok { //nolint:errorlint // the tree is walked here
			if !seen[*p] {
				out = append(out, p)
			}
			seen[*p] = true
			return
		}
		switch e := err.(type) { //nolint:errorlint // the tree is walked here
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				walk(one)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	return out
}
