package intent

import (
	"maps"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// makePlaybooks prepares the playbook of every intent in every language, so
// that a turn only looks one up.
func (b *bundle) makePlaybooks() {
	all := map[string]bool{"zh": true, "en": true}
	for _, l := range b.langs {
		all[l] = true
	}
	b.playbooks = make(map[string]map[string]*conversation.Playbook, len(all))
	for lang := range all {
		vars := make(map[string]string, len(b.variables))
		for name, v := range b.variables {
			vars[name] = v.value.pick(lang)
		}
		books := make(map[string]*conversation.Playbook, len(b.topics))
		for _, t := range b.topics {
			if !t.background {
				books[t.id] = b.playbook(t, lang, vars)
			}
		}
		b.playbooks[lang] = books
	}
}

func (b *bundle) playbook(t *topic, lang string, vars map[string]string) *conversation.Playbook {
	pb := &conversation.Playbook{
		Intent: t.id, Title: t.titleIn(lang), Answer: t.answer.pick(lang), Handover: t.handover, Priority: t.priority, Anger: t.anger, Variables: vars,
	}
	if pb.Priority == "" {
		pb.Priority = conversation.PriorityNone
	}
	for _, id := range t.buttons {
		title := b.topic(id).titleIn(lang)
		pb.Buttons = append(pb.Buttons, conversation.Button{Label: title, Text: title})
	}
	for _, name := range t.need {
		pb.Need = append(pb.Need, b.slot(name, lang))
	}
	if f := b.flows[t.flow]; f != nil {
		pb.Flow = &conversation.Flow{
			Name: f.name, Method: f.method, URL: f.url, Headers: maps.Clone(f.headers), Timeout: f.timeout,
			Reply: f.reply.pick(lang), NotFound: f.notFound.pick(lang), Failed: f.failed.pick(lang),
		}
		// A flow's slots are needed even where the intent does not repeat them.
		for _, name := range f.slots {
			if !slices.Contains(t.need, name) {
				pb.Need = append(pb.Need, b.slot(name, lang))
			}
		}
	}
	return pb
}

// titleIn gives the title, or the first question where there is none.
func (t *topic) titleIn(lang string) string {
	if len(t.title) > 0 {
		return t.title.pick(lang)
	}
	for _, q := range t.ask {
		if q.lang == lang {
			return q.text
		}
	}
	if len(t.ask) > 0 {
		return t.ask[0].text
	}
	return t.id
}

func (b *bundle) slot(name, lang string) conversation.Slot {
	s := conversation.Slot{Name: name}
	if e := b.entity(name); e != nil {
		s.Ask = e.ask.pick(lang)
		for other, t := range e.mistaken {
			if s.Mistaken == nil {
				s.Mistaken = map[string]string{}
			}
			s.Mistaken[other] = t.pick(lang)
		}
	}
	return s
}

// find gives the playbook of an intent; in another language when lang has none.
func (b *bundle) find(intent, lang string) (*conversation.Playbook, bool) {
	books, ok := b.playbooks[lang]
	if !ok {
		books = b.playbooks["en"]
	}
	pb, ok := books[intent]
	return pb, ok
}
