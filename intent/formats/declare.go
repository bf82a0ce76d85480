package formats

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/intent"
)

// declare carries over variables and entities, so that answers may use them.
func (s *settler) declare() {
	for _, v := range s.options.Base.Variables {
		s.filled[v.Name] = true
	}
	for _, e := range s.options.Base.Entities {
		s.filled[e.Name] = true
	}
	for _, e := range s.entities {
		s.entity(e)
	}
	for _, v := range s.values {
		name := s.slotName(v.Name)
		taken := func(e intent.EntityContents) bool { return e.Name == name }
		if len(s.out.Variables) == intent.MaxVariables || slices.ContainsFunc(slices.Concat(s.out.Entities, s.options.Base.Entities), taken) {
			continue
		}
		s.slots[v.Name], s.filled[name] = name, true
		s.out.Variables = append(s.out.Variables, intent.VariableContents{Name: name, Value: v.Value})
	}
}

// slotName gives the name that an entity or variable has here.
func (s *settler) slotName(name string) string {
	if intent.IsName(name) {
		return name
	}
	if n := slug(name); n != "" {
		return n
	}
	return hashedSlug(name, s.canonical(name))
}

func (s *settler) entity(e *draftEntity) {
	name := s.slotName(e.name)
	out := intent.EntityContents{Name: name, Mask: e.mask, Ask: map[string]string{}}
	for _, r := range e.regex {
		s.pattern(&out, r)
	}
	for _, w := range e.words {
		text := oneLine(w.text)
		switch {
		case text == "" || slices.Contains(out.Words, text) || matches(&out, text):
		case len(text) > intent.MaxWordBytes || len(out.Words) == intent.MaxWords:
			s.leaveOut(w.at, text, fmt.Sprintf("entity %s has at most %d words of %d bytes", name, intent.MaxWords, intent.MaxWordBytes))
		default:
			out.Words = append(out.Words, text)
		}
	}
	for lang, q := range e.ask {
		if text := clean(q.text); text != "" && intent.IsLang(lang) && len(text) <= intent.MaxAnswerBytes {
			out.Ask[lang] = text
		}
	}
	switch {
	case s.filled[name]:
		s.slots[e.name] = name
		s.leaveOut(e.at, e.name, "an entity or variable of this name is there already, in this file or in a pack that it extends")
	case len(out.Regex)+len(out.Words) == 0:
		s.leaveOut(e.at, e.name, "the entity has neither a value nor a pattern")
	case len(s.out.Entities) == intent.MaxEntities:
		s.leaveOut(e.at, e.name, fmt.Sprintf("a pack has at most %d entities", intent.MaxEntities))
	default:
		s.slots[e.name], s.filled[name] = name, true
		s.out.Entities = append(s.out.Entities, out)
	}
}

// matches reports whether an expression of the entity finds all of a text, which
// then need not be a word.
func matches(e *intent.EntityContents, text string) bool {
	return slices.ContainsFunc(e.Regex, func(p string) bool {
		re, err := regexp.Compile(p)
		return err == nil && re.FindString(text) == text
	})
}

// pattern takes over a regular expression, if this program's kind can say it.
func (s *settler) pattern(out *intent.EntityContents, r sentence) {
	re, err := regexp.Compile(r.text)
	switch {
	case err != nil:
		s.leaveOut(r.at, r.text, "not an RE2 expression: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	case re.MatchString(""):
		s.leaveOut(r.at, r.text, "the expression matches nothing at all")
	case len(r.text) > intent.MaxPatternBytes || len(out.Regex) == intent.MaxPatterns:
		s.leaveOut(r.at, r.text, fmt.Sprintf("an entity has at most %d expressions of %d bytes", intent.MaxPatterns, intent.MaxPatternBytes))
	case !slices.Contains(out.Regex, r.text):
		out.Regex = append(out.Regex, r.text)
	}
}

// template makes an answer safe to say: what stands in braces is a variable or
// a slot here, so names that nothing fills are declared as empty variables, and
// other braces become full-width ones, which mean nothing.
func (s *settler) template(a sentence) string {
	text := clean(a.text)
	var b strings.Builder
	for {
		open := strings.IndexByte(text, '{')
		if open < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:open])
		end := strings.IndexByte(text[open:], '}')
		if end < 0 {
			s.change(a.at, text[open:], "a brace in an answer begins a variable; it became a full-width one")
			b.WriteString(strings.ReplaceAll(text[open:], "{", "｛"))
			return b.String()
		}
		inner := text[open+1 : open+end]
		b.WriteString(s.placeholder(a, inner))
		text = text[open+end+1:]
	}
}

func (s *settler) placeholder(a sentence, inner string) string {
	name := strings.TrimSpace(inner)
	if to, ok := s.slots[name]; ok {
		return "{" + to + "}"
	}
	if s.filled[name] {
		return "{" + name + "}"
	}
	to := slug(name)
	if to == "" || strings.ContainsAny(name, " {\n") || len(s.out.Variables) == intent.MaxVariables {
		s.change(a.at, "{"+inner+"}", "braces in an answer are for variables; these became full-width ones")
		return "｛" + strings.ReplaceAll(inner, "{", "｛") + "｝"
	}
	if !s.filled[to] {
		s.out.Variables = append(s.out.Variables, intent.VariableContents{Name: to, Value: map[string]string{s.lang: ""}})
	}
	s.slots[name], s.filled[to] = to, true
	s.change(a.at, "{"+inner+"}", "nothing fills it, so there is an empty variable of that name now; set it in the pack or in the inbox")
	return "{" + to + "}"
}
