package intent

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// patch applies a difference to the text that it begins with.
func patch(t *testing.T, before string, diff []DiffLine) string {
	t.Helper()
	lines := diffLines(before)
	var out []string
	next := 0
	for _, d := range diff {
		if d.Op == DiffAdded {
			out = append(out, d.Text)
			continue
		}
		for next < d.Old-1 {
			out = append(out, lines[next])
			next++
		}
		if next != d.Old-1 || lines[next] != d.Text {
			t.Fatalf("line %d is %q, not %q", d.Old, lines[next], d.Text)
		}
		next++
		if d.Op == DiffSame {
			out = append(out, d.Text)
			if d.New != len(out) {
				t.Fatalf("%+v is line %d of the new text", d, len(out))
			}
		}
	}
	return strings.Join(append(out, lines[next:]...), "\n")
}

func TestDiffLines(t *testing.T) {
	t.Parallel()
	before := "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"
	after := "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\nk\n"
	want := []DiffLine{
		{DiffSame, 2, 2, "b"},
		{DiffSame, 3, 3, "c"},
		{DiffSame, 4, 4, "d"},
		{DiffRemoved, 5, 0, "e"},
		{DiffAdded, 0, 5, "E"},
		{DiffSame, 6, 6, "f"},
		{DiffSame, 7, 7, "g"},
		{DiffSame, 8, 8, "h"},
		{DiffSame, 9, 9, "i"},
		{DiffSame, 10, 10, "j"},
		{DiffAdded, 0, 11, "k"},
	}
	if diff := cmp.Diff(want, DiffLines(before, after)); diff != "" {
		t.Errorf("DiffLines (-want +got):\n%s", diff)
	}
	if got := DiffLines(before, before); len(got) != 0 {
		t.Errorf("a text differs from itself: %v", got)
	}
}

func TestDiffLinesLeadsFromOneToTheOther(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	text := func(lines, words int) string {
		var out []string
		for range lines {
			out = append(out, fmt.Sprint(r.IntN(words)))
		}
		return strings.Join(out, "\n")
	}
	for range 2000 {
		a, b := text(r.IntN(12), 4), text(r.IntN(12), 4)
		if got := patch(t, a, DiffLines(a, b)); got != b {
			t.Fatalf("DiffLines(%q, %q) leads to %q", a, b, got)
		}
	}
	// Far apart: replaced, and soon.
	a, b := text(20_000, 1<<30), text(20_000, 1<<30)
	if got := patch(t, a, DiffLines(a, b)); got != b {
		t.Error("the difference of two long texts does not lead from one to the other")
	}
}

func TestDiffLinesIsShort(t *testing.T) {
	t.Parallel()
	var before, after []string
	for i := range 3000 {
		before = append(before, fmt.Sprint(i))
		if i%10 == 3 {
			after = append(after, "new")
		}
		if i%10 != 7 {
			after = append(after, fmt.Sprint(i))
		}
	}
	changes := 0
	for _, d := range DiffLines(strings.Join(before, "\n"), strings.Join(after, "\n")) {
		if d.Op != DiffSame {
			changes++
		}
	}
	if changes != 600 {
		t.Errorf("%d lines are added or removed, 600 are needed", changes)
	}
}
