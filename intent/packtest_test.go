package intent

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// testPacks is two packs with what a report has to find.
const testPacks = `colloquy: 1
pack: p
extends: [below]
lang: zh
intents:
  - id: refund
    ask: [怎么退款, 我要退款, 申请退款, 能把钱退给我吗, 退款在哪里点, 帮我退钱]
    not: [退款要多久能到账]
    answer: 三天到账。
    test: [怎么退款呢吗, 请帮我退款]
  - id: refund_status
    ask: [退款什么时候到账, 退款到哪了, 钱还没退回来, 退款进度, 退款多久能到账, 退款要多久到账]
    answer: 三天到账。
    test: [我的退款怎么还没有到]
  - id: greet
    ask: {zh: [你好, 您好, 在吗, 早上好, 有人吗, 哈喽], en: [hello, hi there, good morning, anybody here, hey, greetings]}
    answer: 您好
  - id: other
    background: true
    ask: [今天天气怎么样, 讲个笑话, 你会写诗吗, 股票涨了吗]
`

const lowerPack = `colloquy: 1
pack: below
intents:
  - id: bye
    ask: [再见, 拜拜, 下次聊, 哈喽, 先这样, 回头见]
    answer: 再见
`

func openLibrary(t *testing.T, files map[string]string) *Library {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return openSmall(t, Options{Builtin: fsys})
}

func testLibrary(t *testing.T) *Library {
	t.Helper()
	return openLibrary(t, map[string]string{"p/p.yaml": testPacks, "below/b.yaml": lowerPack})
}

func TestTestPacks(t *testing.T) {
	t.Parallel()
	r, err := TestPacks(t.Context(), testLibrary(t), TestOptions{Packs: []string{"p"}, MinQuestions: 7})
	if err != nil {
		t.Fatal(err)
	}
	if r.Intents != 4 || r.Questions["zh"] != 27 || r.Questions["en"] != 6 || r.Tests.N != 3 || r.Folds.N != 33 {
		t.Errorf("%d intents, questions %v, %d tests, %d held out", r.Intents, r.Questions, r.Tests.N, r.Folds.N)
	}
	why := map[string]string{}
	for _, p := range r.Pointers {
		why[p.What] = p.At + " " + p.Why
	}
	for what, want := range map[string]string{
		"哈喽":    "below/b.yaml:5 a pack above (p/p.yaml:16) gives the question of bye to greet",
		"三天到账。": "p/p.yaml:11 intents refund and refund_status have the same answer (zh): can they be one?",
	} {
		if why[what] != want {
			t.Errorf("about %s: %q, want %q", what, why[what], want)
		}
	}
	for _, w := range r.Twins {
		if w.A == w.B || w.Alike < twinAlike || w.AtA == "" {
			t.Errorf("twin %+v", w)
		}
	}
	if len(r.Thin) != 4*2 {
		t.Errorf("too few questions: %+v, want every intent in two languages", r.Thin)
	}
	if len(r.Worst) == 0 || r.Worst[0].F1 > r.Worst[len(r.Worst)-1].F1 {
		t.Errorf("worst %+v", r.Worst)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	var b strings.Builder
	if err := r.Print(&b, 80); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := textWidth(strings.TrimSuffix(line, "\n")); n > 80+textWidth(r.At95.Sentence()) && !strings.HasPrefix(line, "    ") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"precision", "Worst intents", "Contradictions", "Too few questions (8)", "Test lines: ", "p/p.yaml:11"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
	if _, err := TestPacks(t.Context(), testLibrary(t), TestOptions{Packs: []string{"nosuch"}}); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("unknown pack: %v", err)
	}
}

