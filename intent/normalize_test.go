package intent

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	for _, tc := range []struct{ name, text, want string }{
		{"plain", "Order 2023", "Order 2023"},
		{"full width", "ＡＢＣ１２３＠ｘ．ｃｏｍ", "ABC123@x.com"},
		{"sentence punctuation stays", "你好，在吗？（急）", "你好，在吗？（急）"},
		{"traditional", "請問訂單什麼時候發貨", "请问订单什么时候发货"},
		{"joiners", "订\u200b单\ufeff号", "订单号"},
		{"spaces", "a\u3000b\u00a0c\td", "a b c d"},
		{"emoji", "👍🏽 ok ❤️", "👍 ok ❤"},
		{"circled", "①号", "1号"},
		{"quotes", "don’t", "don't"},
		{"broken", "a\xffb", "a b"},
		{"accents", "cafe\u0301", "cafe"},
		{"yen", "￥５", "¥5"},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var f folded
			norm.fold(&f, tc.text)
			if string(f.text) != tc.want {
				t.Errorf("fold(%q) = %q, want %q", tc.text, f.text, tc.want)
			}
		})
	}
}

func TestTraditionalTableIsSound(t *testing.T) {
	t.Parallel()
	seen := map[rune]rune{}
	runes := []rune(traditionalPairs)
	if len(runes)%2 != 0 {
		t.Fatal("a character has no partner")
	}
	for i := 0; i < len(runes); i += 2 {
		from, to := runes[i], runes[i+1]
		if from < simplifiedFrom || from > simplifiedTo || from == to {
			t.Errorf("pair %c %c is out of place", from, to)
		}
		if old, ok := seen[from]; ok {
			t.Errorf("%c stands for %c and %c", from, old, to)
		}
		seen[from] = to
	}
	for from, to := range seen {
		if next, ok := seen[to]; ok {
			t.Errorf("%c becomes %c, which becomes %c", from, to, next)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	for _, same := range [][]string{
		{"什么时候发货", "什么时候发货？", "什麼時候發貨！！", " 什么时候 发货"},
		{"When will it ship?", "when will it ship", "WHEN  will it, ship"},
	} {
		for _, s := range same[1:] {
			if a, b := norm.canonical(same[0]), norm.canonical(s); a != b {
				t.Errorf("canonical(%q) = %q, canonical(%q) = %q", same[0], a, s, b)
			}
		}
	}
	if norm.canonical("???") == "" {
		t.Error("a question of marks alone has no form")
	}
	if norm.canonical("a b") == norm.canonical("ab") {
		t.Error("two words and one are the same")
	}
}

func TestTokensIgnoreNoise(t *testing.T) {
	t.Parallel()
	a := testAnalyzer(t)
	grams := func(text string) string {
		s := &scratch{}
		a.analyze(s, text)
		var b strings.Builder
		for _, k := range s.tokens.list {
			b.WriteString(string(rune('a'+k.kind)) + string(s.tokens.letters[k.start:k.end]))
			b.WriteByte(byte(k.hash))
		}
		return b.String()
	}
	for _, pair := range [][2]string{
		{"查 物流", "查物流"},
		{"help!!!!!", "help!"},
		{"soooooo slow", "soo slow"},
		{"哈哈哈哈哈", "哈哈"},
		{"don't", "dont"},
		{"订单12345678", "订单23456789"},
		{"HELLO", "hello"},
	} {
		if grams(pair[0]) != grams(pair[1]) {
			t.Errorf("%q and %q give different tokens", pair[0], pair[1])
		}
	}
	if grams("7天") == grams("30天") {
		t.Error("short numbers are all the same")
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	a := testAnalyzer(t)
	for _, tc := range []struct{ text, hint, want string }{
		{"我的快递呢", "", "zh"},
		{"where is it", "", "en"},
		{"这个course难不难", "en", "zh"},
		{"订单 when will it ship please", "", "en"},
		{"2023", "en", "en"},
		{"???", "zh", "zh"},
		{"👍", "", ""},
		{"IELTS多少钱", "", "zh"},
	} {
		s := &scratch{}
		a.analyze(s, tc.text)
		if got := s.tokens.detect(tc.hint); got != tc.want {
			t.Errorf("detect(%q, hint %q) = %q, want %q", tc.text, tc.hint, got, tc.want)
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "订单2023", "ａ\u200d🏽", "\xff\xc3", "e\u0301'", "ſK"} {
		f.Add(s)
	}
	a := testAnalyzer(f)
	f.Fuzz(func(t *testing.T, text string) {
		var x, y folded
		a.norm.fold(&x, text)
		if !utf8.Valid(x.text) || len(x.at) != len(x.text) || len(x.ends) != len(x.text) {
			t.Fatalf("fold(%q) = %q with %d offsets", text, x.text, len(x.at))
		}
		for i := range x.at {
			if x.at[i] >= x.ends[i] || int(x.ends[i]) > len(text) || i > 0 && x.at[i] < x.at[i-1] {
				t.Fatalf("fold(%q): offsets %v %v", text, x.at, x.ends)
			}
		}
		if a.norm.fold(&y, string(x.text)); string(y.text) != string(x.text) {
			t.Fatalf("folding %q twice gives %q, then %q", text, x.text, y.text)
		}
		s := &scratch{}
		a.analyze(s, text)
		if len(s.tokens.list) > maxTokens+2 {
			t.Fatalf("%d tokens", len(s.tokens.list))
		}
	})
}
