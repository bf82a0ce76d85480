package intent

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestEvaluate(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	data := `{"text":"什么时候发货","intent":"dispatch_time","lang":"zh","domain":"shop","note":"ignored"}

{"text":"return policy","intent":"return_policy","lang":"en"}
{"text":"can i return it","intent":"talk_to_human","lang":"en"}
{"text":"今天天气怎么样","intent":"out_of_scope","lang":"zh"}
{"text":"elsewhere","intent":"nosuch","domain":"bank"}
`
	r, err := Evaluate(t.Context(), l, EvalOptions{Packs: []string{"shop"}, Domain: "shop"}, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if r.N != 4 || r.InScope != 3 || math.Abs(r.Accuracy-2.0/3) > 1e-9 || r.OOSRejected != 1 {
		t.Errorf("report %+v", r)
	}
	if len(r.Langs) != 2 || r.Langs[0].Lang != "en" || r.Langs[0].N != 2 || r.Langs[0].Accuracy != 0.5 {
		t.Errorf("languages %+v", r.Langs)
	}
	if len(r.Confusions) != 1 || r.Confusions[0].Want != "talk_to_human" || r.Confusions[0].Got != "return_policy" {
		t.Errorf("confusions %+v", r.Confusions)
	}
	// dispatch_time 1, return_policy 2·½·1/(½+1), talk_to_human 0
	if want := (1 + 2.0/3 + 0) / 3; math.Abs(r.MacroF1-want) > 1e-9 {
		t.Errorf("macro F1 = %v, want %v", r.MacroF1, want)
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"accuracy 0.6667", "macro_f1 ", "coverage ", "precision ", "oos_rejected 1.0000", "us_per_utterance "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the printed report lacks %q:\n%s", want, b.String())
		}
	}
}

func TestEvaluateCountsAtTheDecision(t *testing.T) {
	t.Parallel()
	line := func(want, got string, confidence float32) judged {
		return judged{want: want, got: got, confidence: confidence, auto: 0.9, suggest: 0.5}
	}
	r := newEvalReport([]judged{
		line("a", "a", 0.95), line("a", "b", 0.92), line("b", "b", 0.6), line("b", "", 0),
		line(OutOfScope, "a", 0.91), line(OutOfScope, "a", 0.6), line(OutOfScope, "", 0),
	})
	if r.Coverage != 0.5 || math.Abs(r.Precision-1.0/3) > 1e-9 {
		t.Errorf("coverage %v, precision %v, want 0.5 and 1/3", r.Coverage, r.Precision)
	}
	if math.Abs(r.OOSRejected-2.0/3) > 1e-9 || math.Abs(r.OOSSilent-1.0/3) > 1e-9 {
		t.Errorf("rejected %v, silent %v, want 2/3 and 1/3", r.OOSRejected, r.OOSSilent)
	}
	if r.Accuracy != 0.5 {
		t.Errorf("accuracy %v, want 0.5", r.Accuracy)
	}
}

func TestEvaluateRefusesBadLines(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for name, tc := range map[string]struct{ data, want string }{
		"not JSON":      {"{\"text\":\"x\",\"intent\":\"return_policy\"}\nnonsense\n", "line 2: "},
		"no intent":     {"{\"text\":\"x\"}\n", "line 1: "},
		"unknown label": {"\n\n{\"text\":\"x\",\"intent\":\"nosuch\"}\n", `line 3: invalid: the packs have no intent "nosuch"`},
		"background":    {"{\"text\":\"x\",\"intent\":\"other\"}\n", "line 1: "},
		"nothing":       {"\n", "there is no line to evaluate"},
		"long line":     {strings.Repeat("x", maxEvalLineBytes+1), "line 1: "},
	} {
		_, err := Evaluate(t.Context(), l, EvalOptions{Packs: []string{"shop"}}, strings.NewReader(tc.data))
		if !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want class invalid and %q", name, err, tc.want)
		}
	}
	if _, err := Evaluate(t.Context(), l, EvalOptions{Packs: []string{"nosuch"}}, strings.NewReader("")); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("unknown pack: %v", err)
	}
}

func TestCrossValidate(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	r, err := CrossValidate(t.Context(), l, []string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Test.N != 4 || r.Folds.N < 40 || r.Folds.N == r.Folds.InScope {
		t.Errorf("cross-validation saw %d questions (%d in scope) and %d tests", r.Folds.N, r.Folds.InScope, r.Test.N)
	}
}

func TestEvaluateByDecisionAndDomain(t *testing.T) {
	t.Parallel()
	line := func(domain, want, got string, confidence float32) judged {
		return judged{domain: domain, lang: "zh", want: want, got: got, confidence: confidence, auto: 0.9, suggest: 0.5}
	}
	lines := []judged{
		line("shop", "a", "a", 0.95), line("shop", "a", "b", 0.92), line("shop", "b", "b", 0.6), line("school", "b", "a", 0.6), line("school", "b", "a", 0.7),
		line("school", "b", "a", 0.1), line("school", "b", "b", 0.2), line("shop", OutOfScope, "a", 0.1), line("shop", OutOfScope, "a", 0.91),
	}
	lines[3].offered = true
	r := newEvalReport(lines)
	want := []DecisionScore{
		{Decision: DecisionAnswer, N: 3, Coverage: rateOf(2, 7), Precision: rateOf(1, 3)},
		{Decision: DecisionAskBack, N: 3, Coverage: rateOf(3, 7), Precision: rateOf(2, 3)},
		{Decision: DecisionHandOver, N: 3, Coverage: rateOf(2, 7), Precision: rateOf(2, 3)},
	}
	if diff := cmp.Diff(want, r.Decisions); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	if len(r.Domains) != 2 || r.Domains[0].Domain != "school" || r.Domains[0].N != 4 || r.Domains[0].Accuracy != 0.25 || r.Domains[1].InScope != 3 {
		t.Errorf("domains %+v", r.Domains)
	}
	if r.Domains[0].Interval != rateOf(1, 4) || len(r.Domains[1].Decisions) != 3 {
		t.Errorf("domain %+v", r.Domains[0])
	}
	if n := len(newEvalReport([]judged{line("", "a", "a", 1)}).Domains); n != 0 {
		t.Errorf("%d domains where none is named", n)
	}
}