// Test lines and counterexamples that are nearly trained on prove nothing.
func TestLeaks(t *testing.T) {
	t.Parallel()
	l := openLibrary(t, map[string]string{"p/p.yaml": `colloquy: 1
pack: p
lang: en
intents:
  - id: a
    ask: [how do I send the parcel back to the shop, second question]
    not: [how do I do I send the parcel back to the shop]
    answer: x
    test: [how do I send the parcel back to the back shop]
  - id: b
    ask: [when does the parcel that I ordered arrive at home]
    answer: y
    test: [the parcel how do I send back to the shop]
`})
	m, err := l.model(t.Context(), []string{"p"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range newSpellings(m).leaks() {
		got = append(got, p.At+" "+p.Why)
	}
	want := []string{
		"p/p.yaml:7 the line stands under not of a and, almost word for word, under its ask (p/p.yaml:6)",
		"p/p.yaml:9 the test line is trained on almost word for word (p/p.yaml:6), so it proves little",
		"p/p.yaml:13 the test line of b stands under a almost word for word (p/p.yaml:6)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("leaks (-want +got):\n%s", diff)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	var lines, unknown []judged
	for i := range 100 {
		j := judged{want: "a", got: "a", confidence: 1 - float32(i)/100}
		if i%10 == 9 && i >= 50 {
			j.got = "b"
		}
		if i == 99 {
			j.want = OutOfScope
		}
		lines = append(lines, j)
		unknown = append(unknown, judged{want: OutOfScope, got: "a", confidence: float32(i) / 100})
	}
	got := targetOf(0.98, lines, unknown)
	// Of the first 69 one is wrong; with the next wrong one at 70 it is 68 of 70.
	if !got.Reached || got.Kept.Of != 69 || math.Abs(got.Threshold-0.32) > 1e-6 || math.Abs(got.Answered.Value-69.0/99) > 1e-9 || math.Abs(got.Unknown.Value-0.68) > 1e-9 {
		t.Errorf("target %+v", got)
	}
	if got := targetOf(0.9, lines, nil); got.Kept.Of != 100 || got.Unknown.Of != 0 {
		t.Errorf("target that everything keeps: %+v", got)
	}
	if got := targetOf(0.5, lines[:minPrecisionOf-1], nil); got.Reached {
		t.Errorf("a promise on %d answers: %+v", minPrecisionOf-1, got)
	}
	if s := (&Target{Precision: 0.95}).Sentence(); !strings.Contains(s, "do not reach 95 %") {
		t.Error(s)
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	lines := []string{"怎么退货", "怎么退货呢", "怎么换货", "how do i return it", "how do i return this", "hello", ""}
	a := newAlike(lines)
	cos := func(i, j int) float64 { return float64(a.cosine(i, j)) }
	if math.Abs(cos(0, 0)-1) > 1e-6 || cos(0, 3) != 0 || cos(6, 6) != 0 {
		t.Errorf("cosine with itself %v, with another script %v, of nothing %v", cos(0, 0), cos(0, 3), cos(6, 6))
	}
	if !(cos(0, 1) > cos(0, 2) && cos(0, 2) > 0) || !(cos(3, 4) > cos(3, 5)) {
		t.Errorf("order of likeness: %v %v, %v %v", cos(0, 1), cos(0, 2), cos(3, 4), cos(3, 5))
	}
	seen := make([]int32, len(lines))
	pairs := 0
	for i := range lines {
		a.neighbors(i, seen, func(j int, cosine float32) {
			pairs++
			if j <= i || cosine != a.cosine(i, j) {
				t.Errorf("neighbor %d of %d: %v", j, i, cosine)
			}
		})
	}
	if pairs == 0 || pairs > len(lines)*(len(lines)-1)/2 {
		t.Errorf("%d pairs", pairs)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "abc": 3, "退货": 4, "\u00e9": 1, "e\u0301": 1, "😀ok": 4, "，。": 4, "ﾊ": 1, "…": 1} {
		if got := textWidth(s); got != want {
			t.Errorf("textWidth(%q) = %d, want %d", s, got, want)
		}
	}
	for _, tc := range []struct {
		s    string
		n    int
		want string
	}{{"退货了", 6, "退货了"}, {"退货了", 5, "退货…"}, {"退货了", 4, "退… "}, {"ab", 4, "ab  "}, {"a\n b", 5, "a b  "}} {
		if got := padded(tc.s, tc.n); got != tc.want {
			t.Errorf("padded(%q, %d) = %q, want %q", tc.s, tc.n, got, tc.want)
		}
	}
	if got := bar(0.5, 4); got != "██  " {
		t.Errorf("bar = %q", got)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		k, n      int
		low, high float64
	}{{0, 0, 0, 1}, {0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}, {95, 100, 0.8883, 0.9785}} {
		got := rateOf(tc.k, tc.n)
		if math.Abs(got.Low-tc.low) > 5e-4 || math.Abs(got.High-tc.high) > 5e-4 || got.Of != tc.n || got.Value < got.Low || got.Value > got.High {
			t.Errorf("rateOf(%d, %d) = %+v, want %v to %v", tc.k, tc.n, got, tc.low, tc.high)
		}
	}
}
