package intent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// builtinExtractor finds what a built-in pack calls values.
func builtinExtractor(t testing.TB, pack string) func(text string) []string {
	t.Helper()
	l := openBuiltin(t)
	b := l.bundle([]string{pack})
	x := newExtractor(b.entities, l.base.norm)
	return func(text string) []string {
		var f folded
		l.base.norm.fold(&f, text)
		out := []string{}
		for _, e := range x.report(nil, resolve(x.all(nil, &f)), &f, text) {
			if e.Start < 0 || e.End > len(text) || e.Start >= e.End {
				t.Fatalf("%q: %+v is not inside the text", text, e)
			}
			out = append(out, e.Name+"="+e.Value)
		}
		return out
	}
}

func TestAmountsWithTenths(t *testing.T) {
	t.Parallel()
	extract := builtinExtractor(t, "common")
	for text, want := range map[string][]string{
		"三块五":       {"money=三块五"},
		"运费才三块五！":   {"money=三块五"},
		"三块五的运费":    {"money=三块五"},
		"三块五，能便宜点吗": {"money=三块五"},
		"收了三块五,不对吧": {"money=三块五"},
		"两块三、四个人分":  {},
		"十五块八毛":     {"money=十五块八毛"},
		"一块八毛":      {"money=一块八毛"},
		"十五块":       {"money=十五块"},
		"15块8毛":     {"money=15块8毛"},
		"我们一块一起去":   {},
		"两块五花肉":     {},
		"要三块，五天后到":  {"date=五天后"},
		"两块三个人分":    {},
	} {
		if diff := cmp.Diff(want, extract(text)); diff != "" {
			t.Errorf("values of %q (-want +got):\n%s", text, diff)
		}
	}
}

