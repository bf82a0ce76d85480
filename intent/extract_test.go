package intent

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// testAnalyzer is what the test pack's model reads text with.
func testAnalyzer(t testing.TB) *analyzer {
	t.Helper()
	l := openSmall(t, Options{})
	b := l.bundle([]string{"shop"})
	return &analyzer{norm: l.base.norm, mean: l.base.mean, extract: newExtractor(b.entities, l.base.norm)}
}

// values lists entities as name=value, checking the offsets on the way.
func values(t *testing.T, text string, found []conversation.Entity) []string {
	t.Helper()
	out := []string{}
	for _, e := range found {
		out = append(out, e.Name+"="+e.Value)
		if e.Start < 0 || e.End > len(text) || e.Start >= e.End {
			t.Errorf("%q: offsets %d to %d of %d bytes", text, e.Start, e.End, len(text))
		}
	}
	return out
}

func TestExtract(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for _, tc := range []struct {
		name, text string
		want       []string
		part       string // what stands between the first value's offsets
	}{
		{"zh", "订单2023什么时候发货", []string{"order_no=2023"}, "2023"},
		{"zh with words between", "订单号是：20231234 麻烦看下", []string{"order_no=20231234"}, "20231234"},
		{"full width", "订单２０２３什么时候发货", []string{"order_no=2023"}, "２０２３"},
		{"traditional", "訂單2023還沒到", []string{"order_no=2023"}, "2023"},
		{"invisible", "订单\u200b20\u200b23\u200b呢", []string{"order_no=2023"}, "20\u200b23"},
		{"en", "where is order no. 998877?", []string{"order_no=998877"}, "998877"},
		{"en number sign", "Order #4711, please", []string{"order_no=4711"}, "4711"},
		{"phone with spaces", "我的电话 138 1234 5678", []string{"phone=13812345678"}, "138 1234 5678"},
		{"phone with dashes", "138-1234-5678", []string{"phone=138-1234-5678"}, "138-1234-5678"},
		{"both", "订单2023，电话+86 13812345678", []string{"order_no=2023", "phone=13812345678"}, "2023"},
		{"the first entity wins a tie", "13812345678", []string{"order_no=13812345678"}, "13812345678"},
		{"word", "有大号的吗", []string{"size=大号"}, "大号"},
		{"latin word in any case", "do you have extra Large", []string{"size=extra large"}, "extra Large"},
		{"latin word inside a word", "XLR cable", []string{}, ""},
		{"latin word beside Han", "XL的", []string{"size=XL"}, "XL"},
		{"nothing", "你好", []string{}, ""},
		{"empty", "", []string{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := predict(t, l, []string{"shop"}, tc.text)
			if diff := cmp.Diff(tc.want, values(t, tc.text, p.Entities)); diff != "" {
				t.Errorf("entities of %q (-want +got):\n%s", tc.text, diff)
			}
			if len(p.Entities) > 0 {
				if got := tc.text[p.Entities[0].Start:p.Entities[0].End]; got != tc.part {
					t.Errorf("%q: the first value stands at %q, want %q", tc.text, got, tc.part)
				}
			}
		})
	}
}

func TestExtractForSlotsOverlaps(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	got := values(t, "13812345678", l.Extract([]string{"shop"}, "13812345678"))
	if diff := cmp.Diff([]string{"order_no=13812345678", "phone=13812345678"}, got); diff != "" {
		t.Errorf("Extract (-want +got):\n%s", diff)
	}
}

func TestMaskedValuesDoNotChangeIntent(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	a := predict(t, l, []string{"shop"}, "订单2023什么时候发货")
	b := predict(t, l, []string{"shop"}, "订单9876543210987什么时候发货")
	if diff := cmp.Diff(a.Candidates, b.Candidates); diff != "" {
		t.Errorf("another number gives other candidates (-want +got):\n%s", diff)
	}
}

