package intent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// manyQuestions is a pack of so many blocks of questions, the last of which says change,
// with entities.
func manyQuestions(blocks int, change, entities string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "colloquy: 1\npack: mine\nlang: en\n%sintents:\n", entities)
	for i := range blocks * readStride / 8 {
		fmt.Fprintf(&s, "  - id: i%d\n    answer: fine\n    ask:\n", i)
		for k := range 8 {
			fmt.Fprintf(&s, "      - what of the %d things in room %d%d is number %d\n", k+i%5, i, i, k)
		}
	}
	return s.String() + "      - " + change + "\n"
}

func modelOfMine(t *testing.T, l *Library, text string) *model {
	t.Helper()
	saveMine(t, l, text)
	reload(t, l)
	if err := l.Warm(t.Context(), []string{"mine"}); err != nil {
		t.Fatal(err)
	}
	return l.now.Load().model([]string{"mine"})
}

// sameModel compares what two models were trained to, to the bit.
func sameModel(a, b *model) bool {
	return slices.Equal(a.head.idf, b.head.idf) && slices.Equal(a.head.bias, b.head.bias) && slices.Equal(a.head.places, b.head.places) &&
		slices.Equal(a.head.weights.cells, b.head.weights.cells) && slices.Equal(a.head.weights.scale, b.head.weights.scale) &&
		slices.Equal(a.head.mean, b.head.mean) && slices.Equal(a.head.centroids.cells, b.head.centroids.cells) &&
		slices.Equal(a.corpus.examples, b.corpus.examples) && slices.Equal(a.head.singles, b.head.singles) &&
		slices.Equal(a.head.near.entries, b.head.near.entries)
}

// TestQuestionsAreReadOnce: a save reads the questions that the one before has not read
// by the same entities, and no others stay; the model is the same as if all were read.
func TestQuestionsAreReadOnce(t *testing.T) {
	t.Parallel()
	const masked = "entities:\n  room:\n    regex: ['room \\d+']\n    mask: true\n"
	first := manyQuestions(3, "where is the red key", "")
	for _, tc := range []struct {
		name, text string
		kept       bool
	}{
		{"another question", manyQuestions(3, "where is the blue key", ""), true},
		{"another entity", manyQuestions(3, "where is the red key", masked), false},
		{"fewer questions", manyQuestions(1, "where is the red key", ""), true},
	} {
		l := openSmall(t, Options{Store: newPacksInMemory()})
		old := modelOfMine(t, l, first).readings.kept.Load()
		m := modelOfMine(t, l, tc.text)
		kept := m.readings.kept.Load()
		if len(kept.byText) != len(m.corpus.questions) {
			t.Errorf("%s: %d readings for %d questions", tc.name, len(kept.byText), len(m.corpus.questions))
		}
		const same = "what of the 0 things in room 00 is number 0"
		if old.byText[same] == nil || (kept.byText[same] == old.byText[same]) != tc.kept {
			t.Errorf("%s: the reading of what has not changed: %p, before %p", tc.name, kept.byText[same], old.byText[same])
		}
		fresh := modelOfMine(t, openSmall(t, Options{Store: newPacksInMemory()}), tc.text)
		if !sameModel(m, fresh) {
			t.Errorf("%s: another model than if all were read", tc.name)
		}
	}
}

// TestReadingsAreBounded: what is large is not kept.
func TestReadingsAreBounded(t *testing.T) {
	t.Parallel()
	r, x := &readings{}, newExtractor(nil, newNormalizer())
	few := make([]question, 2)
	for i := range few {
		few[i].line = &line{text: fmt.Sprint(i)}
	}
	small := &reading{grams: make([]uint64, 3)}
	r.keep(x, few, []*reading{small, small})
	if got := r.of(x)["1"]; got != small {
		t.Fatalf("kept is %v", got)
	}
	large := &reading{grams: make([]uint64, mostReadingBytes/8)}
	r.keep(x, few, []*reading{large, small})
	r.keep(x, slices.Repeat(few, quickQuestions), slices.Repeat([]*reading{small, small}, quickQuestions))
	if got := r.of(x); len(got) != 2 || got["0"] != small {
		t.Errorf("kept are %v", got)
	}
	if got := r.of(newExtractor([]*entity{{name: "x", words: []string{"y"}}}, newNormalizer())); got != nil {
		t.Errorf("for other entities there is %v", got)
	}
}

// TestWhoReadsDoesNotMatter: the model is the same however many read and train.
func TestWhoReadsDoesNotMatter(t *testing.T) {
	t.Parallel()
	text := manyQuestions(9, "where is the red key", "")
	one := modelOfMine(t, openSmall(t, Options{Store: newPacksInMemory(), Workers: 1}), text)
	for _, workers := range []int{2, 5} {
		l := openSmall(t, Options{Store: newPacksInMemory(), Workers: workers})
		if m := modelOfMine(t, l, text); !sameModel(m, one) {
			t.Errorf("%d goroutines make another model than one", workers)
		}
	}
}
