package actors

import (
	"cmp"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// hear reads what the message does in the dialogue, adds the values that it gives
// to the known ones, and says whether the slot is among them that was asked for,
// or that the running matter goes by.
func (b *builtin) hear(t *Turn) conversation.Heard {
	if t.wording == nil {
		t.wording = conversation.ReadWording(t.Text)
	}
	heard := t.Conversation.HearWording(t.wording)
	d := &t.Conversation.Dialogue
	for _, e := range t.Prediction.Entities {
		if value, _ := conversation.PickValue(b.valuesFor(t, &heard, e.Name, false), d.Slots[e.Name], heard.Corrects); value != "" {
			t.learn(e.Name, value)
		}
	}
	if t.Timer != "" {
		return heard
	}
	asked := d.Ask
	if asked == "" && d.Pending != nil {
		asked = d.Pending.Ask
	}
	if asked != "" {
		if heard.Slot = b.fill(t, &heard, asked); heard.Slot == conversation.SlotFilled || d.Ask != "" {
			return heard
		}
	}
	if s := b.correct(t, &heard); s != conversation.SlotNotAsked {
		heard.Slot = s
	}
	return heard
}

// fill takes the value of the slot that was asked for.
func (b *builtin) fill(t *Turn, heard *conversation.Heard, asked string) conversation.SlotResult {
	if _, known := b.library.Slot(t.Inbox.Packs, asked, t.Lang); !known && t.Conversation.Dialogue.Ask == asked {
		// No pack describes this slot: a behavior asked for it, and takes what
		// comes as it is.
		value := string(t.Text)
		if v, ok := b.library.SlotValue(t.Inbox.Packs, asked, t.Text); ok {
			value = v
		}
		for _, e := range t.Prediction.Entities {
			if e.Name == asked {
				value = e.Value
			}
		}
		t.learn(asked, value)
		return conversation.SlotFilled
	}
	value, more := conversation.PickValue(b.valuesFor(t, heard, asked, true), t.Conversation.Dialogue.Slots[asked], heard.Corrects)
	if value == "" {
		return conversation.SlotMissing
	}
	t.learn(asked, value)
	t.more = more
	return conversation.SlotFilled
}

// correct takes another value for a slot that the running matter has gone by.
func (b *builtin) correct(t *Turn, heard *conversation.Heard) conversation.SlotResult {
	d := &t.Conversation.Dialogue
	p, ok := b.library.Playbook(t.Inbox.Packs, d.Intent, t.Lang)
	if !ok {
		return conversation.SlotNotAsked
	}
	for _, slot := range p.Need {
		known := d.Slots[slot.Name]
		if known == "" {
			continue
		}
		value, more := conversation.PickValue(b.valuesFor(t, heard, slot.Name, heard.Corrects || heard.Follows || heard.Bare), known, heard.Corrects)
		switch {
		case value != "" && value != known:
			t.learn(slot.Name, value)
			t.more = more
			return conversation.SlotChanged
		case value == "" && heard.Other && heard.Corrects:
			t.learn(slot.Name, "")
			return conversation.SlotDropped
		}
	}
	return conversation.SlotNotAsked
}

// valuesFor gives what a message has for one slot, in order: what the packs find
// in it and, where loose is set, its numbers and codes that would be an answer if
// they stood alone.
func (b *builtin) valuesFor(t *Turn, heard *conversation.Heard, slot string, loose bool) []conversation.Value { //nolint:revive // how far to look
	var out []conversation.Value
	add := func(v conversation.Value) {
		if !slices.ContainsFunc(out, func(o conversation.Value) bool { return o.Text == v.Text && o.Negated == v.Negated }) {
			out = append(out, v)
		}
	}
	for _, e := range t.Prediction.Entities {
		if e.Name != slot {
			continue
		}
		v := conversation.Value{Text: e.Value, Start: e.Start, End: e.End}
		for _, n := range heard.Values {
			v.Negated = v.Negated || n.Negated && n.Start < e.End && e.Start < n.End
		}
		add(v)
	}
	if !loose {
		return out
	}
	found := len(out) > 0
	for _, n := range heard.Values {
		// What is a date or a sum of money is no number of an order. Where the packs have
		// found a value, they have the last word on what it is, and on what stands beside it.
		if slices.ContainsFunc(t.Prediction.Entities, func(e conversation.Entity) bool {
			within := n.Start < e.End && e.Start < n.End
			return within && (found || e.Name != slot && n.End-n.Start < e.End-e.Start)
		}) {
			continue
		}
		if value, ok := b.library.SlotValue(t.Inbox.Packs, slot, conversation.Text(n.Text)); ok {
			n.Text = value
			add(n)
		}
	}
	slices.SortStableFunc(out, func(a, b conversation.Value) int { return cmp.Compare(a.Start, b.Start) })
	if len(out) == 0 {
		if value, ok := b.library.SlotValue(t.Inbox.Packs, slot, t.Text); ok {
			add(conversation.Value{Text: value})
		}
	}
	return out
}
