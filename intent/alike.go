package intent

import (
	"cmp"
	"math"
	"slices"
	"unicode"
)

// alike compares the questions of packs by their spelling: the cosine of
// character n-grams weighted by how rare they are. It serves people who look
// for questions that say the same under two intents; predictions do not use
// it, so that what it shows does not depend on how a model was trained.
type alike struct {
	grams    [][]gram  // of each question, by id
	postings [][]int32 // questions with an n-gram, where it is rare enough to find anything
}

type gram struct {
	id     int32
	weight float32
}

// commonGrams is the number of questions with an n-gram above which it says
// nothing about which questions are alike. It still counts in the cosine.
const commonGrams = 250

// newAlike indexes canonical questions.
func newAlike(canonical []string) *alike {
	ids := map[string]int32{}
	counts := make([]map[int32]int, len(canonical))
	var df []int
	for i, s := range canonical {
		counts[i] = map[int32]int{}
		for _, g := range spelling(s) {
			id, ok := ids[g]
			if !ok {
				id = int32(len(ids)) //nolint:gosec // bounded by maxQuestions × maxQuestionBytes
				ids[g] = id
				df = append(df, 0)
			}
			if counts[i][id] == 0 {
				df[id]++
			}
			counts[i][id]++
		}
	}
	a := &alike{grams: make([][]gram, len(canonical)), postings: make([][]int32, len(df))}
	for i, c := range counts {
		sum := 0.0
		for id, n := range c {
			w := (1 + math.Log(float64(n))) * math.Log(1+float64(len(canonical))/float64(df[id]))
			a.grams[i] = append(a.grams[i], gram{id: id, weight: float32(w)})
			sum += w * w
		}
		slices.SortFunc(a.grams[i], func(x, y gram) int { return cmp.Compare(x.id, y.id) })
		for k := range a.grams[i] {
			g := &a.grams[i][k]
			g.weight /= float32(math.Sqrt(sum))
			if df[g.id] <= commonGrams {
				a.postings[g.id] = append(a.postings[g.id], int32(i))
			}
		}
	}
	return a
}

// spelling lists the n-grams of a canonical question: characters of scripts
// without spaces alone and in pairs, other words whole and in threes.
func spelling(s string) []string {
	var out []string
	runes := []rune(s)
	for i := 0; i < len(runes); {
		if isWide := unicode.In(runes[i], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai); isWide {
			out = append(out, string(runes[i]))
			if i+1 < len(runes) && runes[i+1] != ' ' {
				out = append(out, string(runes[i:i+2]))
			}
			i++
			continue
		}
		if runes[i] == ' ' {
			i++
			continue
		}
		j := i
		for j < len(runes) && runes[j] != ' ' && !unicode.In(runes[j], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai) {
			j++
		}
		word := append(append([]rune{'^'}, runes[i:j]...), '$')
		out = append(out, string(word))
		for k := 0; k+3 <= len(word) && len(word) > 3; k++ {
			out = append(out, string(word[k:k+3]))
		}
		i = j
	}
	return out
}

// cosine compares two questions, 0 to 1.
func (a *alike) cosine(i, j int) float32 {
	x, y := a.grams[i], a.grams[j]
	sum := float32(0)
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0].id < y[0].id:
			x = x[1:]
		case x[0].id > y[0].id:
			y = y[1:]
		default:
			sum += x[0].weight * y[0].weight
			x, y = x[1:], y[1:]
		}
	}
	return min(sum, 1)
}

// neighbors calls fn for every question after i that has a rare n-gram in
// common with it, with their cosine. seen is working memory, one entry a
// question.
func (a *alike) neighbors(i int, seen []int32, fn func(j int, cosine float32)) {
	mark := int32(i) + 1 //nolint:gosec // bounded by maxQuestions
	for _, g := range a.grams[i] {
		for _, j := range a.postings[g.id] {
			if int(j) <= i || seen[j] == mark {
				continue
			}
			seen[j] = mark
			fn(int(j), a.cosine(i, int(j)))
		}
	}
}
