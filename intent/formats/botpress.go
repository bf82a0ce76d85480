package formats

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// botpressReader reads what Botpress 12 exports: the Q&A file ({"qnas": […]}),
// the NLU file ({"intents": […], "entities": […]}), or a whole bot with a file
// for each of them.
type botpressReader struct {
	*draft

	elements map[string]*element // content elements, by id
}

// element is a text that answers refer to by #!id.
type element struct {
	file string
	form *node
}

// readBotpress reads exports of Botpress 12.
func readBotpress(in *Input, d *draft) error {
	r := &botpressReader{draft: d, elements: map[string]*element{}}
	files := in.ending(".json")
	docs := make([]*node, len(files))
	for i, f := range files {
		n, err := parseJSON(f.name, f.content)
		if err != nil {
			return err
		}
		docs[i] = n
		for _, e := range slices.Concat(n.list(), n.get("contentElements").list()) {
			if e.has("formData") && e.str("id") != "" {
				f.read = true
				r.elements[e.str("id")] = &element{file: f.name, form: e.get("formData")}
			}
		}
	}
	for i, f := range files {
		for _, e := range slices.Concat(docs[i].list(), docs[i].get("entities").list()) {
			if e.has("occurrences") || e.has("pattern") && e.has("type") {
				f.read = true
				r.entity(f.name, e)
			}
		}
	}
	for i, f := range files {
		f.read = r.document(f.name, docs[i]) || f.read
	}
	if len(d.intents) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "%s holds no Q&A and no intents of Botpress 12", in.name)
	}
	return nil
}

// document reads the questions of a file, and reports whether there were any.
func (r *botpressReader) document(file string, n *node) bool {
	found := false
	for _, q := range slices.Concat(n.list(), n.get("qnas").list(), n.get("questions").list()) {
		data := q.get("data")
		if data == nil && q.has("answers") {
			data = q
		}
		if data.has("questions") && data.has("answers") {
			found = true
			r.qna(file, q, data)
		}
	}
	for _, x := range slices.Concat(n.list(), n.get("intents").list()) {
		if x.has("utterances") && x.str("name") != "" {
			found = true
			r.intent(file, x)
		}
	}
	if strings.HasSuffix(file, ".flow.json") {
		r.leaveOut(Place{File: file}, path.Base(file), "flows of a dialog are code; a pack's flow looks one thing up")
	}
	return found
}

// byLanguage calls fn for each language of a value: a mapping of languages, or
// a plain list, as exports before version 12 have it.
func (r *botpressReader) byLanguage(n *node, fn func(lang string, items []*node)) {
	if n != nil && n.kind == nodeMap {
		for i, name := range n.names {
			fn(langOf(name), n.items[i].list())
		}
		return
	}
	fn("", n.list())
}

// qna reads a question with its answers.
func (r *botpressReader) qna(file string, q, data *node) {
	at := q.at(file)
	id := q.str("id")
	var questions []sentence
	r.byLanguage(data.get("questions"), func(lang string, items []*node) {
		for _, s := range items {
			questions = append(questions, r.say(s.string(), lang, s.at(file)))
		}
	})
	if len(questions) == 0 {
		r.leaveOut(at, id, "it has no question")
		return
	}
	if e := data.get("enabled"); e != nil && !data.true("enabled") {
		r.leaveOut(at, questions[0].text, "it is switched off")
		return
	}
	x := r.intentOf(cmp.Or(id, questions[0].text), at)
	x.label = qnaName(id)
	for _, s := range questions {
		if _, ok := x.title[s.lang]; !ok {
			x.title[s.lang] = s
		}
		x.ask = append(x.ask, s)
	}
	r.byLanguage(data.get("answers"), func(lang string, items []*node) {
		items = slices.DeleteFunc(slices.Clone(items), func(a *node) bool { return strings.TrimSpace(a.string()) == "" })
		for i, a := range items {
			if i > 0 {
				r.leaveOut(a.at(file), a.string(), "an answer has one wording; the first was taken")
				continue
			}
			r.reply(x, a.string(), lang, a.at(file))
		}
	})
	if strings.Contains(data.str("action"), "redirect") {
		r.leaveOut(at, cmp.Or(data.str("redirectFlow"), questions[0].text), "the answer goes on in a flow, which is code")
	}
}

