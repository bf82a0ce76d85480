package learning

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMask(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"我的订单 202311051234 到哪了":                  "我的订单 000000000000 到哪了",
		"打我电话138-1234-5678":                      "打我电话000-0000-0000",
		"call +1 (555) 010-9999 please":          "call +0 (000) 000-0000 please",
		"my mail is jane.doe+x@corp.example.org": "my mail is name@example.com",
		"邮箱是zhang.san@qq.com，谢谢":                 "邮箱是name@example.com，谢谢",
		"see https://shop.test/o/77?u=jane now":  "see https://example.com now",
		"加我微信 zhangsan_88":                       "加我微信 00000",
		"waybill SF1234567890 is late":           "waybill XX0000000000 is late",
		"电话是一三八零零一三八":                            "电话是零零零零零零零零",
		"size 42, 2 pairs":                       "size 42, 2 pairs",
		"两三天能到吗":                                 "两三天能到吗",
		"  spaces \n and\tlines ":                "spaces and lines",
		"卡号 6222 0210 0111 2233":                 "卡号 0000 0000 0000 0000",
		"bad \xff bytes":                         "bad bytes",
	} {
		if got := mask(text); got != want {
			t.Errorf("mask(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("打我电话138-1234-5678 jane@example.org")
	f.Fuzz(func(t *testing.T, text string) {
		got := mask(text)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxTextRunes {
			t.Errorf("mask(%q) = %q", text, got)
		}
		if again := mask(got); digits(again) != digits(got) {
			t.Errorf("mask(%q) is %q, and then %q", text, got, again)
		}
	})
}

// digits says where runs of digits are that could be somebody's number.
func digits(s string) string { return strings.Join(digitForm.FindAllString(s, -1), "|") }
