package intent

import (
	"cmp"
	"fmt"
	"slices"
)

// spellings holds the questions of a model for comparisons by spelling.
type spellings struct {
	model *model
	rows  []int32 // of the corpus, those that are asked
	at    map[int32]int
	alike *alike
}

func newSpellings(m *model) *spellings {
	x := &spellings{model: m, at: map[int32]int{}}
	var canonical []string
	for i := range m.corpus.examples {
		if m.corpus.examples[i].not {
			continue
		}
		row := int32(i)
		x.at[row] = len(x.rows)
		x.rows = append(x.rows, row)
		canonical = append(canonical, m.corpus.questions[i].canonical(m.norm))
	}
	x.alike = newAlike(canonical)
	return x
}

func (x *spellings) label(i int) int32 { return x.model.corpus.examples[x.rows[i]].label }

func (x *spellings) question(i int) *question { return &x.model.corpus.questions[x.rows[i]] }

func (x *spellings) twin(i, j int, cosine float32) Twin {
	a, b := x.question(i), x.question(j)
	return Twin{
		A: x.model.corpus.classes[x.label(i)], B: x.model.corpus.classes[x.label(j)],
		QuestionA: a.text, QuestionB: b.text, AtA: a.at.describe(), AtB: b.at.describe(), Alike: float64(cosine),
	}
}

// twins lists questions of different intents that nearly say the same, the
// most alike first, at most a few for each pair of intents.
func (x *spellings) twins() []Twin {
	type pair struct {
		i, j   int
		cosine float32
	}
	var all []pair
	seen := make([]int32, len(x.rows))
	for i := range x.rows {
		x.alike.neighbors(i, seen, func(j int, cosine float32) {
			if cosine >= twinAlike && x.label(i) != x.label(j) {
				all = append(all, pair{i, j, cosine})
			}
		})
	}
	slices.SortStableFunc(all, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.cosine, a.cosine), cmp.Compare(a.i, b.i), cmp.Compare(a.j, b.j))
	})
	const perPair = 3
	count := map[[2]int32]int{}
	var out []Twin
	for _, p := range all {
		key := [2]int32{x.label(p.i), x.label(p.j)}
		if count[key]++; count[key] > perPair || len(out) == maxTwins {
			continue
		}
		out = append(out, x.twin(p.i, p.j, p.cosine))
	}
	return out
}

// clashes lists the pairs of intents that were mixed up most, with the two
// questions of each pair that are most alike.
func (x *spellings) clashes(lines []judged) []Clash {
	by := map[[2]string]*Clash{}
	wrong := map[[2]string][]int{} // lines
	for i := range lines {
		j := &lines[i]
		if j.got == "" || j.got == j.want || j.want == OutOfScope {
			continue
		}
		key := [2]string{min(j.want, j.got), max(j.want, j.got)}
		c := by[key]
		if c == nil {
			c = &Clash{A: key[0], B: key[1]}
			by[key] = c
		}
		if j.want == c.A {
			c.AAsB++
		} else {
			c.BAsA++
		}
		wrong[key] = append(wrong[key], i)
	}
	var out []Clash
	for _, c := range by {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Clash) int {
		return cmp.Or(cmp.Compare(b.AAsB+b.BAsA, a.AAsB+a.BAsA), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	})
	out = out[:min(len(out), maxClashes)]
	for i := range out {
		c := &out[i]
		c.Alike = x.mostAlike(c.A, c.B)
		indexes := wrong[[2]string{c.A, c.B}]
		slices.SortStableFunc(indexes, func(a, b int) int { return cmp.Compare(lines[b].confidence, lines[a].confidence) })
		for _, k := range indexes[:min(len(indexes), 3)] {
			c.Examples = append(c.Examples, fmt.Sprintf("%s → %s: %s", lines[k].want, lines[k].got, lines[k].text))
		}
	}
	return out
}

// mostAlike compares every question of one intent with every one of another.
func (x *spellings) mostAlike(a, b string) *Twin {
	var one, other []int
	for i := range x.rows {
		switch x.model.corpus.classes[x.label(i)] {
		case a:
			one = append(one, i)
		case b:
			other = append(other, i)
		}
	}
	var best *Twin
	most := float32(0)
	for _, i := range one {
		for _, j := range other {
			if c := x.alike.cosine(i, j); c > most {
				t := x.twin(i, j, c)
				best, most = &t, c
			}
		}
	}
	return best
}

// leaks finds counterexamples and test lines that nearly stand under the
// questions as well.
func (x *spellings) leaks() []Pointer {
	m := x.model
	var lines []question
	var owner []*topic
	var tests []bool
	for _, t := range m.bundle.topics {
		for _, q := range t.not {
			lines, owner, tests = append(lines, q), append(owner, t), append(tests, false)
		}
		for _, q := range t.test {
			lines, owner, tests = append(lines, q), append(owner, t), append(tests, true)
		}
	}
	canonical := make([]string, 0, len(x.rows)+len(lines))
	for i := range lines {
		canonical = append(canonical, m.norm.canonical(lines[i].text))
	}
	for i := range x.rows {
		canonical = append(canonical, x.question(i).canonical(m.norm))
	}
	index := newAlike(canonical)
	seen := make([]int32, len(canonical))
	var out []Pointer
	for i := range lines {
		best, most := -1, float32(sameAlike)
		index.neighbors(i, seen, func(j int, cosine float32) {
			if j >= len(lines) && cosine >= most {
				best, most = j-len(lines), cosine
			}
		})
		if best < 0 {
			continue
		}
		asked := m.bundle.topics[x.label(best)]
		at := x.question(best).at.describe()
		switch {
		case tests[i] && asked == owner[i]:
			out = append(out, Pointer{At: lines[i].at.describe(), What: lines[i].text, Why: "the test line is trained on almost word for word (" + at + "), so it proves little"})
		case tests[i]:
			out = append(out, Pointer{At: lines[i].at.describe(), What: lines[i].text, Why: fmt.Sprintf("the test line of %s stands under %s almost word for word (%s)", owner[i].id, asked.id, at)})
		case asked == owner[i]:
			out = append(out, Pointer{At: lines[i].at.describe(), What: lines[i].text, Why: fmt.Sprintf("the line stands under not of %s and, almost word for word, under its ask (%s)", owner[i].id, at)})
		}
	}
	return out
}
