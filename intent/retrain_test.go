package intent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// savedMine opens a library whose pack mine is saved and has a model.
func savedMine(t *testing.T, text string) *Library {
	t.Helper()
	l := openSmall(t, Options{Store: newPacksInMemory()})
	saveMine(t, l, text)
	reload(t, l)
	if err := l.Prepare(t.Context(), []string{"mine"}); err != nil {
		t.Fatal(err)
	}
	return l
}

func saveMine(t *testing.T, l *Library, text string) Saved {
	t.Helper()
	p, _ := l.storedPack("mine") // version 0 when there is none
	saved, err := l.SavePack(t.Context(), PackSave{Name: "mine", Text: []byte(text), Expect: p.Version})
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// holdTraining puts a job in the place of the training of pack mine, as if
// somebody were at it.
func holdTraining(l *Library, hash string, cancel context.CancelFunc) *job {
	j := &job{hash: hash, cancel: cancel, done: make(chan struct{})}
	l.training.mu.Lock()
	defer l.training.mu.Unlock()
	l.training.jobs[keyOf([]string{"mine"})] = j
	return j
}

func (l *Library) endTraining(j *job) {
	l.training.mu.Lock()
	defer l.training.mu.Unlock()
	delete(l.training.jobs, keyOf([]string{"mine"}))
	close(j.done)
}

func TestTurnsDoNotWaitForTraining(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineHead)
	before := predict(t, l, []string{"mine"}, "有礼盒包装吗")
	saved := saveMine(t, l, mineGift)
	j := holdTraining(l, saved.Models[0].Hash, func() {})
	reloaded := make(chan error, 1)
	go func() {
		_, err := l.Reload(t.Context())
		reloaded <- err
	}()
	// The new text is loaded and its model is not there; what serves is the old.
	for p := info(t, l, "mine"); p.Version != saved.Hash || p.State != PackTraining; p = info(t, l, "mine") {
		select {
		case err := <-reloaded:
			t.Fatalf("Reload ended before the training: %v", err)
		default:
		}
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒包装吗"); p.Model != before.Model {
		t.Errorf("while the new model is trained %s answers, want %s", p.Model, before.Model)
	}
	if p := info(t, l, "mine"); p.Version != saved.Hash || p.Models[0].Hash != saved.Models[0].Hash || p.Models[0].Live == p.Models[0].Hash || p.Calibrated {
		t.Errorf("Packs() says %+v", p)
	}
	// Another combination of packs is trained meanwhile.
	if p := predict(t, l, []string{"shop"}, "能退货吗"); p.Best().Intent != "return_policy" {
		t.Errorf("another inbox: %v", p.Candidates)
	}
	b, err := l.now.Load().catalog.bundleOf([]string{"mine"}, l.loader.norm)
	if err != nil {
		t.Fatal(err)
	}
	if j.model, err = l.train(t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	l.endTraining(j)
	if err := <-reloaded; err != nil {
		t.Fatalf("Reload: %v", err)
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒包装吗"); p.Best().Intent != "gift_wrap" || p.Model != saved.Models[0].Hash {
		t.Errorf("after the training: %v by %s", p.Candidates, p.Model)
	}
}

func TestANewerSaveEndsTheTrainingOfAnOlderOne(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineHead)
	ended := false
	older := holdTraining(l, "older", func() { ended = true })
	saved := saveMine(t, l, mineGift)
	reload(t, l)
	if !ended {
		t.Error("the training of the older text goes on")
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒包装吗"); p.Model != saved.Models[0].Hash {
		t.Errorf("model %s answers, want %s", p.Model, saved.Models[0].Hash)
	}
	// What the older training comes to is not taken, however late.
	old, err := l.train(t.Context(), older.bundleForTest(t, l), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.install(old); !errors.Is(err, errSuperseded) {
		t.Errorf("install of an older model: %v", err)
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒包装吗"); p.Model != saved.Models[0].Hash {
		t.Errorf("the older model %s took the place of %s", p.Model, saved.Models[0].Hash)
	}
}

// bundleForTest gives a bundle of pack mine in a state that is past.
func (*job) bundleForTest(t *testing.T, l *Library) *bundle {
	t.Helper()
	trial, err := l.tryText("mine", []byte(mineHead))
	if err != nil {
		t.Fatal(err)
	}
	b, err := trial.catalog.bundle([]string{"mine"}, l.loader.norm)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTrainingThatFailsKeepsTheOldModel(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineHead)
	before := predict(t, l, []string{"mine"}, "有礼盒包装吗")
	saved := saveMine(t, l, mineGift)
	j := holdTraining(l, saved.Models[0].Hash, func() {})
	j.err = errors.New("the machine is out of memory")
	l.training.mu.Lock()
	close(j.done)
	l.training.mu.Unlock()
	if _, err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("Reload: %v", err)
	}
	if p := info(t, l, "mine"); p.State != PackFailed || !strings.Contains(p.Err, "out of memory") || p.Calibrated {
		t.Errorf("Packs() says %+v", p)
	}
	if n := testutil.ToFloat64(l.metrics.failures); n != 1 {
		t.Errorf("failed reloads = %v, want 1", n)
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒包装吗"); p.Model != before.Model {
		t.Errorf("model %s answers, want the old one %s", p.Model, before.Model)
	}
	l.training.mu.Lock()
	delete(l.training.jobs, keyOf([]string{"mine"}))
	l.training.mu.Unlock()
	reload(t, l)
	if p := info(t, l, "mine"); p.State != PackLive || p.Err != "" || !p.Calibrated {
		t.Errorf("after it went well Packs() says %+v", p)
	}
}

