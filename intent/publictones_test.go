package intent

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/intent/emotion"
)

// TestPublicTones reports how public sets of emotions are heard, from none of
// which the scorer has learned. It only runs where the sets are at hand.
func TestPublicTones(t *testing.T) {
	dir := os.Getenv(dataEnv)
	if dir == "" {
		t.Skip(dataEnv + " is not set")
	}
	e, err := NewEar()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		file, label string
		text, tags  int // columns
		of          func(emotion.Score) float32
	}{
		{"ewect/usual_test.tsv", "1", 1, 0, anger},
		{"ewect/virus_test.tsv", "1", 1, 0, anger},
		{"goemotions/ekman_test.tsv", "0", 0, 1, anger},
		{"goemotions/original_test.tsv", "2", 0, 1, anger},
		{"cold/test.csv", "1", 5, 3, func(s emotion.Score) float32 { return s.Abuse }},
	} {
		var yes, no []float32
		for _, row := range readTable(t, filepath.Join(dir, tc.file)) {
			if p := tc.of(e.score(row[tc.text])); slices.Contains(strings.Split(row[tc.tags], ","), tc.label) {
				yes = append(yes, p)
			} else {
				no = append(no, p)
			}
		}
		t.Logf("%s: %d of %d, AUROC %.3f", tc.file, len(yes), len(yes)+len(no), emotion.AUROC(yes, no))
	}
}

func anger(s emotion.Score) float32 { return s.Anger }

// readTable reads a file of tabs, or of commas when it is called so.
func readTable(t *testing.T, file string) [][]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	if strings.HasSuffix(file, ".csv") {
		rows, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows[1:]
	}
	var rows [][]string
	for line := range strings.Lines(string(content)) {
		if row := strings.Split(strings.TrimSpace(line), "\t"); len(row) > 1 && row[0] != "label" {
			rows = append(rows, row)
		}
	}
	return rows
}
