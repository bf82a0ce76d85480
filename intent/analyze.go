package intent

import "math"

// analyzer turns text into features; it is read only and shared.
type analyzer struct {
	norm     *normalizer
	extract  *extractor
	mean     *meanings
	readings *readings // of questions; nil = none are kept
}

// vector is what an utterance's features are multiplied by weights as.
type vector struct {
	ids    []int32
	values []float32
}

// copy takes the numbers of another one, in the memory of v.
func (v *vector) copy(ids []int32, values []float32) {
	v.ids, v.values = append(v.ids[:0], ids...), append(v.values[:0], values...)
}

// scratch is the working memory of one prediction. It is pooled.
type scratch struct {
	folded  folded
	all     []found // every value
	found   []found // values after overlaps are resolved
	masks   []found
	tokens  tokens
	grams   []uint64
	ids     []int32
	values  []float32
	rows    []int32 // of weights, and what they are multiplied by
	weighed []float32
	singles []weighed // rows of questions that alone have a feature, with the products
	adder   adder
	touched []uint16 // per feature: count while looking up, always zero outside
	margins []float32
	softmax []float32
	cosines []float32 // per class
	dims    []int32   // the rows of the dense part: 0, 1, 2…
	similar []float32 // per example
	path    hanPath
	dense   []float32 // sum of the words' vectors
	known   int       // words in it
	own     vector    // of the utterance, while one before it is read
	tail    vector    // dense part of the one before
	likes   []float32 // per class: how like its most similar question is
	shift   float64   // correction of the inbox's confidences; zero outside of Predict
}

// analyze fills folded, found, tokens and grams.
func (a *analyzer) analyze(s *scratch, text string) {
	a.norm.fold(&s.folded, text)
	a.analyzeFolded(s)
}

// analyzeBelow is analyze for a text below a title.
func (a *analyzer) analyzeBelow(s *scratch, title, text string) {
	a.norm.fold(&s.folded, title)
	a.norm.foldMore(&s.folded, "\n")
	a.norm.foldMore(&s.folded, text)
	a.analyzeFolded(s)
}

func (a *analyzer) analyzeFolded(s *scratch) {
	s.all = a.extract.all(s.all[:0], &s.folded)
	s.found = resolve(append(s.found[:0], s.all...))
	s.masks = s.masks[:0]
	for _, m := range s.found {
		if a.extract.masked[m.entity] {
			s.masks = append(s.masks, m)
		}
	}
	s.tokens.split(s.folded.text, s.masks, a.extract)
	s.grams = s.tokens.grams(s.grams[:0])
	if s.dense == nil {
		s.dense = make([]float32, a.mean.lexicon.Dim)
	}
	s.known = a.mean.sum(&s.tokens, &s.path, s.dense)
}

// sublinear damps repetitions.
func sublinear(count int) float32 {
	if count < len(damped) {
		return damped[count]
	}
	return float32(1 + math.Log(float64(count)))
}

// damped has what sublinear gives for small counts: logarithms are dear.
//
//nolint:gochecknoglobals // constant
var damped = func() (out [64]float32) {
	for n := range out {
		out[n] = float32(1 + math.Log(float64(max(n, 1))))
	}
	return out
}()
