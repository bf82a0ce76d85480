package formats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// response reads the variants of a response.
func (r *rasaReader) response(file, name string, n *node) {
	at := n.at(file)
	lang := r.langIn(file)
	out := &rasaResponse{name: name, at: at, lang: lang}
	for _, v := range n.list() {
		at := v.at(file)
		text := v.string()
		if v != nil && v.kind == nodeMap {
			text = v.str("text")
		}
		for _, key := range []string{"image", "custom", "attachment", "elements", "quick_replies"} {
			if v.has(key) {
				r.leaveOut(v.get(key).at(file), name+" "+key, "an answer is a text with buttons; "+key+" has no counterpart")
			}
		}
		if v.has("channel") || v.has("condition") {
			r.leaveOut(at, text, "the variant of "+name+" is for some channels or conversations only")
			continue
		}
		if text == "" {
			continue
		}
		variant := rasaVariant{text: text, at: at}
		for _, b := range v.get("buttons").list() {
			to, _, _ := strings.Cut(strings.TrimPrefix(b.str("payload"), "/"), "{")
			variant.buttons = append(variant.buttons, sentence{text: to, at: b.at(file)})
		}
		out.variants = append(out.variants, variant)
	}
	r.responses[name] = append(r.responses[name], out)
}

// steps reads a rule or story: each intent with the actions that follow it.
func (r *rasaReader) steps(file string, steps *node, rank int) {
	var intents []string
	var actions []sentence
	turns := 0
	end := func() {
		for _, name := range intents {
			if len(actions) > 0 {
				r.flows[name] = append(r.flows[name], rasaFlow{actions: actions, rank: rank})
			}
		}
		intents, actions = nil, nil
	}
	for _, s := range steps.list() {
		switch {
		case s.has("intent") || s.has("or") || s.has("user"):
			end()
			if turns++; turns > 1 && rank == rankFirst {
				rank = rankLater
			}
			for _, alternative := range append(s.get("or").list(), s) {
				if name := alternative.str("intent"); name != "" {
					intents = append(intents, name)
				}
			}
		case s.has("slot_was_set") && len(actions) == 0, s.has("active_loop") && len(actions) == 0:
			rank = rankLater // what follows depends on the conversation
		case s.has("action"):
			actions = append(actions, sentence{text: s.str("action"), at: s.at(file)})
		case s.has("bot"):
			actions = append(actions, sentence{text: "bot: " + s.str("bot"), at: s.at(file)})
		}
	}
	end()
}

// join puts examples, flows and responses together.
func (r *rasaReader) join() {
	r.joinEntities()
	for _, x := range r.intents {
		if x.key == "out_of_scope" || x.key == "nlu_fallback" {
			x.background = true
		}
		r.answer(x)
	}
	r.fallback("nlu_fallback")
	for _, s := range r.domain {
		if r.byKey[s.text] == nil && s.text != "" && !r.isGroup(s.text) {
			r.leaveOut(s.at, s.text, "the intent has no examples")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.responses)) {
		for _, v := range r.responses[name] {
			if !v.used {
				r.leaveOut(v.at, name, "no rule or story says which intent the response answers")
			}
		}
	}
}

// isGroup reports whether a name is that of retrieval intents: faq of faq/ask_x.
func (r *rasaReader) isGroup(name string) bool {
	return slices.ContainsFunc(r.intents, func(x *draftIntent) bool { return strings.HasPrefix(x.key, name+"/") })
}

// answer finds what answers an intent: the response of a retrieval intent, what
// follows it in rules and stories, or the response that is called like it.
func (r *rasaReader) answer(x *draftIntent) {
	if all := r.responses["utter_"+x.key]; strings.Contains(x.key, "/") && len(all) > 0 {
		r.speak(x, []sentence{{text: "utter_" + x.key, at: all[0].at}})
		return
	}
	flows := r.flows[x.key]
	slices.SortStableFunc(flows, func(a, b rasaFlow) int { return cmp.Compare(a.rank, b.rank) })
	if len(flows) == 0 {
		if all := r.responses["utter_"+x.key]; len(all) > 0 {
			r.speak(x, []sentence{{text: "utter_" + x.key, at: all[0].at}})
		}
		return
	}
	others := 0
	for _, f := range flows[1:] {
		if f.rank == flows[0].rank && !slices.EqualFunc(f.actions, flows[0].actions, func(a, b sentence) bool { return a.text == b.text }) {
			others++
		}
	}
	if others > 0 {
		r.change(flows[0].actions[0].at, x.key, fmt.Sprintf("the first of %d ways in which stories go on after this intent was taken as its answer", others+1))
	}
	r.speak(x, flows[0].actions)
}

// speak makes the answer of x from actions, in each language that has them.
func (r *rasaReader) speak(x *draftIntent, actions []sentence) {
	texts := map[string][]string{}
	at := map[string]Place{}
	for _, a := range actions {
		all := r.responses[a.text]
		if len(all) == 0 {
			if a.text != "action_listen" && !strings.HasPrefix(a.text, "respond_") {
				r.leaveOut(a.at, a.text, "intent "+x.key+" calls an action or a form, which are code; a flow or a behavior can take its place")
			}
			continue
		}
		for _, v := range all {
			v.used = true
			if len(v.variants) == 0 {
				continue
			}
			first := v.variants[0]
			s := r.say(first.text, v.lang, first.at)
			texts[s.lang] = append(texts[s.lang], strings.TrimSpace(first.text))
			if _, ok := at[s.lang]; !ok {
				at[s.lang] = first.at
			}
			x.buttons = append(x.buttons, first.buttons...)
			for _, more := range v.variants[1:] {
				r.once("variant "+more.at.String(), func() { r.leaveOut(more.at, more.text, "an answer has one wording; the first of "+v.name+" was taken") })
			}
		}
	}
	for _, lang := range slices.Sorted(maps.Keys(texts)) {
		r.answerWith(x, sentence{text: strings.Join(texts[lang], "\n"), lang: lang, at: at[lang]})
	}
}

// fallback takes what is said when nothing was understood as the phrase for
// that.
func (r *rasaReader) fallback(name string) {
	x := r.byKey[name]
	if x == nil {
		if len(r.flows[name]) == 0 {
			x = r.byKey["out_of_scope"]
		} else {
			x = &draftIntent{key: name, answer: map[string]sentence{}}
			r.answer(x)
		}
	}
	if x == nil || len(x.answer) == 0 {
		return
	}
	r.phrases["fallback"] = maps.Clone(x.answer)
	clear(x.answer)
	x.buttons = nil
}
