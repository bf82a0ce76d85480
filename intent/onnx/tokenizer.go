package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxTokens bounds what is encoded of a text, brackets included: encoders of
	// sentences are trained on less.
	maxTokens = 128
	// maxRunes bounds what is looked at of a text.
	maxRunes = 2000
	// maxWordRunes: longer words are unknown, as in BERT's own tokenizer.
	maxWordRunes = 100
	maxVocab     = 1 << 20
)

// tokenizer splits texts into WordPiece tokens as BERT does.
// Source: https://github.com/google-research/bert, tokenization.py, described anew.
//
// Concurrency: read only once made.
type tokenizer struct {
	ids               map[string]int64
	cased             bool
	begin, end        int64
	unknown, nothing  int64
	longestPieceBytes int
}

// readVocabulary reads a vocab.txt.
func readVocabulary(path string, cased bool) (*tokenizer, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	t := &tokenizer{ids: map[string]int64{}, cased: cased}
	lines := bufio.NewScanner(f)
	for n := int64(0); lines.Scan(); n++ {
		if n >= maxVocab {
			return nil, fmt.Errorf("%s has more than %d lines", path, maxVocab)
		}
		token := strings.TrimRight(lines.Text(), "\r")
		if _, known := t.ids[token]; !known {
			t.ids[token] = n
		}
		t.longestPieceBytes = max(t.longestPieceBytes, len(token))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, need := range []struct {
		token string
		at    *int64
	}{{"[CLS]", &t.begin}, {"[SEP]", &t.end}, {"[UNK]", &t.unknown}, {"[PAD]", &t.nothing}} {
		id, ok := t.ids[need.token]
		if !ok {
			return nil, fmt.Errorf("%s is no WordPiece vocabulary: it has no line %s", path, need.token)
		}
		*need.at = id
	}
	return t, nil
}

// tokenBatch is texts as an encoder takes them: rows of width tokens.
type tokenBatch struct {
	ids, mask []int64
	width     int
}

// batch gives the tokens of texts, the shorter ones filled up.
func (t *tokenizer) batch(prefix string, texts []string) tokenBatch {
	rows := make([][]int64, len(texts))
	b := tokenBatch{}
	for i, text := range texts {
		rows[i] = t.encode(prefix + text)
		b.width = max(b.width, len(rows[i]))
	}
	b.ids, b.mask = make([]int64, len(texts)*b.width), make([]int64, len(texts)*b.width)
	for i, row := range rows {
		for j := range b.width {
			at := i*b.width + j
			if b.ids[at] = t.nothing; j < len(row) {
				b.ids[at], b.mask[at] = row[j], 1
			}
		}
	}
	return b
}

// encode gives the tokens of a text between the two brackets.
func (t *tokenizer) encode(text string) []int64 {
	out := []int64{t.begin}
	for _, word := range t.words(text) {
		out = t.pieces(out, word)
		if len(out) >= maxTokens-1 {
			out = out[:maxTokens-1]
			break
		}
	}
	return append(out, t.end)
}

// words splits at spaces, around punctuation and around each Chinese character.
func (t *tokenizer) words(text string) []string {
	if r := []rune(text); len(r) > maxRunes {
		text = string(r[:maxRunes])
	}
	if !t.cased {
		text = strings.ToLower(text)
		text = norm.NFD.String(text)
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == 0 || r == unicode.ReplacementChar || !t.cased && unicode.Is(unicode.Mn, r):
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
		case isPunctuation(r) || isIdeograph(r):
			b.WriteString(" " + string(r) + " ")
		default:
			b.WriteRune(r)
		}
	}
	return strings.Fields(b.String())
}

// isPunctuation counts ASCII signs as punctuation that Unicode calls symbols.
func isPunctuation(r rune) bool {
	ascii := r >= 33 && r <= 47 || r >= 58 && r <= 64 || r >= 91 && r <= 96 || r >= 123 && r <= 126
	return ascii || unicode.IsPunct(r)
}

// isIdeograph reports the blocks of Chinese characters that BERT parts.
func isIdeograph(r rune) bool {
	return r >= 0x4e00 && r <= 0x9fff || r >= 0x3400 && r <= 0x4dbf || r >= 0x20000 && r <= 0x2a6df || r >= 0x2a700 && r <= 0x2ceaf ||
		r >= 0xf900 && r <= 0xfaff || r >= 0x2f800 && r <= 0x2fa1f
}

// pieces adds a word as the longest pieces that the vocabulary has, from the
// left; a word that it cannot be made of is unknown as a whole.
func (t *tokenizer) pieces(out []int64, word string) []int64 {
	if len([]rune(word)) > maxWordRunes {
		return append(out, t.unknown)
	}
	from := len(out)
	for rest, lead := word, ""; rest != ""; lead = "##" {
		n := min(len(rest), t.longestPieceBytes)
		id, ok := int64(0), false
		for ; n > 0; n-- {
			if id, ok = t.ids[lead+rest[:n]]; ok {
				break
			}
		}
		if !ok {
			return append(out[:from], t.unknown)
		}
		out, rest = append(out, id), rest[n:]
	}
	return out
}
