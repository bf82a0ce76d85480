package intent

import (
	"math"
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
	s.own.copy(s.ids, s.values)
	for _, matter := range slices.Backward(u.Matters) {
		m.analyze(s, string(matter.Text))
		m.weigh(s)
		s.join(len(m.head.mean))
		r := m.head.rank(s, m.corpus.background, unseen, units)
		if r.best >= 0 && m.corpus.classes[r.best] == matter.Intent {
			p.InContext = conversation.Candidate{Intent: matter.Intent, Confidence: m.settle(&r, k, s.shift)}
			return
		}
	}
}

// join adds to the vector of s, which is that of an earlier text, the own one of the
// utterance, whose share is the larger one. Both end in dense numbers; the
// two parts get the length that they have in a text by itself.
func (s *scratch) join(dense int) {
	ids, values := s.own.ids, s.own.values
	sparse := len(s.ids) - dense
	s.tail.copy(s.ids[sparse:], s.values[sparse:])
	tail := s.tail.values
	length := lengthOf(values[len(values)-dense:])
	s.ids, s.values = s.ids[:sparse], s.values[:sparse]
	for i := range s.values {
		s.values[i] *= contextShare
	}
	own := len(ids) - dense
	for i, id := range ids[:own] {
		if at := slices.Index(s.ids, id); at >= 0 {
			s.values[at] += values[i]
			continue
		}
		s.ids, s.values = append(s.ids, id), append(s.values, values[i])
	}
	unitLength(s.values)
	for d := range tail {
		tail[d] = tail[d]*contextShare + values[own+d]
	}
	unitLength(tail)
	for d := range tail {
		tail[d] *= length
	}
	s.ids, s.values = append(s.ids, s.tail.ids...), append(s.values, tail...)
}

func lengthOf(v []float32) float32 {
	sum := float32(0)
	for _, x := range v {
		sum += x * x
	}
	return float32(math.Sqrt(float64(sum)))
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
