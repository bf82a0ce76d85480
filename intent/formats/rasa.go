package formats

import (
	"path"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// rasaReader reads a Rasa project: examples from nlu files, texts from the
// domain, and from rules and stories which text answers which intent. A
// project has one language; folders with a config.yml of their own are projects
// of their own, whose intents of one name are one intent in several languages.
type rasaReader struct {
	*draft

	in        *Input
	langs     map[string]string          // by folder
	responses map[string][]*rasaResponse // by name
	flows     map[string][]rasaFlow      // by intent
	domain    []sentence                 // intents that a domain declares
	declared  map[string]bool            // entities that it does
	synonyms  []rasaSynonym
	patterns  []rasaPattern
	meanings  map[string]string // values that marked entities stand for → entity
	noted     map[string]bool   // remarks that are made once
}

// rasaResponse is a response in one language, all its variants.
type rasaResponse struct {
	name     string
	lang     string
	at       Place
	variants []rasaVariant
	used     bool
}

type rasaVariant struct {
	text    string
	buttons []sentence
	at      Place
}

// rasaFlow is what follows an intent in a rule or story.
type rasaFlow struct {
	actions []sentence
	rank    int // rules without conditions first, then first turns of stories, then others
}

type rasaSynonym struct {
	value string
	words []sentence
	at    Place
}

type rasaPattern struct {
	name  string
	regex []sentence
	at    Place
}

// Ranks of flows.
const (
	rankRule = iota
	rankFirst
	rankLater
)

// readRasa reads .yml, .md and .json files of one or more Rasa projects.
func readRasa(in *Input, d *draft) error {
	r := &rasaReader{
		draft: d, in: in, langs: map[string]string{}, responses: map[string][]*rasaResponse{}, flows: map[string][]rasaFlow{}, noted: map[string]bool{}, declared: map[string]bool{}, meanings: map[string]string{},
	}
	docs := map[*inputFile]*node{}
	files := in.ending(".yml", ".yaml", ".json", ".md")
	for _, f := range files {
		n, err := parseDocument(f)
		if err != nil {
			return err
		}
		docs[f] = n
		if l := langOf(n.str("language")); intent.IsLang(l) && (n.has("pipeline") || n.has("policies") || n.has("recipe") || n.has("language")) {
			r.langs[path.Dir(f.name)] = l
		}
	}
	for _, f := range files {
		switch {
		case strings.HasSuffix(strings.ToLower(f.name), ".md"):
			f.read = r.markdown(f) || f.read
		case isRasaDocument(docs[f]):
			f.read = true
			r.document(f.name, docs[f])
		}
	}
	if len(d.intents) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "%s holds no Rasa training data (nlu:, ## intent:, rasa_nlu_data)", in.name)
	}
	r.join()
	return nil
}

// parseDocument parses YAML and JSON; Markdown has no tree.
func parseDocument(f *inputFile) (*node, error) {
	switch strings.ToLower(path.Ext(f.name)) {
	case ".json":
		return parseJSON(f.name, f.content)
	case ".yml", ".yaml":
		return parseYAML(f.name, f.content)
	}
	return nil, nil //nolint:nilnil // the nil node stands for nothing
}

func isRasaDocument(n *node) bool {
	if n.has("colloquy") {
		return false // a pack has intents, too
	}
	return slices.ContainsFunc([]string{"nlu", "responses", "templates", "rules", "stories", "rasa_nlu_data", "intents", "slots"}, n.has)
}

// langIn gives the language of a file: that of the nearest config above it.
func (r *rasaReader) langIn(file string) string {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if l := r.langs[dir]; l != "" {
			return l
		}
		if dir == "." || dir == "/" {
			break
		}
	}
	// data/nlu.yml and config.yml stand side by side below one folder.
	if len(r.langs) == 1 {
		for _, l := range r.langs {
			return l
		}
	}
	return ""
}

