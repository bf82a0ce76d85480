package actors

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// maxNameBytes bounds the names of variables, slots and paths in templates.
const maxNameBytes = 128

// expand replaces each {name} in a template by value(name), once: what is put in
// is not looked at again, so a visitor's name cannot become a template. A brace
// that opens no name stays as it is.
func expand(template string, value func(name string) string) string {
	if !strings.Contains(template, "{") {
		return template
	}
	var b strings.Builder
	for {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(template[open:min(len(template), open+maxNameBytes+2)], '}')
		if end < 0 || !isName(template[open+1:open+end]) {
			b.WriteString(template[:open+1])
			template = template[open+1:]
			continue
		}
		b.WriteString(template[:open])
		b.WriteString(value(template[open+1 : open+end]))
		template = template[open+end+1:]
	}
	b.WriteString(template)
	return b.String()
}

func isName(s string) bool {
	if s == "" || len(s) > maxNameBytes {
		return false
	}
	for _, r := range s {
		if r <= ' ' || strings.ContainsRune(`{}"'<>`, r) {
			return false
		}
	}
	return true
}

// unknownValue stands for what nobody knows, in a sentence that expected it.
const unknownValue = "—"

// fillText fills variables and slots into an answer.
func fillText(template string, values map[string]string) string {
	return expand(template, func(name string) string {
		return orUnknown(values[name])
	})
}

func orUnknown(v string) string { return cmp.Or(v, unknownValue) }

// fillURL fills a flow's URL. A variable at the very start is the base address
// and goes in as it is; everything else is escaped, so that a slot's value
// cannot reach another path or host, nor add a parameter. It reports false when
// a value is missing or the result is no absolute http or https address of the
// base's host.
func fillURL(template string, variables, values map[string]string) (string, bool) {
	complete := true
	base := ""
	if rest, ok := strings.CutPrefix(template, "{"); ok {
		if name, tail, ok := strings.Cut(rest, "}"); ok && isName(name) {
			base, template = strings.TrimRight(variables[name], "/"), tail
			complete = base != ""
		}
	}
	out := base + expand(template, func(name string) string {
		v := values[name]
		// Dots alone would climb up the path, escaped or not.
		complete = complete && v != "" && v != "." && v != ".."
		return escapeEverything(v)
	})
	u, err := url.Parse(out)
	complete = complete && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	if complete && base != "" {
		b, err := url.Parse(base)
		complete = err == nil && u.Host == b.Host
	}
	return out, complete
}

// escapeEverything leaves only letters, digits and "-._~" as they are, so that
// its result is one value in a path and in a query alike.
func escapeEverything(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// fillResponse fills a flow's reply: {$.a.b} reads the JSON response, other
// names are variables and slots. A part in double brackets is said only if
// everything in it is known: an order that is being packed has no waybill yet.
func fillResponse(template string, values map[string]string, response any) string {
	value := func(name string) string {
		if path, ok := strings.CutPrefix(name, "$."); ok {
			return lookUp(response, path)
		}
		return values[name]
	}
	return expand(keepKnown(template, value), func(name string) string { return orUnknown(value(name)) })
}

// keepKnown takes the brackets off the optional parts of a template whose names
// all have a value, and drops the others.
func keepKnown(template string, value func(name string) string) string {
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(template, "[[")
		part, after, closed := strings.Cut(rest, "]]")
		if !open || !closed {
			b.WriteString(template)
			return b.String()
		}
		known := true
		expand(part, func(name string) string {
			known = known && value(name) != ""
			return ""
		})
		b.WriteString(before)
		if known {
			b.WriteString(part)
		}
		template = after
	}
}

// lookUp follows a path such as items.0.name or items[0].name through decoded
// JSON; what is not there gives "".
func lookUp(v any, path string) string {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return ""
			}
			v = x[i]
		default:
			return ""
		}
	}
	return plain(v)
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any, map[string]any:
		return "" // a structure is nothing to say
	}
	return fmt.Sprint(v)
}
