package formats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/intent"
)

// maxPackPart is the size above which a pack is written as several files; a
// pack file may have four times as much.
const maxPackPart = intent.MaxPackFileBytes / 4

// writeYAML writes a pack as the program reads it: one file, or a folder of
// several when it is large.
func writeYAML(c *intent.Contents) (Output, error) {
	whole, err := encodeYAML(packNode(c))
	if err != nil {
		return Output{}, err
	}
	if len(whole) <= maxPackPart {
		return Output{Files: []OutputFile{{Name: c.Name + ".yaml", Content: whole}}}, nil
	}
	head := *c
	head.Intents = nil
	first, err := encodeYAML(packNode(&head))
	if err != nil {
		return Output{}, err
	}
	out := Output{Files: []OutputFile{{Name: c.Name + "/pack.yaml", Content: first}}}
	var part intent.Contents
	size := 0
	flush := func() error {
		b, err := encodeYAML(packNode(&part))
		out.Files = append(out.Files, OutputFile{Name: fmt.Sprintf("%s/intents-%02d.yaml", c.Name, len(out.Files)), Content: b})
		part, size = intent.Contents{}, 0
		return err
	}
	for _, x := range c.Intents {
		part.Name, part.Lang, part.Intents = c.Name, c.Lang, append(part.Intents, x)
		if size += intentSize(&x); size > maxPackPart {
			if err := flush(); err != nil {
				return Output{}, err
			}
		}
	}
	if len(part.Intents) == 0 {
		return out, nil
	}
	return out, flush()
}

// intentSize guesses how many bytes an intent takes in a file.
func intentSize(x *intent.IntentContents) int {
	n := 500
	for _, lists := range []map[string][]string{x.Ask, x.Not, x.Test} {
		for _, list := range lists {
			for _, s := range list {
				n += len(s) + 12
			}
		}
	}
	for _, s := range x.Answer {
		n += len(s)
	}
	return n
}

func encodeYAML(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), e.Close()
}

// writeJSON writes the same as JSON, for other programs.
func writeJSON(c *intent.Contents) (Output, error) {
	var compact, b bytes.Buffer
	if err := encodeJSON(&compact, packNode(c)); err != nil {
		return Output{}, err
	}
	if err := json.Indent(&b, compact.Bytes(), "", "  "); err != nil {
		return Output{}, fmt.Errorf("write JSON: %w", err)
	}
	b.WriteByte('\n')
	return Output{Files: []OutputFile{{Name: c.Name + ".json", Content: b.Bytes()}}}, nil
}

// encodeJSON writes a YAML node as JSON, in its order.
func encodeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encodeJSON(b, n.Content[i]); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := encodeJSON(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encodeJSON(b, c); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	if n.Tag != "!!str" {
		b.WriteString(n.Value)
		return nil
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(n.Value)
}

// mapping builds a YAML mapping key by key.
type mapping struct {
	node yaml.Node
	lang string // of texts that are written without one
}

func newMapping(lang string) *mapping {
	return &mapping{node: yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, lang: lang}
}

func (m *mapping) put(key string, value *yaml.Node) {
	m.node.Content = append(m.node.Content, textNode(key), value)
}

func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.Contains(s, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

func listNode(items []string, style yaml.Style) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: style}
	for _, s := range items {
		n.Content = append(n.Content, textNode(s))
	}
	return n
}

func (m *mapping) text(key, value string) {
	if value != "" {
		m.put(key, textNode(value))
	}
}

func (m *mapping) names(key string, items []string) {
	if len(items) > 0 {
		m.put(key, listNode(items, yaml.FlowStyle))
	}
}

func (m *mapping) truth(key string, value bool) { //nolint:revive // a value to write, not a choice of what to do
	if value {
		m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"})
	}
}

func (m *mapping) share(key string, value *float32) {
	if value != nil {
		m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(float64(*value), 'f', -1, 32)})
	}
}

// texts writes a text by language: alone when it is in the main one only.
func (m *mapping) texts(key string, t map[string]string) {
	if len(t) == 0 {
		return
	}
	if s, ok := t[m.lang]; ok && len(t) == 1 {
		m.put(key, textNode(s))
		return
	}
	by := newMapping(m.lang)
	for _, lang := range slices.Sorted(maps.Keys(t)) {
		by.put(lang, textNode(t[lang]))
	}
	m.put(key, &by.node)
}

