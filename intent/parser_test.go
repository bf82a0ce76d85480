package intent

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

const goodHead = "colloquy: 1\npack: p\n"

// layOut parses one file as pack p and lays it out alone.
func layOut(content string) (*bundle, error) {
	norm := newNormalizer()
	k, err := parsePack([]packFile{{name: "p.yaml", content: []byte(content)}}, norm)
	if err != nil {
		return nil, err
	}
	c := &catalog{builtin: map[string]*pack{k.name: k}}
	return c.bundle([]string{k.name}, norm)
}

func TestParserNamesProblems(t *testing.T) {
	t.Parallel()
	intentP := "intents:\n  - id: a\n    ask: [甲]\n    answer: 乙\n"
	for name, tc := range map[string]struct{ content, want string }{
		"empty":              {"", "p.yaml: the file is empty"},
		"not YAML":           {"colloquy: [1\n", "not readable as YAML"},
		"a list":             {"- 1\n", "p.yaml:1: a pack file is a mapping"},
		"two documents":      {goodHead + "---\nx: 1\n", "holds more"},
		"no format":          {"pack: p\n", "p.yaml:1: the header colloquy: 1 is missing"},
		"no name":            {"colloquy: 1\n", "p.yaml:1: the header pack: <name> is missing"},
		"other format":       {"colloquy: 2\npack: p\n", "p.yaml:1: colloquy: 2 is not a format"},
		"bad name":           {"colloquy: 1\npack: P p\n", `p.yaml:2: pack "P p" is not a name`},
		"bad language":       {goodHead + "lang: Chinese\n", `p.yaml:3: lang "Chinese" is not a language`},
		"unknown key":        {goodHead + "intent: []\n", `p.yaml:3: a pack file has no key "intent"`},
		"unknown intent key": {goodHead + "intents:\n  - id: a\n    asks: [x]\n", `p.yaml:5: intent a has no key "asks"`},
		"repeated key":       {goodHead + "lang: zh\nlang: en\n", `p.yaml:4: a pack file has the key "lang" twice, first in line 3`},
		"no id":              {goodHead + "intents:\n  - title: x\n", "p.yaml:4: an intent has no id"},
		"intent not mapping": {goodHead + "intents: [x]\n", "p.yaml:3: an intent is a single value"},
		"intents not list":   {goodHead + "intents: {}\n", "p.yaml:3: intents is a mapping, it has to be a list"},
		"repeated intent":    {goodHead + intentP + "  - id: a\n    ask: [丙]\n", "p.yaml:7: intent a is already defined in p.yaml:4"},
		"empty list":         {goodHead + "intents:\n  - id: a\n    ask: []\n    answer: x\n", "p.yaml:5: ask of intent a is an empty list"},
		"empty line":         {goodHead + "intents:\n  - id: a\n    ask: [甲, '']\n    answer: x\n", "p.yaml:5: an entry of ask of intent a is empty"},
		"null line":          {goodHead + "intents:\n  - id: a\n    ask: [甲, ~]\n    answer: x\n", "an entry of ask of intent a is empty, it has to be a single value"},
		"no questions":       {goodHead + "intents:\n  - id: a\n    answer: x\n", "p.yaml:4: intent a has no question of its own"},
		"no answer":          {goodHead + "intents:\n  - id: a\n    ask: [甲]\n", "p.yaml:4: intent a has no answer"},
		"question twice": {
			goodHead + intentP + "  - id: b\n    ask: [乙, 甲？]\n    answer: x\n",
			"p.yaml:8: the question of intent b also stands under intent a in p.yaml:5",
		},
		"unknown anger":      {goodHead + intentP + "    policy: {anger: explode}\n", "p.yaml:7: anger in policy of a is ignore, soften, escalate or handover"},
		"empty anger":        {goodHead + intentP + "    policy: {anger: ''}\n", "p.yaml:7: anger in policy of a is"},
		"not against itself": {goodHead + "intents:\n  - id: a\n    ask: [甲]\n    not: [甲]\n    answer: x\n", "p.yaml:6: the line stands under not"},
		"trained test line":  {goodHead + "intents:\n  - id: a\n    ask: [甲]\n    test: [甲]\n    answer: x\n", "p.yaml:6: the test line of intent a is trained on"},
		"undeclared slot":    {goodHead + intentP + "    need: [order_no]\n", "p.yaml:4: intent a needs the slot order_no"},
		"undeclared flow":    {goodHead + intentP + "    flow: f\n", "p.yaml:4: intent a names the flow f"},
		"undeclared button":  {goodHead + intentP + "    buttons: [b]\n", "p.yaml:4: intent a has a button for the intent b"},
		"repeated button":    {goodHead + intentP + "    buttons: [a, a]\n", `p.yaml:7: buttons of intent a names "a" twice`},
		"undeclared variable": {
			goodHead + "intents:\n  - id: a\n    ask: [甲]\n    answer: '您好 {shop}'\n",
			"p.yaml:4: the answer (zh) of intent a holds {shop}, which no pack declares",
		},
		"open brace":           {goodHead + "intents:\n  - id: a\n    ask: [甲]\n    answer: 'x {shop'\n", "which is neither {name} nor {$.path}"},
		"response in answer":   {goodHead + "intents:\n  - id: a\n    ask: [甲]\n    answer: 'x {$.a}'\n", "only a flow's reply can read a response"},
		"unknown phrase":       {goodHead + "phrases: {hello: x}\n", `p.yaml:3: there is no phrase "hello"; the phrases are also, apology, ask_again`},
		"bad regex":            {goodHead + "entities:\n  e:\n    regex: ['a', '(']\n", "p.yaml:5: regex of entity e: error parsing regexp"},
		"regex of nothing":     {goodHead + "entities:\n  e:\n    regex: ['a*']\n", "p.yaml:5: regex of entity e: a* matches nothing at all"},
		"mistaken for nothing": {goodHead + "entities:\n  e: {words: [x], mistaken: {f: no}}\n" + intentP, "p.yaml:4: entity e is mistaken for f"},
		"mistaken for itself":  {goodHead + "entities:\n  e: {words: [x], mistaken: {e: no}}\n" + intentP, "p.yaml:4: entity e is mistaken for e"},
		"mistaken, no mapping": {goodHead + "entities:\n  e: {words: [x], mistaken: no}\n", "mistaken of entity e is"},
		"mistaken, a hole":     {goodHead + "entities:\n  f: {words: [y]}\n  e: {words: [x], mistaken: {f: \"{shop}\"}}\n" + intentP, "mistaken (zh) of entity e holds {shop}"},
		"entity of nothing":    {goodHead + "entities:\n  e: {mask: true}\n", "p.yaml:4: entity e has neither regex nor words"},
		"mask not a truth":     {goodHead + "entities:\n  e: {words: [x], mask: 1}\n", "p.yaml:4: mask of entity e has to be true or false"},
		"threshold range":      {goodHead + "thresholds: {auto: 90}\n", "p.yaml:3: auto has to be a number from 0 to 1"},
		"threshold not number": {goodHead + "thresholds: {auto: .nan}\n", "p.yaml:3: auto has to be a number from 0 to 1"},
		"threshold order":      {goodHead + "thresholds: {auto: 0.5, suggest: 0.6}\n", "suggest 0.6 is above auto 0.5"},
		"priority":             {goodHead + intentP + "    policy: {priority: top}\n", "p.yaml:7: priority in policy of a is none, low"},
		"flow without url":     {goodHead + "flows:\n  f: {reply: x}\n", "p.yaml:4: flow f has no http.url"},
		"flow slot":            {goodHead + "flows:\n  f: {slots: [s], http: {url: 'http://x'}, reply: x}\n", "p.yaml:4: flow f has the slot s"},
		"flow method":          {goodHead + "flows:\n  f: {http: {url: 'http://x', method: PULL}, reply: x}\n", "method in http of flow f is GET"},
		"flow timeout":         {goodHead + "flows:\n  f: {http: {url: 'http://x', timeout: 3}, reply: x}\n", "timeout in http of flow f has to be a duration"},
		"alias":                {goodHead + "variables: {a: &x b}\nphrases: {fallback: *x}\n", "an alias (not supported)"},
		"no such base":         {goodHead + "extends: [q]\n", "p.yaml:3: extends q, which is not loaded"},
		"too long":             {goodHead + "intents:\n  - id: a\n    ask: ['" + strings.Repeat("x", maxQuestionBytes+1) + "']\n", "has 1001 bytes, the limit is 1000"},
		"too large":            {goodHead + "#" + strings.Repeat("x", maxFileBytes), "the file has"},
		"language key":         {goodHead + "intents:\n  - id: a\n    title: {Zh: x}\n", `has the key "Zh", which is not a language`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := layOut(tc.content)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want one with %q", err, tc.want)
			}
			var p *PackError
			if !errors.As(err, &p) || !errors.Is(err, conversation.ErrInvalid) || p.File != "p.yaml" {
				t.Errorf("error %#v names no file or class", err)
			}
		})
	}
}

