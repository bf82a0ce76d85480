package formats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// skipLabel stands in a map of labels for "leave this out".
const skipLabel = "-"

// settler makes a pack of a draft.
type settler struct {
	*draft

	options   Options
	canonical func(string) string
	out       intent.Contents
	slots     map[string]string // entities and variables: name elsewhere → name here
	filled    map[string]bool   // names that an answer may use
	asked     map[string]claim  // canonical question → who asks it
	labels    map[string]string // key → label
	usedKeys  map[string]bool   // of Options.Labels
}

// claim is which intent has a question, and where it got it.
type claim struct {
	id string
	at Place
}

// merged is an intent of the pack while drafts are put into it.
type merged struct {
	out      *intent.IntentContents
	from     *draftIntent // the first
	seen     map[string]bool
	answered map[string]sentence
	buttons  []sentence
}

// settle decides labels, drops what repeats or contradicts, and keeps within
// the limits of a pack.
func settle(d *draft, o Options) (*Import, error) {
	s := &settler{
		draft: d, options: o, canonical: intent.Canonical(), slots: map[string]string{}, filled: map[string]bool{},
		asked: map[string]claim{}, labels: map[string]string{}, usedKeys: map[string]bool{},
	}
	s.fillLang()
	s.out = intent.Contents{Name: o.Pack, Lang: s.lang, Extends: slices.Clone(o.Extends), Phrases: map[string]map[string]string{}}
	s.declare()
	groups, err := s.group()
	if err != nil {
		return nil, err
	}
	for _, m := range groups {
		s.questions(m)
	}
	groups = slices.DeleteFunc(groups, s.unasked)
	for _, m := range groups {
		s.otherLines(m)
		s.answers(m)
		s.resolveButtons(m, groups)
		s.out.Intents = append(s.out.Intents, *m.out)
	}
	s.phraseTexts()
	if err := s.bound(); err != nil {
		return nil, err
	}
	return &Import{Contents: s.out, Remarks: s.remarks, Unused: s.unused()}, nil
}

// fillLang gives sentences without a script of their own the language that most
// others have.
func (s *settler) fillLang() {
	if s.lang != "" {
		return
	}
	count := map[string]int{}
	for _, x := range s.intents {
		for _, q := range x.ask {
			count[q.lang]++
		}
	}
	delete(count, "")
	s.lang = "zh"
	for _, lang := range slices.Sorted(maps.Keys(count)) {
		if count[lang] > count[s.lang] {
			s.lang = lang
		}
	}
}

// in gives the language of a sentence.
func (s *settler) in(q sentence) string {
	if !intent.IsLang(q.lang) {
		return s.lang
	}
	return q.lang
}

// group puts the drafts under their labels: those that the map of labels sends
// to one label come together, others get labels of their own.
func (s *settler) group() ([]*merged, error) {
	byLabel := map[string]*merged{}
	var out []*merged
	for _, x := range s.intents {
		label, mapped := s.mapped(x)
		switch {
		case label == skipLabel:
			s.leaveOut(x.at, x.key, "the map of labels says so")
			continue
		case mapped && !intent.IsName(label):
			return nil, conversation.Refusef(conversation.CodeInvalid, "the map of labels sends %q to %q, which is no id: lower-case letters, digits, and _ - . inside", x.key, label)
		case !mapped:
			label = s.free(x, byLabel)
		}
		s.labels[x.key] = label
		m := byLabel[label]
		if m == nil {
			m = &merged{
				out: &intent.IntentContents{
					ID: label, Title: map[string]string{}, Ask: map[string][]string{}, Not: map[string][]string{}, Test: map[string][]string{},
					Answer: map[string]string{},
				},
				from: x, seen: map[string]bool{}, answered: map[string]sentence{},
			}
			byLabel[label] = m
			out = append(out, m)
		}
		s.join(m, x)
	}
	return out, nil
}

// mapped looks an intent up in the map of labels: by what the source calls it,
// by the id it asks for, and by its titles.
func (s *settler) mapped(x *draftIntent) (string, bool) {
	keys := []string{x.key, x.label}
	for _, lang := range slices.Sorted(maps.Keys(x.title)) {
		keys = append(keys, x.title[lang].text)
	}
	for _, k := range keys {
		if label, ok := s.options.Labels[k]; ok && k != "" {
			s.usedKeys[k] = true
			return label, true
		}
	}
	return "", false
}

