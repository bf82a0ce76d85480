package intent

import (
	"math"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestSplitQuestions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                   nil,
		"where is my order":  nil,
		"where is my order?": nil,
		"运费怎么算？另外你们发什么快递？":                              {"运费怎么算", "你们发什么快递"},
		"运费怎么算，还有能开发票吗":                                 {"运费怎么算", "能开发票吗"},
		"do you have it in navy? and is it waterproof?": {"do you have it in navy", "and is it waterproof"},
		"haha just kidding. where is my order 2024":     {"haha just kidding", "where is my order 2024"},
		"how much is it, and do you ship abroad":        {"how much is it", "do you ship abroad"},
		"it costs 3.50 at your place":                   nil,
		"a? b? c? d?":                                   nil, // a story
		"？？？":                                           nil,
		"另外":                                            nil,
	} {
		if parts, n := splitQuestions(text); !slices.Equal(parts[:n], want) {
			t.Errorf("splitQuestions(%q) = %q, want %q", text, parts[:n], want)
		}
	}
}

// What was talked about makes a reading of its own beside that of the text, and
// never changes the latter.
func TestReadingInContext(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{Builtin: fstest.MapFS{"shop/shop.yaml": {Data: []byte(`colloquy: 1
pack: shop
lang: en
intents:
  - id: returns
    title: Returns
    answer: Within 7 days.
    ask: [can I return shoes, how do I send something back, return an item, what is your return policy, who pays for the return postage, until when can I return things]
  - id: fee
    title: Delivery fee
    answer: Eight.
    ask: [what does delivery cost, how much is shipping, is delivery free, how much is the postage, delivery fee, shipping costs]
  - id: hours
    title: Opening hours
    answer: From nine.
    ask: [when are you open, opening hours, are you open on sundays, until when are you open, when do you close, are you open today]
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	predict := func(u conversation.Utterance) conversation.Prediction {
		u.Packs = []string{"shop"}
		var p conversation.Prediction
		if err := l.Predict(t.Context(), &u, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	text := conversation.Text("and who pays for that")
	alone := predict(conversation.Utterance{Text: text})
	if alone.InContext.Intent != "" {
		t.Errorf("in the context of nothing: %+v", alone.InContext)
	}
	about := []conversation.Matter{{Intent: "hours", Text: "when are you open"}, {Intent: "returns", Text: "what is your return policy"}}
	within := predict(conversation.Utterance{Text: text, Matters: about})
	if within.InContext.Intent != "returns" || within.InContext.Confidence <= 0 || within.InContext.Confidence > 1 {
		t.Errorf("in the context of returns: %+v", within.InContext)
	}
	if !slices.Equal(within.Candidates, alone.Candidates) {
		t.Errorf("the context changed the candidates: %+v, alone %+v", within.Candidates, alone.Candidates)
	}
	other := predict(conversation.Utterance{Text: "what does delivery cost", Matters: about[:1]})
	if other.InContext.Intent != "" || other.Best().Intent != "fee" {
		t.Errorf("a question of its own: %+v, in context %+v", other.Best(), other.InContext)
	}
	long := predict(conversation.Utterance{Text: "and who pays for that when one two three four five six seven eight nine ten eleven twelve parcels come", Matters: about})
	if long.InContext.Intent != "" {
		t.Errorf("a long text leans on %+v", long.InContext)
	}
	both := predict(conversation.Utterance{Text: "what does delivery cost? and when are you open?"})
	if len(both.Parts) != 2 || both.Parts[0].Intent != "fee" || both.Parts[1].Intent != "hours" {
		t.Errorf("parts %+v, want fee and hours", both.Parts)
	}
}

// A vector that leans on an earlier text has its dense numbers at the end, where
// the evidence looks for them, and both parts as long as in any other.
func TestJoinKeepsTheParts(t *testing.T) {
	t.Parallel()
	s := &scratch{ids: []int32{4, 7, 90, 91}, values: []float32{0.6, 0.8, 0, 2}} // 90 and 91 are the dense ones
	s.own.copy([]int32{7, 2, 90, 91}, []float32{0.8, 0.6, 2, 0})
	s.join(2)
	if want := []int32{4, 7, 2, 90, 91}; !slices.Equal(s.ids, want) {
		t.Fatalf("ids = %v, want %v", s.ids, want)
	}
	sparse := []float64{0.3, 1.2, 0.6} // the earlier text counts half
	dense := []float64{2, 1}
	for part, want := range map[int][]float64{0: sparse, 3: dense} {
		got, length := s.values[part:part+len(want)], 1.0
		if part == 3 {
			length = 2
		}
		sum := 0.0
		for _, x := range want {
			sum += x * x
		}
		for i, x := range want {
			if d := float64(got[i]) - x*length/math.Sqrt(sum); d > 1e-6 || d < -1e-6 {
				t.Errorf("values from %d = %v, want %v in proportion, of length %v", part, got, want, length)
				break
			}
		}
	}
}
