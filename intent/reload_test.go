package intent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

const mineHead = "colloquy: 1\npack: mine\nextends: [shop]\nlang: zh\n"

const mineGift = mineHead + "intents:\n  - id: gift_wrap\n    title: 礼品包装\n" +
	"    ask: [可以包装成礼物吗, 有礼盒吗, 帮我包个礼品装, 送人的能包漂亮点吗, 礼物包装多少钱]\n    answer: 可以。\n"

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func info(t *testing.T, l *Library, name string) PackInfo {
	t.Helper()
	for _, p := range l.Packs() {
		if p.Name == name && p.Source != "built-in" {
			return p
		}
	}
	t.Fatalf("pack %s is not listed: %+v", name, l.Packs())
	return PackInfo{}
}

func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	write(t, file, mineHead)
	l := openSmall(t, Options{Dir: dir})
	packs := []string{"mine"}
	before := predict(t, l, packs, "有礼盒包装吗")
	if before.Best().Intent == "gift_wrap" {
		t.Fatal("the intent is known before it is written")
	}

	write(t, file, mineGift)
	report, err := l.Reload(t.Context())
	if err != nil || strings.Join(report.Changed, " ") != "mine" || report.Models != 1 {
		t.Fatalf("Reload = %+v, %v", report, err)
	}
	good := predict(t, l, packs, "有礼盒包装吗")
	if good.Best().Intent != "gift_wrap" || good.Model == before.Model {
		t.Errorf("after the reload: %v by model %s", good.Candidates, good.Model)
	}

	write(t, file, mineGift+"    need: [nosuch]\n")
	_, err = l.Reload(t.Context())
	var p *PackError
	if !errors.As(err, &p) || p.File != "mine.yaml" || p.Line != 6 || !strings.Contains(p.Reason, "needs the slot nosuch") {
		t.Fatalf("Reload of a bad pack: %v", err)
	}
	if now := predict(t, l, packs, "有礼盒包装吗"); now.Best().Intent != "gift_wrap" || now.Model != good.Model {
		t.Errorf("after a bad reload: %v by model %s, want the earlier one %s", now.Candidates, now.Model, good.Model)
	}
	if got := info(t, l, "mine"); !strings.Contains(got.Err, "mine.yaml:6") || got.Questions == 0 {
		t.Errorf("Packs() says %+v", got)
	}
	if n := testutil.ToFloat64(l.metrics.failures); n != 1 {
		t.Errorf("failed reloads = %v, want 1", n)
	}

	write(t, file, mineGift)
	if _, err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := info(t, l, "mine"); got.Err != "" {
		t.Errorf("after the repair Packs() says %+v", got)
	}
	if report, err := l.Reload(t.Context()); err != nil || len(report.Changed) > 0 || report.Models > 0 {
		t.Errorf("Reload without a change = %+v, %v", report, err)
	}
}

func TestReloadSyntaxErrorKeepsPack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mine", "a.yaml"), mineGift)
	l := openSmall(t, Options{Dir: dir})
	write(t, filepath.Join(dir, "mine", "a.yaml"), "colloquy: 1\npack: [\n")
	if _, err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "mine/a.yaml") {
		t.Errorf("Reload: %v", err)
	}
	if p := predict(t, l, []string{"mine"}, "有礼盒吗"); p.Best().Intent != "gift_wrap" {
		t.Errorf("the earlier pack is gone: %v", p.Candidates)
	}
}

func TestReloadOfABaseThatBreaksAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "base.yaml"), "colloquy: 1\npack: base\nvariables: {v: x}\n")
	write(t, filepath.Join(dir, "top.yaml"), "colloquy: 1\npack: top\nextends: [base]\nintents:\n  - id: a\n    ask: [甲乙丙]\n    answer: '{v}'\n")
	l := openSmall(t, Options{Dir: dir})
	write(t, filepath.Join(dir, "base.yaml"), "colloquy: 1\npack: base\n")
	if _, err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "top.yaml:5") {
		t.Errorf("Reload: %v", err)
	}
	if pb, ok := l.Playbook([]string{"top"}, "a", "zh"); !ok || pb.Variables["v"] != "x" {
		t.Errorf("Playbook = %+v, %v, want the earlier one", pb, ok)
	}
}

func TestReloadOfANewBadPackSparesTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mine.yaml"), mineHead)
	l := openSmall(t, Options{Dir: dir})
	write(t, filepath.Join(dir, "mine.yaml"), mineGift)
	write(t, filepath.Join(dir, "new.yaml"), "colloquy: 1\npack: new\nextends: [later]\n")
	if _, err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "new.yaml:3") {
		t.Errorf("Reload: %v", err)
	}
	if got := bestOf(t, l, "有礼盒吗"); got != "gift_wrap" {
		t.Errorf("the good pack was not taken up: %s", got)
	}
	listed := false
	for _, p := range l.Packs() {
		listed = listed || p.Source == "new.yaml" && strings.Contains(p.Err, "extends later")
	}
	if !listed {
		t.Errorf("the bad pack is not listed: %+v", l.Packs())
	}
	write(t, filepath.Join(dir, "later.yaml"), "colloquy: 1\npack: later\n")
	if _, err := l.Reload(t.Context()); err != nil {
		t.Errorf("Reload after the missing pack came: %v", err)
	}
}

func TestOperatorOverridesByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "own.yaml"), "colloquy: 1\npack: shop\nextends: [shop]\nintents:\n  - id: return_policy\n    answer: 本店不退。\n")
	l := openSmall(t, Options{Dir: dir})
	pb, ok := l.Playbook([]string{"shop"}, "return_policy", "zh")
	if !ok || pb.Answer != "本店不退。" || pb.Title != "退货规则" {
		t.Errorf("Playbook = %+v, %v", pb, ok)
	}
	if err := os.Remove(filepath.Join(dir, "own.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pb, _ := l.Playbook([]string{"shop"}, "return_policy", "zh"); pb.Answer != "七天内可以退。" {
		t.Errorf("without the operator's pack the answer is %q", pb.Answer)
	}
}

func TestTwoPacksOfOneName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), mineGift)
	write(t, filepath.Join(dir, "b.yaml"), mineGift)
	if _, err := Open(Options{Dir: dir, Builtin: smallPacks()}); err == nil || !strings.Contains(err.Error(), "b.yaml: pack mine already comes from a.yaml") {
		t.Errorf("Open: %v", err)
	}
}

// TestRunTakesUpChanges lets the watcher see a new pack, a bad one and its
// repair.
func TestRunTakesUpChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	write(t, file, mineHead)
	l := openSmall(t, Options{Dir: dir, Poll: 2 * time.Millisecond})
	predict(t, l, []string{"mine"}, "转人工")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()

	eventually(t, "the model is calibrated", func() bool {
		return !strings.Contains(predict(t, l, []string{"mine"}, "转人工").Model, "provisional")
	})
	write(t, file, mineGift)
	eventually(t, "the new intent is known", func() bool {
		return bestOf(t, l, "有礼盒吗") == "gift_wrap"
	})
	write(t, file, mineGift+"    bogus: 1\n")
	eventually(t, "the mistake is reported", func() bool { return info(t, l, "mine").Err != "" })
	if bestOf(t, l, "有礼盒吗") != "gift_wrap" {
		t.Error("the bad pack is in use")
	}
	write(t, file, mineGift)
	eventually(t, "the repair is taken up", func() bool { return info(t, l, "mine").Err == "" })

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// bestOf gives the best intent of pack mine.
func bestOf(t *testing.T, l *Library, text string) string {
	t.Helper()
	p := predict(t, l, []string{"mine"}, text)
	return p.Best().Intent
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func TestReloadStopsWithContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mine.yaml"), mineHead)
	l := openSmall(t, Options{Dir: dir})
	predict(t, l, []string{"mine"}, "转人工")
	write(t, filepath.Join(dir, "mine.yaml"), mineGift)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Reload with an ended context: %v", err)
	}
	if err := l.Predict(ctx, &conversation.Utterance{Text: "x", Packs: []string{"mine"}}, &conversation.Prediction{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Predict with an ended context: %v", err)
	}
}
