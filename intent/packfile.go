package intent

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/conversation"
)

// Limits of a pack. They are far above what a hand-written pack needs, and low
// enough that a stray file cannot take the process down.
const (
	maxFileBytes          = 4 << 20
	maxFilesPerPack       = 64
	maxPacks              = 256
	maxIntents            = 500 // of the packs of one inbox together, and of one file
	maxQuestions          = 50_000
	maxQuestionsPerIntent = 2_000
	maxQuestionBytes      = 1_000
	maxAnswerBytes        = 8 << 10
	maxTitleBytes         = 200
	maxNameBytes          = 64
	maxEntities           = 64
	maxPatterns           = 64
	maxPatternBytes       = 2_000
	maxWords              = 5_000
	maxWordBytes          = 200
	maxVariables          = 200
	maxFlows              = 100
	maxHeaders            = 20
	maxButtonsPerIntent   = conversation.MaxButtons
	maxNeeds              = 8
	maxExtends            = 16
	maxFlowTimeout        = 30 * time.Second
	defaultFlowTimeout    = 3 * time.Second
	defaultLang           = "zh"
	formatVersion         = "1"
)

// parseFile reads one pack file. The pack it gives holds only what stands in
// this file; problems are added to p.
func parseFile(file string, content []byte, p *problems) *pack {
	r := &packReader{problems: p, file: file, lang: defaultLang}
	start := place{file: file}
	if len(content) > maxFileBytes {
		p.add(start, "the file has %d bytes, the limit is %d", len(content), maxFileBytes)
		return nil
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(content))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			p.add(start, "the file is empty")
			return nil
		}
		p.add(place{file: file, line: yamlLine(err)}, "not readable as YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		p.add(place{file: file, line: more.Line}, "a pack file holds one YAML document, this one holds more")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		p.add(place{file: file, line: doc.Line}, "a pack file is a mapping that begins with colloquy: %s", formatVersion)
		return nil
	}
	return r.pack(doc.Content[0])
}

// yamlLine finds the line number in a message of the YAML library.
func yamlLine(err error) int {
	m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n := 0
	for _, c := range m[1] {
		n = n*10 + int(c-'0')
	}
	return n
}

// pack reads the top of a file.
func (r *packReader) pack(n *yaml.Node) *pack {
	k := &pack{
		thresholds: thresholds{auto: notStated, suggest: notStated, margin: notStated},
		variables:  map[string]*variable{}, flows: map[string]*flow{}, phrases: map[string]texts{},
	}
	r.header(n, k)
	skip := func(*yaml.Node) {}
	r.fields(n, "a pack file", map[string]func(*yaml.Node){
		"colloquy": skip, "pack": skip, "lang": skip,
		"extends": func(n *yaml.Node) {
			k.extends, k.extendsAt = r.names(n, "extends", maxExtends), r.at(n)
		},
		"thresholds": func(n *yaml.Node) { r.thresholds(n, &k.thresholds) },
		"variables":  func(n *yaml.Node) { r.variables(n, k) },
		"entities":   func(n *yaml.Node) { r.entities(n, k) },
		"intents":    func(n *yaml.Node) { r.intents(n, k) },
		"flows":      func(n *yaml.Node) { r.flows(n, k) },
		"phrases":    func(n *yaml.Node) { r.phrases(n, k) },
	})
	return k
}

// header reads the keys that the others depend on, wherever they stand.
func (r *packReader) header(n *yaml.Node, k *pack) {
	format := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		switch n.Content[i].Value {
		case "colloquy":
			format = true
			if value.Value != formatVersion {
				r.fail(value, "colloquy: %s is not a format that this version reads, it reads %s", value.Value, formatVersion)
			}
		case "pack":
			k.name, k.nameAt = r.name(value, "pack"), r.at(value)
			r.problems.pack = k.name
		case "lang":
			if !isLang(value.Value) {
				r.fail(value, "lang %q is not a language such as zh or en", value.Value)
				continue
			}
			r.lang = value.Value
		}
	}
	if !format {
		r.fail(n, "the header colloquy: %s is missing", formatVersion)
	}
	if k.name == "" {
		r.fail(n, "the header pack: <name> is missing")
	}
}

func (r *packReader) thresholds(n *yaml.Node, t *thresholds) {
	r.fields(n, "thresholds", map[string]func(*yaml.Node){
		"auto":    func(n *yaml.Node) { t.auto = r.share(n, "auto") },
		"suggest": func(n *yaml.Node) { t.suggest = r.share(n, "suggest") },
		"margin":  func(n *yaml.Node) { t.margin = r.share(n, "margin") },
	})
	if t.auto >= 0 && t.suggest > t.auto {
		r.fail(n, "suggest %v is above auto %v", t.suggest, t.auto)
	}
}

