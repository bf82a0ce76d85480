package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

const (
	top        = 5
	encodeSize = 32  // texts that are encoded together while it learns
	learnFrom  = 400 // questions that the confidence is learned from, spread over all
	evidences  = 3
)

// question is a sentence with its intent.
type question struct {
	Intent string `json:"intent"`
	Text   string `json:"text"`
}

// head finds the intent whose questions lie in the direction of a text, and says
// how sure that is.
//
// Concurrency: read only once made.
type head struct {
	version string
	intents []string
	sums    map[string][]float32 // of the questions' vectors
	curve   [evidences]float64
}

// encodes is what a head learns by.
type encodes interface {
	encode(texts []string) ([][]float32, error)
}

// learn encodes all questions and learns from them.
func learn(ctx context.Context, e encodes, questions []question) (*head, error) {
	vectors := make([][]float32, 0, len(questions))
	for part := range slices.Chunk(questions, encodeSize) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		texts := make([]string, len(part))
		for i := range part {
			texts[i] = part[i].Text
		}
		more, err := e.encode(texts)
		if err != nil {
			return nil, fmt.Errorf("learning «%s» …: %w", part[0].Text, err)
		}
		vectors = append(vectors, more...)
	}
	h := &head{sums: map[string][]float32{}}
	for i, q := range questions {
		sum := h.sums[q.Intent]
		if sum == nil {
			sum = make([]float32, len(vectors[i]))
			h.sums[q.Intent] = sum
		}
		for k, x := range vectors[i] {
			sum[k] += x
		}
	}
	h.intents = slices.Sorted(maps.Keys(h.sums))
	h.learnConfidence(questions, vectors)
	text, err := json.Marshal(questions)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(text)
	h.version = hex.EncodeToString(hash[:6])
	return h, nil
}

// similar is how near a text is to an intent.
type similar struct {
	intent string
	cosine float64
}

// rank gives the intents, nearest first. without is the intent that v is one of
// the questions of, and is taken out of.
func (h *head) rank(v []float32, without string) []similar {
	out := make([]similar, 0, len(h.intents))
	for _, intent := range h.intents {
		s := similar{intent: intent}
		near, square := 0.0, 0.0
		for k, x := range h.sums[intent] {
			if intent == without {
				x -= v[k]
			}
			near += float64(x) * float64(v[k])
			square += float64(x) * float64(x)
		}
		if square > 1e-9 {
			s.cosine = near / math.Sqrt(square)
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b similar) int { return cmp.Compare(b.cosine, a.cosine) })
	return out
}

func evidence(ranked []similar) [evidences]float64 {
	second := 0.0
	if len(ranked) > 1 {
		second = ranked[1].cosine
	}
	return [evidences]float64{1, 2 * ranked[0].cosine, 8 * (ranked[0].cosine - second)}
}

// learnConfidence asks each question without itself, and once more as if its
// whole intent were not known: then every answer is wrong, as it is for what no
// pack covers.
func (h *head) learnConfidence(questions []question, vectors [][]float32) {
	type sample struct {
		x [evidences]float64
		y float64
	}
	var samples []sample
	for i := 0; i < len(questions); i += 1 + len(questions)/learnFrom {
		intent := questions[i].Intent
		ranked := h.rank(vectors[i], intent)
		right := 0.0
		if ranked[0].intent == intent {
			right = 1
		}
		others := slices.DeleteFunc(slices.Clone(ranked), func(s similar) bool { return s.intent == intent })
		samples = append(samples, sample{evidence(ranked), right}, sample{evidence(others), 0})
	}
	for range 2000 {
		var step [evidences]float64
		for _, s := range samples {
			miss := s.y - h.confidence(s.x)
			for i, x := range s.x {
				step[i] += miss * x
			}
		}
		for i := range h.curve {
			h.curve[i] += 1.5 * (step[i]/float64(len(samples)) - 0.0005*h.curve[i])
		}
	}
}

func (h *head) confidence(x [evidences]float64) float64 {
	sum := 0.0
	for i, w := range h.curve {
		sum += w * x[i]
	}
	return 1 / (1 + math.Exp(-min(max(sum, -30), 30)))
}

// classify gives the intents that a vector may mean, best first.
func (h *head) classify(v []float32) []candidate {
	ranked := h.rank(v, "")
	ranked = ranked[:min(len(ranked), top)]
	best := h.confidence(evidence(ranked))
	out := []candidate{{Intent: ranked[0].intent, Confidence: best}}
	last := best
	for _, s := range ranked[1:] {
		// The others share what is left, in proportion, and none is above the best.
		last = min(last, (1-best)*max(0, s.cosine)/max(ranked[0].cosine, 1e-9)/top)
		out = append(out, candidate{Intent: s.intent, Confidence: last})
	}
	return out
}
