package formats

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// dialogflowCXReader reads an agent as Dialogflow CX exports it as a JSON
// package: folders of intents, entity types and flows. Intents say what users
// write, flows what is answered.
// Source: https://cloud.google.com/dialogflow/cx/docs/reference/json-export.
type dialogflowCXReader struct {
	*draft

	agent     *node
	lang      string // of the agent
	docs      []cxDoc
	intents   map[string]*cxIntent // by display name
	names     []string             // of intents, in the order of their files
	pages     map[string]cxDoc     // by flow and display name, see pageKey
	groups    map[string]cxDoc     // of transition routes, likewise; those of the agent have no flow
	elsewhere map[string]Place     // intents that only pages understand → the first route that does
}

// cxDoc is one file of the package.
type cxDoc struct {
	file *inputFile
	doc  *node
	kind string // folder below the agent, such as intents or flows
	name string // of the folder below that
	rest string // path below that
}

// cxIntent is an intent with what its parameters are.
type cxIntent struct {
	draft      *draftIntent
	parameters map[string]string // name → entity type, without @
	fallback   bool
	routed     bool // a flow understands it at any time
}

// isDialogflowCX reports whether a document is the agent.json of a CX agent.
func isDialogflowCX(f *inputFile, n *node) bool {
	return path.Base(f.name) == "agent.json" && n.has("defaultLanguageCode")
}

// readDialogflowCX reads the package around agent, one of files.
func readDialogflowCX(in *Input, d *draft, agent int, files []*inputFile, docs []*node) error {
	r := &dialogflowCXReader{
		draft: d, agent: docs[agent], lang: langOf(docs[agent].str("defaultLanguageCode")),
		intents: map[string]*cxIntent{}, pages: map[string]cxDoc{}, groups: map[string]cxDoc{}, elsewhere: map[string]Place{},
	}
	root := path.Dir(files[agent].name)
	for i, f := range files {
		if i != agent && isDialogflowCX(f, docs[i]) {
			return refuse(Place{File: f.name}, "a second agent beside %s; import them one by one", files[agent].name)
		}
		if x, ok := cxPlace(root, f, docs[i]); ok {
			r.docs = append(r.docs, x)
		}
	}
	files[agent].read = true
	r.entityTypes()
	r.readIntents()
	r.readFlows()
	r.settleRoutes()
	r.ignored()
	if len(d.intents) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "%s holds no intents of Dialogflow CX (intents/NAME/trainingPhrases/LANGUAGE.json)", in.name)
	}
	return nil
}

// cxPlace takes the path of a file apart. Names are percent-encoded in it.
func cxPlace(root string, f *inputFile, n *node) (cxDoc, bool) {
	name := f.name
	if root != "." {
		inside, ok := strings.CutPrefix(name, root+"/")
		if !ok {
			return cxDoc{}, false
		}
		name = inside
	}
	kind, rest, ok := strings.Cut(name, "/")
	if !ok {
		return cxDoc{}, false
	}
	folder, rest, _ := strings.Cut(rest, "/")
	return cxDoc{file: f, doc: n, kind: kind, name: plainName(folder), rest: plainName(rest)}, true
}

