package intent

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// packsInMemory is a [Store] for tests.
type packsInMemory struct {
	changes chan struct{}

	mu struct {
		sync.Mutex
		packs []conversation.StoredPack
		texts map[string][]byte
	}
}

func newPacksInMemory() *packsInMemory {
	s := &packsInMemory{changes: make(chan struct{}, 1)}
	s.mu.texts = map[string][]byte{}
	return s
}

func (s *packsInMemory) StoredPacks() []conversation.StoredPack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.packs)
}

func (s *packsInMemory) PackText(_ context.Context, name string, v conversation.PackVersion) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.mu.texts[name+v.Hash]
	if !ok {
		return nil, conversation.ErrNotFound
	}
	return text, nil
}

func (s *packsInMemory) PutPack(
	_ context.Context, name string, expect uint64, v conversation.PackVersion, text []byte,
) (conversation.StoredPack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.mu.packs, func(p conversation.StoredPack) bool { return p.Name == name })
	if i < 0 {
		s.mu.packs = append(s.mu.packs, conversation.StoredPack{Name: name})
		i = len(s.mu.packs) - 1
	}
	p := s.mu.packs[i]
	if p.Version != expect {
		return p, conversation.Refuse(conversation.CodeVersionMismatch, "another version is stored")
	}
	p.Version++
	v.Number, v.Bytes = p.Version, len(text)
	p.Versions = append(slices.Clone(p.Versions), v)
	s.mu.packs[i] = p
	s.mu.texts[name+v.Hash] = bytes.Clone(text)
	s.tell()
	return p, nil
}

func (s *packsInMemory) DeletePack(_ context.Context, name string, version uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.packs = slices.DeleteFunc(s.mu.packs, func(p conversation.StoredPack) bool { return p.Name == name && p.Version == version })
	s.tell()
	return nil
}

func (s *packsInMemory) tell() {
	select {
	case s.changes <- struct{}{}:
	default:
	}
}

func (s *packsInMemory) PackChanges() <-chan struct{} { return s.changes }

func reload(t *testing.T, l *Library) {
	t.Helper()
	if _, err := l.Reload(t.Context()); err != nil {
		t.Fatalf("Reload: %v", err)
	}
}

func TestSavedPackServes(t *testing.T) {
	t.Parallel()
	store := newPacksInMemory()
	l := openSmall(t, Options{Store: store})
	saved, err := l.SavePack(t.Context(), PackSave{Name: "mine", Text: []byte(mineHead), By: "mei", Comment: "a beginning"})
	if err != nil || saved.Pack.Version != 1 || saved.Unchanged {
		t.Fatalf("SavePack = %+v, %v", saved, err)
	}
	reload(t, l)
	if got := predict(t, l, []string{"mine"}, "有礼盒包装吗"); got.Best().Intent == "gift_wrap" {
		t.Fatal("the intent is known before it is written")
	}
	saved, err = l.SavePack(t.Context(), PackSave{Name: "mine", Text: []byte(mineGift), Expect: 1})
	if err != nil || saved.Pack.Version != 2 || len(saved.Models) != 1 {
		t.Fatalf("SavePack = %+v, %v", saved, err)
	}
	if now := info(t, l, "mine"); now.State != PackTraining || now.Version == saved.Hash || now.Calibrated {
		t.Errorf("before the change is taken up Packs() says %+v", now)
	}
	reload(t, l)
	got := predict(t, l, []string{"mine"}, "有礼盒包装吗")
	if got.Best().Intent != "gift_wrap" || strings.TrimSuffix(got.Model, "-provisional") != saved.Models[0].Hash {
		t.Errorf("after the save: %v by model %s, announced was %s", got.Candidates, got.Model, saved.Models[0].Hash)
	}
	if now := info(t, l, "mine"); now.State != PackLive || now.Version != saved.Hash || now.Origin != OriginSaved || now.Saved != 2 || !now.Calibrated {
		t.Errorf("Packs() says %+v", now)
	}
	again, err := l.SavePack(t.Context(), PackSave{Name: "mine", Text: []byte(mineGift), Expect: 2})
	if err != nil || !again.Unchanged || again.Pack.Version != 2 {
		t.Errorf("SavePack of the same text = %+v, %v", again, err)
	}
	back, err := l.RestorePack(t.Context(), PackSave{Name: "mine", Expect: 2, Comment: "too early"}, 1)
	if err != nil || back.Pack.Version != 3 || back.Pack.Current().Restores != 1 || back.Pack.Current().Comment != "too early" {
		t.Fatalf("RestorePack = %+v, %v", back, err)
	}
	reload(t, l)
	if got := predict(t, l, []string{"mine"}, "有礼盒包装吗"); got.Best().Intent == "gift_wrap" {
		t.Error("the intent is known after the rollback")
	}
	if _, err := l.RestorePack(t.Context(), PackSave{Name: "mine", Expect: 3}, 9); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("RestorePack of a version that is not there: %v", err)
	}
}