func (r *rasaReader) document(file string, n *node) {
	for _, item := range n.get("nlu").list() {
		r.nlu(file, item)
	}
	for _, key := range []string{"responses", "templates"} {
		if m := n.get(key); m != nil && m.kind == nodeMap {
			for i, name := range m.names {
				r.response(file, name, m.items[i])
			}
		}
	}
	for _, item := range n.get("rules").list() {
		rank := rankRule
		if item.has("condition") {
			rank = rankLater
		}
		r.steps(file, item.get("steps"), rank)
	}
	for _, item := range n.get("stories").list() {
		r.steps(file, item.get("steps"), rankFirst)
	}
	for _, item := range n.get("intents").list() {
		name := item.string()
		if item != nil && item.kind == nodeMap && len(item.names) == 1 {
			name = item.names[0]
		}
		r.domain = append(r.domain, sentence{text: name, at: item.at(file)})
	}
	for _, item := range n.get("entities").list() {
		if name := item.string(); name != "" {
			r.declared[name] = true
		} else if item != nil && len(item.names) == 1 {
			r.declared[item.names[0]] = true
		}
	}
	r.slotsOf(file, n.get("slots"))
	r.legacyJSON(file, n.get("rasa_nlu_data"))
}

// slotsOf takes slots with a text to begin with as variables, which answers may
// use.
func (r *rasaReader) slotsOf(file string, slots *node) {
	if slots == nil || slots.kind != nodeMap {
		return
	}
	for i, name := range slots.names {
		start := slots.items[i].get("initial_value")
		if start == nil || start.string() == "" {
			continue
		}
		lang := r.say(start.text, r.langIn(file), Place{}).lang
		if !intent.IsLang(lang) {
			lang = "zh"
		}
		found := slices.IndexFunc(r.values, func(v intent.VariableContents) bool { return v.Name == name })
		if found < 0 {
			r.values = append(r.values, intent.VariableContents{Name: name, Value: map[string]string{}})
			found = len(r.values) - 1
		}
		if _, ok := r.values[found].Value[lang]; !ok {
			r.values[found].Value[lang] = start.text
		}
	}
}

// legacyJSON reads the form that came before nlu.md.
func (r *rasaReader) legacyJSON(file string, n *node) {
	if n == nil {
		return
	}
	for _, ex := range n.get("common_examples").list() {
		at := ex.at(file)
		if ex.str("intent") == "" {
			r.leaveOut(at, ex.str("text"), "the example has no intent")
			continue
		}
		x := r.intentOf(ex.str("intent"), at)
		x.label = x.key
		x.ask = append(x.ask, r.say(ex.str("text"), r.langIn(file), at))
		for _, e := range ex.get("entities").list() {
			r.annotated(annotation{entity: e.str("entity"), value: e.str("value"), surface: e.str("value")}, e.at(file))
		}
	}
	for _, s := range n.get("entity_synonyms").list() {
		syn := rasaSynonym{value: s.str("value"), at: s.at(file)}
		for _, w := range s.get("synonyms").list() {
			syn.words = append(syn.words, sentence{text: w.string(), at: w.at(file)})
		}
		r.synonyms = append(r.synonyms, syn)
	}
	for _, f := range n.get("regex_features").list() {
		r.patterns = append(r.patterns, rasaPattern{
			name: f.str("name"), at: f.at(file), regex: []sentence{{text: f.str("pattern"), at: f.at(file)}},
		})
	}
	for _, l := range n.get("lookup_tables").list() {
		r.lookup(l.str("name"), l.at(file), r.elements(file, l.get("elements")))
	}
}

// elements gives the entries of a look-up table: a list, or the name of a file
// with one entry a line.
func (r *rasaReader) elements(file string, n *node) []sentence {
	if n == nil || n.kind == nodeList {
		var out []sentence
		for _, e := range n.list() {
			out = append(out, sentence{text: e.string(), at: e.at(file)})
		}
		return out
	}
	return r.lookupFile(n.text, n.at(file))
}

// lookupFile reads a list of values from another file of the project.
func (r *rasaReader) lookupFile(name string, at Place) []sentence {
	for _, f := range r.in.ending(".txt") {
		if !strings.HasSuffix("/"+f.name, "/"+strings.TrimPrefix(path.Clean(name), "../")) {
			continue
		}
		text, err := toUTF8(f.name, f.content)
		if err != nil {
			r.leaveOut(at, name, err.Error())
			return nil
		}
		f.read = true
		var out []sentence
		for i, line := range strings.Split(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, sentence{text: line, at: Place{File: f.name, Line: i + 1}})
			}
		}
		return out
	}
	r.leaveOut(at, name, "the file of the look-up table is not there")
	return nil
}

// once makes a remark about a kind of thing the first time only.
func (r *rasaReader) once(key string, note func()) {
	if !r.noted[key] {
		r.noted[key] = true
		note()
	}
}
