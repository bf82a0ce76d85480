package intent

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// dataEnv names a folder with public sets that are not part of the project. The
// tests of this file train on their training parts and report how their test
// parts are understood; docs/intent.md has the table.
const dataEnv = "COLLOQUY_INTENT_DATA"

func publicData(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(dataEnv)
	if dir == "" {
		t.Skip(dataEnv + " is not set")
	}
	return dir
}

// labelled is one line of a set.
type labelled struct{ text, label string }

// outsideLabels are the names that the sets have for what is out of scope.
var outsideLabels = []string{"oos", "NO_NODES_DETECTED"}

func readCSV(t testing.TB, elem ...string) []labelled {
	t.Helper()
	f, err := os.Open(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []labelled
	for _, r := range rows[1:] {
		out = append(out, labelled{r[0], r[1]})
	}
	return out
}

func readLines(t *testing.T, elem ...string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
}

// readParallel reads a text and a label from two files.
func readParallel(t *testing.T, dir, name string) []labelled {
	t.Helper()
	texts := readLines(t, dir, "fewshot_intent", name+"__seq.in")
	labels := readLines(t, dir, "fewshot_intent", name+"__label")
	out := make([]labelled, len(texts))
	for i := range texts {
		out[i] = labelled{texts[i], labels[i]}
	}
	return out
}

func readClinc(t testing.TB, dir string) map[string][]labelled {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "clinc150", "data_full.json"))
	if err != nil {
		t.Fatal(err)
	}
	var parts map[string][][2]string
	if err := json.Unmarshal(raw, &parts); err != nil {
		t.Fatal(err)
	}
	out := map[string][]labelled{}
	for name, lines := range parts {
		for _, l := range lines {
			out[name] = append(out[name], labelled{l[0], l[1]})
		}
	}
	return out
}

// bundleOf makes a bundle of nothing but questions.
func bundleOf(lines []labelled, background ...string) *bundle {
	b := &bundle{packs: []string{"pairs"}}
	at := map[string]int{}
	for _, l := range lines {
		i, ok := at[l.label]
		if !ok {
			i = len(b.topics)
			at[l.label] = i
			b.topics = append(b.topics, &topic{
				id: l.label, background: slices.Contains(background, l.label), thresholds: thresholds{auto: defaultAuto, suggest: defaultSuggest},
			})
		}
		b.topics[i].ask = append(b.topics[i].ask, question{line: &line{text: l.text}, lang: "en"})
	}
	return b
}

