package learning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// done remembers which texts an operator has dealt with, by a hash of each.
type done struct {
	Texts []doneText `json:"texts"` // oldest first
}

type doneText struct {
	Key string    `json:"k"`
	At  time.Time `json:"t"`
}

const (
	maxDone  = 4000
	putTries = 4
)

// State says whether the bot of an inbox answers by itself.
func (k *Keeper) State(in conversation.Inbox) conversation.IntentState {
	s := k.o.Library.Standing(in.ID, in.Packs, in.Policy.Auto)
	out := stateOf(in, s.Proven, s.Reason)
	if in.ServesBot() {
		out.Evidence = s
	}
	return out
}

// Intents lists what an inbox's packs know.
func (k *Keeper) Intents(in conversation.Inbox, lang string) []conversation.IntentName {
	return k.o.Library.IntentTitles(in.Packs, lang)
}

// Editable reports whether suggestions can be taken into packs.
func (k *Keeper) Editable() bool { return k.o.Editor != nil }

// Suggestions groups the questions of an inbox's visitors that had no right
// answer, what most of them asked first.
func (k *Keeper) Suggestions(ctx context.Context, in conversation.Inbox) ([]conversation.Suggestion, error) {
	groups, err := k.groups(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all := make([]conversation.Suggestion, 0, len(groups))
	for _, g := range groups {
		all = append(all, g.suggestion(in.ID, k.o.Library))
	}
	all = sortSuggestions(all)
	for i := range all {
		if err := k.nearest(ctx, in, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (k *Keeper) groups(ctx context.Context, inbox conversation.InboxID) ([]*group, error) {
	d, _, err := k.done(ctx, inbox)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]bool, len(d.Texts))
	for _, t := range d.Texts {
		keys[t.Key] = true
	}
	var rows []Missed
	k.mu.Lock()
	if b := k.mu.books[inbox]; b != nil {
		rows = slices.Clone(b.Missed)
	}
	k.mu.Unlock()
	return cluster(k.o.Library, rows, func(key string) bool { return keys[key] }), nil
}

// nearest asks the packs what they would take the examples for.
func (k *Keeper) nearest(ctx context.Context, in conversation.Inbox, s *conversation.Suggestion) error {
	if !in.ServesBot() {
		return nil
	}
	best := map[string]float32{}
	var p conversation.Prediction
	for _, text := range s.Examples {
		u := conversation.Utterance{Inbox: in.ID, Lang: s.Lang, Text: text, Packs: in.Packs, Auto: in.Policy.Auto}
		if err := k.o.Library.Predict(ctx, &u, &p); err != nil {
			return fmt.Errorf("nearest intents of inbox %s: %w", in.ID, err)
		}
		for _, c := range p.Candidates {
			best[c.Intent] += c.Confidence / float32(len(s.Examples))
		}
	}
	for id, c := range best {
		s.Nearest = append(s.Nearest, conversation.Candidate{Intent: id, Confidence: c})
	}
	slices.SortFunc(s.Nearest, func(a, b conversation.Candidate) int {
		switch {
		case a.Confidence > b.Confidence:
			return -1
		case a.Confidence < b.Confidence:
			return 1
		case a.Intent < b.Intent:
			return -1
		}
		return 1
	})
	s.Nearest = s.Nearest[:min(len(s.Nearest), maxNearest)]
	return nil
}

func (k *Keeper) group(ctx context.Context, inbox conversation.InboxID, id string) (*group, error) {
	groups, err := k.groups(ctx, inbox)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g.id() == id {
			return g, nil
		}
	}
	return nil, conversation.Refuse(conversation.CodeNotFound, "there is no such suggestion, or it has changed; read the list again")
}

// Dismiss takes a suggestion off the list for good.
// Errors: class [conversation.ErrNotFound] when it is not on it.
func (k *Keeper) Dismiss(ctx context.Context, in conversation.Inbox, id string) error {
	g, err := k.group(ctx, in.ID, id)
	if err != nil {
		return err
	}
	return k.settle(ctx, in.ID, g.order)
}

// Accept takes the texts of a suggestion into the inbox's packs, as questions of
// an intent that they have or of a new one.
//
// Errors: class [conversation.ErrInvalid] for what does not fit,
// [conversation.ErrNotFound] when the suggestion is not on the list,
// [conversation.ErrUnavailable] when packs cannot be changed from here.
func (k *Keeper) Accept(ctx context.Context, in conversation.Inbox, id string, by conversation.AgentID, a conversation.Acceptance) error {
	if k.o.Editor == nil {
		return conversation.Refuse(conversation.CodeUnavailable, "this server's packs are files only; add the questions there")
	}
	g, err := k.group(ctx, in.ID, id)
	if err != nil {
		return err
	}
	s := g.suggestion(in.ID, k.o.Library)
	keys, texts, err := k.chosen(g, a.Texts)
	if err != nil {
		return err
	}
	edits, err := k.edits(in, &s, a, texts)
	if err != nil {
		return err
	}
	if err := k.o.Editor.EditPacks(ctx, in.Packs, by, edits); err != nil {
		return err
	}
	return k.settle(ctx, in.ID, keys)
}

// chosen gives the canonical forms and the texts that an operator takes.
func (k *Keeper) chosen(g *group, texts []conversation.Text) (keys, out []string, err error) {
	if len(texts) == 0 {
		for _, key := range g.order {
			keys, out = append(keys, key), append(out, g.texts[key])
		}
		return keys, out, nil
	}
	for _, t := range texts {
		key := k.o.Library.Canonical(string(t))
		if _, ok := g.texts[key]; !ok {
			return nil, nil, conversation.Refuse(conversation.CodeInvalid, "a text is none of the suggestion's")
		}
		if !slices.Contains(keys, key) {
			keys, out = append(keys, key), append(out, g.texts[key])
		}
	}
	return keys, out, nil
}

func (k *Keeper) edits(in conversation.Inbox, s *conversation.Suggestion, a conversation.Acceptance, texts []string) ([]Edit, error) {
	lang := a.Lang
	if lang == "" {
		lang = s.Lang
	}
	if lang == "" {
		lang = in.Lang
	}
	var out []Edit
	if a.Intent != "" {
		e := Edit{Intent: a.Intent, Lang: lang, Ask: texts}
		known := slices.ContainsFunc(k.Intents(in, lang), func(n conversation.IntentName) bool { return n.Intent == a.Intent })
		if !known {
			if a.Title == "" || a.Answer == "" {
				return nil, conversation.Refusef(conversation.CodeInvalid, "the packs have no intent %q; a new one needs a title and an answer", a.Intent)
			}
			e.Title, e.Answer = a.Title, a.Answer
		}
		out = append(out, e)
	}
	if a.NotTaken {
		if s.Taken == "" || s.Taken == a.Intent {
			return nil, conversation.Refuse(conversation.CodeInvalid, "there is no wrong intent that the texts could be counter-examples of")
		}
		out = append(out, Edit{Intent: s.Taken, Lang: lang, Not: texts})
	}
	if len(out) == 0 {
		return nil, conversation.Refuse(conversation.CodeInvalid, "an intent, or not_taken, is needed")
	}
	return out, nil
}

func (k *Keeper) done(ctx context.Context, inbox conversation.InboxID) (done, uint64, error) {
	raw, version, err := k.o.Journal.Doc(ctx, docDone, string(inbox))
	if err != nil {
		return done{}, 0, fmt.Errorf("what inbox %s has dealt with: %w", inbox, err)
	}
	var d done
	if version > 0 {
		if err := json.Unmarshal(raw, &d); err != nil {
			return done{}, 0, fmt.Errorf("what inbox %s has dealt with: %w", inbox, err)
		}
	}
	return d, version, nil
}

// settle remembers that texts have been dealt with. Somebody else may do the
// same at the same time, on another node.
func (k *Keeper) settle(ctx context.Context, inbox conversation.InboxID, canonical []string) error {
	var err error
	for range putTries {
		var d done
		var version uint64
		if d, version, err = k.done(ctx, inbox); err != nil {
			return err
		}
		for _, c := range canonical {
			key := keyOf(c)
			if !slices.ContainsFunc(d.Texts, func(t doneText) bool { return t.Key == key }) {
				d.Texts = append(d.Texts, doneText{Key: key, At: k.o.Now().UTC().Truncate(time.Second)})
			}
		}
		d.Texts = d.Texts[max(len(d.Texts)-maxDone, 0):]
		raw, merr := json.Marshal(d)
		if merr != nil {
			return merr
		}
		if _, err = k.o.Journal.PutDoc(ctx, docDone, string(inbox), version, raw); !errors.Is(err, conversation.ErrConflict) {
			return err
		}
	}
	return err
}