func TestAReloadThatIsInterruptedIsTakenUp(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineHead)
	saved := saveMine(t, l, mineGift)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Reload under an ended context: %v", err)
	}
	if n := testutil.ToFloat64(l.metrics.failures); n != 0 {
		t.Errorf("failed reloads = %v, want 0", n)
	}
	reload(t, l)
	if p := info(t, l, "mine"); p.State != PackLive || p.Models[0].Live != saved.Models[0].Hash {
		t.Errorf("Packs() says %+v", p)
	}
}

// A library that runs takes up what is saved without being told.
func TestRunTakesUpSaves(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineHead)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	var saved Saved
	for _, text := range []string{mineHead + "# 1\n", mineHead + "# 2\n", mineGift} {
		saved = saveMine(t, l, text)
	}
	for p := info(t, l, "mine"); p.Version != saved.Hash || p.State != PackLive || !p.Calibrated; p = info(t, l, "mine") {
		if t.Context().Err() != nil {
			t.Fatal("the save is not taken up")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestCheckPack(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineHead)
	const more = "  - id: return_policy\n    ask: [几天发货, 拆封了还能退不]\n    test: [可以退货吗]\n"
	check, err := l.CheckPack(t.Context(), "mine", []byte(mineGift+more), CheckOptions{Try: "有礼盒包装吗"})
	if err != nil || len(check.Problems) > 0 {
		t.Fatalf("CheckPack = %+v, %v", check, err)
	}
	if check.Intents.After != check.Intents.Before+1 || check.Questions.After <= check.Questions.Before {
		t.Errorf("counts: %+v, %+v", check.Intents, check.Questions)
	}
	if len(check.Repeated) != 1 || !check.Repeated[0].Taken || check.Repeated[0].OtherIntent != "dispatch_time" || check.Repeated[0].Intent != "return_policy" {
		t.Errorf("repeated: %+v", check.Repeated)
	}
	if check.Tests.N == 0 || !check.Tests.Compared {
		t.Errorf("tests: %+v", check.Tests)
	}
	if check.Try.Before.Best().Intent == "gift_wrap" || check.Try.After.Best().Intent != "gift_wrap" {
		t.Errorf("tried: %+v, %+v", check.Try.Before, check.Try.After)
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒包装吗"); p.Best().Intent == "gift_wrap" {
		t.Error("what was only checked answers")
	}
	// What was checked and is saved then needs no second training.
	tried := l.tried.Load()
	saveMine(t, l, mineGift+more)
	reload(t, l)
	if l.now.Load().model([]string{"mine"}) != tried {
		t.Error("the model of the check was not taken")
	}
	if check, err = l.CheckPack(t.Context(), "mine", []byte("colloquy: 1\npack: mine\nextends: [nosuch]\n"), CheckOptions{}); err != nil || len(check.Problems) != 1 || check.Problems[0].Line != 3 {
		t.Errorf("CheckPack of a bad text = %+v, %v", check, err)
	}
	for packs, class := range map[string]error{"shop": conversation.ErrInvalid, "mine nosuch": conversation.ErrNotFound} {
		if _, err := l.CheckPack(t.Context(), "mine", []byte(mineGift), CheckOptions{Packs: strings.Fields(packs)}); !errors.Is(err, class) {
			t.Errorf("CheckPack with the packs %s: %v", packs, err)
		}
	}
}

func TestPackView(t *testing.T) {
	t.Parallel()
	l := savedMine(t, mineGift)
	v, err := l.Pack(t.Context(), "mine")
	if err != nil || v.Stored.Version != 1 || len(v.Files) != 1 || v.Files[0].Text != mineGift || v.Origin != OriginSaved {
		t.Errorf("Pack = %+v, %v", v, err)
	}
	if v, err := l.Pack(t.Context(), "shop"); err != nil || v.Origin != OriginBuiltin || v.Stored != nil || !strings.Contains(v.Files[0].Text, "pack: shop") {
		t.Errorf("Pack of a built-in one = %+v, %v", v.PackInfo, err)
	}
	if _, err := l.Pack(t.Context(), "nosuch"); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("Pack of what is not there: %v", err)
	}
	page, total, more, err := l.Intents(IntentQuery{Pack: "mine", Limit: 2})
	if err != nil || len(page) != 2 || total < 3 || !more {
		t.Fatalf("Intents = %d of %d, %v, %v", len(page), total, more, err)
	}
	seen := len(page)
	for more {
		if page, _, more, err = l.Intents(IntentQuery{Pack: "mine", Limit: 2, After: page[len(page)-1].ID}); err != nil {
			t.Fatal(err)
		}
		seen += len(page)
	}
	if seen != total {
		t.Errorf("the pages hold %d intents, want %d", seen, total)
	}
	page, total, _, err = l.Intents(IntentQuery{Pack: "mine", Text: "礼盒"})
	if err != nil || total != 1 || page[0].ID != "gift_wrap" || !page[0].Own || !page[0].Ask[0].Own || page[0].File != "saved:mine" || page[0].Line != 6 {
		t.Errorf("searched: %+v, %v", page, err)
	}
}

// TestFeaturesAreReadAgain: a model without the features of its questions predicts
// the same, and measures the same when it is asked to.
func TestFeaturesAreReadAgain(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	packs := []string{"shop"}
	_, first, err := l.holdOut(t.Context(), packs)
	if err != nil {
		t.Fatal(err)
	}
	m, again, err := l.holdOut(t.Context(), packs)
	if err != nil {
		t.Fatal(err)
	}
	if m.corpus.features != nil {
		t.Error("the features are kept")
	}
	if !slices.Equal(first, again) {
		t.Error("the second time measures something else")
	}
}
