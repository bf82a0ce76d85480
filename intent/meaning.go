package intent

import (
	"math"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/intent/lexicon"
)

// meanings looks up the vectors of an utterance's words.
type meanings struct {
	lexicon *lexicon.Lexicon
	words   *vocabulary // hash of a word → row
}

// maxHanWord is the length of the longest Chinese word that is looked for.
const maxHanWord = 5

func newMeanings() (*meanings, error) {
	words, l, err := lexicon.Load()
	if err != nil {
		return nil, err
	}
	m := &meanings{lexicon: l, words: newVocabulary(len(words))}
	for _, w := range words {
		m.words.add(wordHash(w))
	}
	if m.words.n != len(words) {
		return nil, lexicon.ErrBroken
	}
	m.words.seal()
	return m, nil
}

// wordHash gives the hash that the tokens of a word have.
func wordHash(w string) uint64 {
	r, _ := utf8.DecodeRuneInString(w)
	if !unspaced(r) {
		return hashBytes(hashSeed, []byte(w))
	}
	h := uint64(hanWordSeed)
	for _, r := range w {
		h = mix(h, hashRune(hashSeed, r))
	}
	return h
}

// hanWordSeed keeps words of several characters apart from single hashes.
const hanWordSeed = 0x6a09e667f3bcc909

// hanPath is the working memory for finding words in a run of characters.
type hanPath struct {
	score [maxTokens + 2]float32
	from  [maxTokens + 2]int16
	row   [maxTokens + 2]int32
}

// unknownLogP is the score of a character that is no word.
const unknownLogP = -18

// sum adds up the vectors of the words of t into out, whose length is the
// lexicon's dimension, and reports how many words were known.
func (m *meanings) sum(t *tokens, p *hanPath, out []float32) (known int) {
	clear(out)
	for i := 0; i < len(t.list); {
		k := &t.list[i]
		switch k.kind {
		case tokenHan:
			j := i + 1
			for j < len(t.list) && t.list[j].kind == tokenHan && !t.list[j].broken {
				j++
			}
			known += m.sumRun(t.list[i:j], p, out)
			i = j
			continue
		case tokenWord:
			if row := m.latin(t.letters[k.start:k.end]); row >= 0 {
				m.add(out, row)
				known++
			}
		case tokenMask, tokenSymbol, tokenMark, tokenEdge:
		}
		i++
	}
	return known
}

// sumRun splits a run of characters into the most likely words.
func (m *meanings) sumRun(run []token, p *hanPath, out []float32) (known int) {
	for i := range len(run) + 1 {
		p.score[i] = -1e30
	}
	p.score[0] = 0
	for i := range run {
		h := uint64(hanWordSeed)
		for n := 1; n <= maxHanWord && i+n <= len(run); n++ {
			h = mix(h, run[i+n-1].hash)
			row := m.words.id(h)
			if row < 0 && n > 1 {
				continue
			}
			score := p.score[i] + unknownLogP
			if row >= 0 {
				score = p.score[i] + m.lexicon.LogP[row]
			}
			if score > p.score[i+n] {
				p.score[i+n], p.from[i+n], p.row[i+n] = score, int16(i), row
			}
		}
	}
	for i := len(run); i > 0; i = int(p.from[i]) {
		if p.row[i] >= 0 {
			m.add(out, p.row[i])
			known++
		}
	}
	return known
}

// latin finds a word, or its stem when only that is known.
func (m *meanings) latin(word []byte) int32 {
	if row := m.words.id(hashBytes(hashSeed, word)); row >= 0 {
		return row
	}
	for _, e := range &endings {
		n := len(word) - len(e.suffix)
		if n < minStem || string(word[n:]) != e.suffix {
			continue
		}
		h := hashBytes(hashSeed, word[:n])
		for _, put := range e.instead {
			if n+len(put) <= minStem {
				continue
			}
			if row := m.words.id(hashBytes(h, []byte(put))); row >= 0 {
				return row
			}
		}
		if e.doubles && n > minStem && word[n-1] == word[n-2] {
			if row := m.words.id(hashBytes(hashSeed, word[:n-1])); row >= 0 {
				return row
			}
		}
	}
	return -1
}

// minStem is the length of the shortest stem that an ending is taken off; what is
// looked up is longer, so that using is of use and not of us.
const minStem = 2

// endings are what English words end in, with what stems may have instead;
// before some of them a stem's last letter is doubled.
//
//nolint:gochecknoglobals // constant
var endings = [...]struct {
	suffix  string
	instead []string
	doubles bool
}{
	{"ies", []string{"y", "ie"}, false},
	{"ied", []string{"y", "ie"}, false},
	{"s", []string{""}, false},
	{"es", []string{""}, false},
	{"d", []string{""}, false},
	{"ed", []string{"", "e"}, true},
	{"ing", []string{"", "e"}, true},
	{"ly", []string{"", "le"}, false},
	{"er", []string{"", "e"}, true},
}

func (m *meanings) add(out []float32, row int32) {
	scale := m.lexicon.Scales[row]
	v := m.lexicon.Rows[int(row)*m.lexicon.Dim:][:len(out)]
	for i, x := range v {
		out[i] += scale * float32(int8(x)) //nolint:gosec // the bytes are signed
	}
}

// center takes a mean off v and brings it to the given length; a vector of
// nothing stays zero.
func center(v, mean []float32, length float32) {
	sum := float32(0)
	for _, x := range v {
		sum += x * x
	}
	if sum == 0 {
		return
	}
	scale := float32(1 / math.Sqrt(float64(sum)))
	sum = 0
	for i := range v {
		v[i] = v[i]*scale - mean[i]
		sum += v[i] * v[i]
	}
	scale = length / float32(math.Sqrt(float64(sum)+1e-12))
	for i := range v {
		v[i] *= scale
	}
}
