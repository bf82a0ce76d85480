package formats

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/intent"
)

// writeRasa writes a project for Rasa 3: examples, domain and one rule for each
// answer. A project has one language, so packs in several become a folder each.
func writeRasa(c *intent.Contents) (Output, error) {
	o := Output{}
	all := map[string]bool{}
	for i := range c.Intents {
		for lang := range c.Intents[i].Ask {
			all[lang] = true
		}
	}
	for _, lang := range slices.Sorted(maps.Keys(all)) {
		w := &rasaWriter{contents: c, lang: lang, out: &o}
		dir := ""
		if len(all) > 1 {
			dir = lang
		}
		for _, f := range []struct {
			name string
			node *yaml.Node
		}{{"config.yml", w.config()}, {"domain.yml", w.domain()}, {"data/nlu.yml", w.nlu()}, {"data/rules.yml", w.rules()}} {
			b, err := encodeYAML(f.node)
			if err != nil {
				return o, err
			}
			o.Files = append(o.Files, OutputFile{Name: path.Join(dir, f.name), Content: b})
		}
	}
	for i := range c.Intents {
		x := &c.Intents[i]
		for lang := range x.Answer {
			if len(x.Ask[lang]) == 0 {
				o.leaveOut("intent "+x.ID, x.Answer[lang], "no question in "+lang+" leads to the answer")
			}
		}
		if x.Background && x.ID != "out_of_scope" {
			o.leaveOut("intent "+x.ID, "background", "Rasa knows such an intent as out_of_scope only; it is one like the others there")
		}
		if len(x.Not)+len(x.Test) > 0 {
			o.leaveOut("intent "+x.ID, "not, test", "training data of Rasa has neither counterexamples nor test questions")
		}
	}
	o.leaveOutRest(c, "Rasa's training data")
	return o, nil
}

// rasaWriter writes the project of one language.
type rasaWriter struct {
	contents *intent.Contents
	lang     string
	out      *Output
}

// pick gives a text in the project's language.
func (w *rasaWriter) pick(t map[string]string) string {
	if s, ok := t[w.lang]; ok {
		return s
	}
	for _, lang := range slices.Sorted(maps.Keys(t)) {
		return t[lang]
	}
	return ""
}

func (w *rasaWriter) document() *mapping {
	m := newMapping(w.lang)
	m.put("version", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "3.1", Style: yaml.DoubleQuotedStyle})
	return m
}

func (w *rasaWriter) config() *yaml.Node {
	m := newMapping(w.lang)
	m.text("recipe", "default.v1")
	m.text("language", w.lang)
	return &m.node
}

// asked lists the intents that have questions in the language.
func (w *rasaWriter) asked() []*intent.IntentContents {
	var out []*intent.IntentContents
	for i := range w.contents.Intents {
		if x := &w.contents.Intents[i]; len(x.Ask[w.lang]) > 0 {
			out = append(out, x)
		}
	}
	return out
}

func (w *rasaWriter) domain() *yaml.Node {
	m := w.document()
	var names, entities []string
	for _, x := range w.asked() {
		names = append(names, x.ID)
	}
	for _, e := range w.contents.Entities {
		entities = append(entities, e.Name)
	}
	m.put("intents", listNode(names, 0))
	if len(entities) > 0 {
		m.put("entities", listNode(entities, 0))
	}
	m.inner("slots", func(in *mapping) {
		for _, e := range w.contents.Entities {
			in.inner(e.Name, func(s *mapping) { s.slot("", "from_entity", e.Name) })
		}
		for _, v := range w.contents.Variables {
			in.inner(v.Name, func(s *mapping) { s.slot(w.pick(v.Value), "custom", "") })
		}
	})
	m.inner("responses", func(in *mapping) {
		for _, x := range w.asked() {
			if x.Answer[w.lang] != "" {
				in.put("utter_"+x.ID, w.response(x))
			}
		}
	})
	return &m.node
}

// slot writes a slot of a text.
func (m *mapping) slot(start, kind, entity string) {
	m.text("type", "text")
	m.text("initial_value", start)
	from := newMapping(m.lang)
	from.text("type", kind)
	from.text("entity", entity)
	m.put("mappings", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{&from.node}})
}

func (w *rasaWriter) response(x *intent.IntentContents) *yaml.Node {
	variant := newMapping(w.lang)
	variant.text("text", x.Answer[w.lang])
	if len(x.Buttons) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, id := range x.Buttons {
			b := newMapping(w.lang)
			b.text("title", w.title(id))
			b.text("payload", "/"+id)
			list.Content = append(list.Content, &b.node)
		}
		variant.put("buttons", list)
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{&variant.node}}
}

// title gives what a button for an intent says.
func (w *rasaWriter) title(id string) string {
	for i := range w.contents.Intents {
		if x := &w.contents.Intents[i]; x.ID == id {
			if t := w.pick(x.Title); t != "" {
				return t
			}
		}
	}
	return id
}

func (w *rasaWriter) nlu() *yaml.Node {
	m := w.document()
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	add := func(kind, name string, lines []string) {
		if len(lines) == 0 {
			return
		}
		var b strings.Builder
		for _, l := range lines {
			fmt.Fprintf(&b, "- %s\n", oneLine(l))
		}
		in := newMapping(w.lang)
		in.text(kind, name)
		in.put("examples", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: b.String(), Style: yaml.LiteralStyle})
		list.Content = append(list.Content, &in.node)
	}
	for _, x := range w.asked() {
		add("intent", x.ID, w.plain(x))
	}
	for _, e := range w.contents.Entities {
		add("lookup", e.Name, e.Words)
		add("regex", e.Name, e.Regex)
	}
	m.put("nlu", list)
	return &m.node
}

// plain gives the questions without what Rasa would take for a marked entity.
func (w *rasaWriter) plain(x *intent.IntentContents) []string {
	var out []string
	for _, q := range x.Ask[w.lang] {
		if entityMark.MatchString(q) {
			w.out.Remarks = append(w.out.Remarks, Remark{
				Kind: Changed, At: "intent " + x.ID, What: shorten(q), Why: "Rasa would read the brackets as an entity; there is a space between them now",
			})
			q = strings.NewReplacer("](", "] (", "]{", "] {").Replace(q)
		}
		out = append(out, q)
	}
	return out
}

func (w *rasaWriter) rules() *yaml.Node {
	m := w.document()
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, x := range w.asked() {
		if x.Answer[w.lang] == "" {
			continue
		}
		steps := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, s := range [][2]string{{"intent", x.ID}, {"action", "utter_" + x.ID}} {
			step := newMapping(w.lang)
			step.text(s[0], s[1])
			steps.Content = append(steps.Content, &step.node)
		}
		rule := newMapping(w.lang)
		rule.text("rule", "answer "+x.ID)
		rule.put("steps", steps)
		list.Content = append(list.Content, &rule.node)
	}
	m.put("rules", list)
	return &m.node
}
