package intent

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// bundle is what an inbox's packs say together: the packs, those they extend,
// laid on top of each other.
type bundle struct {
	packs     []string // as asked for
	layers    []*pack  // lowest first
	hash      string   // of all layers
	langs     []string
	topics    []*topic // in stable order, without disabled ones
	entities  []*entity
	variables map[string]*variable
	flows     map[string]*flow
	phrases   map[string]texts
	playbooks map[string]map[string]*conversation.Playbook // language → intent
	contested []Pointer                                    // questions that a higher pack gives to another intent
}

// topic is an intent after layering.
type topic struct {
	id         string
	at         place
	title      texts
	ask        []question
	not        []question
	test       []question
	answer     texts
	buttons    []string
	need       []string
	flow       string
	thresholds thresholds
	priority   conversation.Priority
	anger      conversation.AngerPolicy
	handover   bool
	background bool
}

// question is a line of a pack in its language.
type question struct {
	*line
	lang string
}

func (q *question) canonical(norm *normalizer) string {
	if q.key != "" {
		return q.key
	}
	return norm.canonical(q.text)
}

// Thresholds where no pack states any.
const (
	defaultAuto    = 0.90
	defaultSuggest = 0.50
)

// layering collects the parts of a bundle while its layers are put on.
type layering struct {
	bundle   *bundle
	norm     *normalizer
	problems *problems
	layers   []*pack
	intents  map[string]*layered
	order    []string
}

// layered is an intent while layers are put on.
type layered struct {
	topic    topic
	disabled bool
	flags    struct{ handover, background flag }
	from     []*pack // the packs that say something about it
}

// newBundle lays the packs on top of each other, lowest first.
func newBundle(names []string, layers []*pack, within func(*pack) map[*pack]bool, norm *normalizer) (*bundle, error) {
	l := &layering{
		bundle: &bundle{
			packs: slices.Clone(names), layers: layers, variables: map[string]*variable{}, flows: map[string]*flow{}, phrases: map[string]texts{},
		},
		norm: norm, problems: &problems{}, layers: layers, intents: map[string]*layered{},
	}
	for _, k := range layers {
		l.put(k)
	}
	l.dropContested()
	l.applyThresholds(within)
	l.finish()
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	l.bundle.makePlaybooks()
	return l.bundle, nil
}

func (l *layering) put(k *pack) {
	b := l.bundle
	for name, v := range k.variables {
		b.variables[name] = v.over(b.variables[name])
	}
	maps.Copy(b.flows, k.flows)
	for name, t := range k.phrases {
		b.phrases[name] = t.over(b.phrases[name])
	}
	// Entities of upper packs come first: on equal length they win.
	var mine []*entity
	for _, e := range k.entities {
		if i := slices.IndexFunc(b.entities, func(o *entity) bool { return o.name == e.name }); i >= 0 {
			b.entities = slices.Delete(b.entities, i, i+1)
		}
		mine = append(mine, e)
	}
	b.entities = append(mine, b.entities...)
	for _, in := range k.intents {
		l.putIntent(k, in)
	}
}

// over lays t on top of below, language by language.
func (t texts) over(below texts) texts {
	if len(below) == 0 {
		return t
	}
	out := make(texts, len(t)+len(below))
	maps.Copy(out, below)
	maps.Copy(out, t)
	return out
}

func (v *variable) over(below *variable) *variable {
	if below == nil {
		return v
	}
	return &variable{name: v.name, value: v.value.over(below.value), at: v.at}
}

// putIntent lays what k says about an intent on top of what is there: stated
// fields replace, questions are added.
func (l *layering) putIntent(k *pack, in *intent) {
	x, ok := l.intents[in.id]
	if !ok {
		x = &layered{topic: topic{id: in.id, thresholds: thresholds{auto: notStated, suggest: notStated, margin: notStated}}}
		l.intents[in.id] = x
		l.order = append(l.order, in.id)
	}
	x.from = append(x.from, k)
	t := &x.topic
	t.at = in.at
	if in.replace == flagYes {
		t.ask, t.not, t.test = nil, nil, nil
	}
	t.title = in.title.over(t.title)
	t.answer = in.answer.over(t.answer)
	t.ask = appendQuestions(t.ask, in.ask)
	t.not = appendQuestions(t.not, in.not)
	t.test = appendQuestions(t.test, in.test)
	if in.buttons != nil {
		t.buttons = in.buttons
	}
	if in.need != nil {
		t.need = in.need
	}
	t.flow = cmp.Or(in.flow, t.flow)
	t.priority = cmp.Or(in.priority, t.priority)
	t.anger = cmp.Or(in.anger, t.anger)
	own := thresholds{auto: in.auto, suggest: in.suggest, margin: notStated}
	own.fill(t.thresholds)
	t.thresholds = own
	x.flags.handover = in.handover.or(x.flags.handover)
	x.flags.background = in.background.or(x.flags.background)
	if in.disabled != flagUnset {
		x.disabled = in.disabled == flagYes
	}
}

