package actors

import (
	"cmp"
	"maps"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// builtin is what answers when no behavior is bound: the packs' answers, their
// questions for slots, clarifying questions, and handovers. It does no I/O; a
// flow's look-up is handed back as a behavior for the runner.
type builtin struct {
	library Library
	flows   *flows
}

// builtinName is the provenance of what the packs answer.
const builtinName = "builtin"

// The names of the packs' fixed sentences.
const (
	phraseFallback     = "fallback"
	phraseClarify      = "clarify"
	phraseHandover     = "handover"
	phraseAskAgain     = "ask_again"
	phraseBotFailed    = "bot_failed"
	phraseNone         = "none_of_these"
	phraseSlotHelp     = "slot_help"
	phraseResume       = "resume"
	phraseAlso         = "also"
	phraseDenied       = "denied"
	phraseApology      = "apology"
	phraseFileAsk      = "file_ask"
	phraseFileHandover = "file_handover"
)

// answer decides a turn, or gives the behavior that has to run for it.
func (b *builtin) answer(t *Turn) (conversation.Outcome, *Binding) {
	out, slow := b.choose(t)
	return t.soften(out), slow
}

func (b *builtin) choose(t *Turn) (conversation.Outcome, *Binding) {
	c := t.Choice
	switch c.Action {
	case conversation.ActionHandover:
		return b.handover(t), nil
	case conversation.ActionClarify:
		return b.clarify(t), nil
	case conversation.ActionAnswer, conversation.ActionContinue:
		if t.Playbook != nil {
			return b.play(t)
		}
	case conversation.ActionFallback:
	}
	text := t.Phrase(phraseFallback)
	if t.wordless() {
		text = cmp.Or(t.Phrase(phraseFileAsk), text)
	}
	if c.Denied != "" {
		text = join(t.Phrase(phraseDenied), text)
	}
	return conversation.Outcome{Replies: b.say(text), Abstain: true, Denied: c.Denied}, nil
}

// play follows the intent's playbook: ask for what is missing, then look up or
// answer.
func (b *builtin) play(t *Turn) (conversation.Outcome, *Binding) {
	p := t.Playbook
	needed := p.Need
	flow := p.Flow
	if flow != nil && (t.Choice.Plain || !b.flows.configured(flow, b.variables(t))) {
		// Without an endpoint, or for who has no number yet, the look-up's slots lead
		// nowhere: answer in general.
		flow, needed = nil, nil
	}
	for _, slot := range needed {
		if t.Slots[slot.Name] == "" {
			return b.beside(t, b.ask(t, slot)), nil
		}
	}
	if flow != nil {
		return conversation.Outcome{}, b.flows.binding(flow)
	}
	return b.beside(t, b.settled(t, p.Answer)), nil
}

// beside adds to an answer what the visitor asked as well, and comes back to a
// question of the bot that the answer leaves open.
func (b *builtin) beside(t *Turn, out conversation.Outcome) conversation.Outcome {
	out.Denied = t.Choice.Denied
	if buttons, intents := b.titles(t, t.Choice.Also); len(buttons) > 0 {
		out.Offer = intents
		out.Replies = append(out.Replies, conversation.Reply{Text: conversation.Text(cmp.Or(t.Phrase(phraseAlso), t.Phrase(phraseClarify))), Buttons: buttons})
	}
	d := &t.Conversation.Dialogue
	if t.Choice.Leaves && out.Ask == "" && out.Handover == "" {
		if slot, ok := b.library.Slot(t.Inbox.Packs, d.Ask, t.Lang); ok && slot.Ask != "" {
			out.Replies = append(out.Replies, b.say(join(t.Phrase(phraseResume), b.fillText(t, slot.Ask)))...)
		}
	}
	return out
}

// join puts one text below the other.
func join(above, below string) string {
	if above == "" {
		return below
	}
	return above + "\n" + below
}

// titles gives buttons for those of the candidates that have a title, and their
// intents in the same order.
func (b *builtin) titles(t *Turn, candidates []conversation.Candidate) (buttons []conversation.Button, intents []string) {
	for _, c := range candidates {
		if p, ok := b.library.Playbook(t.Inbox.Packs, c.Intent, t.Lang); ok && p.Title != "" {
			buttons = append(buttons, conversation.Button{Label: p.Title, Text: p.Title})
			intents = append(intents, c.Intent)
		}
	}
	return buttons, intents
}

// settled answers and forgets the dialogue, or hands over where the playbook
// says so.
func (b *builtin) settled(t *Turn, text string) conversation.Outcome {
	p := t.Playbook
	out := conversation.Outcome{
		Intent: p.Intent, Replies: b.say(b.fillText(t, text)), Priority: p.Priority, Slots: t.Slots,
	}
	if len(out.Replies) > 0 {
		out.Replies[len(out.Replies)-1].Buttons = p.Buttons
	}
	if p.Handover {
		out.Handover, out.Summary = conversation.HandoverPolicy, p.Title
	}
	return out
}

func (b *builtin) ask(t *Turn, slot conversation.Slot) conversation.Outcome {
	question := b.fillText(t, slot.Ask)
	var buttons []conversation.Button
	switch again, mistaken := t.Phrase(phraseAskAgain), t.mistaken(slot); {
	case mistaken != "":
		question = join(b.fillText(t, mistaken), question)
	case t.Choice.Help:
		question = join(t.Phrase(phraseSlotHelp), question)
		buttons, _ = b.titles(t, []conversation.Candidate{{Intent: conversation.IntentTalkToHuman}})
	case t.Conversation.Dialogue.Ask == slot.Name && t.Choice.Action == conversation.ActionContinue:
		question = join(again, question)
	}
	out := conversation.Outcome{
		Intent: t.Playbook.Intent, Ask: slot.Name, Slots: t.Slots, Replies: b.say(question), Priority: t.Playbook.Priority,
	}
	if len(out.Replies) > 0 {
		out.Replies[0].Buttons = buttons
	}
	return out
}

// mistaken is what to say of a value that stands where another was wanted.
func (t *Turn) mistaken(slot conversation.Slot) string {
	for _, e := range t.Prediction.Entities {
		if text := slot.Mistaken[e.Name]; text != "" {
			return text
		}
	}
	return ""
}

// clarify offers the nearest intents as buttons whose text is their title, which
// is one of the questions that they are trained on.
func (b *builtin) clarify(t *Turn) conversation.Outcome {
	reply := conversation.Reply{Text: conversation.Text(cmp.Or(t.Phrase(phraseClarify), t.Phrase(phraseFallback)))}
	if t.Choice.Denied != "" {
		reply.Text = conversation.Text(join(t.Phrase(phraseDenied), string(reply.Text)))
	}
	buttons, intents := b.titles(t, t.Choice.Offer)
	reply.Buttons = buttons
	if none := t.Phrase(phraseNone); none != "" && len(reply.Buttons) > 0 {
		reply.Buttons = append(reply.Buttons, conversation.Button{Label: none, Text: none})
	}
	out := conversation.Outcome{Abstain: true, Offer: intents, Denied: t.Choice.Denied}
	if reply.Text != "" {
		out.Replies = []conversation.Reply{reply}
	}
	return out
}

func (b *builtin) handover(t *Turn) conversation.Outcome {
	out := conversation.Outcome{
		Intent: t.Choice.Intent, Slots: t.Slots, Handover: t.Choice.Reason, Abstain: t.Choice.Reason == conversation.HandoverAbstained,
		Denied: t.Choice.Denied,
	}
	text := t.Phrase(phraseHandover)
	if p := t.Playbook; p != nil {
		out.Summary = p.Title
		if t.Choice.Reason == conversation.HandoverAsked && p.Answer != "" {
			text = b.fillText(t, p.Answer)
		}
	}
	if t.Choice.Reason == conversation.HandoverAttachment {
		text = cmp.Or(t.Phrase(phraseFileHandover), text)
		m, _ := t.Conversation.MessageAt(t.Seq)
		out.Summary = string(m.Plain())
	}
	if t.Inbox.Policy.Silent {
		text = ""
	}
	out.Replies = b.say(text)
	return out
}

// failed is the outcome of a turn whose classifier or behavior failed: an honest
// sentence, and a human.
func (b *builtin) failed(t *Turn, reason conversation.HandoverReason) conversation.Outcome {
	text := t.Phrase(phraseBotFailed)
	if reason == conversation.HandoverLookup && t.Playbook != nil && t.Playbook.Flow != nil {
		text = cmp.Or(b.fillText(t, t.Playbook.Flow.Failed), text)
	}
	text = cmp.Or(text, t.Phrase(phraseHandover))
	if t.Inbox.Policy.Silent {
		text = ""
	}
	// Without the slots: they may be what could not be stored.
	return conversation.Outcome{Intent: t.Choice.Intent, Handover: reason, Replies: b.say(text)}
}

func (b *builtin) say(text string) []conversation.Reply {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return []conversation.Reply{{Text: conversation.Text(text)}}
}

// learn sets a slot, unless the dialogue holds as many as it can.
func (t *Turn) learn(name, value string) {
	if _, known := t.Slots[name]; known || len(t.Slots) < conversation.MaxSlots {
		t.Slots[name] = clip(value)
	}
}

// clip cuts a value to what a slot holds, at a character's end.
func clip(s string) string {
	if len(s) > conversation.MaxSlotBytes {
		return strings.ToValidUTF8(s[:conversation.MaxSlotBytes], "")
	}
	return s
}

// fillText fills what the turn knows into a text: slots first, then the inbox's
// variables, then the pack's.
func (b *builtin) fillText(t *Turn, text string) string {
	return expand(text, func(name string) string {
		if v, ok := t.Slots[name]; ok {
			return orUnknown(v)
		}
		if v, ok := t.Inbox.Vars[name]; ok || t.Playbook == nil {
			return orUnknown(v)
		}
		return orUnknown(t.Playbook.Variables[name])
	})
}

// variables are the pack's values, the inbox's own above them.
func (b *builtin) variables(t *Turn) map[string]string {
	out := map[string]string{}
	if t.Playbook != nil {
		maps.Copy(out, t.Playbook.Variables)
	}
	maps.Copy(out, t.Inbox.Vars)
	return out
}

// values are the variables with the slots above them.
func (b *builtin) values(t *Turn) map[string]string {
	out := b.variables(t)
	maps.Copy(out, t.Slots)
	return out
}