func TestBuiltinEntities(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	for _, tc := range []struct {
		pack, text string
		want       string // among the values
	}{
		{"ecommerce", "订单2023什么时候发货", "order_no=2023"},
		{"ecommerce", "my order 20231234 has not shipped", "order_no=20231234"},
		{"ecommerce", "寄到 13812345678 这个号", "phone=13812345678"},
		{"ecommerce", "发票发到 someone@example.com 吧", "email=someone@example.com"},
		{"education", "学号20230815，想查剩余课时", "student_no=20230815"},
		{"education", "雅思班多少钱", "course=雅思"},
	} {
		p := predict(t, l, []string{tc.pack}, tc.text)
		if got := values(t, tc.text, p.Entities); !strings.Contains(strings.Join(got, " ")+" ", tc.want+" ") {
			t.Errorf("entities of %q = %v, want %s among them", tc.text, got, tc.want)
		}
	}
}

// TestPrefilterIsSound compares every built-in pattern with and without the
// filter on the packs' own questions.
func TestPrefilterIsSound(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	b := l.bundle([]string{"ecommerce", "education"})
	x := newExtractor(b.entities, l.base.norm)
	skipped := 0
	for _, topic := range b.topics {
		for _, q := range append(topic.ask, topic.test...) {
			var f folded
			l.base.norm.fold(&f, q.text)
			for i := range x.patterns {
				met := x.patterns[i].need.met(&f.bloom)
				if !met {
					skipped++
				}
				if !met && x.patterns[i].finder.re.Match(f.text) {
					t.Errorf("the filter hides a match of %s in %q", x.patterns[i].finder.re, q.text)
				}
			}
		}
	}
	if skipped == 0 {
		t.Error("the filter never saves a search")
	}
}

func TestRequirement(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	for _, pattern := range []string{
		`\d{4,}`, `(?i)order\s*(?:no)?\s*(\d+)`, `[上下]周[一二三]`, `abc|xyz`, `(?:a|b)c+`, `x?y*z`, `[^a]b`, `k`, `(?i)s`, `.`, `\bfoo\b`, `(foo){2,3}`,
	} {
		re, need := regexp.MustCompile(pattern), requirementOf(pattern)
		for _, text := range []string{
			"", "1234", "ORDER no 7", "上周二", "abc", "xyz", "bc", "z", "bb", "K", "K", "ſ", "foo", "foofoo", "nothing here", "下周一见 order12",
		} {
			var f folded
			norm.fold(&f, text)
			if re.Match(f.text) && !need.met(&f.bloom) {
				t.Errorf("%s matches %q, but the filter says it cannot", pattern, text)
			}
		}
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{"订单2023", "order #12 34", "１３８１２３４５６７８", "XL\u200d大号", "\xff订单\xff2023", "((((", "订单号：：：2023。。。", "1234‐5678", "1234－5678 9", "12．34", "20\u200b23", "订单 1234 5678。2"} {
		f.Add(s)
	}
	a := testAnalyzer(f)
	f.Fuzz(func(t *testing.T, text string) {
		s := &scratch{}
		a.analyze(s, text)
		for _, list := range [][]found{s.all, s.found} {
			last := 0
			for _, e := range a.extract.report(nil, list, &s.folded, text) {
				if e.Start < 0 || e.Start >= e.End || e.End > len(text) || e.Value == "" || !utf8.ValidString(e.Value) {
					t.Fatalf("%q gives %+v", text, e)
				}
				if e.Value != strings.TrimSpace(e.Value) || e.Start < last {
					t.Fatalf("%q gives %+v after offset %d", text, e, last)
				}
				last = e.Start
			}
		}
		if f := &s.folded; !f.parted() && len(f.join(nil).runs) > 0 {
			t.Fatalf("%q has a number in groups and is not parted", text)
		}
		for i := range a.extract.patterns {
			p := &a.extract.patterns[i]
			if !p.need.met(&s.folded.bloom) && p.finder.re.Match(s.folded.text) {
				t.Fatalf("the filter hides a match of %s in %q", p.finder.re, text)
			}
		}
	})
}