// free gives a label that no other intent has.
func (s *settler) free(x *draftIntent, taken map[string]*merged) string {
	label := s.labelOf(x)
	if taken[label] == nil {
		return label
	}
	first := taken[label].from
	for i := 2; ; i++ {
		next := fmt.Sprintf("%s-%d", label, i)
		if taken[next] == nil {
			s.change(x.at, x.key, fmt.Sprintf("its id is %s, because %s (%s) has the id %s", next, shorten(first.key), first.at, label))
			return next
		}
	}
}

// join puts a draft into an intent. The first to say something is heard.
func (s *settler) join(m *merged, x *draftIntent) {
	for _, lang := range slices.Sorted(maps.Keys(x.title)) {
		s.title(m, x.title[lang])
	}
	if m.from != x {
		m.from.ask = append(m.from.ask, x.ask...)
		m.from.not = append(m.from.not, x.not...)
		m.from.test = append(m.from.test, x.test...)
		m.from.need = append(m.from.need, x.need...)
	}
	for _, lang := range slices.Sorted(maps.Keys(x.answer)) {
		a := x.answer[lang]
		first, ok := m.answered[s.in(a)]
		switch {
		case !ok:
			m.answered[s.in(a)] = a
		case strings.TrimSpace(first.text) != strings.TrimSpace(a.text):
			s.leaveOut(a.at, a.text, fmt.Sprintf("intent %s has the answer of %s already", m.out.ID, first.at))
		}
	}
	m.buttons = append(m.buttons, x.buttons...)
	m.out.Handover = m.out.Handover || x.handover
	m.out.Background = m.out.Background || x.background
}

func (s *settler) title(m *merged, t sentence) {
	text := oneLine(t.text)
	if _, ok := m.out.Title[s.in(t)]; ok || text == "" {
		return
	}
	if len(text) > intent.MaxTitleBytes {
		text = cutAt(text, intent.MaxTitleBytes-len("…")) + "…"
		s.change(t.at, t.text, fmt.Sprintf("the title is cut: %d bytes is the limit", intent.MaxTitleBytes))
	}
	m.out.Title[s.in(t)] = text
}

// cutAt shortens s to at most n bytes without splitting a character.
func cutAt(s string, n int) string {
	return strings.ToValidUTF8(s[:min(n, len(s))], "")
}

// usable judges one line of an intent and gives it cleaned.
func (s *settler) usable(q sentence) (text, key string, ok bool) {
	text = oneLine(q.text)
	switch {
	case text == "":
		return "", "", false
	case len(text) > intent.MaxQuestionBytes:
		s.leaveOut(q.at, text, fmt.Sprintf("a question has at most %d bytes, this one %d", intent.MaxQuestionBytes, len(text)))
		return "", "", false
	}
	key = s.canonical(text)
	return text, key, key != ""
}

func (s *settler) questions(m *merged) {
	n := 0
	for _, q := range m.from.ask {
		text, key, ok := s.usable(q)
		if !ok || m.seen[key] {
			continue // the same question twice under one intent teaches nothing
		}
		if first, taken := s.asked[key]; taken {
			s.leaveOut(q.at, text, fmt.Sprintf("the question stands under %s as well (%s), and it can mean one thing only", first.id, first.at))
			continue
		}
		if n == intent.MaxQuestionsPerIntent {
			s.leaveOut(q.at, text, fmt.Sprintf("an intent has at most %d questions", intent.MaxQuestionsPerIntent))
			continue
		}
		n++
		m.seen[key] = true
		s.asked[key] = claim{id: m.out.ID, at: q.at}
		lang := s.in(q)
		m.out.Ask[lang] = append(m.out.Ask[lang], text)
	}
}

// unasked drops an intent that has no question, unless the packs below ask it.
func (s *settler) unasked(m *merged) bool {
	if len(m.out.Ask) > 0 || s.below(m.out.ID) != nil {
		return false
	}
	s.leaveOut(m.from.at, m.from.key, "it has no question of its own")
	return true
}

// below gives what the packs say that the new one extends.
func (s *settler) below(id string) *intent.IntentContents {
	for i := range s.options.Base.Intents {
		if x := &s.options.Base.Intents[i]; x.ID == id {
			return x
		}
	}
	return nil
}

