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
	l := c.numberLine(read)
	err := spread(ctx, len(l.done), workers, func() func(int) {
		s := &scratch{}
		return func(block int) {
			for i := block * readStride; i < min(n, (block+1)*readStride); i++ {
				text := c.questions[i].text
				if read[i] = known[text]; read[i] == nil {
					read[i] = a.read(s, text)
				}
			}
			l.finished(block)
		}
	})
	if err != nil {
		return err
	}
	c.features = l.rest()
	a.readings.keep(a.extract, c.questions, read)
	return nil
}

// numberLine numbers blocks of questions in their order. Whoever has read one goes on
// with what can be numbered, unless somebody else does just then.
type numberLine struct {
	corpus *corpus
	read   []*reading
	done   []atomic.Bool // per block: it has been read
	turn   struct {
		sync.Mutex // held by who numbers
		numberer
		next int // block
		all  []features
	}
}

func (c *corpus) numberLine(read []*reading) *numberLine {
	l := &numberLine{corpus: c, read: read, done: make([]atomic.Bool, (len(read)+readStride-1)/readStride)}
	l.turn.vocab, l.turn.all = c.vocab, make([]features, len(read))
	return l
}

// finished says that a block has been read.
func (l *numberLine) finished(block int) {
	l.done[block].Store(true)
	if l.turn.TryLock() {
		l.advance()
		l.turn.Unlock()
	}
}

// rest numbers what is left when all has been read, and gives the features of all
// questions.
func (l *numberLine) rest() []features {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.advance()
	return l.turn.all
}

func (l *numberLine) advance() {
	for t := &l.turn; t.next < len(l.done) && l.done[t.next].Load(); t.next++ {
		for i := t.next * readStride; i < min(len(l.read), (t.next+1)*readStride); i++ {
			r, f := l.read[i], &t.all[i]
			l.corpus.examples[i].units = int32(r.units) //nolint:gosec // at most maxTokens
			f.ids, f.counts = t.number(r.grams)
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
