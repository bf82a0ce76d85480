package intent

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// maskRounds bounds how often a text is looked through: each round finds at most
// maxFound values.
const maskRounds = 16

// Mask puts <name> in the place of every value of an entity that the packs mark
// with mask, so that the text can be shown to a program that must not have the
// values. Where entities overlap all of it is masked. What lies beyond the part
// of a text that is looked at is left out, and a text in which there is no end
// of values is left out as a whole.
//
// Errors: class [conversation.ErrNotFound] for a pack that is not loaded.
func (l *Library) Mask(ctx context.Context, packs []string, text conversation.Text) (string, error) {
	m, err := l.model(ctx, packs)
	if err != nil {
		return "", err
	}
	s := l.borrow()
	defer l.scratch.Put(s)
	out := string(text)
	if len(out) > maxFoldBytes {
		out = cutText(out, maxFoldBytes)
	}
	for range maskRounds {
		next, changed := m.mask(s, out)
		if !changed {
			return out, nil
		}
		out = next
		if len(out) > maxFoldBytes {
			out = cutText(out, maxFoldBytes)
		}
	}
	return "", nil
}

// mask makes one round.
func (m *model) mask(s *scratch, text string) (string, bool) {
	m.norm.fold(&s.folded, text)
	s.all = m.extract.all(s.all[:0], &s.folded)
	hidden := s.masks[:0]
	for _, f := range s.all {
		if m.extract.masked[f.entity] && !m.extract.insideMask(text, int(s.folded.at[f.start])) {
			hidden = append(hidden, f)
		}
	}
	s.masks = hidden
	slices.SortFunc(hidden, func(a, b found) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) })
	var b strings.Builder
	at := 0
	for _, f := range hidden {
		start, end := int(s.folded.at[f.start]), s.folded.originalEnd(f.end)
		if start < at { // overlaps the one before
			at = max(at, end)
			continue
		}
		b.WriteString(text[at:start])
		b.WriteString("<" + m.extract.names[f.entity] + ">")
		at = end
	}
	b.WriteString(text[at:])
	return b.String(), len(hidden) > 0
}

// insideMask reports whether a value stands inside of a mask that an earlier
// round has put there.
func (x *extractor) insideMask(text string, at int) bool {
	open := strings.LastIndexByte(text[:at], '<')
	closing := strings.IndexByte(text[at:], '>')
	return open >= 0 && closing >= 0 && slices.Contains(x.names, text[open+1:at+closing])
}