// otherLines carries over counterexamples and test questions.
func (s *settler) otherLines(m *merged) {
	for _, q := range m.from.not {
		text, key, ok := s.usable(q)
		switch {
		case !ok:
		case m.seen[key]:
			s.leaveOut(q.at, text, "it stands under the questions of the same intent")
		default:
			m.out.Not[s.in(q)] = append(m.out.Not[s.in(q)], text)
		}
	}
	for _, q := range m.from.test {
		text, key, ok := s.usable(q)
		if !ok {
			continue
		}
		if first, taken := s.asked[key]; taken {
			s.leaveOut(q.at, text, fmt.Sprintf("a test question must not be trained on, and %s has it (%s)", first.id, first.at))
			continue
		}
		m.out.Test[s.in(q)] = append(m.out.Test[s.in(q)], text)
	}
	for _, name := range m.from.need {
		if to, ok := s.slots[name]; ok && !slices.Contains(m.out.Need, to) {
			m.out.Need = append(m.out.Need, to)
		}
	}
}

func (s *settler) answers(m *merged) {
	for _, lang := range slices.Sorted(maps.Keys(m.answered)) {
		a := m.answered[lang]
		text := s.template(a)
		switch {
		case text == "":
		case len(text) > intent.MaxAnswerBytes:
			s.leaveOut(a.at, text, fmt.Sprintf("an answer has at most %d bytes, this one %d", intent.MaxAnswerBytes, len(text)))
		default:
			m.out.Answer[lang] = text
		}
	}
	base := s.below(m.out.ID)
	answered := len(m.out.Answer) > 0 || m.out.Background ||
		base != nil && (len(base.Answer) > 0 || base.Flow != "" || base.Handover || base.Background)
	if !answered && !m.out.Handover {
		m.out.Handover = true
		s.change(m.from.at, m.from.key, "no answer came with it, so it hands over to a human until you write one")
	}
}

// resolveButtons turns the names of intents elsewhere into ids.
func (s *settler) resolveButtons(m *merged, groups []*merged) {
	for _, b := range m.buttons {
		id := s.labels[b.text]
		if id == "" {
			id = s.asked[s.canonical(b.text)].id
		}
		known := slices.ContainsFunc(groups, func(g *merged) bool { return g.out.ID == id && !g.out.Background })
		switch {
		case id == m.out.ID, slices.Contains(m.out.Buttons, id):
		case !known:
			s.leaveOut(b.at, b.text, "the button leads to no intent of the pack")
		case len(m.out.Buttons) == intent.MaxButtons:
			s.leaveOut(b.at, b.text, fmt.Sprintf("an intent has at most %d buttons", intent.MaxButtons))
		default:
			m.out.Buttons = append(m.out.Buttons, id)
		}
	}
}

func (s *settler) phraseTexts() {
	for _, name := range slices.Sorted(maps.Keys(s.phrases)) {
		for _, lang := range slices.Sorted(maps.Keys(s.phrases[name])) {
			p := s.phrases[name][lang]
			if text := clean(p.text); text != "" && len(text) <= intent.MaxAnswerBytes {
				if s.out.Phrases[name] == nil {
					s.out.Phrases[name] = map[string]string{}
				}
				s.out.Phrases[name][s.in(p)] = text
			}
		}
	}
}

// bound refuses what one pack cannot hold. Leaving the rest out instead would
// give a bot that knows half of what it was told.
func (s *settler) bound() error {
	questions := 0
	for i := range s.out.Intents {
		for _, q := range s.out.Intents[i].Ask {
			questions += len(q)
		}
	}
	switch {
	case len(s.out.Intents) == 0:
		return conversation.Refuse(conversation.CodeInvalid, "there is no intent with a question in it"+s.firstRemark())
	case len(s.out.Intents) > intent.MaxIntents:
		return conversation.Refusef(conversation.CodeTooLarge,
			"%d intents, and a pack holds %d; split the source, or send several questions to one label with --map", len(s.out.Intents), intent.MaxIntents)
	case questions > intent.MaxQuestions:
		return conversation.Refusef(conversation.CodeTooLarge, "%d questions, and a pack holds %d; split the source", questions, intent.MaxQuestions)
	}
	return nil
}

// firstRemark says the likeliest reason why nothing is left.
func (s *settler) firstRemark() string {
	if len(s.remarks) == 0 {
		return ""
	}
	r := s.remarks[0]
	return fmt.Sprintf("; %s: %s", r.At, cmp.Or(r.Why, r.What))
}

func (s *settler) unused() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.options.Labels)) {
		if !s.usedKeys[k] {
			out = append(out, k)
		}
	}
	return out
}
