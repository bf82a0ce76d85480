package conversation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What a text has as numbers: those that are apart in brackets.
func numbersOf(text string) string {
	var out []string
	for _, d := range ReadDigits(foldText(Text(text)), nil) {
		if d.Apart {
			out = append(out, "("+d.Text+")")
		} else {
			out = append(out, d.Text)
		}
	}
	return strings.Join(out, " | ")
}

func TestReadDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "",
		"no digits":                 "",
		"2024":                      "2024",
		"订单号 1234 5678 9012 到哪了":    "123456789012",
		"1234-5678-9012":            "123456789012",
		"1234.5678":                 "12345678",
		"8812 - 3456":               "88123456",
		"１２３４　５６７８":                 "12345678",
		"1234\u00a05678":            "12345678",
		"20\u200b23":                "2023",
		"1234\u200b 5678":           "12345678",
		"1234  5678":                "12345678",
		"2 0 2 4":                   "2024",
		"88 01":                     "8801",
		"sf1234 5678 90123":         "1234567890123",
		"2024 or 2025":              "2024 | 2025",
		"2024和2025":                 "2024 | 2025",
		"2024, 2025":                "2024 | 2025",
		"2024,2025":                 "2024 | 2025",
		"2024、2025":                 "2024 | 2025",
		"2024/2025":                 "2024 | 2025",
		"2024\n2025":                "2024 | 2025",
		"2024. 2025":                "2024 | 2025",
		"2024      2025":            "2024 | 2025",
		"order 2023 3 May":          "2023 | (3)",
		"order 2023 on 3 May":       "2023 | (3)",
		"order 2023 3rd":            "2023 | (3)",
		"订单2023 5月3日":               "2023 | (5) | (3)",
		"订单2023 2件":                 "2023 | (2)",
		"订单2023 2 件":                "2023 | (2)",
		"order 2023 2 pcs":          "2023 | (2)",
		"order 2023 2 shirts":       "2023 | (2)",
		"order 2023 12 red shirts":  "2023 | (12)",
		"order 2023 2 shirts 1 hat": "2023 | (2) | 1",
		"order 2023 2 has not come": "20232",
		"order 2023 2, 2 shirts":    "20232 | 2",
		"order 2023 02 shirts":      "202302",
		"order 2023 2":              "20232",
		"order 2023-2 shirts":       "20232",
		"order 2023 1111 shirts":    "20231111",
		"1234 5678 90 shirts":       "1234567890",
		"88 01 shirts":              "8801",
		"订单2023 2条裤子":               "2023 | (2)",
		"订单2023 2 条裤子":              "2023 | (2)",
		"订单1234 5678 90把它取消":        "1234567890",
		"订单2023 5000元":              "2023 | (5000)",
		"order 2023 19.99 dollars":  "2023 | (19.99)",
		"order 2023 $50":            "2023 | (50)",
		"order 2023 12:30":          "2023 | (12) | (30)",
		"2023 2024-05-03":           "2023 | (2024-05-03)",
		"2024-05-03 2023":           "(2024-05-03) | 2023",
		"2024.11.11":                "(2024.11.11)",
		"2024-13-03":                "20241303",
		"2024-11-11-3456":           "202411113456",
		"2024-1111":                 "20241111",
		"138 0013 8000":             "(138 0013 8000)",
		"order 2023 138 0013 8000":  "2023 | (138 0013 8000)",
		"order 2023 13800138000":    "2023 | (13800138000)",
		"13800138000 2023":          "(13800138000) | 2023",
		"+86 138 0013 8000":         "(86) | (138 0013 8000)",
		"138 1234 5678 9012":        "138123456789012", // longer than a phone number
		"010-12345678":              "(010-12345678)",
		"1234 5678 9012 分开发货":       "123456789012",
		"1234 5678 90 has not come": "1234567890",
		"mp3 2024":                  "(3) | 2024",
		"1234 -- 5678":              "1234 | 5678",
	} {
		if got := numbersOf(text); got != want {
			t.Errorf("numbers of %q = %s, want %s", text, got, want)
		}
	}
}

func TestReadDigitsIsToldWhatIsApart(t *testing.T) {
	t.Parallel()
	text := []rune("2023 7 9012")
	got := ReadDigits(text, func(start, end int) bool { return string(text[start:end]) == "7" })
	want := []Digits{{Text: "2023", End: 4, Groups: 1}, {Text: "7", Start: 5, End: 6, Groups: 1, Apart: true}, {Text: "9012", Start: 7, End: 11, Groups: 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ReadDigits (-want +got):\n%s", diff)
	}
}

func TestValuesInGroups(t *testing.T) {
	t.Parallel()
	for text, want := range map[Text][]string{
		"1234 5678 9012":                  {"123456789012"},
		"1234-5678-9012":                  {"123456789012"},
		"2024 1111":                       {"20241111"},
		"ok it's 2024 1111, thanks":       {"20241111"},
		"88\u200b01":                      {"8801"},
		"sf1234 5678 90123":               {"SF1234567890123"},
		"so-2024 1111":                    {"SO-20241111"},
		"so-2024 3 may":                   {"SO-2024", "3"},
		"abcdefg1234 5678 9":              nil, // no code, and its end is no number
		"2024 or 2025":                    {"2024", "2025"},
		"2024-05-03":                      {"2024-05-03"},
		"2024.05.03":                      {"2024.05.03"},
		"138 0013 8000":                   {"138 0013 8000"},
		"1234-5678-ab":                    {"1234-5678-AB"},
		"not 1234 5678 but 2023":          {"!12345678", "2023"},
		Text(strings.Repeat("1234 ", 20)): nil, // too long for a value, and no part of it is one
	} {
		var got []string
		for _, v := range readValues(text, foldText(text)) {
			if v.Negated {
				v.Text = "!" + v.Text
			}
			got = append(got, v.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("values of %q (-want +got):\n%s", text, diff)
		}
	}
}

// However a number is parted, no value is a part of it. (Eleven digits that begin with 1,
// an area code with its 0 and what follows 86 stand apart, as phone numbers.)
func TestNoValueIsAPartOfANumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.StringMatching(`[2-79][0-9]{3,5}`), 2, 6).Draw(t, "groups")
		gaps := rapid.SliceOfN(rapid.SampledFrom([]string{" ", "-", ".", "　", "  ", " - ", "\u200b", "－"}), len(groups), len(groups)).Draw(t, "gaps")
		text := rapid.SampledFrom([]string{"", "订单号 ", "order ", "so-"}).Draw(t, "before")
		for i, g := range groups {
			if i > 0 {
				text += gaps[i]
			}
			text += g
		}
		text += rapid.SampledFrom([]string{"", " 到哪了", " where is it", "?"}).Draw(t, "after")
		whole := strings.Join(groups, "")
		for _, v := range readValues(Text(text), foldText(Text(text))) {
			if !strings.HasSuffix(strings.ReplaceAll(v.Text, "-", ""), whole) {
				t.Fatalf("%q gives %q, a part of %s", text, v.Text, whole)
			}
		}
	})
}
