package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

const (
	readRunes = 2000 // what a text is about stands before that
	top       = 5
	features  = 4
	learnFrom = 400 // questions that the confidence is learned from, spread over all
)

// vector holds weights by n-gram.
type vector map[string]float64

// model is the nearest centroid over weighted character n-grams, which needs no
// word segmentation and so treats Chinese and English alike. What it states as
// confidence is learned too.
//
// Concurrency: read only once made.
type model struct {
	version string
	seen    map[string]int // questions' n-grams, counted over all
	weight  vector
	intents []string
	sums    map[string]vector // of the questions' vectors, by intent
	squares vector            // of the sums' lengths
	curve   [features]float64
}

func newModel(questions []question) *model {
	m := &model{seen: map[string]int{}, weight: vector{}, sums: map[string]vector{}, squares: vector{}}
	counts := make([]map[string]int, len(questions))
	for i, q := range questions {
		counts[i] = grams(q.Text)
		for g := range counts[i] {
			m.seen[g]++
		}
	}
	for g, n := range m.seen {
		m.weight[g] = math.Log(float64(len(questions))/float64(n)) + 1
	}
	for i, q := range questions {
		if m.sums[q.Intent] == nil {
			m.sums[q.Intent] = vector{}
		}
		for g, x := range m.vector(counts[i]) {
			m.sums[q.Intent][g] += x
		}
	}
	m.intents = slices.Sorted(maps.Keys(m.sums))
	for intent, sum := range m.sums {
		m.squares[intent] = dot(slices.Sorted(maps.Keys(sum)), sum, sum)
	}
	m.learnConfidence(questions, counts)
	text, _ := json.Marshal(questions) // strings only
	hash := sha256.Sum256(text)
	m.version = hex.EncodeToString(hash[:6])
	return m
}

// grams counts the character n-grams of a text.
func grams(text string) map[string]int {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	runes := []rune(" " + strings.Join(words, " ") + " ")
	out := map[string]int{}
	if len(words) == 0 {
		return out
	}
	runes = runes[:min(len(runes), readRunes)]
	for n := 1; n <= 4; n++ {
		for i := 0; i+n <= len(runes); i++ {
			if g := string(runes[i : i+n]); strings.TrimSpace(g) != "" {
				out[g]++
			}
		}
	}
	return out
}

// vector weighs n-grams that the questions have, to length 1. Sums over maps are
// made in the order of their keys: the same text gives the same bits.
func (m *model) vector(counts map[string]int) vector {
	v, square := vector{}, 0.0
	for _, g := range slices.Sorted(maps.Keys(counts)) {
		if w, ok := m.weight[g]; ok {
			v[g] = (1 + math.Log(float64(counts[g]))) * w
			square += v[g] * v[g]
		}
	}
	for g := range v {
		v[g] /= math.Sqrt(square)
	}
	return v
}

// known gives the share of a text's n-grams that enough questions have.
func (m *model) known(counts map[string]int, enough int) float64 {
	n := 0
	for g := range counts {
		if m.seen[g] >= enough {
			n++
		}
	}
	return float64(n) / float64(max(1, len(counts)))
}

// similar is how near a text is to an intent.
type similar struct {
	intent string
	cosine float64
}

// rank gives the intents, nearest first. without is the intent that v is one of
// the questions of, and is left out of.
func (m *model) rank(v vector, without string) []similar {
	keys := slices.Sorted(maps.Keys(v))
	own := dot(keys, v, v)
	out := make([]similar, 0, len(m.intents))
	for _, intent := range m.intents {
		near, square := dot(keys, v, m.sums[intent]), m.squares[intent]
		if intent == without {
			near, square = near-own, square-2*near+own
		}
		s := similar{intent: intent}
		if square > 1e-9 {
			s.cosine = near / math.Sqrt(square)
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b similar) int { return cmp.Compare(b.cosine, a.cosine) })
	return out
}

func dot(keys []string, a, b vector) float64 {
	sum := 0.0
	for _, g := range keys {
		sum += a[g] * b[g]
	}
	return sum
}

func evidence(ranked []similar, known float64) [features]float64 {
	second := 0.0
	if len(ranked) > 1 {
		second = ranked[1].cosine
	}
	return [features]float64{1, ranked[0].cosine, ranked[0].cosine - second, known}
}

// learnConfidence asks each question without itself, and once more as if its
// whole intent were not known: then every answer is wrong, as it is for what no
// pack covers. The curve is fitted to both.
func (m *model) learnConfidence(questions []question, counts []map[string]int) {
	type sample struct {
		x [features]float64
		y float64
	}
	var samples []sample
	for i := 0; i < len(questions); i += 1 + len(questions)/learnFrom {
		q := questions[i]
		known, ranked := m.known(counts[i], 2), m.rank(m.vector(counts[i]), q.Intent)
		right := 0.0
		if ranked[0].intent == q.Intent {
			right = 1
		}
		others := slices.DeleteFunc(slices.Clone(ranked), func(s similar) bool { return s.intent == q.Intent })
		samples = append(samples, sample{evidence(ranked, known), right}, sample{evidence(others, known), 0})
	}
	for range 800 {
		var step [features]float64
		for _, s := range samples {
			miss := s.y - m.confidence(s.x)
			for i, x := range s.x {
				step[i] += miss * x
			}
		}
		for i := range m.curve {
			m.curve[i] += 4 * (step[i]/float64(len(samples)) - 0.0005*m.curve[i])
		}
	}
}

func (m *model) confidence(x [features]float64) float64 {
	sum := 0.0
	for i, w := range m.curve {
		sum += w * x[i]
	}
	return 1 / (1 + math.Exp(-min(max(sum, -30), 30)))
}

// classify gives the intents that a text may mean, best first; none when it has
// nothing in common with the questions.
func (m *model) classify(text string) []candidate {
	counts := grams(text)
	v := m.vector(counts)
	if len(v) == 0 {
		return nil
	}
	ranked := m.rank(v, "")
	ranked = ranked[:min(len(ranked), top)]
	best := m.confidence(evidence(ranked, m.known(counts, 1)))
	out := []candidate{{Intent: ranked[0].intent, Confidence: best}}
	last := best
	for _, s := range ranked[1:] {
		// The others share what is left, in proportion, and none is above the best.
		last = min(last, (1-best)*max(0, s.cosine)/max(ranked[0].cosine, 1e-9)/top)
		out = append(out, candidate{Intent: s.intent, Confidence: last})
	}
	return out
}
