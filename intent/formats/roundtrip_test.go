package formats

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/intent"
)

// said is what a round trip keeps: questions and answers.
type said struct {
	Asked  map[string][]string // by language, sorted; a title counts as a question, as it does in training
	Answer map[string]string
}

// saidBy gives what an export can hold of packs.
func saidBy(c *intent.Contents, keep func(x *intent.IntentContents, lang string) bool) map[string]said {
	canonical := intent.Canonical()
	out := map[string]said{}
	for i := range c.Intents {
		x := &c.Intents[i]
		s := said{Asked: map[string][]string{}, Answer: map[string]string{}}
		for _, lang := range langsOf(x) {
			if !keep(x, lang) {
				continue
			}
			asked := map[string]bool{}
			for _, q := range append(slices.Clone(x.Ask[lang]), x.Title[lang]) {
				if q != "" {
					asked[canonical(q)] = true
				}
			}
			s.Asked[lang] = slices.Sorted(maps.Keys(asked))
			if a, ok := x.Answer[lang]; ok {
				s.Answer[lang] = a
			}
		}
		if len(s.Asked) > 0 {
			out[x.ID] = s
		}
	}
	return out
}

// builtIn gives the built-in packs as the program merges them.
func builtIn(t *testing.T, name string) intent.Contents {
	t.Helper()
	l, err := intent.Open(intent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Contents(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	shop, err := os.ReadFile("../testdata/shop/pack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]intent.Contents{
		"shop":      load(t, []string{"shop"}, map[string]string{"shop/pack.yaml": string(shop)}),
		"education": builtIn(t, "education"),
		"odd": load(t, []string{"odd"}, map[string]string{"odd/pack.yaml": "colloquy: 1\npack: odd\nlang: en\nintents:\n" +
			"  - id: formula\n    ask: ['=1+1', '-5 degrees', '+86 123', '@home', \"'quoted\", 'a|b；c', '1. first', '{braces}', 'a, \"b\"', '[x](y) z', '_x000D_']\n    answer: \"=SUM(A1)\\n\\nsecond; third | fourth\"\n" +
			"  - id: numbers\n    ask: ['007', '1e5', 'yes', 'null', '~', '12:30', '- dash', '# hash', '’']\n    answer: 'no'\n"}),
	}
	noTitle := func(c *intent.Contents) *intent.Contents {
		bare := *c
		bare.Intents = slices.Clone(c.Intents)
		for i := range bare.Intents {
			bare.Intents[i].Title = nil
		}
		return &bare
	}
	all := func(*intent.IntentContents, string) bool { return true }
	for name, source := range sources {
		for _, format := range []Format{CSV, XLSX, Rasa} {
			t.Run(name+" "+string(format), func(t *testing.T) {
				t.Parallel()
				// A spreadsheet has no place for background. Rasa knows no titles, and
				// answers only where there is a question.
				from, keep := &source, func(x *intent.IntentContents, _ string) bool { return !x.Background }
				if format == Rasa {
					from, keep = noTitle(&source), func(x *intent.IntentContents, lang string) bool { return len(x.Ask[lang]) > 0 }
				}
				out, err := Write(from, format)
				if err != nil {
					t.Fatal(err)
				}
				in := &Input{name: "export"}
				for _, f := range out.Files {
					if err := in.addContent(f.Name, f.Content); err != nil {
						t.Fatal(err)
					}
				}
				// What the answers refer to is not part of a spreadsheet.
				got, err := Read(in, Options{Pack: "again", Base: intent.Contents{Variables: from.Variables, Entities: from.Entities}})
				if err != nil {
					t.Fatal(err)
				}
				if got.Format != format {
					t.Errorf("found %s", got.Format)
				}
				if diff := cmp.Diff(saidBy(from, keep), saidBy(&got.Contents, all)); diff != "" {
					t.Errorf("what was said (-exported +imported):\n%s\nremarks %+v", diff, got.Remarks)
				}
			})
		}
	}
}

// A pack that uses everything comes back as it was, key by key.
func TestPackFilesRoundTrip(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]intent.Contents{
		"every key": load(t, []string{"full"}, map[string]string{"full/pack.yaml": everyKey}),
		"ecommerce": builtIn(t, "ecommerce"),
	} {
		out, err := Write(&source, YAML)
		if err != nil {
			t.Fatal(err)
		}
		again := mustLoad(t, out, nil)
		if diff := cmp.Diff(source, again); diff != "" {
			t.Errorf("%s as YAML (-exported +loaded):\n%s", name, diff)
		}
		out, err = Write(&source, JSON)
		if err != nil {
			t.Fatal(err)
		}
		// JSON is YAML: the program reads it under the other name.
		if diff := cmp.Diff(source, load(t, []string{source.Name}, map[string]string{"p/pack.yaml": string(out.Files[0].Content)})); diff != "" {
			t.Errorf("%s as JSON (-exported +loaded):\n%s", name, diff)
		}
	}
}

func TestLargePacksAreSplit(t *testing.T) {
	t.Parallel()
	c := intent.Contents{Name: "large", Lang: "en", Variables: []intent.VariableContents{{Name: "v", Value: map[string]string{"en": "x"}}}}
	for i := range 400 {
		c.Intents = append(c.Intents, intent.IntentContents{
			ID: fmt.Sprintf("i%03d", i), Answer: map[string]string{"en": strings.Repeat("answer ", 800) + "{v}"}, Ask: map[string][]string{"en": {fmt.Sprint("question ", i)}},
		})
	}
	out, err := Write(&c, YAML)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Files) < 3 {
		t.Fatalf("%d files", len(out.Files))
	}
	for _, f := range out.Files {
		if path.Dir(f.Name) != "large" || len(f.Content) > intent.MaxPackFileBytes/2 {
			t.Errorf("%s has %d bytes", f.Name, len(f.Content))
		}
	}
	if got := mustLoad(t, out, nil); len(got.Intents) != 400 {
		t.Errorf("%d intents came back", len(got.Intents))
	}
}

const everyKey = `colloquy: 1
pack: full

lang: zh
thresholds: {auto: 0.85, suggest: 0.4}
variables:
  shop: {zh: 云雀, en: ""}
  api: ""
entities:
  second: {words: ["yes", "12", 大号], mask: true, ask: 哪个}
  first: {regex: ['\d{4}', "a'b\"c"], ask: {en: Which, zh: 哪一个}, mistaken: {second: {en: "No, {second}", zh: 不}}}
intents:
  - id: a
    title: {zh: 标题, en: "title: with # odd"}
    ask: {zh: ["问一", "null", "- x"], en: [one, "{two}"]}
    not: [不是]
    test: {en: [check]}
    answer: {zh: "第一行\n\n  第三行 {shop} {first}", en: "one"}
    buttons: [b]
    need: [first]
    flow: look
    policy: {auto: 0.97, suggest: 0, handover: true, priority: high, anger: soften}
  - id: b
    ask: [乙]
    answer: "yes"
  - id: c
    background: true
    ask: [丙]
flows:
  look:
    slots: [second]
    http: {method: POST, url: "{api}/x/{first}", headers: {X-Key: "{shop}", Accept: application/json}, timeout: 4s}
    reply: "状态 {$.status}"
    not_found: {en: None, zh: 没有}
    failed: 失败
phrases:
  fallback: {zh: 没懂, en: Sorry}
  handover: 转人工
`
