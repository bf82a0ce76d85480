package formats

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/colloquyhq/colloquy/conversation"
)

func gbk(t testing.TB, s string) string {
	t.Helper()
	out, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wide(s string, order func(u uint16) []byte) string {
	b := order(0xfeff)
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, order(u)...)
	}
	return string(b)
}

func TestCSVEncodingsAndSeparators(t *testing.T) {
	t.Parallel()
	text := "标准问,相似问,答案\r\n怎么退货,\"能退吗,现在\",七天内。\r\n"
	for name, content := range map[string]string{
		"UTF-8":             text,
		"with a mark":       "\ufeff" + text,
		"GBK":               gbk(t, text),
		"UTF-16, little":    wide(text, func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }),
		"UTF-16, big":       wide(text, func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} }),
		"semicolons":        strings.ReplaceAll(strings.ReplaceAll(text, ",", ";"), "能退吗;现在", "能退吗,现在"),
		"tabs":              strings.ReplaceAll(strings.ReplaceAll(text, ",", "\t"), "能退吗\t现在", "能退吗,现在"),
		"stated separator":  "sep=;\n" + strings.ReplaceAll(strings.ReplaceAll(text, ",", ";"), "能退吗;现在", "能退吗,现在"),
		"old line ends":     strings.ReplaceAll(text, "\r\n", "\n"),
		"other header":      strings.Replace(text, "标准问,相似问,答案", "*标准问题,相似问法1,标准答案（必填）", 1),
		"no line end":       strings.TrimSpace(text),
		"rows above":        "知识库\n\n" + text,
		"GB18030 beyond it": gbk(t, text[:len(text)-2]) + "\x81\x30\x81\x30\r\n", // U+0080, four bytes
	} {
		got, err := readOne(t, "f.csv", []byte(content), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		x := got.Contents.Intents[0]
		if diff := cmp.Diff([]string{"怎么退货", "能退吗,现在"}, x.Ask["zh"]); diff != "" || strings.Trim(x.Answer["zh"], "\u0080") != "七天内。" {
			t.Errorf("%s: asks %q, answers %q", name, x.Ask, x.Answer)
		}
	}
}

func TestCSVThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ content, want string }{
		"empty":          {"", "names the columns"},
		"no header":      {"a,b\nc,d\n", `its first row is "a | b"`},
		"question alone": {"标准问\n怎么退货\n", "names the columns"},
		"only a header":  {"标准问,答案\n", "there is no intent with a question in it"},
		"no question":    {"标准问,答案\n,七天\n", "there is no intent with a question in it; f.csv:2: the row has no standard question"},
		"binary":         {"标准问,答案\n\x00\n", "not a text file"},
		"other encoding": {"question,answer\n\xff\xffé\xfe,x\n", "f.csv:2: the text is neither UTF-8 nor GB18030"},
		"wide":           {"question,answer" + strings.Repeat(",", maxColumns) + "\n", "more than 256 columns"},
	} {
		_, err := readOne(t, "f.csv", []byte(tc.content), Options{Format: CSV})
		if err == nil || !errors.Is(err, conversation.ErrInvalid) && !errors.Is(err, conversation.ErrTooLarge) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]column{
		"标准问":                 {role: roleQuestion},
		" 标准问题（必填） ":          {role: roleQuestion},
		"相似问12":               {role: roleSimilar},
		"相似问（每行一个）":           {role: roleSimilar, lines: true},
		"答案(en)":              {role: roleAnswer, lang: "en"},
		"答案【中文】":              {role: roleAnswer, lang: "zh"},
		"Answer_en-US":        {role: roleAnswer, lang: "en"},
		"Standard Question":   {role: roleQuestion},
		"similar_questions 3": {role: roleSimilar},
		"Training Phrases":    {role: roleSimilar},
		"意图ID":                {role: roleIntent},
		"Locale":              {role: roleLang},
		"序号":                  {role: roleIgnored},
		"分类":                  {},
		"":                    {},
		"（）":                  {},
	} {
		got := readHeader(title)
		want.title = oneLine(title)
		if got != want {
			t.Errorf("readHeader(%q) = %+v, want %+v", title, got, want)
		}
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	s := &settler{draft: newDraft(""), canonical: strings.ToLower}
	for _, tc := range []struct{ label, key, want string }{
		{"faq/ask_x", "", "faq_ask_x"},
		{"Order Status!", "", "order_status"},
		{"utter-greet.v2", "", "utter-greet.v2"},
		{"", "How do I return it?", "how_do_i_return_it"},
		{"", "What's the longest of all questions that anybody has ever asked here", "whats_the_longest_of_all_questions_that"},
		{"", "42", "faq-ondvzn"},
		{"", "怎么退货", "faq-ql677w"},
		{"", "VIP会员权益", "vip-mgffaz"},
		{"退货", "", "faq-fdvjqu"},
	} {
		if got := s.labelOf(&draftIntent{label: tc.label, key: tc.key}); got != tc.want {
			t.Errorf("label of %q, %q = %s, want %s", tc.label, tc.key, got, tc.want)
		}
	}
}

// Ids depend on the question alone: moving rows changes none.
func TestLabelsAreStable(t *testing.T) {
	t.Parallel()
	ids := func(rows ...string) map[string]string {
		got, err := readOne(t, "f.csv", []byte("标准问,答案\n"+strings.Join(rows, "\n")), Options{})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for i := range got.Contents.Intents {
			out[got.Contents.Intents[i].Answer["zh"]] = got.Contents.Intents[i].ID
		}
		return out
	}
	first := ids("怎么退货,一。", "多久发货,二。", "怎么开票,三。")
	second := ids("几点上班,四。", "怎麼開票？？,三。", "怎么退货？,一。", "多久发货,二。")
	delete(second, "四。")
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("ids differ (-first +second):\n%s", diff)
	}
}

func TestCollidingLabels(t *testing.T) {
	t.Parallel()
	got, err := readOne(t, "f.csv", []byte("question,answer\nreturn it,a\nReturn it!,a\nreturn-it,b\n"), Options{Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Contents.Intents); n != 1 {
		t.Errorf("%d intents for one question in three spellings, want 1: %+v", n, got.Contents.Intents)
	}
	got, err = readOne(t, "f.csv", []byte("question,answer\nwhat's on,a\nwhats on,b\nwhat’s on then,c\n"), Options{Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range got.Contents.Intents {
		all = append(all, got.Contents.Intents[i].ID)
	}
	if diff := cmp.Diff([]string{"whats_on", "whats_on-2", "whats_on_then"}, all); diff != "" || len(got.Remarks) != 1 {
		t.Errorf("remarks %+v, ids (-want +got):\n%s", got.Remarks, diff)
	}
}

func TestLimitsOfAPack(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("question,answer\n")
	for i := range 501 {
		fmt.Fprintf(&b, "question %d,answer\n", i)
	}
	if _, err := readOne(t, "f.csv", []byte(b.String()), Options{}); !errors.Is(err, conversation.ErrTooLarge) || !strings.Contains(err.Error(), "501 intents, and a pack holds 500") {
		t.Errorf("501 intents: %v", err)
	}
	long := strings.Repeat("长", 400)
	got, err := readOne(t, "f.csv", []byte("标准问,相似问,答案\n退货,"+long+","+strings.Repeat("答", 3000)+"\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := got.Contents.Intents[0]
	if len(x.Ask["zh"]) != 1 || len(x.Answer) != 0 || !x.Handover || len(got.Remarks) != 3 {
		t.Errorf("intent %+v, remarks %+v", x, got.Remarks)
	}
}
