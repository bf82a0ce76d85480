package formats

import (
	"regexp"
	"slices"
	"strings"
)

// annotation is an entity that an example marks.
type annotation struct {
	entity, value, surface string
	role                   bool // it says a role or group as well
}

var entityMark = regexp.MustCompile(`\[([^\]\[]+)\](?:\(([^()\s]+)\)|(\{[^{}]*\}))`)

// unmark takes the marks of entities out of an example:
// [SF](carrier), [SF](carrier:sf) and [SF]{"entity": "carrier", "value": "sf"}.
func unmark(text string) (plain string, found []annotation) {
	plain = entityMark.ReplaceAllStringFunc(text, func(m string) string {
		part := entityMark.FindStringSubmatch(m)
		a := annotation{surface: part[1], value: part[1]}
		if part[2] != "" {
			entity, value, has := strings.Cut(part[2], ":")
			a.entity = entity
			if has {
				a.value = value
			}
		} else {
			n, err := parseJSON("", []byte(part[3]))
			if err != nil || n.str("entity") == "" {
				return m // not a mark but text
			}
			a.entity, a.role = n.str("entity"), n.has("role") || n.has("group")
			if v := n.str("value"); v != "" {
				a.value = v
			}
		}
		found = append(found, a)
		return a.surface
	})
	return plain, found
}

// annotated takes the value of a marked entity over.
func (r *rasaReader) annotated(a annotation, at Place) {
	if a.entity == "" || a.surface == "" {
		return
	}
	r.entityOf(a.entity, at).word(a.surface, at)
	r.meanings[a.value] = a.entity
	if a.value != a.surface {
		r.once("value "+a.entity, func() {
			r.change(at, a.entity, "an entity gives what the visitor wrote; the values that its synonyms stand for are not carried over")
		})
	}
	if a.role {
		r.once("role "+a.entity, func() { r.leaveOut(at, a.entity, "entities have no roles or groups here") })
	}
}

// nlu reads one entry under nlu: an intent, a synonym, a regex, a look-up.
func (r *rasaReader) nlu(file string, n *node) {
	examples := exampleLines(file, n.get("examples"))
	switch at := n.at(file); {
	case n.has("intent"):
		r.examples(n.str("intent"), at, examples, r.langIn(file))
	case n.has("synonym"):
		r.synonyms = append(r.synonyms, rasaSynonym{value: n.str("synonym"), words: examples, at: at})
	case n.has("regex"):
		r.patterns = append(r.patterns, rasaPattern{name: n.str("regex"), regex: examples, at: at})
	case n.has("lookup"):
		r.lookup(n.str("lookup"), at, examples)
	case n.kind == nodeMap && len(n.names) > 0:
		r.leaveOut(at, n.names[0], "this kind of training data has no counterpart in a pack")
	}
}

func (r *rasaReader) examples(name string, at Place, lines []sentence, lang string) {
	if name == "" {
		r.leaveOut(at, "", "the intent has no name")
		return
	}
	x := r.intentOf(name, at)
	x.label = name
	for _, l := range lines {
		plain, marks := unmark(l.text)
		for _, a := range marks {
			r.annotated(a, l.at)
		}
		x.ask = append(x.ask, r.say(plain, lang, l.at))
	}
}

// exampleLines reads examples: a block of lines that begin with a dash, or a
// list of texts or of mappings with a text.
func exampleLines(file string, n *node) []sentence {
	if n == nil {
		return nil
	}
	if n.kind == nodeList {
		var out []sentence
		for _, item := range n.items {
			text := item.string()
			if item != nil && item.kind == nodeMap {
				text = item.str("text")
			}
			out = append(out, dashed(text, item.at(file))...)
		}
		return out
	}
	at := n.at(file)
	if n.block {
		at.Line++
	}
	return dashed(n.text, at)
}

// dashed parts a text into the entries of a list. A line without a dash goes on
// with the entry above; a text without any dash is one entry.
func dashed(text string, at Place) []sentence {
	var out []sentence
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		item, isItem := strings.CutPrefix(line, "- ")
		if line == "-" {
			item, isItem = "", true
		}
		switch {
		case line == "":
		case isItem:
			out = append(out, sentence{text: strings.TrimSpace(item), at: Place{File: at.File, Line: at.Line + i}})
		case len(out) > 0:
			out[len(out)-1].text += " " + line
		default:
			out = append(out, sentence{text: line, at: at})
		}
	}
	return slices.DeleteFunc(out, func(s sentence) bool { return s.text == "" })
}

func (r *rasaReader) lookup(name string, at Place, lines []sentence) {
	e := r.entityOf(name, at)
	for _, l := range lines {
		e.word(l.text, l.at)
	}
}

// joinEntities gives regexes and synonyms to the entities that they belong to.
func (r *rasaReader) joinEntities() {
	for _, p := range r.patterns {
		i := slices.IndexFunc(r.entities, func(e *draftEntity) bool { return e.name == p.name })
		if i < 0 && r.declared[p.name] {
			r.entityOf(p.name, p.at)
			i = len(r.entities) - 1
		}
		if i < 0 {
			r.leaveOut(p.at, p.name, "the regex belongs to no entity; as a hint for the classifier it has no counterpart in a pack")
			continue
		}
		r.entities[i].regex = append(r.entities[i].regex, p.regex...)
	}
	for _, s := range r.synonyms {
		i := slices.IndexFunc(r.entities, func(e *draftEntity) bool {
			return e.name == r.meanings[s.value] || slices.ContainsFunc(e.words, func(w sentence) bool {
				return w.text == s.value || slices.ContainsFunc(s.words, func(x sentence) bool { return x.text == w.text })
			})
		})
		if i < 0 {
			r.leaveOut(s.at, s.value, "the synonym belongs to no value of an entity")
			continue
		}
		for _, w := range s.words {
			r.entities[i].word(w.text, w.at)
		}
		r.change(s.at, s.value, "its synonyms are words of entity "+r.entities[i].name+" now; an entity gives what the visitor wrote, not the value that it stands for")
	}
}