func trained(t *testing.T, b *bundle) *model {
	t.Helper()
	m, err := newModel(t.Context(), b, openSmall(t, Options{}).base, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.calibrated(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	return m
}

// judgeAll predicts lines.
func judgeAll(m *model, lines []labelled) []judged {
	s := &scratch{}
	out := make([]judged, len(lines))
	for i, l := range lines {
		var p conversation.Prediction
		m.predict(s, &conversation.Utterance{Text: conversation.Text(l.text)}, &p)
		out[i] = judged{text: l.text, want: l.label}
		if slices.Contains(outsideLabels, l.label) {
			out[i].want = OutOfScope
		}
		out[i].judge(&p)
	}
	return out
}

// threshold gives the lowest confidence at and above which a share of the answers
// is right.
func threshold(lines []judged, precision float64) float32 {
	sorted := slices.SortedFunc(slices.Values(lines), func(a, b judged) int { return cmp.Compare(b.confidence, a.confidence) })
	out, right := float32(math.Inf(1)), 0
	for i := range sorted {
		if sorted[i].got == sorted[i].want {
			right++
		}
		last := i == len(sorted)-1 || sorted[i+1].confidence != sorted[i].confidence
		if last && float64(right) >= precision*float64(i+1) {
			out = sorted[i].confidence
		}
	}
	return out
}

// logSet reports how lines were understood.
func logSet(t *testing.T, name string, lines []judged, took time.Duration) EvalReport {
	t.Helper()
	r := newEvalReport(lines)
	t.Logf("%s: n %d, in scope %d, accuracy %s, %v a line", name, r.N, r.InScope, shareOf(r.right, r.InScope), (took / time.Duration(r.N)).Round(time.Microsecond))
	for _, c := range r.Curve {
		if c.Threshold >= 0.8 {
			t.Logf("  stated %.2f: %s", c.Threshold, answersAt(lines, float32(c.Threshold), r.InScope))
		}
	}
	return r
}

// TestPublicSets reports accuracy and honesty on single lines.
func TestPublicSets(t *testing.T) {
	dir := publicData(t)
	clinc := readClinc(t, dir)
	part := func(name string) []labelled { return readParallel(t, dir, name) }
	for _, tc := range []struct {
		name        string
		train, test []labelled
		want        float64
	}{
		{"BANKING77", readCSV(t, dir, "banking77", "train.csv"), readCSV(t, dir, "banking77", "test.csv"), 0.92},
		{"CLINC150", clinc["train"], append(slices.Clone(clinc["test"]), clinc["oos_test"]...), 0.935},
		{"BANKING77, 10 each", readParallel(t, dir, "BANKING77__train_10"), readParallel(t, dir, "BANKING77__test"), 0.78},
		{"CLINC150, 10 each", readParallel(t, dir, "CLINC150__train_10"), append(readParallel(t, dir, "CLINC150__test"), clinc["oos_test"]...), 0.85},
		{"HWU64, 10 each", readParallel(t, dir, "HWU64__train_10"), readParallel(t, dir, "HWU64__test"), 0.75},
		{"HINT3 curekart v1", readCSV(t, dir, "hint3", "dataset__v1__train__curekart_train.csv"), readCSV(t, dir, "hint3", "dataset__v1__test__curekart_test.csv"), 0.83},
		{"HINT3 curekart v2", readCSV(t, dir, "hint3", "dataset__v2__train__curekart_train.csv"), readCSV(t, dir, "hint3", "dataset__v2__test__curekart_test.csv"), 0.85},
		{"BANKING77-OOS, strangers of banking", part("BANKING77-OOS__train"), append(part("BANKING77-OOS__test"), part("BANKING77-OOS__id-oos__test")...), 0.85},
		{"BANKING77-OOS, strangers of elsewhere", part("BANKING77-OOS__train"), append(part("BANKING77-OOS__test"), part("BANKING77-OOS__ood-oos__test")...), 0.85},
		{"BANKING77-OOS, both", part("BANKING77-OOS__train"), slices.Concat(part("BANKING77-OOS__test"), part("BANKING77-OOS__id-oos__test"), part("BANKING77-OOS__ood-oos__test")), 0.85},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := trained(t, bundleOf(tc.train))
			began := time.Now()
			lines := judgeAll(m, tc.test)
			r := logSet(t, tc.name, lines, time.Since(began))
			for _, precision := range []float64{0.8, 0.9, 0.95} {
				at := threshold(lines, precision)
				t.Logf("  best threshold for %.2f (%.3f): %s", precision, at, answersAt(lines, at, r.InScope))
			}
			logChosen(t, m, lines, r.InScope)
			for _, c := range promisedMore(&r) {
				t.Errorf("a stated confidence of %.2f is right in %.3f only", c.Threshold, c.Precision)
			}
			if r.Accuracy < tc.want {
				t.Errorf("accuracy %.4f, want at least %.3f", r.Accuracy, tc.want)
			}
		})
	}
}

// TestPublicSetsOutOfScope tells the model a hundred things that it is asked and
// knows nothing of, as an operator does with an intent of the background.
func TestPublicSetsOutOfScope(t *testing.T) {
	clinc := readClinc(t, publicData(t))
	outside := clinc["oos_train"][0].label
	m := trained(t, bundleOf(slices.Concat(clinc["train"], clinc["oos_train"]), outside))
	began := time.Now()
	lines := judgeAll(m, slices.Concat(clinc["test"], clinc["oos_test"]))
	r := logSet(t, "CLINC150 with a background", lines, time.Since(began))
	for _, c := range promisedMore(&r) {
		t.Errorf("a stated confidence of %.2f is right in %.3f only", c.Threshold, c.Precision)
	}
	if rejected := rejectAtValidated(t, m, clinc, lines); rejected < 0.9 {
		t.Errorf("%.3f of what is out of scope is rejected, want 0.9", rejected)
	}
}

