package intent

import (
	"math"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// Signature is what two texts are compared by: the direction of their meaning
// and their n-grams. The zero Signature is like nothing.
type Signature struct {
	meaning []float32 // length one; nil when no word is known
	grams   []uint64  // sorted, each once
	units   int
}

// meaningShare is the weight of meaning beside wording in a similarity.
const meaningShare = 0.6

// Signature reads a text, by the rules that all packs share.
func (l *Library) Signature(text string) Signature {
	s := l.borrow()
	defer l.scratch.Put(s)
	l.plain.analyze(s, text)
	out := Signature{units: s.tokens.units}
	if s.tokens.units == 0 {
		return out
	}
	out.grams = slices.Clone(s.grams)
	slices.Sort(out.grams)
	out.grams = slices.Compact(out.grams)
	if s.known > 0 {
		out.meaning = slices.Clone(s.dense)
		unitLength(out.meaning)
	}
	return out
}

// Units is how many words or characters of Chinese the text has.
func (a *Signature) Units() int { return a.units }

// Like gives the similarity of two texts, 0 to 1.
func (a *Signature) Like(b *Signature) float32 {
	wording := a.wording(b)
	if len(a.meaning) == 0 || len(a.meaning) != len(b.meaning) {
		return wording
	}
	cos := float32(0)
	for i, v := range a.meaning {
		cos += v * b.meaning[i]
	}
	return meaningShare*max(cos, 0) + (1-meaningShare)*wording
}

// wording is the cosine of the sets of n-grams.
func (a *Signature) wording(b *Signature) float32 {
	if len(a.grams) == 0 || len(b.grams) == 0 {
		return 0
	}
	both := 0
	for i, j := 0, 0; i < len(a.grams) && j < len(b.grams); {
		switch {
		case a.grams[i] < b.grams[j]:
			i++
		case a.grams[i] > b.grams[j]:
			j++
		default:
			both++
			i++
			j++
		}
	}
	return float32(float64(both) / math.Sqrt(float64(len(a.grams))*float64(len(b.grams))))
}

// Canonical gives the form in which the packs compare questions: two texts with
// the same one are the same question.
func (l *Library) Canonical(text string) string { return l.base.norm.canonical(text) }

// IntentTitles lists the intents that packs have, with their titles, in the order of
// their names. It is empty for packs that are not loaded.
func (l *Library) IntentTitles(packs []string, lang string) []conversation.IntentName {
	b := l.bundle(packs)
	if b == nil {
		return nil
	}
	var out []conversation.IntentName
	for _, t := range b.topics {
		if !t.background {
			out = append(out, conversation.IntentName{Intent: t.id, Title: t.titleIn(lang)})
		}
	}
	return out
}