func TestSaveRefusesBadText(t *testing.T) {
	t.Parallel()
	store := newPacksInMemory()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mine.yaml"), mineGift)
	write(t, filepath.Join(dir, "above.yaml"), "colloquy: 1\npack: above\nextends: [shop, base]\nintents:\n  - id: a\n    ask: [甲乙丙]\n    answer: '{v}'\n")
	write(t, filepath.Join(dir, "base.yaml"), "colloquy: 1\npack: base\nvariables: {v: x}\n")
	l := openSmall(t, Options{Store: store, Dir: dir})
	for _, tc := range []struct {
		name, pack, text string
		class            error
		problem          string // as the first of the list says it; empty = none is listed
	}{
		{"broken YAML", "other", "colloquy: 1\npack: other\nintents: [\n", conversation.ErrInvalid, "saved:other:3"},
		{"another name", "other", "colloquy: 1\npack: else\n", conversation.ErrInvalid, "saved:other:2: the text says pack: else"},
		{"a bad reference", "other", "colloquy: 1\npack: other\nintents:\n  - id: a\n    ask: [甲]\n    answer: '{no}'\n", conversation.ErrInvalid, "saved:other:4"},
		{"no UTF-8", "other", "colloquy: 1\npack: other\n# \xff\n", conversation.ErrInvalid, "saved:other:3: the text is not valid UTF-8"},
		{"nothing", "other", "", conversation.ErrInvalid, "saved:other: the file is empty"},
		{"a file's name", "mine", mineGift, conversation.ErrConflict, ""},
		{"a bad name", "Mine!", mineGift, conversation.ErrInvalid, ""},
		{"too long", "other", "colloquy: 1\npack: other\n" + strings.Repeat("#", maxFileBytes), conversation.ErrInvalid, "saved:other: the file has"},
		{
			"a pack that others build on", "shop", "colloquy: 1\npack: shop\nintents:\n  - id: a\n    ask: [甲乙丙]\n    answer: x\n  - id: b\n    ask: [丁]\n",
			conversation.ErrInvalid, "saved:shop:7",
		},
	} {
		_, err := l.SavePack(t.Context(), PackSave{Name: tc.pack, Text: []byte(tc.text)})
		if !errors.Is(err, tc.class) {
			t.Errorf("%s: SavePack: %v, want class %v", tc.name, err, tc.class)
			continue
		}
		problems := ProblemsOf(err)
		if tc.problem == "" && len(problems) > 0 || tc.problem != "" && (len(problems) == 0 || !strings.HasPrefix(problems[0].Error(), tc.problem)) {
			t.Errorf("%s: the problems are %v, want %q first", tc.name, problems, tc.problem)
		}
	}
	if n := len(store.StoredPacks()); n != 0 {
		t.Errorf("%d packs were stored", n)
	}
}

func TestSaveLooksAtThePacksAbove(t *testing.T) {
	t.Parallel()
	store := newPacksInMemory()
	l := openSmall(t, Options{Store: store})
	save := func(name, text string) error {
		var expect uint64
		if p, err := l.storedPack(name); err == nil {
			expect = p.Version
		}
		_, err := l.SavePack(t.Context(), PackSave{Name: name, Text: []byte(text), Expect: expect})
		return err
	}
	const top = "colloquy: 1\npack: top\nextends: [base]\nintents:\n  - id: a\n    ask: [甲乙丙]\n    answer: '{v}'\n"
	if err := save("top", top); err == nil || !strings.Contains(err.Error(), "extends base, which is not loaded") {
		t.Errorf("save without the pack below: %v", err)
	}
	for name, text := range map[string]string{"base": "colloquy: 1\npack: base\nvariables: {v: x}\n"} {
		if err := save(name, text); err != nil {
			t.Fatal(err)
		}
		reload(t, l)
	}
	if err := save("top", top); err != nil {
		t.Fatal(err)
	}
	reload(t, l)
	err := save("base", "colloquy: 1\npack: base\n")
	if problems := ProblemsOf(err); len(problems) != 1 || problems[0].File != "saved:top" || problems[0].Line != 5 {
		t.Errorf("a change that breaks the pack above: %v", err)
	}
	if err := l.DeletePack(t.Context(), "base", 1, nil); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("DeletePack of one that is extended: %v", err)
	}
	if err := l.DeletePack(t.Context(), "top", 1, []string{"top"}); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("DeletePack of one that an inbox uses: %v", err)
	}
	if err := l.DeletePack(t.Context(), "top", 1, []string{"shop"}); err != nil {
		t.Errorf("DeletePack: %v", err)
	}
	reload(t, l)
	if err := l.DeletePack(t.Context(), "base", 1, nil); err != nil {
		t.Errorf("DeletePack of one that is not extended any more: %v", err)
	}
	reload(t, l)
	for _, p := range l.Packs() {
		if p.Name == "base" || p.Name == "top" {
			t.Errorf("the deleted pack %s is listed", p.Name)
		}
	}
}