func appendQuestions(to []question, from lists) []question {
	n := 0
	for _, list := range from {
		n += len(list)
	}
	to = slices.Grow(to, n)
	for _, lang := range langs(from) {
		list := from[lang]
		for i := range list {
			to = append(to, question{line: &list[i], lang: lang})
		}
	}
	return to
}

// dropContested removes a question from an intent when a higher pack asks the
// same under another one, and repetitions within one intent.
func (l *layering) dropContested() {
	owners := l.owners()
	for _, id := range l.order {
		t := &l.intents[id].topic
		t.ask = slices.DeleteFunc(t.ask, func(q question) bool {
			key := q.canonical(l.norm)
			if key == "" {
				return true
			}
			o := owners[key]
			if o.intent != id {
				l.bundle.contested = append(l.bundle.contested, Pointer{
					At: q.at.describe(), What: q.text,
					Why: fmt.Sprintf("a pack above (%s) gives the question of %s to %s", o.at.describe(), id, o.intent),
				})
				return true
			}
			again := o.kept
			o.kept = true
			return again
		})
	}
}

// owner is who has a question.
type owner struct {
	intent string
	level  int
	at     place
	kept   bool // once
}

// owners finds for every question, in canonical form, the highest pack that asks it; of
// several intents there the first.
func (l *layering) owners() map[string]*owner {
	rank, n := l.fileRanks(), 0
	for _, x := range l.intents {
		n += len(x.topic.ask)
	}
	all, out := make([]owner, 0, n), make(map[string]*owner, n)
	for _, id := range l.order {
		for _, q := range l.intents[id].topic.ask {
			key, level := q.canonical(l.norm), rank[q.at.file]
			switch o := out[key]; {
			case o == nil:
				all = append(all, owner{intent: id, level: level, at: q.at})
				out[key] = &all[len(all)-1]
			case level > o.level:
				*o = owner{intent: id, level: level, at: q.at}
			}
		}
	}
	return out
}

// fileRanks gives each file the height of its pack.
func (l *layering) fileRanks() map[string]int {
	rank := map[string]int{}
	for height, k := range l.layers {
		for _, in := range k.intents {
			rank[in.at.file] = height
		}
	}
	return rank
}

// applyThresholds gives each intent the thresholds of the highest pack that
// states any and holds the intent, itself or through what it extends.
func (l *layering) applyThresholds(within func(*pack) map[*pack]bool) {
	for _, id := range l.order {
		x := l.intents[id]
		for _, layer := range slices.Backward(l.layers) {
			holds := within(layer)
			if slices.ContainsFunc(x.from, func(k *pack) bool { return holds[k] }) {
				x.topic.thresholds.fill(layer.thresholds)
			}
		}
		x.topic.thresholds.fill(thresholds{auto: defaultAuto, suggest: defaultSuggest, margin: 0})
		x.topic.thresholds.suggest = min(x.topic.thresholds.suggest, x.topic.thresholds.auto)
	}
}

// finish checks references and fixes the order of everything.
func (l *layering) finish() {
	b := l.bundle
	for _, id := range l.order {
		x := l.intents[id]
		x.topic.handover = x.flags.handover == flagYes
		x.topic.background = x.flags.background == flagYes
		if !x.disabled {
			b.topics = append(b.topics, &x.topic)
		}
	}
	slices.SortFunc(b.topics, func(a, c *topic) int { return cmp.Compare(a.id, c.id) })
	total := 0
	seen := map[string]bool{}
	for _, t := range b.topics {
		total += len(t.ask)
		for _, q := range t.ask {
			seen[q.lang] = true
		}
		l.checkTopic(t)
	}
	for _, name := range langs(b.flows) {
		l.checkFlow(b.flows[name])
	}
	for _, e := range b.entities {
		l.checkEntity(e)
	}
	if len(b.topics) > maxIntents || total > maxQuestions {
		l.problems.add(place{file: fmt.Sprint(b.packs)}, "%d intents and %d questions together, the limits are %d and %d",
			len(b.topics), total, maxIntents, maxQuestions)
	}
	b.langs = langs(seen)
	b.hash = hashOf(l.layers)
}

