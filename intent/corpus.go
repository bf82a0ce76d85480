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
	features   []features // per example; nil while nothing is trained on them
	questions  []question // per example, for the nearest question
	dim        int        // of the dense part
}

// example is one question.
type example struct {
	label int32
	units int32
	not   bool // a counterexample of its label, and of no other use
}

// features are the distinct n-grams of one question with their counts, and what its
// words mean.
type features struct {
	ids    []int32
	counts []float32 // sublinear
	dense  []float32 // sum of the words' vectors
}

// newCorpus turns the questions of a bundle into features.
func newCorpus(ctx context.Context, b *bundle, a *analyzer, workers int) (*corpus, error) {
	c := &corpus{vocab: newVocabulary(1 << 15), dim: a.mean.lexicon.Dim}
	c.reserve(b)
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
			text := t.title[lang]
			if key := a.norm.canonical(text); !t.background && !asked[key] {
				asked[key] = true
				c.add(question{line: &line{text: text, at: t.at, key: key}, lang: lang}, label, false)
			}
		}
		for _, q := range t.not {
			c.add(q, label, true)
		}
	}
	if err := c.read(ctx, a, workers); err != nil {
		return nil, err
	}
	c.vocab.seal()
	return c, nil
}

// reserve makes room for the questions of a bundle.
func (c *corpus) reserve(b *bundle) {
	n := b.questions()
	c.examples, c.questions = make([]example, 0, n), make([]question, 0, n)
}

func (c *corpus) add(q question, label int, not bool) {
	c.examples = append(c.examples, example{label: int32(label), not: not}) //nolint:gosec // at most maxIntents
	c.questions = append(c.questions, q)
}

// recollect reads the features again that forget has dropped. All of them have
// their numbers, so predictions may go on meanwhile.
func (c *corpus) recollect(ctx context.Context, a *analyzer, workers int) error {
	if c.features != nil {
		return nil
	}
	return c.read(ctx, a, workers)
}

// forget drops the features of the examples, which are half of what a model needs
// to be trained and none of what it needs to predict.
func (c *corpus) forget() { c.features = nil }

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
		return cmp.Or(cmp.Compare(c.examples[x].label, c.examples[y].label), cmp.Compare(c.questions[x].lang, c.questions[y].lang))
	})
	var groups [][]int32
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && c.examples[all[j]].label == c.examples[all[i]].label && c.questions[all[j]].lang == c.questions[all[i]].lang {
			j++
		}
		groups = append(groups, all[i:j])
		i = j
	}
	return groups
}
