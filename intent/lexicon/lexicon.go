// Package lexicon holds what common words mean: a vector for each of some
// fifty thousand Chinese and English words, such that words used alike lie
// close together, across the two languages as well.
//
// The vectors say that parcel, package and 包裹 are near each other. That is
// knowledge which a few dozen example questions per intent cannot give. How
// they were made stands in README.md beside this file.
package lexicon

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
)

//go:embed words.txt
var words string

//go:embed vectors.bin
var vectors []byte

// ErrBroken means that the two files do not fit together.
var ErrBroken = errors.New("lexicon: words and vectors do not fit together")

// Lexicon is the list of words with their vectors. It is read only.
type Lexicon struct {
	Words  []string
	LogP   []float32 // logarithm of how often the word is used
	Dim    int
	Rows   []int8    // len(Words) × Dim
	Scales []float32 // what a row is multiplied by; rare words weigh more
}

// Load reads the embedded lexicon.
func Load() (*Lexicon, error) {
	l := &Lexicon{}
	for line := range strings.Lines(words) {
		word, p, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		f, err := strconv.ParseFloat(p, 32)
		if !ok || err != nil || word == "" {
			return nil, ErrBroken
		}
		l.Words = append(l.Words, word)
		l.LogP = append(l.LogP, float32(f))
	}
	n := len(l.Words)
	if n == 0 || len(vectors)%n != 0 || len(vectors)/n <= 4 {
		return nil, ErrBroken
	}
	l.Dim = len(vectors)/n - 4
	l.Rows = make([]int8, n*l.Dim)
	for i := range l.Rows {
		l.Rows[i] = int8(vectors[i]) //nolint:gosec // the bytes are signed
	}
	for i := range n {
		l.Scales = append(l.Scales, math.Float32frombits(binary.LittleEndian.Uint32(vectors[n*l.Dim+4*i:])))
	}
	return l, nil
}