// rejectAtValidated chooses the threshold on other lines than it reports on, and
// gives the share that is rejected of what is out of scope. A stranger among the
// validation lines counts for as many as the test has.
func rejectAtValidated(t *testing.T, m *model, clinc map[string][]labelled, test []judged) float64 {
	t.Helper()
	inScope, strangers := judgeAll(m, clinc["val"]), judgeAll(m, clinc["oos_val"])
	weight := ratio(len(clinc["oos_test"]), len(clinc["test"])) * ratio(len(inScope), len(strangers))
	at := weightedThreshold(inScope, strangers, weight, 0.95)
	rejected := 0
	for i := range test {
		if test[i].want == OutOfScope && test[i].confidence < at {
			rejected++
		}
	}
	covered, right, all := atThreshold(test, func(j *judged) bool { return j.confidence >= at })
	t.Logf("  threshold %.3f, chosen on validation for 0.95: answers %.1f, right %.1f, out of scope rejected %.1f",
		at, 100*ratio(covered, len(clinc["test"])), 100*ratio(right, all), 100*ratio(rejected, len(clinc["oos_test"])))
	return ratio(rejected, len(clinc["oos_test"]))
}

// weightedThreshold gives the lowest confidence at and above which so many of the
// answers are right, if each stranger counts for weight lines.
func weightedThreshold(inScope, strangers []judged, weight, precision float64) float32 {
	lines := slices.SortedFunc(slices.Values(slices.Concat(inScope, strangers)), func(a, b judged) int { return cmp.Compare(b.confidence, a.confidence) })
	out, right, all := float32(math.Inf(1)), 0.0, 0.0
	for i := range lines {
		switch {
		case lines[i].want == OutOfScope:
			all += weight
		case lines[i].got == lines[i].want:
			right++
			all++
		default:
			all++
		}
		last := i == len(lines)-1 || lines[i+1].confidence != lines[i].confidence
		if last && right >= precision*all {
			out = lines[i].confidence
		}
	}
	return out
}

// smallTalk are the labels of MultiDoGO that nobody can answer by looking anything
// up.
var smallTalk = []string{"openinggreeting", "closinggreeting", "thankyou", "confirmation", "rejection", "contentonly", "outofdomain"}

// dialogue is what visitors said in one conversation.
type dialogue []labelled

func readDialogues(t *testing.T, dir, domain, part string) []dialogue {
	t.Helper()
	var out []dialogue
	last := ""
	for _, line := range readLines(t, dir, "multidogo", "data__paper_splits__splits_annotated_at_turn_level__"+domain+"__"+part+".tsv")[1:] {
		f := strings.Split(line, "\t")
		// Some lines are broken, some have two labels at a time.
		if len(f) != 6 || f[3] == "" || f[5] == "" || strings.Contains(f[5], "<div>") {
			continue
		}
		if f[0] != last {
			out = append(out, nil)
			last = f[0]
		}
		out[len(out)-1] = append(out[len(out)-1], labelled{f[3], f[5]})
	}
	return out
}

// mostOf takes every text once, with the label that most of its lines have: some lines
// are labelled by mistake, such as one "ok" of seven hundred.
func mostOf(dialogues []dialogue) []labelled {
	count := map[labelled]int{}
	best := map[string]labelled{}
	var texts []string
	for _, l := range slices.Concat(dialogues...) {
		if count[l]++; best[l.text].text == "" {
			texts, best[l.text] = append(texts, l.text), l
		}
		if count[l] > count[best[l.text]] {
			best[l.text] = l
		}
	}
	out := make([]labelled, len(texts))
	for i, text := range texts {
		out[i] = best[text]
	}
	return out
}

