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
var list string

//go:embed vectors.bin
var vectors []byte

// ErrBroken means that the two files do not fit together.
var ErrBroken = errors.New("lexicon: words and vectors do not fit together")

// Lexicon is what is known of words, by their numbers. It is read only.
type Lexicon struct {
	LogP   []float32 // logarithm of how often the word is used
	Dim    int
	Rows   []byte    // words × Dim, signed: int8 of each
	Scales []float32 // what a row is multiplied by; rare words weigh more
}

// Load reads the embedded lexicon, and gives the words in the order of their numbers.
func Load() (words []string, l *Lexicon, err error) {
	n := strings.Count(list, "\n")
	words, l = make([]string, 0, n), &Lexicon{LogP: make([]float32, 0, n), Scales: make([]float32, 0, n)}
	for line := range strings.Lines(list) {
		word, p, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		f, err := strconv.ParseFloat(p, 32)
		if !ok || err != nil || word == "" {
			return nil, nil, ErrBroken
		}
		words = append(words, word)
		l.LogP = append(l.LogP, float32(f))
	}
	if n = len(words); n == 0 || len(vectors)%n != 0 || len(vectors)/n <= 4 {
		return nil, nil, ErrBroken
	}
	l.Dim = len(vectors)/n - 4
	l.Rows = vectors[:n*l.Dim]
	for i := range n {
		l.Scales = append(l.Scales, math.Float32frombits(binary.LittleEndian.Uint32(vectors[n*l.Dim+4*i:])))
	}
	return words, l, nil
}
