package channels_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

func TestDialects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, plain, chat string }{
		{"nothing to see", "nothing to see", "nothing to see"},
		{"", "", ""},
		{"a **bold** word", "a bold word", "a *bold* word"},
		{"an *italic* word and _another_.", "an italic word and another.", "an _italic_ word and _another_."},
		{"~~gone~~ and `code *x*`", "gone and code *x*", "~gone~ and `code *x*`"},
		{"see [our page](https://example.com/a_b_c)", "see our page (https://example.com/a_b_c)", "see our page (https://example.com/a_b_c)"},
		{"see [https://example.com](https://example.com)", "see https://example.com", "see https://example.com"},
		{"# Opening hours\nnine to five", "Opening hours\nnine to five", "*Opening hours*\nnine to five"},
		{"```go\nx := 1\ny := *p\n```\nthat is it", "x := 1\ny := *p\nthat is it", "`x := 1`\n`y := *p`\nthat is it"},
		{"```\nnever closed", "```\nnever closed", "```\nnever closed"},
		{"这是**重点**内容", "这是重点内容", "这是重点内容"}, // within a word the marks would be shown
		{"**重点**：九点", "重点：九点", "*重点*：九点"},
		{"***both***", "both", "*both*"},
		{"**a *b* c**", "a b c", "*a b c*"},
		{"**a *b***, *c **d***", "a b, c d", "*a b*, _c_ *d*"},
		{"- one\n* two\n1. three\n> said", "- one\n* two\n1. three\n> said", "- one\n* two\n1. three\n> said"},
		// What looks like marks and is none.
		{"2*3*4 = 24, 2 * 3 * 4", "2*3*4 = 24, 2 * 3 * 4", "2*3*4 = 24, 2 * 3 * 4"},
		{"snake_case_name and __init__x", "snake_case_name and __init__x", "snake_case_name and __init__x"},
		{"https://example.com/a_b_c?d=*e*", "https://example.com/a_b_c?d=*e*", "https://example.com/a_b_c?d=*e*"},
		{"[x](javascript:alert(1)) [y](not there) [z]", "[x](javascript:alert(1)) [y](not there) [z]", "[x](javascript:alert(1)) [y](not there) [z]"},
		{"#1 in town, # ", "#1 in town, # ", "#1 in town, # "},
		{"** not bold **, **not\nbold**", "** not bold **, **not\nbold**", "** not bold **, **not\nbold**"},
		{"5 ** 2 ** 3", "5 ** 2 ** 3", "5 ** 2 ** 3"},
		{"**** and `` and ~~", "**** and `` and ~~", "**** and `` and ~~"},
	} {
		if got := string(channels.DialectPlain(conversation.Text(c.text))); got != c.plain {
			t.Errorf("DialectPlain(%q) = %q, want %q", c.text, got, c.plain)
		}
		if got := string(channels.DialectChat(conversation.Text(c.text))); got != c.chat {
			t.Errorf("DialectChat(%q) = %q, want %q", c.text, got, c.chat)
		}
	}
}

func TestMarkdownSpans(t *testing.T) {
	t.Parallel()
	got := channels.Markdown("# Hours\nwe **open *at nine* sharp** and [more](https://example.com)\n```\ncode\n```\nend")
	want := []channels.Span{
		{Text: "Hours\n", Style: channels.Bold},
		{Text: "we "},
		{Text: "open ", Style: channels.Bold},
		{Text: "at nine", Style: channels.Bold | channels.Italic},
		{Text: " sharp", Style: channels.Bold},
		{Text: " and "},
		{Text: "more", URL: "https://example.com"},
		{Text: "\n"},
		{Text: "code", Style: channels.Code},
		{Text: "\nend"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Markdown differs (-want +got):\n%s", diff)
	}
	deep := strings.Repeat("**a *b ", 1000) + strings.Repeat("c* d**", 1000)
	var all strings.Builder
	for _, s := range channels.Markdown(deep) {
		all.WriteString(s.Text)
	}
	if letters(all.String()) != letters(deep) {
		t.Error("text is lost where marks stand within marks")
	}
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// keepsText fails when a text loses a letter, or becomes longer without its marks.
func keepsText(t *testing.T, text string) {
	t.Helper()
	for name, d := range map[string]channels.Dialect{"plain": channels.DialectPlain, "chat": channels.DialectChat} {
		got := string(d(conversation.Text(text)))
		if name == "plain" && len(got) > len(text) {
			t.Errorf("%s: %q became longer: %q", name, text, got)
		}
		// The name of a fence's language goes, and an address that is its own label.
		short := strings.Contains(text, "```") || strings.Contains(text, "](")
		if !short && letters(got) != letters(text) {
			t.Errorf("%s: %q lost letters: %q", name, text, got)
		}
	}
}

func TestMarkdownKeepsText(t *testing.T) {
	t.Parallel()
	pieces := []string{"*", "**", "***", "_", "__", "~~", "`", "```", "```go", "[", "](https://x.y)", "# ", "\n", " ", "a", "b1", "重", "👍", "(", ")", "https://x.y/_z_", "\xff"}
	random := rand.New(rand.NewPCG(1, 2)) // the same texts every time
	for range 30_000 {
		var b strings.Builder
		for range random.IntN(14) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		if keepsText(t, b.String()); t.Failed() {
			return
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{"a **b** _c_", "[l](https://x.y)", "# h\n```\nc\n```", "***", "_*~`[", "**a*b**c*"} {
		f.Add(s)
	}
	f.Fuzz(keepsText)
}