// hashOf names what a model of the layers is trained from.
func hashOf(layers []*pack) string {
	h := sha256.New()
	_, _ = io.WriteString(h, trainerVersion)
	for _, k := range layers {
		_, _ = io.WriteString(h, "\x00"+k.name+"\x00"+k.version)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (l *layering) checkTopic(t *topic) {
	b, p := l.bundle, l.problems
	if len(t.ask) == 0 {
		p.add(t.at, "intent %s has no question of its own", t.id)
	}
	if len(t.answer) == 0 && t.flow == "" && !t.handover && !t.background {
		p.add(t.at, "intent %s has no answer, no flow and no handover", t.id)
	}
	for _, name := range t.need {
		if b.entity(name) == nil {
			p.add(t.at, "intent %s needs the slot %s, which no pack declares under entities", t.id, name)
		}
	}
	if _, ok := b.flows[t.flow]; !ok && t.flow != "" {
		p.add(t.at, "intent %s names the flow %s, which no pack declares", t.id, t.flow)
	}
	for _, id := range t.buttons {
		if to := b.topic(id); to == nil || to.background {
			p.add(t.at, "intent %s has a button for the intent %s, which no pack defines", t.id, id)
		}
	}
	for _, lang := range langs(t.answer) {
		l.checkTemplate(t.at, fmt.Sprintf("the answer (%s) of intent %s", lang, t.id), t.answer[lang], ownTemplate)
	}
}

func (l *layering) checkEntity(e *entity) {
	for _, other := range langs(e.mistaken) {
		if other == e.name || l.bundle.entity(other) == nil {
			l.problems.add(e.at, "entity %s is mistaken for %s, which is no other entity that a pack declares", e.name, other)
		}
		for _, lang := range langs(e.mistaken[other]) {
			l.checkTemplate(e.at, fmt.Sprintf("mistaken (%s) of entity %s", lang, e.name), e.mistaken[other][lang], ownTemplate)
		}
	}
}

func (l *layering) checkFlow(f *flow) {
	for _, s := range f.slots {
		if l.bundle.entity(s) == nil {
			l.problems.add(f.at, "flow %s has the slot %s, which no pack declares under entities", f.name, s)
		}
	}
	l.checkTemplate(f.at, "the url of flow "+f.name, f.url, ownTemplate)
	for _, name := range langs(f.headers) {
		l.checkTemplate(f.at, "header "+name+" of flow "+f.name, f.headers[name], ownTemplate)
	}
	for _, lang := range langs(f.reply) {
		l.checkTemplate(f.at, fmt.Sprintf("the reply (%s) of flow %s", lang, f.name), f.reply[lang], replyTemplate)
	}
	for _, lang := range langs(f.notFound) {
		l.checkTemplate(f.at, fmt.Sprintf("not_found (%s) of flow %s", lang, f.name), f.notFound[lang], ownTemplate)
	}
	for _, lang := range langs(f.failed) {
		l.checkTemplate(f.at, fmt.Sprintf("failed (%s) of flow %s", lang, f.name), f.failed[lang], ownTemplate)
	}
}

// checkTemplate looks for placeholders that nothing fills.
func (l *layering) checkTemplate(at place, what, template string, kind templateKind) {
	for _, h := range placeholders(template) {
		switch {
		case h.bad:
			l.problems.add(at, "%s holds {%s}, which is neither {name} nor {$.path}", what, h.name)
		case h.path && kind == ownTemplate:
			l.problems.add(at, "%s holds {%s}; only a flow's reply can read a response", what, h.name)
		case h.path:
		case l.bundle.variables[h.name] == nil && l.bundle.entity(h.name) == nil:
			l.problems.add(at, "%s holds {%s}, which no pack declares under variables or entities", what, h.name)
		}
	}
}

func (b *bundle) entity(name string) *entity {
	for _, e := range b.entities {
		if e.name == name {
			return e
		}
	}
	return nil
}

// questions counts what is trained on.
func (b *bundle) questions() (n int) {
	for _, t := range b.topics {
		n += len(t.ask) + len(t.title) + len(t.not)
	}
	return n
}

func (b *bundle) topic(id string) *topic {
	for _, t := range b.topics {
		if t.id == id {
			return t
		}
	}
	return nil
}
