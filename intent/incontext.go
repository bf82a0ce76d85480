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
	texts, n := splitQuestions(string(u.Text))
	for _, text := range texts[:n] {
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
		p.Parts = p.Parts[:0]
	}
}

// splitQuestions cuts a text at the end of sentences and before words that begin
// a further question. It gives none for a text of one part, and for a story: one
// that is long, or has many parts.
func splitQuestions(text string) (parts [maxParts]string, n int) {
	if len(text) > maxPartsBytes {
		return parts, 0
	}
	start := 0
	for i := 0; i < len(text); {
		ends, size := questionEnd(text[i:])
		i += size
		if !ends {
			continue
		}
		if part := strings.TrimSpace(text[start : i-size]); part != "" {
			if n == maxParts {
				return parts, 0
			}
			parts[n] = part
			n++
		}
		start = i
	}
	if part := strings.TrimSpace(text[start:]); part != "" {
		if n == maxParts {
			return parts, 0
		}
		parts[n] = part
		n++
	}
	if n < 2 {
		return parts, 0
	}
	return parts, n
}

// questionEnd reports whether a question ends where text begins, and how much of
// it belongs to neither that question nor the next.
func questionEnd(text string) (ends bool, size int) {
	switch c := text[0]; {
	case c == '?' || c == '!' || c == ';' || c == '\n':
		return true, 1
	case c == '.':
		return strings.HasPrefix(text, ". "), 1
	case c < utf8.RuneSelf && c != ',' && c != ' ':
		return false, 1
	}
	if n := connective(text); n > 0 {
		return true, n
	}
	r, size := utf8.DecodeRuneInString(text)
	switch r {
	case '？', '。', '！', '；':
		return true, size
	}
	return false, size
}

// connective gives the length of a word at the start of text that begins a
// further question.
func connective(text string) int {
	for _, w := range connectives {
		if text[0] == w[0] && len(text) >= len(w) && strings.EqualFold(text[:len(w)], w) {
			return len(w)
		}
	}
	return 0
}

//nolint:gochecknoglobals // constant
var connectives = [...]string{
	"，另外", ",另外", "，还有", ",还有", "，顺便", ",顺便", "，再问", "另外", "顺便问", ", also ", " and also ", ", and also ", " also, ", ", and ",
}