func (m *mapping) lists(key string, t map[string][]string) {
	if len(t) == 0 {
		return
	}
	if s, ok := t[m.lang]; ok && len(t) == 1 {
		m.put(key, listNode(s, 0))
		return
	}
	by := newMapping(m.lang)
	for _, lang := range slices.Sorted(maps.Keys(t)) {
		by.put(lang, listNode(t[lang], 0))
	}
	m.put(key, &by.node)
}

func (m *mapping) inner(key string, fill func(in *mapping)) {
	in := newMapping(m.lang)
	fill(in)
	if len(in.node.Content) > 0 {
		m.put(key, &in.node)
	}
}

// packNode writes contents as the document of a pack file.
func packNode(c *intent.Contents) *yaml.Node {
	m := newMapping(c.Lang)
	m.put("colloquy", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: "1"})
	m.text("pack", c.Name)
	m.names("extends", c.Extends)
	m.text("lang", c.Lang)
	m.inner("thresholds", func(t *mapping) {
		t.share("auto", c.Auto)
		t.share("suggest", c.Suggest)
	})
	m.inner("variables", func(in *mapping) {
		for _, v := range c.Variables {
			in.texts(v.Name, v.Value)
		}
	})
	m.inner("entities", func(in *mapping) {
		for i := range c.Entities {
			in.inner(c.Entities[i].Name, func(e *mapping) { e.entity(&c.Entities[i]) })
		}
	})
	if len(c.Intents) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range c.Intents {
			in := newMapping(c.Lang)
			in.intent(&c.Intents[i])
			list.Content = append(list.Content, &in.node)
		}
		m.put("intents", list)
	}
	m.inner("flows", func(in *mapping) {
		for i := range c.Flows {
			in.inner(c.Flows[i].Name, func(f *mapping) { f.flow(&c.Flows[i]) })
		}
	})
	m.inner("phrases", func(in *mapping) {
		for _, name := range slices.Sorted(maps.Keys(c.Phrases)) {
			in.texts(name, c.Phrases[name])
		}
	})
	return &m.node
}

func (m *mapping) entity(e *intent.EntityContents) {
	if len(e.Regex) > 0 {
		m.put("regex", listNode(e.Regex, 0))
	}
	if len(e.Words) > 0 {
		m.put("words", listNode(e.Words, 0))
	}
	m.truth("mask", e.Mask)
	m.texts("ask", e.Ask)
	if len(e.Mistaken) > 0 {
		by := newMapping(m.lang)
		for _, other := range slices.Sorted(maps.Keys(e.Mistaken)) {
			by.texts(other, e.Mistaken[other])
		}
		m.put("mistaken", &by.node)
	}
}

func (m *mapping) intent(x *intent.IntentContents) {
	m.text("id", x.ID)
	m.texts("title", x.Title)
	m.truth("background", x.Background)
	m.lists("ask", x.Ask)
	m.lists("not", x.Not)
	m.texts("answer", x.Answer)
	m.names("buttons", x.Buttons)
	m.names("need", x.Need)
	m.text("flow", x.Flow)
	m.inner("policy", func(p *mapping) {
		p.share("auto", x.Auto)
		p.share("suggest", x.Suggest)
		p.truth("handover", x.Handover)
		p.text("priority", x.Priority)
		p.text("anger", x.Anger)
	})
	m.lists("test", x.Test)
}

func (m *mapping) flow(f *intent.FlowContents) {
	m.names("slots", f.Slots)
	m.inner("http", func(h *mapping) {
		h.text("method", f.Method)
		h.text("url", f.URL)
		h.inner("headers", func(in *mapping) {
			for _, name := range slices.Sorted(maps.Keys(f.Headers)) {
				in.put(name, textNode(f.Headers[name]))
			}
		})
		if f.Timeout > 0 {
			h.text("timeout", f.Timeout.String())
		}
	})
	m.texts("reply", f.Reply)
	m.texts("not_found", f.NotFound)
	m.texts("failed", f.Failed)
}