func TestEditSavedPack(t *testing.T) {
	t.Parallel()
	store := newPacksInMemory()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mine.yaml"), mineGift)
	l := openSmall(t, Options{Store: store, Dir: dir})
	edit := []PackEdit{{Intent: "return_policy", Lang: "zh", Ask: []string{"买大了咋整"}}}
	saved, err := l.EditPack(t.Context(), PackSave{Name: "shop", By: "mei", Comment: "asked by a visitor"}, edit)
	if err != nil || saved.Pack.Version != 1 {
		t.Fatalf("EditPack of a built-in pack = %+v, %v", saved, err)
	}
	reload(t, l)
	text, _, err := l.PackVersion(t.Context(), "shop", 1)
	want := "colloquy: 1\npack: shop\nextends: [shop]\nintents:\n  - id: return_policy\n    ask:\n      - 买大了咋整\n"
	if err != nil || string(text) != want {
		t.Errorf("the text is %q, %v, want %q", text, err, want)
	}
	if got := predict(t, l, []string{"shop"}, "买大了咋整"); got.Best().Intent != "return_policy" || got.Nearest != "买大了咋整" {
		t.Errorf("after the edit: %+v", got)
	}
	if _, err := l.EditPack(t.Context(), PackSave{Name: "mine"}, edit); !errors.Is(err, conversation.ErrConflict) || !strings.Contains(err.Error(), "mine.yaml") {
		t.Errorf("EditPack of a file: %v", err)
	}
	if _, err := l.EditPack(t.Context(), PackSave{Name: "nosuch"}, edit); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("EditPack of what is not there: %v", err)
	}
	if _, err := l.EditPack(t.Context(), PackSave{Name: "shop", Expect: 9}, []PackEdit{{Intent: "return_policy", Ask: []string{"退"}}}); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("EditPack that builds on another version: %v", err)
	}
}

func TestFileStandsBeforeSavedPack(t *testing.T) {
	t.Parallel()
	store := newPacksInMemory()
	dir := t.TempDir()
	l := openSmall(t, Options{Store: store, Dir: dir})
	if _, err := l.SavePack(t.Context(), PackSave{Name: "mine", Text: []byte(mineHead)}); err != nil {
		t.Fatal(err)
	}
	reload(t, l)
	write(t, filepath.Join(dir, "mine.yaml"), mineGift)
	reload(t, l)
	if got := predict(t, l, []string{"mine"}, "有礼盒包装吗"); got.Best().Intent != "gift_wrap" {
		t.Errorf("the file does not stand: %v", got.Candidates)
	}
	states := map[Origin]PackState{}
	for _, p := range l.Packs() {
		if p.Name == "mine" {
			states[p.Origin] = p.State
		}
	}
	if states[OriginSaved] != PackHidden || states[OriginFile] != PackLive {
		t.Errorf("the states are %v", states)
	}
}

func TestBadStoredPackDoesNotKeepALibraryFromOpening(t *testing.T) {
	t.Parallel()
	store := newPacksInMemory()
	for name, text := range map[string]string{"mine": mineGift, "bad": "colloquy: 1\npack: bad\nextends: [gone]\n", "worse": "colloquy: 1\npack: [\n"} {
		if _, err := store.PutPack(t.Context(), name, 0, conversation.PackVersion{Hash: name}, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	l := openSmall(t, Options{Store: store})
	for name, problem := range map[string]string{"mine": "", "bad": "saved:bad:3: extends gone", "worse": "saved:worse:2"} {
		if got := info(t, l, name); (problem == "") != (got.State != PackFailed) || !strings.Contains(got.Err, problem) {
			t.Errorf("pack %s: %+v, want the problem %q", name, got, problem)
		}
	}
	if got := predict(t, l, []string{"mine"}, "有礼盒包装吗"); got.Best().Intent != "gift_wrap" {
		t.Errorf("the good pack does not serve: %v", got.Candidates)
	}
}
