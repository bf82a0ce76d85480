package intent

import (
	"context"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// packsThatCount are packs in memory that tell how often a text is read.
type packsThatCount struct {
	*packsInMemory
	read int
}

func (s *packsThatCount) PackText(ctx context.Context, name string, v conversation.PackVersion) ([]byte, error) {
	s.read++
	return s.packsInMemory.PackText(ctx, name, v)
}

// TestASaveIsReadOnce: what has been parsed and laid out to answer a save is what is
// loaded then, and other packs stay as they are; what somebody else saves is read.
func TestASaveIsReadOnce(t *testing.T) {
	t.Parallel()
	store := &packsThatCount{packsInMemory: newPacksInMemory()}
	l := openSmall(t, Options{Store: store})
	shop := l.now.Load().catalog.bundles["shop"]
	saved := saveMine(t, l, mineGift)
	reload(t, l)
	if p := info(t, l, "mine"); p.Version != saved.Hash || p.Saved != 1 || store.read != 0 {
		t.Errorf("Packs() says %+v; the text was read %d times, want 0", p, store.read)
	}
	if l.now.Load().catalog.bundles["shop"] != shop {
		t.Error("a pack that has not changed was laid out again")
	}
	reload(t, l)
	if store.read != 0 {
		t.Errorf("without a change the text was read %d times", store.read)
	}
	// Saved by another node: nobody here has seen the text.
	other := openSmall(t, Options{Store: store})
	saved = saveMine(t, other, mineHead)
	store.read = 0
	reload(t, l)
	if p := info(t, l, "mine"); p.Version != saved.Hash || store.read != 1 {
		t.Errorf("Packs() says %+v; the text was read %d times, want once", p, store.read)
	}
}

// TestADraftThatIsRefusedIsNotLoaded: a save that comes too late leaves nothing behind.
func TestADraftThatIsRefusedIsNotLoaded(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{Store: newPacksInMemory()})
	saved := saveMine(t, l, mineHead)
	if _, err := l.SavePack(t.Context(), PackSave{Name: "mine", Text: []byte(mineGift), Expect: 7}); err == nil {
		t.Fatal("a save on top of a version that is not there was taken")
	}
	reload(t, l)
	if p := info(t, l, "mine"); p.Version != saved.Hash {
		t.Errorf("Packs() says %+v, want version %s", p, saved.Hash)
	}
}
