package intent

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// smallPacks is the folder of test packs in place of the built-in ones.
func smallPacks() fs.FS { return os.DirFS("testdata") }

func openSmall(t testing.TB, o Options) *Library {
	t.Helper()
	if o.Builtin == nil {
		o.Builtin = smallPacks()
	}
	l, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l
}

func predict(t testing.TB, l *Library, packs []string, text string) conversation.Prediction {
	t.Helper()
	var p conversation.Prediction
	u := conversation.Utterance{Text: conversation.Text(text), Packs: packs}
	if err := l.Predict(t.Context(), &u, &p); err != nil {
		t.Fatalf("Predict(%q): %v", text, err)
	}
	return p
}

func TestPredictRanksIntents(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for _, tc := range []struct{ text, intent, lang string }{
		{"什么时候发货", "dispatch_time", "zh"},
		{"我的订单咋还没发货呀", "dispatch_time", "zh"},
		{"has my order been shipped", "dispatch_time", "en"},
		{"能退货吗", "return_policy", "zh"},
		{"can i return these shoes", "return_policy", "en"},
		{"我要人工", "talk_to_human", "zh"},
		{"ＡＧＥＮＴ　ｐｌｅａｓｅ", "talk_to_human", "en"},
		{"轉人工", "talk_to_human", "zh"},
	} {
		p := predict(t, l, []string{"shop"}, tc.text)
		if p.Best().Intent != tc.intent || p.Lang != tc.lang {
			t.Errorf("Predict(%q) = %v in %q, want %s in %s", tc.text, p.Candidates, p.Lang, tc.intent, tc.lang)
		}
		for i := 1; i < len(p.Candidates); i++ {
			if p.Candidates[i].Confidence > p.Candidates[i-1].Confidence {
				t.Errorf("Predict(%q): candidates %v are not in order", tc.text, p.Candidates)
			}
		}
	}
}

func TestPredictThresholdsComeFromThePack(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	if p := predict(t, l, []string{"shop"}, "可以退货吗"); p.Auto != 0.8 || p.Suggest != 0.4 {
		t.Errorf("thresholds of return_policy = %v, %v, want those of the pack, 0.8 and 0.4", p.Auto, p.Suggest)
	}
	if p := predict(t, l, []string{"shop"}, "转人工"); p.Auto != 0.6 {
		t.Errorf("auto of talk_to_human = %v, want that of its policy, 0.6", p.Auto)
	}
}

func TestPredictNeverOffersBackground(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for _, text := range []string{"今天天气怎么样", "tell me a joke", "给我讲个笑话吧"} {
		p := predict(t, l, []string{"shop"}, text)
		for _, c := range p.Candidates {
			if c.Intent == "other" || c.Confidence >= p.Suggest {
				t.Errorf("Predict(%q) offers %v", text, p.Candidates)
			}
		}
	}
	if _, ok := l.Playbook([]string{"shop"}, "other", "zh"); ok {
		t.Error("a background intent has a playbook")
	}
}

func TestPredictSaysNothingToNothing(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for _, text := range []string{"", "   ", "。。。", "\u200b\u200b", "\ufeff"} {
		p := predict(t, l, []string{"shop"}, text)
		if len(p.Candidates) != 0 {
			t.Errorf("Predict(%q) = %v, want no candidates", text, p.Candidates)
		}
		if p.Auto == 0 || p.Suggest == 0 {
			t.Errorf("Predict(%q) has no thresholds", text)
		}
	}
}

func TestPredictUnknownPack(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for _, packs := range [][]string{nil, {"nosuch"}, {"shop", "nosuch"}} {
		var p conversation.Prediction
		err := l.Predict(t.Context(), &conversation.Utterance{Text: "x", Packs: packs}, &p)
		if !errors.Is(err, conversation.ErrNotFound) {
			t.Errorf("Predict with packs %v: %v, want class not found", packs, err)
		}
	}
	if l.Extract([]string{"nosuch"}, "订单2023") != nil {
		t.Error("Extract with an unknown pack finds something")
	}
}

