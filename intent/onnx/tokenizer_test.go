package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

func testTokenizer(t *testing.T, cased bool) *tokenizer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vocab.txt")
	words := "[PAD] [UNK] [CLS] [SEP] un ##aff ##able the cafe caf ##e 退 货 , ! Café 5"
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(words, " ", "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := readVocabulary(path, cased)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokenizer(t *testing.T) {
	t.Parallel()
	uncased, cased := testTokenizer(t, false), testTokenizer(t, true)
	for _, tc := range []struct {
		tok  *tokenizer
		text string
		want []int64
	}{
		{uncased, "", []int64{2, 3}},
		{uncased, "The unaffable", []int64{2, 7, 4, 5, 6, 3}},
		{uncased, "Café,the!", []int64{2, 8, 13, 7, 14, 3}},
		{uncased, "unaffablex the", []int64{2, 1, 7, 3}}, // no piece fits the end: all of the word is unknown
		{uncased, "我要退货5", []int64{2, 1, 1, 11, 12, 16, 3}},
		{uncased, "th\u200be\t\x00the\n", []int64{2, 7, 7, 3}},
		{uncased, strings.Repeat("x", 101), []int64{2, 1, 3}},
		{cased, "Café The", []int64{2, 15, 1, 3}},
	} {
		if got := tc.tok.encode(tc.text); !slices.Equal(got, tc.want) {
			t.Errorf("encode(%q) = %v, want %v", tc.text, got, tc.want)
		}
	}
	long := uncased.encode(strings.Repeat("the ", 5000))
	if len(long) != maxTokens || long[maxTokens-1] != uncased.end {
		t.Errorf("a long text has %d tokens and ends in %d", len(long), long[len(long)-1])
	}
	b := uncased.batch("the ", []string{"", "cafe"})
	if b.width != 4 || !slices.Equal(b.ids, []int64{2, 7, 3, 0, 2, 7, 8, 3}) || !slices.Equal(b.mask, []int64{1, 1, 1, 0, 1, 1, 1, 1}) {
		t.Errorf("batch = %+v", b)
	}
}

// Whatever the text is, its tokens are ones that the model has.
func FuzzTokenizer(f *testing.F) {
	f.Add("The unaffable 退货!")
	f.Add("\xff\xfe\u202eİ")
	tok, err := readVocabulary("testdata/vocab.txt", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := tok.encode(text)
		if len(got) < 2 || len(got) > maxTokens || got[0] != tok.begin || got[len(got)-1] != tok.end {
			t.Fatalf("encode(%q) = %v", text, got)
		}
		for _, id := range got {
			if id < 0 || id >= int64(len(tok.ids)) {
				t.Fatalf("encode(%q) has the token %d of %d", text, id, len(tok.ids))
			}
		}
	})
}

// A text's vector is the mean of its own tokens, or what the model says.
func TestPool(t *testing.T) {
	t.Parallel()
	b := tokenBatch{mask: []int64{1, 1, 1, 0}, width: 2}
	got, err := pool([]float32{3, 0, 0, 4, 0, 2, 9, 9}, ort.NewShape(2, 2, 2), &b)
	if err != nil || !near(got[0], 0.6, 0.8) || !near(got[1], 0, 1) {
		t.Errorf("pool of tokens = %v, %v", got, err)
	}
	got, err = pool([]float32{3, 4, 0, 2}, ort.NewShape(2, 2), &b)
	if err != nil || !near(got[0], 0.6, 0.8) || !near(got[1], 0, 1) {
		t.Errorf("pool of texts = %v, %v", got, err)
	}
	nan := float32(math.NaN())
	for _, bad := range []struct {
		data  []float32
		shape ort.Shape
	}{
		{[]float32{1, 2}, ort.NewShape(1, 2)},
		{nil, ort.NewShape(2, 0)},
		{[]float32{0, 0, 1, 1}, ort.NewShape(2, 2)},
		{[]float32{nan, 0, 1, 1}, ort.NewShape(2, 2)},
		{[]float32{1, 1, 1}, ort.NewShape(2, 2)},
	} {
		if got, err := pool(bad.data, bad.shape, &b); err == nil {
			t.Errorf("pool(%v, %v) = %v", bad.data, bad.shape, got)
		}
	}
}

func near(v []float32, want ...float64) bool {
	return len(v) == len(want) && !slices.ContainsFunc([]int{0, 1}, func(i int) bool { return math.Abs(float64(v[i])-want[i]) > 1e-6 })
}
