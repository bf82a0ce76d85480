package intent

import (
	"cmp"
	"context"
	"slices"
)

// corpus is the training material of a bundle as numbers.
type corpus struct {
	classes    []string
	background []bool // per class
	vocab      *vocabulary
	examples   []example
	questions  []question // per example, for the nearest question
	dim        int        // of the dense part
	lean       bool       // the examples are without their features
}

// example is one question: the distinct features in it with their counts. A
// corpus that nothing is trained on at the time does without them.
type example struct {
	ids    []int32
	counts []float32 // sublinear
	dense  []float32 // sum of the words' vectors
	label  int32
	not    bool // a counterexample of its label, and of no other use
	units  int32
	lang   string
}

// vocabulary numbers the features by hash: open addressing, no deletion.
type vocabulary struct {
	keys []uint64
	ids  []int32
	mask uint64
	n    int
}

func newVocabulary(capacity int) *vocabulary {
	size := 1024
	for size < capacity*2 {
		size *= 2
	}
	return &vocabulary{keys: make([]uint64, size), ids: make([]int32, size), mask: uint64(size) - 1}
}

// id finds a feature, or -1.
func (v *vocabulary) id(h uint64) int32 {
	if h == 0 {
		h = 1
	}
	for i := h & v.mask; ; i = (i + 1) & v.mask {
		switch v.keys[i] {
		case h:
			return v.ids[i]
		case 0:
			return -1
		}
	}
}

// add numbers a feature. Of one that has a number it only reads.
func (v *vocabulary) add(h uint64) int32 {
	if id := v.id(h); id >= 0 {
		return id
	}
	if h == 0 {
		h = 1
	}
	if v.n*2 >= len(v.keys) {
		v.grow()
	}
	i := h & v.mask
	for v.keys[i] != 0 {
		i = (i + 1) & v.mask
	}
	v.keys[i], v.ids[i] = h, int32(v.n) //nolint:gosec // bounded by maxQuestions × maxTokens
	v.n++
	return v.ids[i]
}

func (v *vocabulary) grow() {
	old := *v
	*v = *newVocabulary(len(old.keys))
	v.n = old.n
	for i, h := range old.keys {
		if h == 0 {
			continue
		}
		k := h & v.mask
		for v.keys[k] != 0 {
			k = (k + 1) & v.mask
		}
		v.keys[k], v.ids[k] = h, old.ids[i]
	}
}

// newCorpus turns the questions of a bundle into features.
func newCorpus(ctx context.Context, b *bundle, a *analyzer, workers int) (*corpus, error) {
	c := &corpus{vocab: newVocabulary(1 << 15), dim: a.mean.lexicon.Dim}
	asked := map[string]bool{}
	for _, t := range b.topics {
		for _, q := range t.ask {
			asked[q.canonical(a.norm)] = true
		}
	}
	for label, t := range b.topics {
		c.classes = append(c.classes, t.id)
		c.background = append(c.background, t.background)
		for _, q := range t.ask {
			c.add(q, label, false)
		}
		for _, lang := range langs(t.title) {
			// Titles come back as messages when their button is pressed.
			q := question{text: t.title[lang], lang: lang, at: t.at}
			if key := a.norm.canonical(q.text); !t.background && !asked[key] {
				asked[key] = true
				c.add(q, label, false)
			}
		}
		for _, q := range t.not {
			c.add(q, label, true)
		}
	}
	return c, c.read(ctx, a, workers)
}

func (c *corpus) add(q question, label int, not bool) {
	c.examples = append(c.examples, example{label: int32(label), not: not, lang: q.lang}) //nolint:gosec // at most maxIntents
	c.questions = append(c.questions, q)
}

// readStride is how many questions one goroutine reads at a time.
const readStride = 64

// read fills in the features: every question by itself on several goroutines,
// then their numbers, in order.
func (c *corpus) read(ctx context.Context, a *analyzer, workers int) error {
	n := len(c.examples)
	grams := make([][]uint64, n)
	err := spread(ctx, (n+readStride-1)/readStride, workers, func() func(int) {
		s := &scratch{}
		return func(block int) {
			for i := block * readStride; i < min(n, (block+1)*readStride); i++ {
				grams[i] = c.examples[i].read(a, s, c.questions[i].text)
			}
		}
	})
	if err != nil {
		return err
	}
	for i := range c.examples {
		ex := &c.examples[i]
		ex.ids = make([]int32, len(grams[i]))
		for k, g := range grams[i] {
			ex.ids[k] = c.vocab.add(g)
		}
	}
	return nil
}

// recollect reads the features again that forget has dropped. All of them have
// their numbers, so predictions may go on meanwhile.
func (c *corpus) recollect(ctx context.Context, a *analyzer, workers int) error {
	if !c.lean {
		return nil
	}
	if err := c.read(ctx, a, workers); err != nil {
		return err
	}
	c.lean = false
	return nil
}

// forget drops the features of the examples, which are half of what a model needs
// to be trained and none of what it needs to predict.
func (c *corpus) forget() {
	for i := range c.examples {
		ex := &c.examples[i]
		ex.ids, ex.counts, ex.dense = nil, nil, nil
	}
	c.lean = true
}

// read fills in everything but the numbers of the features, and gives their
// hashes.
func (ex *example) read(a *analyzer, s *scratch, text string) (grams []uint64) {
	a.analyze(s, text)
	ex.units = int32(s.tokens.units) //nolint:gosec // at most maxTokens
	ex.dense = slices.Clone(s.dense)
	slices.Sort(s.grams)
	grams, ex.counts = make([]uint64, 0, len(s.grams)), make([]float32, 0, len(s.grams))
	for i := 0; i < len(s.grams); {
		j := i
		for j < len(s.grams) && s.grams[j] == s.grams[i] {
			j++
		}
		grams = append(grams, s.grams[i])
		ex.counts = append(ex.counts, sublinear(j-i))
		i = j
	}
	return grams
}

// rows lists the examples for which keep holds.
func (c *corpus) rows(keep func(i int, ex *example) bool) []int32 {
	var out []int32
	for i := range c.examples {
		if keep(i, &c.examples[i]) {
			out = append(out, int32(i))
		}
	}
	return out
}

// byLabel groups rows by label and language, each group in stable order.
func (c *corpus) byLabel() [][]int32 {
	all := c.rows(func(_ int, ex *example) bool { return !ex.not })
	slices.SortStableFunc(all, func(x, y int32) int {
		a, b := &c.examples[x], &c.examples[y]
		return cmp.Or(cmp.Compare(a.label, b.label), cmp.Compare(a.lang, b.lang))
	})
	var groups [][]int32
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && c.examples[all[j]].label == c.examples[all[i]].label && c.examples[all[j]].lang == c.examples[all[i]].lang {
			j++
		}
		groups = append(groups, all[i:j])
		i = j
	}
	return groups
}
