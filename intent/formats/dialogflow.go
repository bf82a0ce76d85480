package formats

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// dialogflowReader reads an agent as Dialogflow ES exports it: a file for each
// intent with its answers, and beside it one for each language with what users
// say; the same for entities.
type dialogflowReader struct {
	*draft

	lang string // of the agent
}

var (
	saysFile    = regexp.MustCompile(`^(.+)_usersays_([A-Za-z-]+)\.json$`)
	entriesFile = regexp.MustCompile(`^(.+)_entries_([A-Za-z-]+)\.json$`)
)

// readDialogflow reads the export of a Dialogflow agent, ES or CX.
func readDialogflow(in *Input, d *draft) error {
	r := &dialogflowReader{draft: d}
	files := in.ending(".json")
	docs := make([]*node, len(files))
	for i, f := range files {
		n, err := parseJSON(f.name, f.content)
		if err != nil {
			return err
		}
		docs[i] = n
	}
	for i, f := range files {
		if isDialogflowCX(f, docs[i]) {
			return readDialogflowCX(in, d, i, files, docs)
		}
		if path.Base(f.name) == "agent.json" {
			f.read = true
			r.lang = langOf(docs[i].str("language"))
		}
	}
	// Entities come first: answers and parameters refer to them.
	for i, f := range files {
		if path.Base(path.Dir(f.name)) == "entities" {
			f.read = true
			r.entityFile(f.name, docs[i])
		}
	}
	for i, f := range files {
		if isDialogflowIntent(f.name, docs[i]) {
			f.read = true
			r.intentFile(f.name, docs[i], says(files, docs, f.name))
		}
	}
	for i, f := range files {
		if saysFile.MatchString(path.Base(f.name)) {
			f.read = true
		} else if !f.read && docs[i].has("questions") {
			r.leaveOut(Place{File: f.name}, f.name, "knowledge bases are not part of an export that can be read")
		}
	}
	if len(d.intents) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "%s holds no intents of Dialogflow ES (intents/*.json with responses)", in.name)
	}
	return nil
}

func isDialogflowIntent(name string, n *node) bool {
	return !saysFile.MatchString(path.Base(name)) && n.has("responses") && n.has("name")
}

// saying is a file with what users say in one language.
type saying struct {
	file string
	lang string
	doc  *node
}

func says(files []*inputFile, docs []*node, intentFile string) []saying {
	var out []saying
	for i, f := range files {
		m := saysFile.FindStringSubmatch(f.name)
		if m != nil && m[1] == strings.TrimSuffix(intentFile, ".json") {
			out = append(out, saying{file: f.name, lang: langOf(m[2]), doc: docs[i]})
		}
	}
	return out
}

func (r *dialogflowReader) intentFile(file string, n *node, all []saying) {
	at := Place{File: file}
	name := n.str("name")
	response := n.get("responses").list()
	if n.true("fallbackIntent") {
		r.fallback(file, name, response, all)
		return
	}
	if len(n.get("contexts").list()) > 0 || n.str("parentId") != "" {
		r.leaveOut(at, name, "it follows another intent (input context); a pack's intents are understood at any time. Add the answer by hand where it is needed")
		return
	}
	sentences := 0
	for _, s := range all {
		sentences += len(s.doc.list())
	}
	if sentences == 0 {
		why := "nobody says anything that it was trained on"
		if len(n.get("events").list()) > 0 {
			why = "it is started by an event, not by what visitors say; a greeting is a setting of the inbox or the widget"
		}
		r.leaveOut(at, name, why)
		return
	}
	x := r.intentOf(name, at)
	x.label = name
	for _, s := range all {
		r.says(x, s)
	}
	parameters := map[string]string{}
	for _, resp := range response {
		r.parameters(x, file, resp, parameters)
	}
	for _, resp := range response {
		r.messages(x, file, resp, parameters)
	}
	if n.true("webhookUsed") {
		r.leaveOut(at, name+" webhook", "the webhook is code; a flow or a behavior can take its place")
	}
}

// says reads the training phrases of one language.
func (r *dialogflowReader) says(x *draftIntent, s saying) {
	for _, phrase := range s.doc.list() {
		at := phrase.at(s.file)
		var b strings.Builder
		for _, part := range phrase.get("data").list() {
			b.WriteString(part.str("text"))
			meta := strings.TrimPrefix(part.str("meta"), "@")
			if meta != "" && !strings.HasPrefix(meta, "sys.") && part.true("userDefined") && slices.ContainsFunc(r.entities, func(e *draftEntity) bool { return e.name == meta && len(e.regex) == 0 }) {
				r.entityOf(meta, at).word(strings.TrimSpace(part.str("text")), at)
			}
		}
		text := b.String()
		if phrase.true("isTemplate") {
			r.leaveOut(at, text, "the sentence is a template (@entity), not what a visitor writes")
			continue
		}
		x.ask = append(x.ask, r.say(text, s.lang, at))
	}
}

// parameters notes which entity each parameter is, and takes those that are
// required as slots.
func (r *dialogflowReader) parameters(x *draftIntent, file string, resp *node, known map[string]string) {
	for _, p := range resp.get("parameters").list() {
		name, kind := p.str("name"), strings.TrimPrefix(p.str("dataType"), "@")
		known[name] = kind
		if !p.true("required") {
			continue
		}
		at := p.at(file)
		i := slices.IndexFunc(r.entities, func(e *draftEntity) bool { return e.name == kind })
		if i < 0 {
			r.leaveOut(at, name, fmt.Sprintf("the parameter is a @%s, which packs do not have; declare an entity with a regex and name it under need", kind))
			continue
		}
		x.need = append(x.need, kind)
		for _, q := range p.get("prompts").list() {
			s := r.say(q.str("value"), cmpLang(q.str("lang"), r.lang), q.at(file))
			if _, ok := r.entities[i].ask[s.lang]; !ok {
				r.entities[i].ask[s.lang] = s
			}
		}
	}
}