func (r *packReader) variables(n *yaml.Node, k *pack) {
	r.entries(n, "variables", func(key, value *yaml.Node) {
		v := &variable{name: r.name(key, "a variable"), value: texts{}, at: r.at(key)}
		r.byLanguage(value, "variable "+key.Value, func(lang string, n *yaml.Node) {
			// A variable may be empty: the operator has not set it yet.
			if s, ok := r.scalar(n, "variable "+key.Value, maxAnswerBytes); ok {
				v.value[lang] = s
			}
		})
		k.variables[v.name] = v
	})
	if len(k.variables) > maxVariables {
		r.fail(n, "%d variables, the limit is %d", len(k.variables), maxVariables)
	}
}

func (r *packReader) entities(n *yaml.Node, k *pack) {
	r.entries(n, "entities", func(key, value *yaml.Node) {
		e := &entity{name: r.name(key, "an entity"), at: r.at(key)}
		what := "entity " + key.Value
		r.fields(value, what, map[string]func(*yaml.Node){
			"regex": func(n *yaml.Node) { e.regex = r.patterns(n, "regex of "+what) },
			"words": func(n *yaml.Node) {
				r.byLanguage(n, "words of "+what, func(_ string, n *yaml.Node) {
					for _, l := range r.list(n, "words of "+what, listLimits{count: maxWords, bytes: maxWordBytes}) {
						e.words = append(e.words, l.text)
					}
				})
			},
			"mask": func(n *yaml.Node) { e.mask = r.truth(n, "mask of "+what) == flagYes },
			"ask":  func(n *yaml.Node) { e.ask = r.texts(n, "ask of "+what, maxAnswerBytes) },
			"mistaken": func(n *yaml.Node) {
				e.mistaken = map[string]texts{}
				r.entries(n, "mistaken of "+what, func(key, value *yaml.Node) {
					e.mistaken[r.name(key, "an entity")] = r.texts(value, "mistaken of "+what, maxAnswerBytes)
				})
			},
		})
		if value.Kind == yaml.MappingNode && len(e.regex) == 0 && len(e.words) == 0 {
			r.fail(key, "%s has neither regex nor words", what)
		}
		k.entities = append(k.entities, e)
	})
	if len(k.entities) > maxEntities {
		r.fail(n, "%d entities, the limit is %d", len(k.entities), maxEntities)
	}
}

func (r *packReader) patterns(n *yaml.Node, what string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, l := range r.list(n, what, listLimits{count: maxPatterns, bytes: maxPatternBytes}) {
		re, err := regexp.Compile(l.text)
		switch {
		case err != nil:
			r.add(l.at, "%s: %v", what, err)
		case re.MatchString(""):
			r.add(l.at, "%s: %s matches nothing at all", what, l.text)
		default:
			out = append(out, re)
		}
	}
	return out
}

func (r *packReader) phrases(n *yaml.Node, k *pack) {
	known := PhraseNames()
	r.entries(n, "phrases", func(key, value *yaml.Node) {
		if !slices.Contains(known, key.Value) {
			r.fail(key, "there is no phrase %q; the phrases are %s", key.Value, strings.Join(known, ", "))
			return
		}
		k.phrases[key.Value] = r.texts(value, "phrase "+key.Value, maxAnswerBytes)
	})
}

func (r *packReader) intents(n *yaml.Node, k *pack) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "intents is %s, it has to be a list", kindName(n))
		return
	}
	if len(n.Content) > maxIntents {
		r.fail(n, "%d intents, the limit is %d", len(n.Content), maxIntents)
		return
	}
	for _, c := range n.Content {
		if in := r.intent(c); in != nil {
			k.intents = append(k.intents, in)
		}
	}
}

func (r *packReader) intent(n *yaml.Node) *intent {
	in := &intent{at: r.at(n), auto: notStated, suggest: notStated}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "an intent is %s, it has to be a mapping with an id", kindName(n))
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "id" {
			in.id = r.name(n.Content[i+1], "id")
		}
	}
	if in.id == "" {
		r.fail(n, "an intent has no id")
		return nil
	}
	what := "intent " + in.id
	r.fields(n, what, map[string]func(*yaml.Node){
		"id":         func(*yaml.Node) {},
		"title":      func(n *yaml.Node) { in.title = r.texts(n, "title of "+what, maxTitleBytes) },
		"ask":        func(n *yaml.Node) { in.ask = r.lists(n, "ask of "+what) },
		"not":        func(n *yaml.Node) { in.not = r.lists(n, "not of "+what) },
		"test":       func(n *yaml.Node) { in.test = r.lists(n, "test of "+what) },
		"answer":     func(n *yaml.Node) { in.answer = r.texts(n, "answer of "+what, maxAnswerBytes) },
		"buttons":    func(n *yaml.Node) { in.buttons = r.names(n, "buttons of "+what, maxButtonsPerIntent) },
		"need":       func(n *yaml.Node) { in.need = r.names(n, "need of "+what, maxNeeds) },
		"flow":       func(n *yaml.Node) { in.flow = r.name(n, "flow of "+what) },
		"policy":     func(n *yaml.Node) { r.policy(n, in) },
		"background": func(n *yaml.Node) { in.background = r.truth(n, "background of "+what) },
		"disabled":   func(n *yaml.Node) { in.disabled = r.truth(n, "disabled of "+what) },
		"replace":    func(n *yaml.Node) { in.replace = r.truth(n, "replace of "+what) },
	})
	return in
}

