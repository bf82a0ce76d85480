package intent

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Contents is what packs say, as data: packs of a library laid on top of each
// other, or what was read from files of another program. Package formats
// writes it as a pack file and in other forms.
//
// Texts and lists of texts are by language. Zero values and nil mean "not stated".
type Contents struct {
	Name      string
	Lang      string // of what is written without one
	Extends   []string
	Auto      *float32 // threshold of intents that state none
	Suggest   *float32
	Variables []VariableContents // by name
	Entities  []EntityContents   // order matters: on equal length the first wins
	Intents   []IntentContents
	Flows     []FlowContents // by name
	Phrases   map[string]map[string]string
}

// VariableContents is a value that texts may use.
type VariableContents struct {
	Name  string
	Value map[string]string
}

// EntityContents is a kind of value that is found in what visitors write.
type EntityContents struct {
	Name  string
	Regex []string
	Words []string
	Mask  bool
	Ask   map[string]string
	// Mistaken is what is said when a value of another entity comes instead, by its name
	// and language.
	Mistaken map[string]map[string]string
}

// IntentContents is one thing that visitors want.
type IntentContents struct {
	ID         string
	Title      map[string]string
	Ask        map[string][]string
	Not        map[string][]string
	Test       map[string][]string
	Answer     map[string]string
	Buttons    []string
	Need       []string
	Flow       string
	Auto       *float32
	Suggest    *float32
	Priority   string
	Anger      string
	Handover   bool
	Background bool
}

// FlowContents is a look-up over HTTP.
type FlowContents struct {
	Name     string
	Slots    []string
	Method   string
	URL      string
	Headers  map[string]string
	Timeout  time.Duration
	Reply    map[string]string
	NotFound map[string]string
	Failed   map[string]string
}

// Limits of a pack, for programs that write some.
const (
	MaxIntents            = maxIntents
	MaxQuestions          = maxQuestions
	MaxQuestionsPerIntent = maxQuestionsPerIntent
	MaxQuestionBytes      = maxQuestionBytes
	MaxAnswerBytes        = maxAnswerBytes
	MaxTitleBytes         = maxTitleBytes
	MaxNameBytes          = maxNameBytes
	MaxEntities           = maxEntities
	MaxPatterns           = maxPatterns
	MaxPatternBytes       = maxPatternBytes
	MaxWords              = maxWords
	MaxWordBytes          = maxWordBytes
	MaxVariables          = maxVariables
	MaxButtons            = maxButtonsPerIntent
	MaxPackFileBytes      = maxFileBytes
)

// IsName reports whether s can be the name of a pack, an intent, an entity or
// a variable.
func IsName(s string) bool { return len(s) <= maxNameBytes && isName(s) }

// IsLang reports whether s is a language such as zh or en.
func IsLang(s string) bool { return isLang(s) }

// Canonical gives a function for the form in which two questions count as the
// same: width, case, script of Han characters and punctuation do not matter.
// The function may be called from several goroutines.
func Canonical() func(question string) string { return newNormalizer().canonical }

// Contents gives what packs say together.
// Errors: class [conversation.ErrNotFound] for a pack that is not loaded.
func (l *Library) Contents(ctx context.Context, packs []string) (Contents, error) {
	if err := ctx.Err(); err != nil {
		return Contents{}, err
	}
	b, err := l.now.Load().catalog.bundleOf(packs, l.loader.norm)
	if err != nil {
		return Contents{}, err
	}
	return b.contents(), nil
}

func (b *bundle) contents() Contents {
	c := Contents{Name: b.packs[0], Lang: b.mainLang(), Phrases: map[string]map[string]string{}}
	auto, suggest := b.usualThresholds()
	c.Auto, c.Suggest = &auto, &suggest
	for _, name := range langs(b.variables) {
		c.Variables = append(c.Variables, VariableContents{Name: name, Value: maps.Clone(b.variables[name].value)})
	}
	for _, e := range b.entities {
		x := EntityContents{Name: e.name, Words: slices.Clone(e.words), Mask: e.mask, Ask: maps.Clone(e.ask)}
		for _, re := range e.regex {
			x.Regex = append(x.Regex, re.String())
		}
		for other, t := range e.mistaken {
			if x.Mistaken == nil {
				x.Mistaken = map[string]map[string]string{}
			}
			x.Mistaken[other] = maps.Clone(t)
		}
		c.Entities = append(c.Entities, x)
	}
	for _, t := range b.topics {
		c.Intents = append(c.Intents, t.contents(&c))
	}
	for _, name := range langs(b.flows) {
		f := b.flows[name]
		c.Flows = append(c.Flows, FlowContents{
			Name: name, Slots: slices.Clone(f.slots), Method: f.method, URL: f.url, Headers: maps.Clone(f.headers), Timeout: f.timeout,
			Reply: maps.Clone(f.reply), NotFound: maps.Clone(f.notFound), Failed: maps.Clone(f.failed),
		})
	}
	for name, t := range b.phrases {
		c.Phrases[name] = maps.Clone(t)
	}
	return c
}

func (t *topic) contents(c *Contents) IntentContents {
	x := IntentContents{
		ID: t.id, Title: maps.Clone(t.title), Ask: byLang(t.ask), Not: byLang(t.not), Test: byLang(t.test), Answer: maps.Clone(t.answer),
		Buttons: slices.Clone(t.buttons), Need: slices.Clone(t.need), Flow: t.flow, Priority: string(t.priority), Anger: string(t.anger),
		Handover: t.handover, Background: t.background,
	}
	if own := t.thresholds; own.auto != *c.Auto {
		x.Auto = &own.auto
	}
	if own := t.thresholds; own.suggest != *c.Suggest {
		x.Suggest = &own.suggest
	}
	if t.priority == conversation.PriorityNone {
		x.Priority = ""
	}
	return x
}

func byLang(questions []question) map[string][]string {
	out := map[string][]string{}
	for _, q := range questions {
		out[q.lang] = append(out[q.lang], q.text)
	}
	return out
}

// mainLang gives the language with the most questions.
func (b *bundle) mainLang() string {
	count := map[string]int{}
	for _, t := range b.topics {
		for _, q := range t.ask {
			count[q.lang]++
		}
	}
	best := defaultLang
	for _, lang := range langs(count) {
		if count[lang] > count[best] {
			best = lang
		}
	}
	return best
}

// usualThresholds gives the pair that most intents have.
func (b *bundle) usualThresholds() (auto, suggest float32) {
	type pair struct{ auto, suggest float32 }
	count := map[pair]int{}
	for _, t := range b.topics {
		count[pair{t.thresholds.auto, t.thresholds.suggest}]++
	}
	best, most := pair{defaultAuto, defaultSuggest}, 0
	for p, n := range count {
		if n > most || n == most && cmp.Or(cmp.Compare(p.auto, best.auto), cmp.Compare(p.suggest, best.suggest)) > 0 {
			best, most = p, n
		}
	}
	return best.auto, best.suggest
}
