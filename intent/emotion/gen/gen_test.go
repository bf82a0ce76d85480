package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrainingGivesTheWeights trains anew and compares. It takes some seconds.
func TestTrainingGivesTheWeights(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the hash of the lines is compared in package emotion")
	}
	out := filepath.Join(t.TempDir(), "weights.bin")
	if err := run(filepath.Join("..", "lines"), out, false, false); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("..", "weights.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the weights are not those that training gives: run go generate ./intent/emotion")
	}
}

// TestSamples: a line makes the same different sentences every time.
func TestSamples(t *testing.T) {
	t.Parallel()
	b := writeBook(t, "= who\nyou|they\n== angry threat\n{who} (never|) (came(!|?)|went)\n== polite\nthank you\n")
	samples, err := b.samples(0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.samples(0)
	if err != nil || len(again) != len(samples) {
		t.Fatal(len(again), len(samples), err)
	}
	texts := map[string]bool{}
	for i, s := range samples {
		if texts[s.text] || s != again[i] {
			t.Errorf("%q", s.text)
		}
		texts[s.text] = true
		if s.text == "thank you" {
			if s.targets != [4]float32{} || s.weight != singleWeight {
				t.Errorf("%+v", s)
			}
		} else if s.targets != [4]float32{1, 0, 1, 0} {
			t.Errorf("%+v", s)
		}
	}
	for _, want := range []string{"thank you", "you never came!", "they never went"} {
		if !texts[want] {
			t.Errorf("%q is missing among %v", want, texts)
		}
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ content, want string }{
		"no section":    {"hello\n", ":1: a line before the first section"},
		"unknown tone":  {"# x\n== furious\nhello\n", `:2: there is no tone "furious"`},
		"unknown part":  {"== calm\n{nobody} came\n", ":2: there is no part {nobody}"},
		"open bracket":  {"== calm\n\n(a|b\n", ":3: a bracket without its other half"},
		"close bracket": {"== calm\na|b)\n", ":2: a bracket without its other half"},
		"crossed":       {"= p\nx\n== calm\n(a|{p)}\n", ":4: "},
		"an empty part": {"= p\n== calm\n{p}\n", ":3: there is no part {p}"},
	} {
		b, err := readBook(write(t, tc.content))
		if err == nil {
			_, err = b.samples(0)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if _, err := readBook(filepath.Join(t.TempDir(), "none.txt")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func writeBook(t *testing.T, content string) *book {
	t.Helper()
	b, err := readBook(write(t, content))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
