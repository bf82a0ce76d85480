package formats

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// pageKey names a page or a group of routes among those of all flows.
func pageKey(flow, name string) string { return flow + "\x00" + name }

// readFlows reads what is answered: the flow that conversations start in first,
// since the first answer to an intent is taken.
func (r *dialogflowCXReader) readFlows() {
	var flows []cxDoc
	for _, x := range r.of("agentTransitionRouteGroups") {
		r.groups[pageKey("", cmp.Or(x.doc.str("displayName"), strings.TrimSuffix(x.name, ".json")))] = x
	}
	for _, x := range r.of("flows") {
		if x.isProperties() {
			flows = append(flows, x)
		} else if name, ok := x.inFolder("pages"); ok {
			r.pages[pageKey(x.name, cmp.Or(x.doc.str("displayName"), name))] = x
		} else if name, ok := x.inFolder("transitionRouteGroups"); ok {
			r.groups[pageKey(x.name, cmp.Or(x.doc.str("displayName"), name))] = x
		}
	}
	start := cmp.Or(r.agent.str("startFlow"), "Default Start Flow")
	slices.SortStableFunc(flows, func(a, b cxDoc) int {
		switch {
		case (a.name == start) == (b.name == start):
			return 0
		case a.name == start:
			return -1
		}
		return 1
	})
	for _, x := range flows {
		x.file.read = true
		r.routes(x, x.name)
		r.events(x, x.name == start)
	}
	for _, x := range r.of("flows") {
		if _, ok := x.inFolder("pages"); ok {
			r.pageRoutes(x)
		}
	}
}

// withGroups lists the routes of a flow or page, with those of its groups.
func (r *dialogflowCXReader) withGroups(x cxDoc, flow string) []cxDoc {
	out := []cxDoc{x}
	for _, g := range x.doc.get("transitionRouteGroups").list() {
		group, ok := r.groups[pageKey(flow, g.string())]
		if !ok {
			group, ok = r.groups[pageKey("", g.string())]
		}
		if ok {
			out = append(out, group)
		}
	}
	return out
}

// routes reads the routes that are open as long as a conversation is in a flow.
func (r *dialogflowCXReader) routes(x cxDoc, flow string) {
	for _, from := range r.withGroups(x, flow) {
		from.file.read = true
		for _, route := range from.doc.get("transitionRoutes").list() {
			if i := r.intents[route.str("intent")]; i != nil {
				i.routed = true
				r.route(i, route, from.file.name, flow)
			}
		}
	}
}

// pageRoutes notes which intents a page understands.
func (r *dialogflowCXReader) pageRoutes(x cxDoc) {
	for _, from := range r.withGroups(x, x.name) {
		for _, route := range from.doc.get("transitionRoutes").list() {
			name := route.str("intent")
			if _, known := r.elsewhere[name]; !known && name != "" {
				r.elsewhere[name] = route.at(from.file.name)
			}
		}
	}
}

// route takes the answer of an intent: what the route says, then what the page
// says that it leads to. A page with a form asks for its values first, so that
// the answer is what it says when they are there.
func (r *dialogflowCXReader) route(i *cxIntent, route *node, file, flow string) {
	at, name := route.at(file), i.draft.key
	if c := strings.TrimSpace(route.str("condition")); c != "" && c != "true" {
		r.leaveOut(at, name, "the route is open under a condition only ("+shorten(c)+")")
		return
	}
	say := []cxSpeech{{node: route.get("triggerFulfillment"), file: file}}
	if page, ok := r.pages[pageKey(flow, route.str("targetPage"))]; ok {
		page.file.read = true
		say = append(say, cxSpeech{node: page.doc.get("entryFulfillment"), file: page.file.name})
		if final := finalRoute(page.doc); r.form(i, page) && final != nil {
			r.unsaid(i, say)
			say = []cxSpeech{{node: final.get("triggerFulfillment"), file: page.file.name}}
		}
	} else if to := route.str("targetFlow"); to != "" {
		r.leaveOut(at, name, "it goes on in the flow "+shorten(to)+"; a pack answers at once, or by a flow that looks something up")
	}
	r.speak(i, say)
}

// unsaid notes what is said before a form asks for its values: a pack's intent
// speaks once, when they are there.
func (r *dialogflowCXReader) unsaid(i *cxIntent, all []cxSpeech) {
	for _, f := range all {
		texts, _ := r.texts(i, f)
		for _, s := range texts {
			r.leaveOut(s.at, s.text, "it is said before the values are asked for; an answer is given once, when they are there")
		}
	}
}

// finalRoute finds where a page goes when all its values are there.
func finalRoute(page *node) *node {
	for _, route := range page.get("transitionRoutes").list() {
		c := strings.Join(strings.Fields(route.str("condition")), " ")
		if route.str("intent") == "" && c == `$page.params.status = "FINAL"` {
			return route
		}
	}
	return nil
}

// form takes the values that a page asks for as slots, and reports whether it
// asks for any.
func (r *dialogflowCXReader) form(i *cxIntent, page cxDoc) bool {
	asks := false
	for _, p := range page.doc.get("form").get("parameters").list() {
		name, kind := p.str("displayName"), strings.TrimPrefix(p.str("entityType"), "@")
		i.parameters[name] = kind
		if !p.true("required") {
			continue
		}
		e := slices.IndexFunc(r.entities, func(e *draftEntity) bool { return e.name == kind })
		if e < 0 {
			r.leaveOut(p.at(page.file.name), name, fmt.Sprintf("the value is a @%s, which packs do not have; declare an entity with a regex and name it under need", kind))
			continue
		}
		asks = true
		i.draft.need = append(i.draft.need, kind)
		prompt := cxSpeech{node: p.get("fillBehavior").get("initialPromptFulfillment"), file: page.file.name}
		texts, _ := r.texts(i, prompt)
		for _, s := range texts {
			if _, ok := r.entities[e].ask[s.lang]; !ok {
				r.entities[e].ask[s.lang] = s
			}
		}
	}
	return asks
}