// plainName undoes the encoding of a file's name.
func plainName(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// of lists the files of a kind, in the order of their paths.
func (r *dialogflowCXReader) of(kind string) []cxDoc {
	var out []cxDoc
	for _, x := range r.docs {
		if x.kind == kind {
			out = append(out, x)
		}
	}
	return out
}

// isProperties reports the file beside the folders of an intent, an entity type
// or a flow: NAME/NAME.json.
func (x cxDoc) isProperties() bool { return x.rest == x.name+".json" }

// inFolder gives the name of a file in a folder below, without its ending.
func (x cxDoc) inFolder(folder string) (string, bool) {
	rest, ok := strings.CutPrefix(x.rest, folder+"/")
	return strings.TrimSuffix(rest, ".json"), ok
}

func (r *dialogflowCXReader) entityTypes() {
	all := r.of("entityTypes")
	for _, x := range all {
		if x.isProperties() && !strings.HasPrefix(x.name, "sys.") {
			x.file.read = true
			e := r.entityOf(x.name, Place{File: x.file.name})
			if x.doc.str("kind") == "KIND_REGEXP" {
				e.regex = []sentence{}
			}
		}
	}
	for _, x := range all {
		if strings.HasPrefix(x.name, "sys.") {
			continue // an extension of one of Dialogflow's own
		}
		if _, ok := x.inFolder("entities"); ok {
			x.file.read = true
			entityEntries(r.draft, r.entityOf(x.name, Place{File: x.file.name}), x.file.name, x.doc.get("entities"))
		}
		if _, ok := x.inFolder("excludedPhrases"); ok && len(x.doc.get("excludedPhrases").list()) > 0 {
			r.leaveOut(Place{File: x.file.name}, x.name, "an entity cannot except words")
		}
	}
}

// readIntents reads what users say. The answers are in the flows.
func (r *dialogflowCXReader) readIntents() {
	all := r.of("intents")
	for _, x := range all {
		if x.isProperties() {
			x.file.read = true
			r.intentNamed(x.name, x).properties(x.doc)
		}
	}
	for _, x := range all {
		tag, ok := x.inFolder("trainingPhrases")
		if !ok {
			continue
		}
		x.file.read = true
		to := r.intentNamed(x.name, x)
		for _, phrase := range x.doc.get("trainingPhrases").list() {
			r.phrase(to, phrase, cmpLang(phrase.str("languageCode"), langOf(tag)), x.file.name)
		}
	}
}

// intentNamed finds or makes an intent. It joins the draft once it is known
// where it is understood, see settleRoutes.
func (r *dialogflowCXReader) intentNamed(name string, x cxDoc) *cxIntent {
	if known := r.intents[name]; known != nil {
		return known
	}
	i := &cxIntent{parameters: map[string]string{}, draft: &draftIntent{
		key: name, label: name, at: Place{File: x.file.name}, title: map[string]sentence{}, answer: map[string]sentence{},
	}}
	r.intents[name] = i
	r.names = append(r.names, name)
	return i
}

func (i *cxIntent) properties(n *node) {
	i.fallback = n.true("isFallback")
	for _, p := range n.get("parameters").list() {
		i.parameters[p.str("id")] = strings.TrimPrefix(p.str("entityType"), "@")
	}
}

// phrase takes a training phrase, and what is marked in it as a value.
func (r *dialogflowCXReader) phrase(to *cxIntent, phrase *node, lang, file string) {
	var b strings.Builder
	for _, part := range phrase.get("parts").list() {
		text := part.str("text")
		b.WriteString(text)
		if e := r.listed(to.parameters[part.str("parameterId")]); e != nil {
			e.word(strings.TrimSpace(text), part.at(file))
		}
	}
	to.draft.ask = append(to.draft.ask, r.say(b.String(), lang, phrase.at(file)))
}

// listed gives the entity of a name if it is one of words.
func (r *dialogflowCXReader) listed(name string) *draftEntity {
	i := slices.IndexFunc(r.entities, func(e *draftEntity) bool { return e.name == name && e.regex == nil })
	if i < 0 {
		return nil
	}
	return r.entities[i]
}

// settleRoutes decides what becomes of each intent, now that all flows are read.
func (r *dialogflowCXReader) settleRoutes() {
	for _, name := range r.names {
		i := r.intents[name]
		at, inside := r.elsewhere[name]
		switch {
		case i.fallback:
			i.draft.background = true
			i.draft.answer, i.draft.buttons, i.draft.handover = map[string]sentence{}, nil, false
			if len(i.draft.ask) == 0 {
				continue
			}
		case inside && !i.routed:
			r.leaveOut(at, name, "it is understood on a page only; a pack's intents are understood at any time. Add it by hand where it is needed")
			continue
		}
		r.byKey[name] = i.draft
		r.draft.intents = append(r.draft.intents, i.draft)
	}
}

// ignored says what else an agent has that a pack has not.
func (r *dialogflowCXReader) ignored() {
	for _, k := range []struct{ kind, why string }{
		{"webhooks", "webhooks are code; a flow of the pack or a behavior can take their place"},
		{"playbooks", "playbooks instruct a language model; a pack's answers are written"},
		{"tools", "tools are called by a language model; a flow of the pack can look things up"},
		{"generators", "generators are prompts of a language model"},
		{"testCases", "test cases are conversations; see docs/dialogues.md for what replays those"},
	} {
		if all := r.of(k.kind); len(all) > 0 {
			r.leaveOut(Place{File: all[0].file.name}, k.kind, k.why)
		}
	}
}