func TestParserReportsEverything(t *testing.T) {
	t.Parallel()
	_, err := layOut(goodHead + "bogus: 1\nthresholds: {auto: 7}\nintents:\n  - id: a\n    ask: []\n")
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three problems give %v", err)
	}
}

func TestFilesOfAPackAreMerged(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	one := packFile{name: "p/1.yaml", content: []byte(goodHead + "entities:\n  e: {words: [x]}\nintents:\n  - id: a\n    ask: [甲]\n    answer: x\n")}
	two := packFile{name: "p/2.yaml", content: []byte(goodHead + "lang: en\nintents:\n  - id: b\n    ask: [hello]\n    answer: y\n")}
	k, err := parsePack([]packFile{two, one}, norm)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.intents) != 2 || k.questions != 2 || len(k.intents[1].ask["en"]) != 1 {
		t.Errorf("merged pack has %d intents and %d questions", len(k.intents), k.questions)
	}
	again := packFile{name: "p/3.yaml", content: one.content}
	if _, err := parsePack([]packFile{one, again}, norm); err == nil || !strings.Contains(err.Error(), "p/3.yaml:4: entity e is already declared in p/1.yaml:4") {
		t.Errorf("an entity in two files: %v", err)
	}
	other := packFile{name: "p/4.yaml", content: []byte("colloquy: 1\npack: q\n")}
	if _, err := parsePack([]packFile{one, other}, norm); err == nil || !strings.Contains(err.Error(), `belongs to pack "q"`) {
		t.Errorf("files of two packs in one folder: %v", err)
	}
}

