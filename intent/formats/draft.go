package formats

import (
	"strings"

	"github.com/colloquyhq/colloquy/intent"
)

// draft collects what a reader finds, before it is decided how the pack says
// it. Readers add; settle (settle.go) judges.
type draft struct {
	lang     string // of what names none; empty means by script
	intents  []*draftIntent
	byKey    map[string]*draftIntent
	entities []*draftEntity
	values   []intent.VariableContents
	phrases  map[string]map[string]sentence
	remarks  []Remark
}

// draftIntent is an intent as the source has it.
type draftIntent struct {
	key        string // what the source calls it: its name, or the standard question
	label      string // the id it asks for; empty when it has none that says something
	at         Place
	title      map[string]sentence
	ask        []sentence
	not        []sentence
	test       []sentence
	answer     map[string]sentence
	buttons    []sentence // keys of other intents
	need       []string   // names of entities, as in the source
	handover   bool
	background bool
}

// sentence is a text with its language and place.
type sentence struct {
	text string
	lang string
	at   Place
}

// draftEntity is an entity as the source has it.
type draftEntity struct {
	name  string
	at    Place
	regex []sentence
	words []sentence
	mask  bool
	ask   map[string]sentence
}

func newDraft(lang string) *draft {
	return &draft{lang: lang, byKey: map[string]*draftIntent{}, phrases: map[string]map[string]sentence{}}
}

// intentOf finds or makes the intent of a key.
func (d *draft) intentOf(key string, at Place) *draftIntent {
	if x := d.byKey[key]; x != nil {
		return x
	}
	x := &draftIntent{key: key, at: at, title: map[string]sentence{}, answer: map[string]sentence{}}
	d.byKey[key] = x
	d.intents = append(d.intents, x)
	return x
}

// entityOf finds or makes the entity of a name.
func (d *draft) entityOf(name string, at Place) *draftEntity {
	for _, e := range d.entities {
		if e.name == name {
			return e
		}
	}
	e := &draftEntity{name: name, at: at, ask: map[string]sentence{}}
	d.entities = append(d.entities, e)
	return e
}

// word adds a value to the words of e, once.
func (e *draftEntity) word(text string, at Place) {
	for _, w := range e.words {
		if w.text == text {
			return
		}
	}
	e.words = append(e.words, sentence{text: text, at: at})
}

// say makes a sentence, in the language that is given, that of the whole
// draft, or that of its script.
func (d *draft) say(text, lang string, at Place) sentence {
	if lang == "" {
		lang = d.lang
	}
	if lang == "" {
		lang = scriptOf(text)
	}
	return sentence{text: text, lang: lang, at: at}
}

// leaveOut notes what is not in the result.
func (d *draft) leaveOut(at Place, what, why string) {
	d.remarks = append(d.remarks, Remark{Kind: LeftOut, At: at.String(), What: shorten(what), Why: why})
}

// change notes what is in the result in another form.
func (d *draft) change(at Place, what, why string) {
	d.remarks = append(d.remarks, Remark{Kind: Changed, At: at.String(), What: shorten(what), Why: why})
}

// answerWith sets the answer of x in the language of s. An answer that is there
// already stays.
func (d *draft) answerWith(x *draftIntent, s sentence) {
	if s.text == "" {
		return
	}
	first, ok := x.answer[s.lang]
	switch {
	case !ok:
		x.answer[s.lang] = s
	case strings.TrimSpace(first.text) != strings.TrimSpace(s.text):
		d.leaveOut(s.at, s.text, "an intent has one answer in a language; the first one was taken")
	}
}