func (r *packReader) policy(n *yaml.Node, in *intent) {
	what := "policy of " + in.id
	r.fields(n, what, map[string]func(*yaml.Node){
		"auto":     func(n *yaml.Node) { in.auto = r.share(n, "auto in "+what) },
		"suggest":  func(n *yaml.Node) { in.suggest = r.share(n, "suggest in "+what) },
		"handover": func(n *yaml.Node) { in.handover = r.truth(n, "handover in "+what) },
		"priority": func(n *yaml.Node) {
			s, _ := r.scalar(n, "priority in "+what, maxNameBytes)
			in.priority = conversation.Priority(s)
			if s == "" || in.priority.Rank() < 0 {
				r.fail(n, "priority in %s is none, low, medium, high or urgent", what)
			}
		},
		"anger": func(n *yaml.Node) {
			s, _ := r.scalar(n, "anger in "+what, maxNameBytes)
			in.anger = conversation.AngerPolicy(s)
			if s == "handoff" { // as dialogues call it, and other bots
				in.anger = conversation.AngerHandover
			}
			if s == "" || !in.anger.Known() {
				r.fail(n, "anger in %s is ignore, soften, escalate or handover", what)
			}
		},
	})
	if in.auto >= 0 && in.suggest > in.auto {
		r.fail(n, "suggest %v is above auto %v in %s", in.suggest, in.auto, what)
	}
}

func (r *packReader) flows(n *yaml.Node, k *pack) {
	r.entries(n, "flows", func(key, value *yaml.Node) {
		f := &flow{
			name: r.name(key, "a flow"), at: r.at(key), method: http.MethodGet,
			headers: map[string]string{}, timeout: defaultFlowTimeout,
		}
		what := "flow " + key.Value
		r.fields(value, what, map[string]func(*yaml.Node){
			"slots":     func(n *yaml.Node) { f.slots = r.names(n, "slots of "+what, maxNeeds) },
			"http":      func(n *yaml.Node) { r.http(n, f) },
			"reply":     func(n *yaml.Node) { f.reply = r.texts(n, "reply of "+what, maxAnswerBytes) },
			"not_found": func(n *yaml.Node) { f.notFound = r.texts(n, "not_found of "+what, maxAnswerBytes) },
			"failed":    func(n *yaml.Node) { f.failed = r.texts(n, "failed of "+what, maxAnswerBytes) },
		})
		if f.url == "" {
			r.fail(key, "%s has no http.url", what)
		}
		if len(f.reply) == 0 {
			r.fail(key, "%s has no reply", what)
		}
		k.flows[f.name] = f
	})
	if len(k.flows) > maxFlows {
		r.fail(n, "%d flows, the limit is %d", len(k.flows), maxFlows)
	}
}

func (r *packReader) http(n *yaml.Node, f *flow) {
	what := "http of flow " + f.name
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	r.fields(n, what, map[string]func(*yaml.Node){
		"method": func(n *yaml.Node) {
			s, _ := r.scalar(n, "method in "+what, maxNameBytes)
			if f.method = strings.ToUpper(s); !slices.Contains(methods, f.method) {
				r.fail(n, "method in %s is %s", what, strings.Join(methods, ", "))
			}
		},
		"url": func(n *yaml.Node) { f.url, _ = r.filled(n, "url in "+what, maxAnswerBytes) },
		"headers": func(n *yaml.Node) {
			r.entries(n, "headers in "+what, func(key, value *yaml.Node) {
				if s, ok := r.scalar(value, "header "+key.Value, maxAnswerBytes); ok {
					f.headers[http.CanonicalHeaderKey(key.Value)] = s
				}
			})
			if len(f.headers) > maxHeaders {
				r.fail(n, "%d headers in %s, the limit is %d", len(f.headers), what, maxHeaders)
			}
		},
		"timeout": func(n *yaml.Node) {
			s, _ := r.scalar(n, "timeout in "+what, maxNameBytes)
			d, err := time.ParseDuration(s)
			if err != nil || d <= 0 || d > maxFlowTimeout {
				r.fail(n, "timeout in %s has to be a duration such as 3s, at most %s", what, maxFlowTimeout)
				return
			}
			f.timeout = d
		},
	})
}