// fewOf takes some lines of each label, in their order.
func fewOf(dialogues []dialogue, each int) []labelled {
	var out []labelled
	taken, seen := map[string]int{}, map[string]bool{}
	for _, d := range dialogues {
		for _, l := range d {
			if seen[l.text] || taken[l.label] >= each {
				continue
			}
			seen[l.text] = true
			taken[l.label]++
			out = append(out, l)
		}
	}
	return out
}

// replayed is how a conversation goes: right if it is answered at a threshold up
// to enough and above wrong.
type replayed struct{ enough, wrong float32 }

// replay finds the thresholds at which each conversation turns.
func replay(m *model, dialogues []dialogue) []replayed {
	var out []replayed
	for _, d := range dialogues {
		r := replayed{enough: 2, wrong: -1}
		asked := false
		for _, j := range judgeAll(m, d) {
			actionable := !slices.Contains(smallTalk, j.want)
			asked = asked || actionable
			switch {
			case actionable && j.got == j.want:
				r.enough = min(r.enough, j.confidence)
			case actionable:
				r.enough = -1
				r.wrong = max(r.wrong, j.confidence)
			default:
				r.wrong = max(r.wrong, j.confidence)
			}
		}
		if asked {
			out = append(out, r)
		}
	}
	return out
}

func outcomes(list []replayed, at float32) (auto, wrong float64) {
	for _, r := range list {
		switch {
		case r.wrong >= at:
			wrong++
		case r.enough >= at:
			auto++
		}
	}
	return auto / float64(len(list)), wrong / float64(len(list))
}

// bestThreshold gives the threshold at which most conversations are resolved, of those
// at which a share at most goes wrong. It matters only between which turns it lies.
func bestThreshold(list []replayed, wrong float64) float32 {
	best, most := float32(2), 0.0
	for _, r := range list {
		for _, at := range []float32{r.enough, math.Nextafter32(r.wrong, 1)} {
			auto, bad := outcomes(list, at)
			if at >= leastThreshold && bad <= wrong && auto > most {
				best, most = at, auto
			}
		}
	}
	return best
}

// leastThreshold is one that nobody would go below.
const leastThreshold = 0.02

// TestMultiDoGO replays conversations: a share of them is resolved by itself,
// with nothing wrong said in any turn, at the threshold that on other
// conversations says something wrong in at most one of twenty.
func TestMultiDoGO(t *testing.T) {
	dir := publicData(t)
	for _, each := range []int{5, 20, 0} {
		sum, spread := 0.0, 0.0
		for _, domain := range []string{"insurance", "finance", "software", "media"} {
			train := readDialogues(t, dir, domain, "train")
			lines := mostOf(train)
			if each > 0 {
				lines = fewOf(train, each)
			}
			m := trained(t, bundleOf(lines, smallTalk...))
			best := bestThreshold(replay(m, readDialogues(t, dir, domain, "dev")), 0.05)
			test := replay(m, readDialogues(t, dir, domain, "test"))
			auto, wrong := outcomes(test, best)
			low, high := wilson(auto*float64(len(test)), float64(len(test)))
			wrongLow, wrongHigh := wilson(wrong*float64(len(test)), float64(len(test)))
			t.Logf("%s, %d each: threshold %.3f, of %d conversations resolved %.1f (%.1f–%.1f), wrong %.1f (%.1f–%.1f), handed over %.1f",
				domain, each, best, len(test), 100*auto, 100*low, 100*high, 100*wrong, 100*wrongLow, 100*wrongHigh, 100*(1-auto-wrong))
			sum += auto
			spread += auto * (1 - auto) / float64(len(test))
		}
		// The mean of four shares of four samples.
		half := 1.96 * math.Sqrt(spread) / 4
		t.Logf("%d each: resolved %.1f (%.1f–%.1f) on average", each, 100*sum/4, 100*(sum/4-half), 100*(sum/4+half))
	}
}
