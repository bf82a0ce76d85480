package intent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

const editable = `# Our shop. Ask Mei before you change prices.
colloquy: 1
pack: mine
lang: zh

intents:
  # what people want most
  - id: hours   # daily
    title: 营业时间

    ask:
      - 几点开门
      - "几点: 关门"   # quoted

    answer: |-
      九点到六点。

      周末休息。

  - id: gift
    ask: {en: [gift wrap please], zh: [可以包装吗]}
    answer: 可以。

# the end
phrases:
  fallback: 没听懂。
`

func TestEditPack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		edit     PackEdit
		old, new string // what is replaced in the text by the edit
	}{
		{
			"a question in the file's language",
			PackEdit{Intent: "hours", Ask: []string{"周日开吗"}},
			"   # quoted\n", "   # quoted\n      - 周日开吗\n",
		},
		{
			"a question that is there", PackEdit{Intent: "hours", Ask: []string{"几点开门"}}, "", "",
		},
		{
			"sentences that are not it, after all that the intent has",
			PackEdit{Intent: "hours", Not: []string{"12", "a: b"}},
			"      周末休息。\n", "      周末休息。\n    not:\n      - \"12\"\n      - 'a: b'\n",
		},
		{
			"a question in another language",
			PackEdit{Intent: "hours", Lang: "en", Ask: []string{"when do you open"}},
			"    ask:\n      - 几点开门\n      - \"几点: 关门\"   # quoted\n",
			"    ask:\n      zh:\n        - 几点开门\n        - \"几点: 关门\" # quoted\n      en:\n        - when do you open\n",
		},
		{
			"a list in brackets",
			PackEdit{Intent: "gift", Lang: "en", Ask: []string{"wrap it"}, Not: []string{"unwrap it"}},
			"    ask: {en: [gift wrap please], zh: [可以包装吗]}\n    answer: 可以。\n", "",
		},
		{
			"a new intent",
			PackEdit{
				Intent: "parking", Lang: "en", Ask: []string{"can I park"}, Answer: map[string]string{"en": "Yes.", "zh": "可以。"},
			},
			"    answer: 可以。\n",
			"    answer: 可以。\n  - id: parking\n    answer:\n      en: Yes.\n      zh: 可以。\n    ask:\n      en:\n        - can I park\n",
		},
		{
			"an intent of a pack below",
			PackEdit{Intent: "returns", Ask: []string{"能退吗"}, Not: []string{"能换吗"}},
			"    answer: 可以。\n", "    answer: 可以。\n  - id: returns\n    ask:\n      - 能退吗\n    not:\n      - 能换吗\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := EditPack([]byte(editable), []PackEdit{tc.edit})
			if err != nil {
				t.Fatal(err)
			}
			if tc.new == "" && tc.old != "" { // written anew; what it says is tested below
				if strings.Contains(string(got), tc.old) || !strings.HasPrefix(string(got), "# Our shop.") {
					t.Errorf("EditPack gives\n%s", got)
				}
			} else if diff := cmp.Diff(strings.Replace(editable, tc.old, tc.new, 1), string(got)); diff != "" {
				t.Errorf("EditPack (-want +got):\n%s", diff)
			}
			for _, q := range append(tc.edit.Ask, tc.edit.Not...) {
				if k := parseForTest(t, got); !holds(k, tc.edit.Intent, q) {
					t.Errorf("%q is not in the pack:\n%s", q, got)
				}
			}
			if again, err := EditPack(got, []PackEdit{tc.edit}); err != nil || string(again) != string(got) {
				t.Errorf("the same edit again changes the pack: %v\n%s", err, again)
			}
		})
	}
}

func parseForTest(t *testing.T, text []byte) *pack {
	t.Helper()
	k, err := parsePack([]packFile{{name: "mine.yaml", content: text}}, newNormalizer())
	if err != nil {
		t.Fatalf("the edited pack is not valid: %v\n%s", err, text)
	}
	return k
}

func holds(k *pack, id, text string) bool {
	for _, in := range k.intents {
		for _, l := range []lists{in.ask, in.not} {
			for _, lines := range l {
				for _, one := range lines {
					if in.id == id && one.text == text {
						return true
					}
				}
			}
		}
	}
	return false
}

func TestEditPackKeepsTheBuiltInFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("packs/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, file := range files {
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		k := parseFile(file, before, &problems{})
		for _, in := range k.intents {
			after, err := EditPack(before, []PackEdit{{Intent: in.id, Lang: "zh", Ask: []string{"一个全新的问题"}}})
			if err != nil {
				t.Fatalf("%s: %s: %v", file, in.id, err)
			}
			if again := parseFile(file, after, &problems{}); !holds(again, in.id, "一个全新的问题") {
				t.Errorf("%s: the question is not in %s", file, in.id)
			}
			if extra := len(splitLines(after)) - len(splitLines(before)); extra < 1 || extra > 3 {
				t.Errorf("%s: a question for %s changes the number of lines by %d", file, in.id, extra)
			}
		}
	}
}

func TestEditPackWithoutIntents(t *testing.T) {
	t.Parallel()
	got, err := EditPack([]byte("colloquy: 1\npack: mine # ours\nextends: [shop]"), []PackEdit{{Intent: "a", Lang: "zh", Ask: []string{"甲"}}})
	want := "colloquy: 1\npack: mine # ours\nextends: [shop]\nintents:\n  - id: a\n    ask:\n      - 甲\n"
	if err != nil || string(got) != want {
		t.Errorf("EditPack = %v\n%s\nwant\n%s", err, got, want)
	}
}

func TestEditPackRefuses(t *testing.T) {
	t.Parallel()
	question := []PackEdit{{Intent: "a", Ask: []string{"甲"}}}
	for _, tc := range []struct {
		name, text string
		edits      []PackEdit
	}{
		{"no edit", editable, nil},
		{"nothing to add", editable, []PackEdit{{Intent: "a"}}},
		{"a bad name", editable, []PackEdit{{Intent: "A b", Ask: []string{"甲"}}}},
		{"an empty line", editable, []PackEdit{{Intent: "a", Ask: []string{" "}}}},
		{"a bad language", editable, []PackEdit{{Intent: "a", Lang: "English", Ask: []string{"x"}}}},
		{"no YAML", "colloquy: [", question},
		{"no mapping", "- a\n", question},
		{"nothing", "", question},
		{"intents that are no list", "colloquy: 1\nintents: {a: b}\n", question},
		{"questions that are no list", "colloquy: 1\nintents:\n  - id: a\n    ask: what\n", question},
	} {
		if got, err := EditPack([]byte(tc.text), tc.edits); !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("%s: EditPack = %q, %v, want class invalid", tc.name, got, err)
		}
	}
}