var qnaID = regexp.MustCompile(`^(?:__qna__)?[0-9a-z]{8,12}_(.+)$`)

// qnaName gives what a person would call a Q&A: its id is random characters and
// the first question, or whatever another tool put there.
func qnaName(id string) string {
	if m := qnaID.FindStringSubmatch(id); m != nil {
		return slug(m[1])
	}
	return ""
}

// reply takes an answer over, through the content element that it may refer to.
func (r *botpressReader) reply(x *draftIntent, text, lang string, at Place) {
	ref, isRef := strings.CutPrefix(strings.TrimSpace(text), "#!")
	if !isRef {
		r.answerWith(x, r.say(eventFields(text), lang, at))
		return
	}
	e := r.elements[ref]
	if e == nil {
		r.leaveOut(at, text, "the content element is not part of the export")
		return
	}
	found := false
	for i, name := range e.form.names {
		field, tag, _ := strings.Cut(name, "$")
		value := e.form.items[i]
		if field != "text" && field != "title" || value.string() == "" {
			continue
		}
		own := lang
		if tag != "" {
			own = langOf(tag)
		}
		found = true
		r.answerWith(x, r.say(eventFields(value.string()), own, value.at(e.file)))
	}
	if !found {
		r.leaveOut(e.form.at(e.file), ref, "an answer is a text; images, cards and carousels have no counterpart")
	}
}

var eventField = regexp.MustCompile(`\{\{\{?\s*([\w.$]+)\s*\}?\}\}`)

// eventFields turns {{session.order_no}} into {order_no}.
func eventFields(text string) string {
	return eventField.ReplaceAllStringFunc(text, func(m string) string {
		name := eventField.FindStringSubmatch(m)[1]
		name = strings.TrimSuffix(name, ".value")
		return "{" + name[strings.LastIndexByte(name, '.')+1:] + "}"
	})
}

var slotMark = regexp.MustCompile(`\[([^\]\[]+)\]\(([^()\s]+)\)`)

// intent reads an intent of the NLU. Copies of Q&As are passed over: they come
// with their answers elsewhere.
func (r *botpressReader) intent(file string, n *node) {
	at := n.at(file)
	name := n.str("name")
	if strings.HasPrefix(name, "__qna__") {
		return
	}
	x := r.intentOf(name, at)
	x.label = name
	if name == "none" {
		x.background = true
	}
	slots := map[string]string{}
	for _, s := range n.get("slots").list() {
		for _, e := range s.get("entities").list() {
			slots[s.str("name")] = strings.TrimPrefix(e.string(), "@")
		}
	}
	r.byLanguage(n.get("utterances"), func(lang string, items []*node) {
		for _, u := range items {
			text := slotMark.ReplaceAllStringFunc(u.string(), func(m string) string {
				part := slotMark.FindStringSubmatch(m)
				return part[1]
			})
			x.ask = append(x.ask, r.say(text, lang, u.at(file)))
		}
	})
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		if !slices.ContainsFunc(r.entities, func(e *draftEntity) bool { return e.name == slots[slot] }) {
			r.leaveOut(at, slot, "the slot is a "+slots[slot]+", which packs do not have; declare an entity with a regex")
		}
	}
}

// entity reads a list or a pattern.
func (r *botpressReader) entity(file string, n *node) {
	at := n.at(file)
	name := n.str("name")
	if name == "" {
		return
	}
	e := r.entityOf(name, at)
	if p := n.str("pattern"); p != "" {
		if !n.true("matchCase") {
			p = "(?i)" + p
		}
		e.regex = append(e.regex, sentence{text: p, at: n.get("pattern").at(file)})
	}
	for _, o := range n.get("occurrences").list() {
		e.word(o.str("name"), o.at(file))
		for _, s := range o.get("synonyms").list() {
			e.word(s.string(), s.at(file))
		}
	}
}

// isBotpress reports whether a document is one of Botpress 12.
func isBotpress(n *node) bool {
	if n.has("qnas") {
		return true
	}
	for _, x := range slices.Concat(n.list(), n.get("intents").list(), n.get("questions").list()) {
		if x.has("utterances") || x.get("data").has("questions") || x.has("questions") && x.has("answers") {
			return true
		}
	}
	return false
}
