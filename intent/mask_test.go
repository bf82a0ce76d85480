package intent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestMaskHidesTheMarkedValues(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat("call 13800138000, ", 200)
	tests := []struct{ text, want string }{
		{"my phone is 13800138000 thanks", "my phone is <phone> thanks"},
		{"我的手机号是１３８ ００１３ ８０００，谢谢", "我的手机号是<phone>，谢谢"},
		{"<13800138000>", "<<phone>>"},
		{"<phone> 13800138000", "<phone> <phone>"},
		{"nothing to hide", "nothing to hide"},
		{"", ""},
		{many, strings.Repeat("call <phone>, ", 200)},
	}
	for _, tt := range tests {
		got, err := l.Mask(t.Context(), []string{"ecommerce"}, conversation.Text(tt.text))
		if err != nil || got != tt.want {
			t.Errorf("Mask(%.40q) = %.80q, %v, want %.80q", tt.text, got, err, tt.want)
		}
	}
	// However it is wrapped and repeated, the number does not come through.
	for _, text := range []string{
		strings.Repeat("x", maxFoldBytes-4) + "13800138000", strings.Repeat("13800138000 ", 3000), "a<b>13800138000<c>", "<phone 13800138000>",
	} {
		got, err := l.Mask(t.Context(), []string{"common"}, conversation.Text(text))
		if err != nil || strings.Contains(got, "13800138000") {
			t.Errorf("Mask(%.40q…) = %.80q, %v, want no number", text, got, err)
		}
	}
	if _, err := l.Mask(t.Context(), []string{"nowhere"}, "x"); err == nil {
		t.Error("Mask with a pack that is not loaded = nil")
	}
}

func TestLimitsAreThoseOfThePacks(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	packs := []string{"ecommerce"}
	all := l.IntentNames(packs)
	if len(all) < 10 {
		t.Fatalf("%d intents in the shop's pack", len(all))
	}
	for _, id := range all {
		limits, ok := l.Limits(packs, id)
		if !ok || limits.Suggest > limits.Auto || limits.Suggest <= 0 {
			t.Errorf("Limits(%s) = %+v, %v", id, limits, ok)
		}
		if _, ok := l.Playbook(packs, id, "en"); !ok {
			t.Errorf("%s has no playbook", id)
		}
	}
	for name, has := range map[string]bool{"nothing": false, "": false, all[0]: true} {
		if got := l.HasIntent(packs, name); got != has {
			t.Errorf("HasIntent(%q) = %v", name, got)
		}
	}
	if l.HasIntent([]string{"nowhere"}, all[0]) || l.HasEntity([]string{"nowhere"}, "phone") || l.IntentNames([]string{"nowhere"}) != nil {
		t.Error("a pack that is not loaded has names")
	}
	if !l.HasEntity(packs, "phone") || l.HasEntity(packs, fmt.Sprint("x", 1)) {
		t.Error("HasEntity does not tell the packs' entities")
	}
}