func cmpLang(tag, or string) string {
	if l := langOf(tag); l != "" {
		return l
	}
	return or
}

// messages reads the answers of one response.
func (r *dialogflowReader) messages(x *draftIntent, file string, resp *node, parameters map[string]string) {
	texts := map[string]sentence{}
	var order []string
	for _, m := range resp.get("messages").list() {
		at := m.at(file)
		lang := cmpLang(m.str("lang"), r.lang)
		if p := m.str("platform"); p != "" && p != "PLATFORM_UNSPECIFIED" {
			r.leaveOut(at, x.key, "the message is for "+p+" only")
			continue
		}
		switch m.str("type") {
		case "0", "text", "simple_response":
			variants := slices.Concat(m.get("speech").list(), m.get("textToSpeech").list())
			variants = slices.DeleteFunc(variants, func(v *node) bool { return strings.TrimSpace(v.string()) == "" })
			if len(variants) == 0 {
				continue
			}
			s := r.say(fillIn(variants[0].string(), parameters), lang, variants[0].at(file))
			if first, ok := texts[s.lang]; ok {
				s = sentence{text: first.text + "\n" + s.text, lang: s.lang, at: first.at}
			} else {
				order = append(order, s.lang)
			}
			texts[s.lang] = s
			for _, v := range variants[1:] {
				r.leaveOut(v.at(file), v.string(), "an answer has one wording; the first was taken")
			}
		case "2":
			for _, b := range m.get("replies").list() {
				x.buttons = append(x.buttons, sentence{text: b.string(), at: b.at(file)})
			}
		default:
			r.leaveOut(at, x.key, "an answer is a text with buttons; cards, images and payloads have no counterpart")
		}
	}
	for _, lang := range order {
		r.answerWith(x, texts[lang])
	}
}

var dollarName = regexp.MustCompile(`[$#@]([A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)*)`)

// fillIn turns $order_no and #context.order_no into {order_no}, or into the
// entity that the parameter is. Names that are no parameter stay text.
func fillIn(text string, parameters map[string]string) string {
	return dollarName.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.TrimSuffix(m[1:], ".original")
		if i := strings.LastIndexByte(name, '.'); i >= 0 && m[0] == '#' {
			name = name[i+1:]
		}
		kind, ok := parameters[name]
		switch {
		case !ok:
			return m
		case kind != "" && !strings.HasPrefix(kind, "sys."):
			return "{" + kind + "}"
		}
		return "{" + name + "}"
	})
}

// fallback takes what the agent says when it does not understand as the phrase
// for that, and what it was trained on as what no intent covers.
func (r *dialogflowReader) fallback(file, name string, response []*node, all []saying) {
	x := &draftIntent{key: name, label: name, at: Place{File: file}, title: map[string]sentence{}, answer: map[string]sentence{}, background: true}
	for _, s := range all {
		r.says(x, s)
	}
	for _, resp := range response {
		r.messages(x, file, resp, nil)
	}
	if r.phrases["fallback"] == nil && len(x.answer) > 0 {
		r.phrases["fallback"] = x.answer
	}
	x.answer, x.buttons = map[string]sentence{}, nil
	if len(x.ask) > 0 && r.byKey[name] == nil {
		r.byKey[name] = x
		r.intents = append(r.intents, x)
	}
}

// entityFile reads an entity's properties, or its entries in one language.
func (r *dialogflowReader) entityFile(file string, n *node) {
	m := entriesFile.FindStringSubmatch(path.Base(file))
	if m == nil {
		if n.true("isRegexp") {
			r.entityOf(n.str("name"), Place{File: file}).regex = []sentence{}
		}
		if n.str("name") != "" {
			r.entityOf(n.str("name"), Place{File: file})
		}
		return
	}
	entityEntries(r.draft, r.entityOf(m[1], Place{File: file}), file, n)
}

// entityEntries reads the values of an entity, of ES and CX alike.
func entityEntries(d *draft, e *draftEntity, file string, entries *node) {
	for _, entry := range entries.list() {
		at := entry.at(file)
		if e.regex != nil {
			for _, p := range entry.get("synonyms").list() {
				e.regex = append(e.regex, sentence{text: p.string(), at: at})
			}
			continue
		}
		words := entry.get("synonyms").list()
		if value := entry.str("value"); !slices.ContainsFunc(words, func(w *node) bool { return w.string() == value }) {
			words = append([]*node{entry.get("value")}, words...)
		}
		for _, w := range words {
			if strings.Contains(w.string(), "@") {
				d.leaveOut(w.at(file), w.string(), "an entity's words are literal; entities made of others have no counterpart")
				continue
			}
			e.word(w.string(), w.at(file))
		}
	}
}

// isDialogflow reports whether the files are an agent of Dialogflow.
func isDialogflow(in *Input) bool {
	for _, f := range in.ending(".json") {
		dir := path.Base(path.Dir(f.name))
		if saysFile.MatchString(path.Base(f.name)) || dir == "trainingPhrases" {
			return true
		}
		if path.Base(f.name) == "agent.json" || dir == "intents" {
			if n, err := parseJSON(f.name, f.content); err == nil && (n.has("defaultLanguageCode") || n.has("supportedLanguages") || n.has("fallbackIntent") && n.has("responses")) {
				return true
			}
		}
	}
	return false
}
