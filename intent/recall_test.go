package intent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// A second library on the same cache speaks with the first one's calibrator at
// once, and says exactly the same; a damaged file is trained over.
func TestCalibratorIsRecalled(t *testing.T) {
	if raceDetector {
		t.Skip("trains the built-in packs")
	}
	t.Parallel()
	cache := t.TempDir()
	packs := []string{"ecommerce", "education"} // no calibrator is shipped for the two as a combination
	u := conversation.Utterance{Text: "how do I return an item", Packs: packs}
	ask := func(prepare bool) conversation.Prediction {
		t.Helper()
		l, err := Open(Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		if prepare {
			if err := l.Prepare(t.Context(), packs); err != nil {
				t.Fatal(err)
			}
		}
		var p conversation.Prediction
		if err := l.Predict(t.Context(), &u, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := ask(true)
	again := ask(false)
	if again.Model != first.Model || again.Best() != first.Best() {
		t.Errorf("recalled: %v by %s, want %v by %s", again.Best(), again.Model, first.Best(), first.Model)
	}
	files, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cache holds %v, %v, want one file", files, err)
	}
	for _, damage := range []string{"", "{}", `{"weights":[1e999]}`, "not json"} {
		if err := os.WriteFile(files[0], []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if p := ask(false); !strings.HasSuffix(p.Model, "-provisional") {
			t.Errorf("a cache of %q speaks as %s, want a provisional model", damage, p.Model)
		}
	}
}

// A model whose calibrator is there already keeps nothing to train one on.
func TestRecalledModelsAreLean(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.model(t.Context(), []string{"common"})
	if err != nil {
		t.Fatal(err)
	}
	if m.calibrate.ready.Load() == nil {
		t.Fatal("the calibrator that is shipped for common does not speak")
	}
	if m.corpus.features != nil {
		t.Fatal("the questions still have their features")
	}
}
