package actors

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

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
		end := strings.IndexByte(template[open:], '}')
		if end < 0 {
			break
		}
		name := template[open+1 : open+end]
		b.WriteString(template[:open])
		if isName(name) {
			b.WriteString(value(name))
		} else {
			b.WriteString(template[open : open+end+1])
		}
		template = template[open+end+1:]
	}
	b.WriteString(template)
	return b.String()
}

func isName(s string) bool {
	if s == "" || len(s) > 128 {
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
		if v := values[name]; v != "" {
			return v
		}
		return unknownValue
	})
}

// fillURL fills a flow's URL. A variable at the very start is the base address
// and goes in as it is; everything else is escaped, so that a slot's value
// cannot reach another path or host. It reports false when a value is missing
// or the result is not an absolute http or https address.
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
		complete = complete && v != ""
		return url.PathEscape(v)
	})
	u, err := url.Parse(out)
	return out, complete && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// fillResponse fills a flow's reply: {$.a.b} reads the JSON response, other
// names are variables and slots.
func fillResponse(template string, values map[string]string, response any) string {
	return expand(template, func(name string) string {
		v := values[name]
		if path, ok := strings.CutPrefix(name, "$."); ok {
			v = lookUp(response, path)
		}
		if v == "" {
			return unknownValue
		}
		return v
	})
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