func TestExtendsLayersFields(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	parse := func(content string) *pack {
		k, err := parsePack([]packFile{{name: content[15:21], content: []byte(content)}}, norm)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := parse("colloquy: 1\npack: base\nthresholds: {auto: 0.9, suggest: 0.5}\nvariables: {v: 旧}\nphrases: {fallback: 底}\nintents:\n" +
		"  - id: a\n    title: 甲题\n    ask: [甲, 共同]\n    answer: 旧答\n    test: [测试]\n    policy: {anger: soften}\n" +
		"  - id: b\n    ask: [乙]\n    answer: 乙答\n    policy: {anger: soften}\n  - id: c\n    ask: [丙]\n    answer: 丙答\n")
	top := parse("colloquy: 1\npack: top00\nextends: [base]\nthresholds: {auto: 0.8}\nvariables: {v: 新}\nintents:\n" +
		"  - id: a\n    ask: [甲二]\n    answer: 新答\n" +
		"  - id: b\n    replace: true\n    ask: [乙二, 共同]\n    policy: {anger: handover}\n  - id: c\n    disabled: true\n")
	c := &catalog{builtin: map[string]*pack{"base": base}, operator: map[string]*pack{"top00": top}}
	b, err := c.bundle([]string{"top00"}, norm)
	if err != nil {
		t.Fatal(err)
	}
	questions := func(id string) []string {
		var out []string
		for _, q := range b.topic(id).ask {
			out = append(out, q.text)
		}
		return out
	}
	if diff := cmp.Diff([]string{"甲", "甲二"}, questions("a")); diff != "" {
		t.Errorf("questions of a, whose contested one went to the upper pack (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"乙二", "共同"}, questions("b")); diff != "" {
		t.Errorf("replaced questions of b (-want +got):\n%s", diff)
	}
	a := b.topic("a")
	if a.answer["zh"] != "新答" || a.title["zh"] != "甲题" || a.thresholds.auto != 0.8 || a.thresholds.suggest != 0.5 {
		t.Errorf("layered intent a = %+v", a)
	}
	for id, want := range map[string]conversation.AngerPolicy{"a": conversation.AngerSoften, "b": conversation.AngerHandover} {
		if pb, _ := b.find(id, "zh"); pb.Anger != want {
			t.Errorf("anger of %s = %q, want %q", id, pb.Anger, want)
		}
	}
	if b.topic("c") != nil {
		t.Error("a disabled intent is there")
	}
	if b.variables["v"].value["zh"] != "新" || b.phrases["fallback"]["zh"] != "底" {
		t.Error("variables or phrases are not layered")
	}
}

func TestHandoffIsHandover(t *testing.T) {
	t.Parallel()
	k, err := parsePack([]packFile{{name: "a.yaml", content: []byte(`colloquy: 1
pack: a
lang: en
intents:
  - {id: one, answer: fine, ask: [first question], policy: {anger: handoff}}
  - {id: two, answer: fine, ask: [second question], policy: {anger: handover}}
`)}}, newNormalizer())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range k.intents {
		if in.anger != conversation.AngerHandover {
			t.Errorf("anger of %s = %q, want %q", in.id, in.anger, conversation.AngerHandover)
		}
	}
}

func TestExtendsInACircle(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	c := &catalog{builtin: map[string]*pack{}}
	for _, name := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[name]
		k, err := parsePack([]packFile{{name: name + ".yaml", content: []byte("colloquy: 1\npack: " + name + "\nextends: [" + other + "]\n")}}, norm)
		if err != nil {
			t.Fatal(err)
		}
		c.builtin[name] = k
	}
	if _, err := c.bundle([]string{"a"}, norm); err == nil || !strings.Contains(err.Error(), "a → b → a") {
		t.Errorf("circle: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(goodHead))
	f.Add([]byte(goodHead + "intents:\n  - id: a\n    ask: {zh: [甲]}\n    answer: '{x} {$.y}'\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("? {x: 1}\n: 2\n"))
	norm := newNormalizer()
	f.Fuzz(func(t *testing.T, content []byte) {
		k, err := parsePack([]packFile{{name: "p.yaml", content: content}}, norm)
		if err != nil {
			if !errors.Is(err, conversation.ErrInvalid) {
				t.Errorf("error without a class: %v", err)
			}
			return
		}
		c := &catalog{builtin: map[string]*pack{k.name: k}}
		if _, err := c.bundle([]string{k.name}, norm); err != nil && !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("error without a class: %v", err)
		}
	})
}
