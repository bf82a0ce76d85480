package channels

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name  string
		text  conversation.Text
		limit int
		unit  Unit
		want  []conversation.Text
	}{
		{"no limit", "a b c", 0, UnitRunes, []conversation.Text{"a b c"}},
		{"fits", "a b c", 5, UnitRunes, []conversation.Text{"a b c"}},
		{"empty", "", 10, UnitRunes, []conversation.Text{""}},
		{"blank", "                    ", 10, UnitRunes, []conversation.Text{""}},
		{"paragraph before word", "one two\n\nthree\nfour five six", 18, UnitRunes, []conversation.Text{"one two", "three\nfour five", "six"}},
		{"line", "aaa bb cc\ndd ee ff", 12, UnitRunes, []conversation.Text{"aaa bb cc", "dd ee ff"}},
		{"paragraph", "one two\n\nthree four five", 14, UnitRunes, []conversation.Text{"one two", "three four", "five"}},
		{"sentence", "One two. Three four five", 14, UnitRunes, []conversation.Text{"One two.", "Three four", "five"}},
		{"sentence in Chinese", "您好,已发货。预计明天送达,请留意", 10, UnitRunes, []conversation.Text{"您好,已发货。", "预计明天送达,请留意"}},
		{"no crumbs", "A. bbbbbbbb cccccccc", 12, UnitRunes, []conversation.Text{"A. bbbbbbbb", "cccccccc"}},
		{"word", "aaaa bbbb cccc", 9, UnitRunes, []conversation.Text{"aaaa bbbb", "cccc"}},
		{"no border", "aaaaaaaaaaaa", 5, UnitRunes, []conversation.Text{"aaaaa", "aaaaa", "aa"}},
		{"bytes", "你好世界", 6, UnitBytes, []conversation.Text{"你好", "世界"}},
		{"UTF-16", "👍👍👍", 4, UnitUTF16, []conversation.Text{"👍👍", "👍"}},
		{"family stays together", "ab👨‍👩‍👧", 5, UnitRunes, []conversation.Text{"ab", "👨‍👩‍👧"}},
		{"accent stays", "abcde\u0301f", 5, UnitRunes, []conversation.Text{"abcd", "e\u0301f"}},
		{"decimal point is no sentence", "ab 3.14159265", 8, UnitRunes, []conversation.Text{"ab 3.141", "59265"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Split(c.text, c.limit, c.unit)); diff != "" {
				t.Errorf("Split differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitKeepsEverything(t *testing.T) {
	alphabet := []rune("ab 。.!\n\t你好👍🏽\u200d\u0301🇩🇪\u3000")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom(alphabet)).Draw(t, "text")
		unit := rapid.SampledFrom([]Unit{UnitRunes, UnitBytes, UnitUTF16}).Draw(t, "unit")
		limit := rapid.IntRange(4, 40).Draw(t, "limit")
		parts := Split(conversation.Text(text), limit, unit)
		var all strings.Builder
		for _, p := range parts {
			if n := unit.Measure(string(p)); n > limit {
				t.Fatalf("a part of %d units, the limit is %d", n, limit)
			}
			if !utf8.ValidString(string(p)) {
				t.Fatalf("a part is not valid UTF-8: %q", string(p))
			}
			if len(parts) > 1 && p == "" {
				t.Fatal("an empty part")
			}
			all.WriteString(string(p))
		}
		if got, want := strings.Join(strings.Fields(all.String()), ""), strings.Join(strings.Fields(text), ""); got != want {
			t.Fatalf("Split keeps %q of %q", got, want)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("one two\n\nthree", 4, uint8(1))
	f.Fuzz(func(t *testing.T, text string, limit int, unit uint8) {
		u := Unit(unit % 3)
		for _, p := range Split(conversation.Text(text), limit, u) {
			if limit >= minimumPart && u.Measure(string(p)) > limit || !utf8.ValidString(string(p)) {
				t.Errorf("part %q with limit %d", string(p), limit)
			}
		}
	})
}