func TestNumbersInGroups(t *testing.T) {
	t.Parallel()
	for pack, texts := range map[string]map[string][]string{
		"ecommerce": {
			"订单号 1234 5678 9012 快递到哪了":                  {"order_no=123456789012"},
			"order number 1234 5678 9012, where is it?": {"order_no=123456789012"},
			"订单２０２４　１１１１到哪了":                            {"order_no=20241111"},
			"订单2024\u200b 1111到哪了":                      {"order_no=20241111"},
			"my order 8812-3456 has not come":           {"order_no=88123456"},
			"order 8812.3456 has not come":              {"order_no=88123456"},
			"order: 8812  3456":                         {"order_no=88123456"},
			"1234 5678 9012":                            {"order_no=123456789012"},
			"1234-5678-9012":                            {"order_no=123456789012"},
			"2024 1111":                                 {"order_no=20241111"},
			"SO-2024 1111":                              {"order_no=SO-20241111"},
			"231108-123456789012345":                    {"order_no=231108-123456789012345"}, // as the shop writes it
			"快递单号 1234 5678 9012":                       {"waybill=123456789012"},
			"SF1234567890123到哪了":                        {"waybill=SF1234567890123"},
			"SF1234567890123":                           {"waybill=SF1234567890123"},
			"SF1234567890123。":                          {"waybill=SF1234567890123"},
			"SF 1234567890123":                          {"waybill=SF1234567890123"},
			"SF 1234567890123的订单":                       {"waybill=SF1234567890123"},
			"sf1234 5678 90123":                         {"waybill=sf1234567890123"},
			"JDVB 1234 5678 9012 3":                     {"waybill=JDVB1234567890123"},
			"jd 0098765432101 在哪":                       {"waybill=jd0098765432101"},
			"订单号 YT1234567890123":                       {"waybill=YT1234567890123"},
			"ZTO-1234567890123":                         {"waybill=ZTO-1234567890123"},
			"EE123456789CN":                             {"waybill=EE123456789CN"},
			"WX20231108":                                {"order_no=WX20231108"},
			"PO-20231108123456":                         {"order_no=PO-20231108123456"},
			"order 2024 or order 2025":                  {"order_no=2024", "order_no=2025"},
			"订单2024和订单2025":                             {"order_no=2024", "order_no=2025"},
			"订单2023 买了2件":                               {"order_no=2023"},
			"订单2023 2件":                                 {"order_no=2023"},
			"订单2023 2条裤子":                               {"order_no=2023"},
			"order 2023 2 shirts":                       {"order_no=2023"},
			"order 2023 2 has not come":                 {"order_no=20232"},
			"order 2023 on 3 May":                       {"order_no=2023", "date=3 May"},
			"order 2023 3 May":                          {"order_no=2023", "date=3 May"},
			"订单2023 5月3日买的":                             {"order_no=2023", "date=5月3日"},
			"订单2023 3号买的":                               {"order_no=2023", "date=3号"},
			"order 2023 2024-05-03":                     {"order_no=2023", "date=2024-05-03"},
			"订单2023 50元":                                {"order_no=2023", "money=50元"},
			"order 2023 19.99 usd":                      {"order_no=2023", "money=19.99 usd"},
			"order 2023 $50":                            {"order_no=2023", "money=$50"},
			"order 2023, call 138 0013 8000":            {"order_no=2023", "phone=13800138000"},
			"order 2023 138 0013 8000":                  {"order_no=2023", "phone=13800138000"},
			"138 0013 8000":                             {"phone=13800138000"},
			"138-0013-8000":                             {"phone=138-0013-8000"},
			"order 138 1234 5678 9012":                  {"order_no=138123456789012"},
			"order 6222 8801 123 456 7890":              {"order_no=622288011234567890"},
			"order 1234 5678 9012 3456 7890 1234":       {}, // longer than any order's
			"order 123456789012345678901234":            {},
			"1000天前买的":                                  {}, // not 000天前
			"订单2024\n电话13800138000":                     {"order_no=2024", "phone=13800138000"},
			"order 2024\n2025":                          {"order_no=2024"},
		},
		"education": {
			"88 01":                     {"student_no=8801"},
			"学号 88 01 还剩几节课":            {"student_no=8801"},
			"学号８８－０１":                   {"student_no=8801"},
			"student number 2023-0815.": {"student_no=20230815"},
			"student id 8801 or 8802":   {"student_no=8801"},
			"学号 1234 5678 9012 3":       {}, // longer than any student's
		},
	} {
		extract := builtinExtractor(t, pack)
		for text, want := range texts {
			if diff := cmp.Diff(want, extract(text)); diff != "" {
				t.Errorf("%s: values of %q (-want +got):\n%s", pack, text, diff)
			}
		}
	}
}

// However a number is parted, no order number is a part of it. (An eleven-digit number
// that begins with 1 stands apart, as a phone number, and so does 86 with one.)
func TestNoOrderNumberIsAPartOfANumber(t *testing.T) {
	t.Parallel()
	extract := builtinExtractor(t, "ecommerce")
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.StringMatching(`[2-79][0-9]{3,5}`), 2, 6).Draw(t, "groups")
		gaps := rapid.SliceOfN(rapid.SampledFrom([]string{"", " ", "-", ".", "　", "  ", " - ", "\u200b", "－"}), len(groups), len(groups)).Draw(t, "gaps")
		text := rapid.SampledFrom([]string{"", "订单号 ", "订单", "order ", "order no. ", "我的单号是", "#"}).Draw(t, "before")
		for i, g := range groups {
			if i > 0 {
				text += gaps[i]
			}
			text += g
		}
		text += rapid.SampledFrom([]string{"", " 到哪了", "到哪了", " where is it", "?", "这个订单", "号订单"}).Draw(t, "after")
		whole := strings.Join(groups, "")
		for _, v := range extract(text) {
			if no, ok := strings.CutPrefix(v, "order_no="); ok && strings.ReplaceAll(no, "-", "") != whole {
				t.Fatalf("%q gives order %s, a part of %s", text, no, whole)
			}
		}
	})
}
