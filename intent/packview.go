package intent

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// PackText is one file of a pack.
type PackText struct {
	Name string
	Text string
}

// PackView is a pack as it can be read and edited.
type PackView struct {
	PackInfo

	Files  []PackText               // as they are now, also when they are not in use because something is wrong
	Stored *conversation.StoredPack // of a saved pack; shared
}

// Pack gives a pack with its texts: of several of one name the one that stands,
// which is a file before a saved pack before a built-in one. Errors: class
// [conversation.ErrNotFound].
func (l *Library) Pack(ctx context.Context, name string) (PackView, error) {
	g := l.now.Load()
	s := g.catalog.standing(name)
	stored, err := l.storedPack(name)
	if err == nil && (s == nil || s.origin != originOperator) {
		v := PackView{Stored: &stored, PackInfo: PackInfo{Name: name, Source: "saved", Origin: OriginSaved, State: PackTraining}}
		if own := g.catalog.source(storedFile(name), originStored); own != nil {
			v.PackInfo = g.describe(own, g.modelInfos())
			l.compare(&v.PackInfo)
		}
		text, err := l.options.Store.PackText(ctx, name, stored.Current())
		v.Files = []PackText{{Name: storedFile(name), Text: string(text)}}
		return v, err
	}
	if s == nil {
		return PackView{}, errNoPack(name)
	}
	v := PackView{PackInfo: g.describe(s, g.modelInfos())}
	dir := l.loader.builtin
	if s.origin == originOperator {
		dir = l.loader.operator
	}
	v.Files, err = readTexts(dir, s.name)
	return v, err
}

// standing finds the source of a pack in the folders; of a file before a
// built-in one.
func (c *catalog) standing(name string) *source {
	var out *source
	for _, s := range c.sources {
		if s.pack != nil && s.pack.name == name && s.origin != originStored && (out == nil || s.origin == originOperator) {
			out = s
		}
	}
	return out
}

func readTexts(dir fs.FS, source string) ([]PackText, error) {
	_, files, err := listSources(dir)
	if err != nil {
		return nil, err
	}
	content, _, err := readFiles(dir, files[source])
	var out []PackText
	for _, f := range content {
		out = append(out, PackText{Name: f.name, Text: string(f.content)})
	}
	return out, err
}

// IntentView is what packs say about an intent together.
type IntentView struct {
	ID         string
	Title      map[string]string
	Answer     map[string]string
	Ask        []Question
	Not        []Question
	Test       []Question
	Buttons    []string
	Need       []string
	Flow       string
	Handover   bool
	Background bool
	Own        bool   // the pack itself says something about it, and not only those below
	File       string // of what the highest pack says about it
	Line       int
}

// Question is one line of an intent.
type Question struct {
	Text string
	Lang string
	Own  bool // it stands in the pack itself
}

// IntentQuery chooses intents of a pack.
type IntentQuery struct {
	Pack  string
	Text  string // that id, title, answer or a question must hold, in whatever case; empty = all
	After string // id of the last one of the page before
	Limit int    // zero = 50
}

// DefaultIntents is how many intents a page has.
const DefaultIntents = 50

// Intents gives the intents of a pack with those of the packs that it extends,
// by id: a page, how many fit in all, and whether more follow. Errors: class
// [conversation.ErrNotFound].
func (l *Library) Intents(q IntentQuery) (page []IntentView, total int, more bool, err error) {
	g := l.now.Load()
	b, k := g.catalog.bundles[q.Pack], g.catalog.find(q.Pack, nil)
	if b == nil || k == nil {
		return nil, 0, false, errNoPack(q.Pack)
	}
	if q.Limit <= 0 {
		q.Limit = DefaultIntents
	}
	want := strings.ToLower(strings.TrimSpace(q.Text))
	files := k.files()
	for _, t := range b.topics {
		if !t.holds(want) {
			continue
		}
		total++
		switch {
		case t.id <= q.After:
		case len(page) == q.Limit:
			more = true
		default:
			page = append(page, t.view(k, files))
		}
	}
	return page, total, more, nil
}

// files lists the files whose intents a pack consists of.
func (k *pack) files() map[string]bool {
	out := map[string]bool{}
	for _, in := range k.intents {
		out[in.at.file] = true
	}
	return out
}

// holds reports whether an intent has a text in it, in lower case.
func (t *topic) holds(want string) bool {
	if want == "" || strings.Contains(t.id, want) {
		return true
	}
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), want) }
	for _, m := range []texts{t.title, t.answer} {
		for _, s := range m {
			if has(s) {
				return true
			}
		}
	}
	for _, list := range [][]question{t.ask, t.not, t.test} {
		if slices.ContainsFunc(list, func(q question) bool { return has(q.text) }) {
			return true
		}
	}
	return false
}

func (t *topic) view(k *pack, files map[string]bool) IntentView {
	questions := func(list []question) []Question {
		out := make([]Question, 0, len(list))
		for _, q := range list {
			out = append(out, Question{Text: q.text, Lang: q.lang, Own: files[q.at.file]})
		}
		return out
	}
	return IntentView{
		ID: t.id, Title: t.title, Answer: t.answer, Ask: questions(t.ask), Not: questions(t.not), Test: questions(t.test),
		Buttons: t.buttons, Need: t.need, Flow: t.flow, Handover: t.handover, Background: t.background,
		Own:  slices.ContainsFunc(k.intents, func(in *intent) bool { return in.id == t.id }),
		File: t.at.file, Line: t.at.line,
	}
}

// Versions gives the versions of a saved pack, newest first. Errors: class
// [conversation.ErrNotFound].
func (l *Library) Versions(name string) (conversation.StoredPack, error) {
	p, err := l.storedPack(name)
	p.Versions = slices.Clone(p.Versions)
	slices.Reverse(p.Versions)
	return p, err
}

// DiffVersion compares a version of a saved pack with the one in force. Errors:
// class [conversation.ErrNotFound].
func (l *Library) DiffVersion(ctx context.Context, name string, version uint64) (text string, v conversation.PackVersion, diff []DiffLine, err error) {
	old, v, err := l.PackVersion(ctx, name, version)
	if err != nil {
		return "", v, nil, err
	}
	p, err := l.storedPack(name)
	if err != nil {
		return "", v, nil, err
	}
	now, err := l.options.Store.PackText(ctx, name, p.Current())
	if err != nil {
		return "", v, nil, fmt.Errorf("the version in force: %w", err)
	}
	return string(old), v, DiffLines(string(old), string(now)), nil
}
