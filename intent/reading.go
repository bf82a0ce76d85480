package intent

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// reading is what a question is as numbers, whatever stands beside it.
type reading struct {
	grams []uint64 // hashes of its n-grams
	dense []float32
	units int
}

// read gives the reading of a text.
func (a *analyzer) read(s *scratch, text string) *reading {
	a.analyze(s, text)
	return &reading{grams: slices.Clone(s.grams), dense: slices.Clone(s.dense), units: s.tokens.units}
}

// readings keeps those of the newest quick training: who saves a pack has mostly changed
// a few questions of it. They depend on nothing but the text and the entities.
type readings struct {
	kept atomic.Pointer[keptReadings]
}

type keptReadings struct {
	entities [entitiesHash]byte // see [extractor]
	byText   map[string]*reading
}

// mostReadingBytes bounds what is kept beside the texts, which the packs have anyway.
const mostReadingBytes = 16 << 20

// of gives what is kept for packs with these entities; there may be nothing.
func (r *readings) of(x *extractor) map[string]*reading {
	if r == nil {
		return nil
	}
	if k := r.kept.Load(); k != nil && k.entities == x.hash {
		return k.byText
	}
	return nil
}

// keep takes the readings of some questions in place of earlier ones. Too many are not
// kept.
func (r *readings) keep(x *extractor, questions []question, read []*reading) {
	if r == nil || len(questions) > quickQuestions {
		return
	}
	k, bytes := &keptReadings{entities: x.hash, byText: make(map[string]*reading, len(questions))}, 0
	for i, one := range read {
		k.byText[questions[i].text] = one
		bytes += 8*len(one.grams) + 4*len(one.dense)
	}
	if bytes <= mostReadingBytes {
		r.kept.Store(k)
	}
}

// readStride is how many questions one goroutine reads at a time.
const readStride = 64

// read fills in the features: every question by itself on several goroutines, and their
// numbers, in order, as far as the questions before have been read.
func (c *corpus) read(ctx context.Context, a *analyzer, workers int) error {
	n := len(c.examples)
	read, known := make([]*reading, n), a.readings.of(a.extract)
	l := &numberLine{corpus: c, numberer: numberer{vocab: c.vocab}, read: read, all: make([]features, n), done: make([]atomic.Bool, (n+readStride-1)/readStride)}
	err := spread(ctx, len(l.done), workers, func() func(int) {
		s := &scratch{}
		return func(block int) {
			for i := block * readStride; i < min(n, (block+1)*readStride); i++ {
				text := c.questions[i].text
				if read[i] = known[text]; read[i] == nil {
					read[i] = a.read(s, text)
				}
			}
			l.done[block].Store(true)
			if l.TryLock() {
				l.advance()
				l.Unlock()
			}
		}
	})
	if err != nil {
		return err
	}
	l.advance()
	c.features = l.all
	a.readings.keep(a.extract, c.questions, read)
	return nil
}

// numberLine numbers blocks of questions in their order. Whoever has read one goes on
// with it unless somebody else does just then; who comes last sees to the rest.
type numberLine struct {
	sync.Mutex // guards what follows, but for what a block that is not done belongs to
	numberer
	corpus *corpus
	read   []*reading
	all    []features
	next   int // block

	done []atomic.Bool // blocks that have been read
}

// advance numbers what can be. Nobody else does meanwhile.
func (l *numberLine) advance() {
	for ; l.next < len(l.done) && l.done[l.next].Load(); l.next++ {
		for i := l.next * readStride; i < min(len(l.read), (l.next+1)*readStride); i++ {
			r, f := l.read[i], &l.all[i]
			l.corpus.examples[i].units = int32(r.units) //nolint:gosec // at most maxTokens
			f.ids, f.counts = l.number(r.grams)
			f.dense = r.dense
		}
	}
}

// numberer gives n-grams their numbers, and counts them. What it gives lies in memory
// that many questions share.
type numberer struct {
	vocab  *vocabulary
	times  []uint16 // per feature: while a question is counted, zero outside
	ids    []int32
	counts []float32
}

// sharedNumbers is how many numbers are made room for at a time.
const sharedNumbers = 1 << 15

// number gives the distinct n-grams of a question, in the order in which they come.
func (k *numberer) number(grams []uint64) (ids []int32, counts []float32) {
	if cap(k.ids)-len(k.ids) < len(grams) {
		k.ids = make([]int32, 0, max(sharedNumbers, len(grams)))
		k.counts = make([]float32, 0, cap(k.ids))
	}
	begin := len(k.ids)
	for _, g := range grams {
		id := k.vocab.add(g)
		if id < 0 {
			continue
		}
		if int(id) >= len(k.times) {
			k.times = append(k.times, make([]uint16, max(int(id), sharedNumbers))...)
		}
		if k.times[id] == 0 {
			k.ids = append(k.ids, id)
		}
		k.times[id] += uint16(times(g)) //nolint:gosec // small
	}
	ids = k.ids[begin:len(k.ids):len(k.ids)]
	for _, id := range ids {
		k.counts = append(k.counts, sublinear(int(k.times[id])))
		k.times[id] = 0
	}
	return ids, k.counts[begin:len(k.counts):len(k.counts)]
}
