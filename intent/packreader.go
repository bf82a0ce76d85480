package intent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// packReader walks the YAML nodes of one file. It knows shapes, not meaning:
// packfile.go says which keys exist.
type packReader struct {
	*problems
	file string
	lang string // of plain text values
}

func (r *packReader) at(n *yaml.Node) place { return place{file: r.file, line: n.Line} }

func (r *packReader) fail(n *yaml.Node, format string, args ...any) { r.add(r.at(n), format, args...) }

// fields calls the function of each key of a mapping. Unknown and repeated
// keys are problems.
func (r *packReader) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	r.entries(n, what, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		if !ok {
			r.fail(key, "%s has no key %q; its keys are %s", what, key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return
		}
		read(value)
	})
}

// entries calls fn for each pair of a mapping, in the order of the file.
func (r *packReader) entries(n *yaml.Node, what string, fn func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s is %s, it has to be a mapping of keys to values", what, kindName(n))
		return
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "a key of %s is %s", what, kindName(key))
			continue
		}
		if first, ok := seen[key.Value]; ok {
			r.fail(key, "%s has the key %q twice, first in line %d", what, key.Value, first)
			continue
		}
		seen[key.Value] = key.Line
		fn(key, value)
	}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (not supported)"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "empty"
		}
		return "a single value"
	case yaml.DocumentNode:
		return "a document"
	}
	return "nothing"
}

// scalar gives a single value as written.
func (r *packReader) scalar(n *yaml.Node, what string, limit int) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.fail(n, "%s is %s, it has to be a single value", what, kindName(n))
		return "", false
	}
	if len(n.Value) > limit {
		r.fail(n, "%s has %d bytes, the limit is %d", what, len(n.Value), limit)
		return "", false
	}
	return n.Value, true
}

// filled is scalar for values that must hold something.
func (r *packReader) filled(n *yaml.Node, what string, limit int) (string, bool) {
	s, ok := r.scalar(n, what, limit)
	if ok && strings.TrimSpace(s) == "" {
		r.fail(n, "%s is empty", what)
		return "", false
	}
	return s, ok
}

// name reads an identifier.
func (r *packReader) name(n *yaml.Node, what string) string {
	s, ok := r.scalar(n, what, maxNameBytes)
	if !ok {
		return ""
	}
	if !isName(s) {
		r.fail(n, "%s %q is not a name: lower-case letters, digits, and _ - . inside", what, s)
		return ""
	}
	return s
}

func isName(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		inner := i > 0 && (c == '_' || c == '-' || c == '.')
		if !letter && !inner {
			return false
		}
	}
	return true
}

// truth reads true or false.
func (r *packReader) truth(n *yaml.Node, what string) flag {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" {
		switch strings.ToLower(n.Value) {
		case "true":
			return flagYes
		case "false":
			return flagNo
		}
	}
	r.fail(n, "%s has to be true or false", what)
	return flagUnset
}

// share reads a number from 0 to 1.
func (r *packReader) share(n *yaml.Node, what string) float32 {
	var f float64
	if n.Kind != yaml.ScalarNode || n.Decode(&f) != nil || !(f >= 0 && f <= 1) {
		r.fail(n, "%s has to be a number from 0 to 1", what)
		return notStated
	}
	return float32(f)
}

// list reads a list of values that must not be empty.
func (r *packReader) list(n *yaml.Node, what string, l listLimits) []line {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s is %s, it has to be a list", what, kindName(n))
		return nil
	}
	if len(n.Content) == 0 {
		r.fail(n, "%s is an empty list", what)
		return nil
	}
	if len(n.Content) > l.count {
		r.fail(n, "%s has %d entries, the limit is %d", what, len(n.Content), l.count)
		return nil
	}
	out := make([]line, 0, len(n.Content))
	for _, c := range n.Content {
		if s, ok := r.filled(c, "an entry of "+what, l.bytes); ok {
			out = append(out, line{text: s, at: r.at(c)})
		}
	}
	return out
}

// listLimits bound a list.
type listLimits struct{ count, bytes int }

// names reads a list of identifiers without repetitions.
func (r *packReader) names(n *yaml.Node, what string, limit int) []string {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s is %s, it has to be a list", what, kindName(n))
		return nil
	}
	if len(n.Content) == 0 {
		r.fail(n, "%s is an empty list", what)
	}
	if len(n.Content) > limit {
		r.fail(n, "%s has %d entries, the limit is %d", what, len(n.Content), limit)
		return nil
	}
	var out []string
	for _, c := range n.Content {
		s := r.name(c, "an entry of "+what)
		switch {
		case s == "":
		case slices.Contains(out, s):
			r.fail(c, "%s names %q twice", what, s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// byLanguage calls fn for each language of a value: for the entries of a
// mapping, or once with the file's language for anything else.
func (r *packReader) byLanguage(n *yaml.Node, what string, fn func(lang string, n *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		fn(r.lang, n)
		return
	}
	if len(n.Content) == 0 {
		r.fail(n, "%s is empty", what)
	}
	r.entries(n, what, func(key, value *yaml.Node) {
		if !isLang(key.Value) {
			r.fail(key, "%s has the key %q, which is not a language such as zh or en", what, key.Value)
			return
		}
		fn(key.Value, value)
	})
}

// isLang reports whether s is a primary language tag.
func isLang(s string) bool {
	if len(s) < 2 || len(s) > 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// texts reads a text by language.
func (r *packReader) texts(n *yaml.Node, what string, limit int) texts {
	out := texts{}
	r.byLanguage(n, what, func(lang string, n *yaml.Node) {
		if s, ok := r.filled(n, what, limit); ok {
			out[lang] = strings.TrimRight(s, "\n")
		}
	})
	return out
}

// lists reads questions by language.
func (r *packReader) lists(n *yaml.Node, what string) lists {
	out := lists{}
	r.byLanguage(n, what, func(lang string, n *yaml.Node) {
		out[lang] = r.list(n, what, listLimits{count: maxQuestionsPerIntent, bytes: maxQuestionBytes})
	})
	return out
}

// langs lists the languages in stable order.
func langs[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// describe is how a place is named inside a message about another place.
func (p place) describe() string { return fmt.Sprintf("%s:%d", cmp.Or(p.file, "?"), p.line) }
