package main

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/colloquyhq/colloquy/intent/emotion"
)

// How the weights are trained. Chosen by leaving whole lines out; see figures.
const (
	epochs     = 8
	rate       = 0.2
	decay      = 1e-5  // of a weight, at each sample it is part of
	minSamples = 3     // sentences that a feature has to stand in
	minWeight  = 0.101 // a smaller one is left out, as a share of the head's largest
)

// prior is the log-odds of each head for a text that says nothing known. It is
// not learned: among the lines anger is common, among messages it is not.
func prior() [4]float64 {
	return [4]float64{emotion.Anger: -1.5, emotion.Abuse: -2, emotion.Threat: -2, emotion.Deny: -2}
}

// trained is a model before it is packed.
type trained struct {
	keys    []uint32
	weights [][4]float64 // by key
	bias    [4]float64
}

// example is a sample as the trainer sees it.
type example struct {
	rows []int32
	norm float64
	*sample
}

// train fits one logistic regression a head, by adaptive gradient steps in an
// order that is always the same. Every product is rounded by itself, so that
// machines which would fuse it with the sum that follows agree.
func train(samples []sample) *trained {
	t := &trained{}
	examples := t.prepare(samples)
	t.bias = prior()
	t.weights = make([][4]float64, len(t.keys))
	squares := make([][4]float64, len(t.keys))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // has to be the same every time
	for range epochs {
		random.Shuffle(len(examples), func(i, j int) { examples[i], examples[j] = examples[j], examples[i] })
		for _, x := range examples {
			margins := t.margins(x)
			for h := range margins {
				g := float64((sigmoid(margins[h]) - float64(x.targets[h])) * float64(x.weight))
				g = float64(g * x.norm)
				for _, r := range x.rows {
					w := &t.weights[r][h]
					step := g + float64(decay*(*w))
					squares[r][h] += float64(step * step)
					*w -= float64(rate*step) / (1e-4 + math.Sqrt(squares[r][h]))
				}
			}
		}
	}
	return t
}

// prepare numbers the features that are worth a weight.
func (t *trained) prepare(samples []sample) []example {
	counts := map[uint32]int{}
	examples := make([]example, len(samples))
	all := make([][]uint32, len(samples))
	for i := range samples {
		all[i] = emotion.Features(nil, []byte(samples[i].text))
		for _, f := range slices.Compact(slices.Sorted(slices.Values(all[i]))) {
			counts[f]++
		}
	}
	for f, n := range counts {
		if n >= minSamples && f != 0 {
			t.keys = append(t.keys, f)
		}
	}
	slices.Sort(t.keys)
	for i := range samples {
		x := example{sample: &samples[i], norm: 1 / math.Sqrt(float64(max(1, len(all[i]))))}
		for _, f := range all[i] {
			if r, ok := slices.BinarySearch(t.keys, f); ok {
				x.rows = append(x.rows, int32(r)) //nolint:gosec // fewer than there are bytes in the lines
			}
		}
		examples[i] = x
	}
	return examples
}

func (t *trained) margins(x example) [4]float64 {
	var out [4]float64
	for _, r := range x.rows {
		for h, w := range t.weights[r] {
			out[h] += w
		}
	}
	for h := range out {
		out[h] = t.bias[h] + float64(out[h]*x.norm)
	}
	return out
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// pack writes the weights in the form that emotion.Read takes. shift moves a
// head's bias.
func (t *trained) pack(lines [32]byte, shift [4]float64) []byte {
	out := append([]byte("CQE1"), lines[:]...)
	var scale [4]float64
	for _, w := range t.weights {
		for h := range w {
			scale[h] = max(scale[h], math.Abs(w[h]))
		}
	}
	for h := range scale {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(t.bias[h]+shift[h])))
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(scale[h]/127)))
	}
	type packed struct {
		key     uint32
		weights [4]int8
	}
	var rows []packed
	for i, w := range t.weights {
		p, keep := packed{key: t.keys[i]}, false
		for h := range w {
			share := w[h] / cmp.Or(scale[h], 1)
			p.weights[h] = int8(math.Round(share * 127))
			keep = keep || math.Abs(share) >= minWeight
		}
		if keep {
			rows = append(rows, p)
		}
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(rows))) //nolint:gosec // as above
	for _, p := range rows {
		out = binary.LittleEndian.AppendUint32(out, p.key)
		for _, w := range p.weights {
			out = append(out, byte(w)) //nolint:gosec // a signed byte
		}
	}
	return out
}
