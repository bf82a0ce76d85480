package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A space at the edge of an alternative is a part of the sentence, those around
// the sentence are not.
func TestAlternativesKeepTheirSpaces(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "en.txt")
	lines := "= who\nyou |you all \n== angry\nI('ve| have) been waiting( |, )here\n (really |){who}lied \n"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := readBook(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := b.samples(0)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(all))
	for _, s := range all {
		got = append(got, s.text)
	}
	want := []string{
		"I have been waiting here", "I have been waiting, here", "I've been waiting here", "I've been waiting, here",
		"really you all lied", "really you lied", "you all lied", "you lied",
	}
	if !slices.Equal(got, want) {
		t.Errorf("samples %q, want %q", got, want)
	}
}
