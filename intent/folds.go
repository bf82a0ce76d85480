package intent

import (
	"context"
	"math/rand/v2"
)

// Numbers of folds. Ordinary folds tell how sure to be about intents that the
// packs have; left-out groups how the same evidence looks for those that they
// do not have.
const (
	ordinaryFolds = 5
	leftOutGroups = 4
)

// heldOut is a prediction on a question that its head was not trained on.
type heldOut struct {
	row        int32
	predicted  int32 // label, or -1
	background bool
	leftOut    bool // the question's whole intent was unknown
	fold       int
	evidence   evidence
}

// assignFolds spreads the questions of each intent and language evenly.
func (c *corpus) assignFolds(k int) []int {
	fold := make([]int, len(c.examples))
	rng := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // the folds have to repeat
	next := 0
	for _, group := range c.byLabel() {
		rng.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
		for _, r := range group {
			fold[r] = next % k
			next++
		}
	}
	return fold
}

// assignGroups spreads the intents that are not background over groups;
// background intents get -1 and are always trained on.
func (c *corpus) assignGroups(k int) []int {
	group := make([]int, len(c.classes))
	rng := rand.New(rand.NewPCG(13, 17)) //nolint:gosec // the groups have to repeat
	next := 0
	for _, label := range rng.Perm(len(group)) {
		if c.background[label] {
			group[label] = -1
			continue
		}
		group[label] = next % k
		next++
	}
	return group
}

// crossFit predicts every question by heads that have not seen it, and every
// question of each intent by a head that has not seen the intent.
func crossFit(ctx context.Context, c *corpus, o headOptions) ([]heldOut, error) {
	fold := c.assignFolds(ordinaryFolds)
	group := c.assignGroups(leftOutGroups)
	var out []heldOut
	for f := range ordinaryFolds {
		train := c.rows(func(i int, ex *example) bool { return ex.not || fold[i] != f })
		test := c.rows(func(i int, ex *example) bool { return !ex.not && fold[i] == f })
		part, err := holdOut(ctx, c, train, test, o)
		if err != nil {
			return nil, err
		}
		for i := range part {
			part[i].fold = f
		}
		out = append(out, part...)
	}
	for g := range leftOutGroups {
		train := c.rows(func(_ int, ex *example) bool { return group[ex.label] != g })
		test := c.rows(func(_ int, ex *example) bool { return !ex.not && group[ex.label] == g })
		if len(train) == 0 || len(test) == 0 {
			continue
		}
		part, err := holdOut(ctx, c, train, test, o)
		if err != nil {
			return nil, err
		}
		for i := range part {
			part[i].leftOut, part[i].fold = true, fold[part[i].row]
		}
		out = append(out, part...)
	}
	return out, nil
}

// holdOut trains on some rows and predicts others.
func holdOut(ctx context.Context, c *corpus, train, test []int32, o headOptions) ([]heldOut, error) {
	h, err := fit(ctx, c, train, o)
	if err != nil {
		return nil, err
	}
	out := make([]heldOut, len(test))
	const stride = 256
	err = spread(ctx, (len(test)+stride-1)/stride, o.workers, func() func(int) {
		s := &scratch{}
		return func(block int) {
			for i := block * stride; i < min(len(test), (block+1)*stride); i++ {
				out[i] = h.holdOutOne(c, s, test[i])
			}
		}
	})
	return out, err
}

func (h *head) holdOutOne(c *corpus, s *scratch, row int32) heldOut {
	unseen := h.vectorize(s, &c.features[row])
	r := h.rank(s, c.background, unseen, int(c.examples[row].units))
	return heldOut{row: row, predicted: r.best, background: r.background, evidence: r.evidence}
}

// samples weighs the held-out predictions for the calibrator. Questions of background
// intents are unknown ones as well, and count like any other, so that a pack says how
// frequent they are. Those of intents that were left out stand in for what is missing
// of the share of unknown ones, and for half of it where nothing is.
func (c *corpus) samples(held []heldOut) []sample {
	known, leftOut, background := 0, 0, 0
	for i := range held {
		switch {
		case held[i].leftOut:
			leftOut++
		case c.unknown(&held[i]):
			background++
		default:
			known++
		}
	}
	share := unknownShare / (1 - unknownShare) * float64(known)
	weight := max(share-float64(background), share/2) / float64(max(leftOut, 1))
	out := make([]sample, 0, len(held))
	for i := range held {
		x := &held[i]
		if x.predicted < 0 {
			continue
		}
		s := sample{evidence: x.evidence, weight: 1, fold: x.fold}
		if x.leftOut && known > 0 {
			s.weight = weight
		}
		s.right = !c.unknown(x) && x.predicted == c.examples[x.row].label
		out = append(out, s)
	}
	return out
}

func (c *corpus) unknown(x *heldOut) bool {
	return x.leftOut || c.background[c.examples[x.row].label]
}
