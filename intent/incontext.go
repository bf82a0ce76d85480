package intent

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// contextUnits is the length up to which an utterance may lean on what was
	// said before.
	contextUnits = 16
	// contextShare is how much of an earlier utterance's vector is added.
	contextShare = 0.5
	// maxParts bounds the questions of one utterance that are looked at apart.
	maxParts = 3
	// maxPartsBytes is the length up to which a text is taken for several questions.
	maxPartsBytes = 400
	// minPartUnits is the length from which a part counts as a question of its own.
	minPartUnits = 3
)

// withContext says how the utterance reads as going on with one of the matters
// that were talked about: ranked again with a share of the text that brought the
// matter up. Only a reading that stays with the matter counts, so that the
// earlier text cannot pull a question to a third one. The newer matter goes first.
func (m *model) withContext(s *scratch, u *conversation.Utterance, unseen float32, k *calibrator, p *conversation.Prediction) {
	units := s.tokens.units
	if len(u.Matters) == 0 || units > contextUnits || len(p.Candidates) == 0 {
		return
	}
	ids, values := slices.Clone(s.ids), slices.Clone(s.values)
	for _, matter := range slices.Backward(u.Matters) {
		m.analyze(s, string(matter.Text))
		m.weigh(s)
		for i, id := range ids {
			if at := slices.Index(s.ids, id); at >= 0 {
				s.values[at] = s.values[at]*contextShare + values[i]
				continue
			}
			s.ids = append(s.ids, id)
			s.values = append(s.values, values[i])
		}
		unitLength(s.values)
		r := m.head.rank(s, m.corpus.background, unseen, units)
		if r.best >= 0 && m.corpus.classes[r.best] == matter.Intent {
			p.InContext = conversation.Candidate{Intent: matter.Intent, Confidence: m.settle(&r, k, s.shift)}
			return
		}
	}
}

// parts ranks the questions of an utterance one by one, where it holds several.
func (m *model) parts(s *scratch, u *conversation.Utterance, k *calibrator, p *conversation.Prediction) {
	texts := splitQuestions(string(u.Text))
	if len(texts) < 2 {
		return
	}
	for _, text := range texts {
		m.analyze(s, text)
		if s.tokens.units < minPartUnits {
			continue
		}
		unseen := m.weigh(s)
		r := m.head.rank(s, m.corpus.background, unseen, s.tokens.units)
		if r.best < 0 {
			continue
		}
		p.Parts = append(p.Parts, conversation.Candidate{Intent: m.corpus.classes[r.best], Confidence: m.settle(&r, k, s.shift)})
	}
	if len(p.Parts) == 1 {
		p.Parts = nil
	}
}

// splitQuestions cuts a text at the end of sentences and before words that begin
// a further question. It gives nil for a text of one part, and for a story: one
// that is long, or has many parts.
func splitQuestions(text string) []string {
	if len(text) > maxPartsBytes {
		return nil
	}
	var parts [maxParts]string
	n, start := 0, 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		ends := strings.ContainsRune("?？。!！;；\n", r) || r == '.' && strings.HasPrefix(text[i:], ". ")
		if c := connective(text[i:]); c > 0 {
			ends, size = true, c
		}
		i += size
		if !ends {
			continue
		}
		if part := strings.TrimSpace(text[start : i-size]); part != "" {
			if n == maxParts {
				return nil
			}
			parts[n] = part
			n++
		}
		start = i
	}
	if part := strings.TrimSpace(text[start:]); part != "" {
		if n == maxParts {
			return nil
		}
		parts[n] = part
		n++
	}
	if n < 2 {
		return nil
	}
	return append([]string(nil), parts[:n]...)
}

// connective gives the length of a word at the start of text that begins a
// further question.
func connective(text string) int {
	for _, w := range []string{"，另外", ",另外", "，还有", ",还有", "，顺便", ",顺便", "，再问", "另外", "顺便问", ", also ", " and also ", ", and also ", " also, ", ", and "} {
		if len(text) >= len(w) && strings.EqualFold(text[:len(w)], w) {
			return len(w)
		}
	}
	return 0
}