func TestPlaybook(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	got, ok := l.Playbook([]string{"shop"}, "dispatch_time", "en")
	if !ok {
		t.Fatal("no playbook for dispatch_time")
	}
	want := &conversation.Playbook{
		Intent: "dispatch_time", Title: "When will it ship", Answer: "{shop_name} ships order {order_no} within 48 hours.",
		Buttons: []conversation.Button{
			{Label: "Return policy", Text: "Return policy"}, {Label: "Talk to a person", Text: "Talk to a person"},
		},
		Need: []conversation.Slot{
			{Name: "order_no", Ask: "Please send me the order number"}, {Name: "phone", Ask: "Your phone number please"},
		},
		Flow: &conversation.Flow{
			Name: "order_lookup", Method: "GET", URL: "{shop_api}/orders/{order_no}", Headers: map[string]string{"Accept": "application/json"},
			Timeout: 2 * time.Second, Reply: "Order {order_no}: {$.status}", NotFound: "Not found", Failed: "The look-up did not work",
		},
		Priority: conversation.PriorityHigh, Variables: map[string]string{"shop_name": "Test Shop", "shop_api": ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Playbook (-want +got):\n%s", diff)
	}
	if pb, ok := l.Playbook([]string{"shop"}, "return_policy", "fr"); !ok || pb.Title != "Return policy" {
		t.Errorf("Playbook in a language without texts = %+v, %v, want the English one", pb, ok)
	}
	if _, ok := l.Playbook([]string{"shop"}, "nosuch", "zh"); ok {
		t.Error("Playbook of an unknown intent")
	}
	if pb, _ := l.Playbook([]string{"shop"}, "talk_to_human", "zh"); !pb.Handover {
		t.Error("talk_to_human does not hand over")
	}
}

func TestSlotAndPhrase(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	if s, ok := l.Slot([]string{"shop"}, "phone", "zh"); !ok || s.Ask != "请留下手机号" {
		t.Errorf("Slot = %+v, %v", s, ok)
	}
	if _, ok := l.Slot([]string{"shop"}, "nosuch", "zh"); ok {
		t.Error("Slot of an unknown entity")
	}
	if got := l.Phrase([]string{"shop"}, "fallback", "en"); got != "Sorry" {
		t.Errorf("Phrase = %q", got)
	}
	if got := l.Phrase([]string{"shop"}, "nosuch", "en"); got != "" {
		t.Errorf("Phrase of an unknown name = %q", got)
	}
}

func TestTitlesAreUnderstood(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for _, title := range []string{"什么时候发货", "When will it ship", "退货规则", "Return policy", "Talk to a person"} {
		if p := predict(t, l, []string{"shop"}, title); p.Best().Confidence < p.Suggest {
			t.Errorf("the title %q is not understood: %v", title, p.Candidates)
		}
	}
}

func TestSamePacksSameModel(t *testing.T) {
	t.Parallel()
	a, b := openSmall(t, Options{Workers: 1}), openSmall(t, Options{Workers: 3})
	for _, l := range []*Library{a, b} {
		if err := l.Prepare(t.Context(), []string{"shop"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range utterances() {
		x, y := predict(t, a, []string{"shop"}, string(text)), predict(t, b, []string{"shop"}, string(text))
		if diff := cmp.Diff(x, y); diff != "" {
			t.Errorf("Predict(%q) differs between two libraries of the same packs:\n%s", text, diff)
		}
	}
	ma, err := a.model(t.Context(), []string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	mb, err := b.model(t.Context(), []string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ma.head.weights, mb.head.weights) || *ma.calibrate.ready.Load() != *mb.calibrate.ready.Load() {
		t.Error("weights differ between two trainings of the same packs")
	}
}

func TestProvisionalModelSaysSo(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	early := predict(t, l, []string{"shop"}, "转人工")
	if err := l.Prepare(t.Context(), []string{"shop"}); err != nil {
		t.Fatal(err)
	}
	late := predict(t, l, []string{"shop"}, "转人工")
	if !strings.HasPrefix(early.Model, late.Model) || early.Model == late.Model {
		t.Errorf("model is %q before and %q after calibration", early.Model, late.Model)
	}
}

func TestPredictTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openSmall(t, Options{Dir: dir})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var p conversation.Prediction
			for i := range 50 {
				u := conversation.Utterance{Text: utterances()[i%len(utterances())], Packs: []string{"shop"}}
				if err := l.Predict(t.Context(), &u, &p); err != nil {
					t.Error(err)
				}
				l.Phrase(u.Packs, "fallback", "zh")
				l.Packs()
			}
		})
	}
	for range 3 {
		if _, err := l.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := l.Prepare(t.Context(), []string{"shop"}); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestPredictIsBounded(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	predict(t, l, []string{"shop"}, "warm up")
	for name, text := range map[string]string{
		"letters": strings.Repeat("a", 1<<20), "han": strings.Repeat("订单", 1<<18), "emoji": strings.Repeat("👨‍👩‍👧‍👦", 1<<15),
		"joiners": strings.Repeat("\u200d", 1<<18), "marks": strings.Repeat("e\u0301\u0302\u0303", 1<<16),
		"digits": strings.Repeat("1", 1<<20), "spaced digits": strings.Repeat("1 ", 1<<19), "broken": strings.Repeat("\xff\xfe", 1<<19),
		"quotes": strings.Repeat("'a", 1<<18), "words": strings.Repeat("order 2023 ", 1<<16), "zeros": strings.Repeat("\x00", 1<<20),
	} {
		start := time.Now()
		p := predict(t, l, []string{"shop"}, text)
		if spent := time.Since(start); spent > time.Minute { // what is not linear takes hours
			t.Errorf("%s: %v for 1 MB", name, spent)
		}
		if c := p.Best().Confidence; c < 0 || c > 1 || math.IsNaN(float64(c)) {
			t.Errorf("%s: confidence %v", name, c)
		}
		if len(p.Entities) > maxFound {
			t.Errorf("%s: %d entities", name, len(p.Entities))
		}
	}
}

// A prediction takes no memory, with values in the text and in the middle of a
// conversation as well. What is put together from several groups is a new text, and the
// only exception.
func TestPredictionsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a pool drops what it is given at random")
	}
	shop, built := openSmall(t, Options{}), openBuiltin(t)
	about := []conversation.Matter{{Intent: "track_order", Text: "where is my parcel"}, {Intent: "return_policy", Text: "can I return shoes that I have worn"}}
	for _, c := range []struct {
		name     string
		l        *Library
		u        conversation.Utterance
		entities int
	}{
		{"plain", shop, conversation.Utterance{Text: "请问我的快递什么时候才能发出来呢"}, 0},
		{"several questions", shop, conversation.Utterance{Text: "where is my parcel? and can I send the lamp back, also do I get my money"}, 0},
		{"values", shop, conversation.Utterance{Text: "订单号20231234567的XL什么时候发货，电话13812345678"}, 3},
		{"values, built in", built, conversation.Utterance{Text: "order no 20231234 was $12, is 42码 there? mail me at a.b@example.com by 5月3日"}, 5},
		{"goes on, short", built, conversation.Utterance{Text: "那运费谁出", Matters: about, Follows: true}, 0},
		{"goes on, certain", built, conversation.Utterance{Text: "and who pays for postage", Matters: about, Follows: true, Context: []conversation.Text{about[0].Text, about[1].Text}}, 0},
		{"goes on with a value", built, conversation.Utterance{Text: "and order 20231234?", Matters: about, Follows: true}, 1},
	} {
		c.u.Packs = []string{"ecommerce"}
		if c.l == shop {
			c.u.Packs = []string{"shop"}
		}
		var p conversation.Prediction
		if err := c.l.Predict(t.Context(), &c.u, &p); err != nil {
			t.Fatal(err)
		}
		if len(p.Entities) != c.entities {
			t.Errorf("%s: values %+v, want %d", c.name, p.Entities, c.entities)
		}
		if c.u.Follows && c.entities == 0 && p.InContext.Intent != "return_policy" {
			t.Errorf("%s: in context %+v, want what leans on the return policy", c.name, p.InContext)
		}
		got := testing.AllocsPerRun(500, func() {
			if err := c.l.Predict(t.Context(), &c.u, &p); err != nil {
				t.Error(err)
			}
		})
		if got > 0 {
			t.Errorf("%s: a prediction allocates %v times", c.name, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	l := openSmall(t, Options{Registerer: reg})
	predict(t, l, []string{"shop"}, "转人工")
	_ = l.Predict(t.Context(), &conversation.Utterance{Packs: []string{"nosuch"}}, &conversation.Prediction{})
	if got := testutil.ToFloat64(l.metrics.predictions[outcomeError]); got != 1 {
		t.Errorf("predictions with outcome error = %v, want 1", got)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(reg, "colloquy_intent_predictions_total"); err != nil || n != 4 {
		t.Errorf("series of predictions = %d, %v, want all 4 outcomes from the start", n, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := fstest.MapFS{"x/x.yaml": {Data: []byte("colloquy: 1\npack: x\nbogus: 1\n")}}
	for name, o := range map[string]Options{
		"missing folder": {Dir: filepath.Join(t.TempDir(), "nosuch")}, "file as folder": {Dir: file},
		"negative poll": {Poll: -1}, "bad pack": {Builtin: bad},
	} {
		if l, err := Open(o); !errors.Is(err, conversation.ErrInvalid) || l != nil {
			t.Errorf("%s: Open = %v, %v, want class invalid", name, l, err)
		}
	}
}
