package intent

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// dataEnv names a folder with public sets that are not part of the project.
const dataEnv = "COLLOQUY_INTENT_DATA"

// TestPublicSets trains on the training part of public sets and reports how
// the test part is understood. It only runs where the sets are at hand.
func TestPublicSets(t *testing.T) {
	dir := os.Getenv(dataEnv)
	if dir == "" {
		t.Skip(dataEnv + " is not set")
	}
	base := openSmall(t, Options{}).base
	for _, tc := range []struct{ name, train, test, outside string }{
		{"HINT3 curekart v1", "hint3/dataset__v1__train__curekart_train.csv", "hint3/dataset__v1__test__curekart_test.csv", "NO_NODES_DETECTED"},
		{"HINT3 curekart v2", "hint3/dataset__v2__train__curekart_train.csv", "hint3/dataset__v2__test__curekart_test.csv", "NO_NODES_DETECTED"},
		{"BANKING77", "banking77/train.csv", "banking77/test.csv", ""},
	} {
		if testing.Short() && tc.name == "BANKING77" {
			continue
		}
		train, test := readPairs(t, filepath.Join(dir, tc.train)), readPairs(t, filepath.Join(dir, tc.test))
		m, err := newModel(t.Context(), bundleOfPairs(train), base, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.calibrated(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		s := &scratch{}
		var lines []judged
		for _, pair := range test {
			var p conversation.Prediction
			m.predict(s, &conversation.Utterance{Text: conversation.Text(pair[0])}, &p)
			j := judged{text: pair[0], want: pair[1]}
			if pair[1] == tc.outside {
				j.want = OutOfScope
			}
			j.judge(&p)
			lines = append(lines, j)
		}
		r := newEvalReport(lines)
		t.Logf("%s: n %d in scope %d accuracy %.4f macro F1 %.4f coverage %.4f precision %.4f rejected %.4f", tc.name, r.N, r.InScope,
			r.Accuracy, r.MacroF1, r.Coverage, r.Precision, r.OOSRejected)
		for _, c := range r.Curve {
			t.Logf("  stated %.2f: coverage %.4f precision %.4f", c.Threshold, c.Coverage, c.Precision)
		}
		if r.Accuracy < 0.8 {
			t.Errorf("%s: accuracy %.4f", tc.name, r.Accuracy)
		}
	}
}

func readPairs(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// bundleOfPairs makes a bundle of nothing but questions.
func bundleOfPairs(pairs [][]string) *bundle {
	b := &bundle{packs: []string{"pairs"}}
	for _, p := range pairs {
		i := slices.IndexFunc(b.topics, func(t *topic) bool { return t.id == p[1] })
		if i < 0 {
			i = len(b.topics)
			b.topics = append(b.topics, &topic{id: p[1], thresholds: thresholds{auto: defaultAuto, suggest: defaultSuggest}})
		}
		b.topics[i].ask = append(b.topics[i].ask, question{text: p[0], lang: "en"})
	}
	return b
}
