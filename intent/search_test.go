package intent

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// places gives what a finder finds, and what package regexp does.
func places(re *regexp.Regexp, text string, s *search) (got, want [][4]int) {
	f := newFinder(re)
	f.each([]byte(text), s, maxFound, func(at [4]int) { got = append(got, at) })
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		at := [4]int{m[0], m[1], -1, -1}
		copy(at[:], m)
		if at[1] > at[0] && len(want) < maxFound {
			want = append(want, at)
		}
	}
	return got, want
}

// A finder takes the matches that package regexp takes, in memory that other searches
// left their bits in.
func TestFinderFindsWhatRegexpFinds(t *testing.T) {
	t.Parallel()
	s := &search{}
	patterns := []string{
		`\d+`, `\b\d{4}\b`, `(?i)order\s*(\d+)`, `a*`, `(a|ab)(c|bcd)`, `(a*)(b|abc)`, `^x`, `x$`, `(?m)^x$`, `x??`, `(x+?)y?`, `[^a-c]`, `.`,
		`(?s).`, `(?i)ſk`, `\Bx`, `(?:(a)|b)+`, `()x`, `(订单|单)号?\s*(\d{2,4})`, `a{2,3}?`, `(?U)a+`, `\pL+`, `(?:a?){3}a{3}`, `\z`, `x*`,
	}
	texts := []string{
		"", "x", "order 12 ORDER34", "1234 12345 2024", "abcd", "aaaa", "xx\nx\nyx", "订单号 2024，单 17", "K ſK", "a\xffb\xff", "bab", "axbxc x", "日本語123 xyz",
	}
	l := openBuiltin(t)
	for _, pack := range []string{"ecommerce", "education"} {
		for _, e := range l.bundle([]string{pack}).entities {
			for _, re := range e.regex {
				patterns = append(patterns, re.String())
			}
		}
	}
	texts = append(texts,
		"我的订单20231234567什么时候发货，电话13812345678，5月3日下的单", "tracking number SF1234567890123, paid $12.50 on 2024-05-03", "size EU 42 or XL? mail me at a.b@example.com",
		"孩子5岁，下周三晚上7点半能上课吗 三块五", "www.example.com/a https://x.io/?q=1 and 800-123-4567", strings.Repeat("订单 2024 ", 40),
	)
	for _, pattern := range patterns {
		re := regexp.MustCompile(pattern)
		for _, text := range texts {
			if got, want := places(re, text, s); !slices.Equal(got, want) {
				t.Errorf("%s in %q: %v, want %v", pattern, text, got, want)
			}
		}
	}
}

// What would take too much memory goes to package regexp, and the result is the same.
func TestFinderOfLongTexts(t *testing.T) {
	t.Parallel()
	s := &search{}
	re := regexp.MustCompile(`(?i)\border\s*(?:no|number|id)?\s*(\d{4,20})\b`)
	text := strings.Repeat("an order 1 ", 2000)
	for i := range 3 {
		text += fmt.Sprintf("order no %d ", 1234+i)
	}
	if len(text)*len(newFinder(re).program.Inst) < maxVisits {
		t.Fatal("the text is short enough for a search")
	}
	if got, want := places(re, text, s); len(want) != 3 || !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if s.visited != nil {
		t.Error("a long text was searched")
	}
}

func FuzzFinder(f *testing.F) {
	f.Add(`(a|ab)(c|bcd)*`, "abcdabcd")
	f.Add(`(?i)\border\s*(\d+)\b`, "order 12, ORDER 13")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := regexp.Compile(pattern)
		if err != nil || len(text) > 200 || len(pattern) > 60 {
			t.Skip()
		}
		if got, want := places(re, text, &search{}); !slices.Equal(got, want) {
			t.Fatalf("%s in %q: %v, want %v", pattern, text, got, want)
		}
	})
}