// cxSpeech is a fulfillment with its file.
type cxSpeech struct {
	node *node
	file string
}

// speak makes one answer of what is said one after the other. An intent that has
// an answer in a language from another route keeps it.
func (r *dialogflowCXReader) speak(i *cxIntent, all []cxSpeech) {
	answer := map[string]sentence{}
	var order []string
	for _, f := range all {
		texts, rest := r.texts(i, f)
		i.draft.buttons = append(i.draft.buttons, rest...)
		for _, s := range texts {
			if first, ok := answer[s.lang]; ok {
				s = sentence{text: first.text + "\n" + s.text, lang: s.lang, at: first.at}
			} else {
				order = append(order, s.lang)
			}
			answer[s.lang] = s
		}
	}
	for _, lang := range order {
		r.answerWith(i.draft, answer[lang])
	}
}

// texts gives the texts and the buttons of a fulfillment.
func (r *dialogflowCXReader) texts(i *cxIntent, f cxSpeech) (texts, buttons []sentence) {
	name := i.draft.key
	if f.node.str("webhook") != "" {
		r.leaveOut(f.node.get("webhook").at(f.file), name+" webhook", "the webhook is code; a flow or a behavior can take its place")
	}
	if len(f.node.get("conditionalCases").list()) > 0 {
		r.leaveOut(f.node.get("conditionalCases").at(f.file), name, "what is said under conditions; an answer has one wording")
	}
	for _, m := range f.node.get("messages").list() {
		at := m.at(f.file)
		switch {
		case m.str("channel") != "":
			r.leaveOut(at, name, "the message is for "+m.str("channel")+" only")
		case m.has("text"):
			if s, ok := r.text(m, i.parameters, f.file); ok {
				texts = append(texts, s)
			}
		case m.has("liveAgentHandoff"):
			i.draft.handover = true
		case m.has("payload"):
			chips := chipsOf(m.get("payload"), f.file)
			if buttons = append(buttons, chips...); len(chips) == 0 {
				r.leaveOut(at, name, "an answer is a text with buttons; cards, images and payloads have no counterpart")
			}
		case m.has("conversationSuccess"), m.has("endInteraction"): // nothing is said
		default:
			r.leaveOut(at, name, "an answer is a text with buttons; this kind of message has no counterpart")
		}
	}
	return texts, buttons
}

// text gives the first wording of a message that says something.
func (r *dialogflowCXReader) text(m *node, parameters map[string]string, file string) (sentence, bool) {
	variants := slices.DeleteFunc(slices.Clone(m.get("text").get("text").list()), func(v *node) bool { return strings.TrimSpace(v.string()) == "" })
	if len(variants) == 0 {
		return sentence{}, false
	}
	for _, v := range variants[1:] {
		r.leaveOut(v.at(file), v.string(), "an answer has one wording; the first was taken")
	}
	at := variants[0].at(file)
	text := fillInCX(variants[0].string(), parameters)
	if computed := cxComputed.FindString(text); computed != "" {
		r.leaveOut(at, text, "the text computes a value ("+shorten(computed)+")")
		return sentence{}, false
	}
	return r.say(text, cmpLang(m.str("languageCode"), r.lang), at), true
}

// chipsOf gives the buttons of a payload for Dialogflow's messenger.
func chipsOf(payload *node, file string) []sentence {
	var out []sentence
	for _, row := range payload.get("richContent").list() {
		for _, part := range row.list() {
			if part.str("type") != "chips" {
				continue
			}
			for _, o := range part.get("options").list() {
				out = append(out, sentence{text: o.str("text"), at: o.at(file)})
			}
		}
	}
	return out
}

var (
	cxParameter = regexp.MustCompile(`\$(?:session|page|intent)\.params\.([A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)*)`)
	cxComputed  = regexp.MustCompile(`\$(?:sys|request|flow|session|page|intent)\.[A-Za-z.]+`)
)

// fillInCX turns $session.params.order_no into {order_no}, or into the entity
// that the parameter is.
func fillInCX(text string, parameters map[string]string) string {
	return cxParameter.ReplaceAllStringFunc(text, func(m string) string {
		name := cxParameter.FindStringSubmatch(m)[1]
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".original"), ".resolved")
		if kind := parameters[name]; kind != "" && !strings.HasPrefix(kind, "sys.") {
			return "{" + kind + "}"
		}
		return "{" + name + "}"
	})
}

// events takes what the first flow says when it understands nothing as the
// phrase for that.
func (r *dialogflowCXReader) events(x cxDoc, start bool) {
	for _, h := range x.doc.get("eventHandlers").list() {
		said := cxSpeech{node: h.get("triggerFulfillment"), file: x.file.name}
		event := h.str("event")
		switch {
		case start && event == "sys.no-match-default":
			i := &cxIntent{draft: &draftIntent{key: event, answer: map[string]sentence{}}}
			if r.speak(i, []cxSpeech{said}); len(i.draft.answer) > 0 {
				r.phrases["fallback"] = i.draft.answer
			}
		case event != "sys.no-match-default" && event != "sys.no-input-default" && len(said.node.get("messages").list()) > 0:
			r.leaveOut(h.at(x.file.name), event, "it is started by an event, not by what visitors say")
		}
	}
}
