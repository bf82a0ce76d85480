package intent

import (
	"slices"
	"strings"
)

// DiffLine is a line of a difference between two texts.
type DiffLine struct {
	Op   DiffOp
	Old  int // its number in the old text, from 1; 0 = it is not in it
	New  int // its number in the new text; 0 = it is not in it
	Text string
}

// DiffOp says what became of a line.
type DiffOp string

// What became of a line.
const (
	DiffSame    DiffOp = " "
	DiffAdded   DiffOp = "+"
	DiffRemoved DiffOp = "-"
)

const (
	// diffContext is how many lines that are the same stand around a change.
	diffContext = 3
	// maxDiffSteps bounds the search for the shortest difference; texts that
	// differ more are shown as replaced from the first change to the last. Time
	// grows with its square.
	maxDiffSteps = 1500
)

// DiffLines compares two texts line by line and gives the changes with some
// lines around them; gaps show in the line numbers.
//
// Source: Myers, An O(ND) Difference Algorithm and Its Variations, 1986.
func DiffLines(before, after string) []DiffLine {
	a, b := diffLines(before), diffLines(after)
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	d := &differ{a: a, b: b}
	for i := range start {
		d.same(i, i)
	}
	d.middle(start, len(a)-end, start, len(b)-end)
	for i := range end {
		d.same(len(a)-end+i, len(b)-end+i)
	}
	return d.hunks()
}

func diffLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

type differ struct {
	a, b []string
	out  []DiffLine
}

func (d *differ) same(i, j int) {
	d.out = append(d.out, DiffLine{Op: DiffSame, Old: i + 1, New: j + 1, Text: d.a[i]})
}

func (d *differ) removed(i int) {
	d.out = append(d.out, DiffLine{Op: DiffRemoved, Old: i + 1, Text: d.a[i]})
}

func (d *differ) added(j int) {
	d.out = append(d.out, DiffLine{Op: DiffAdded, New: j + 1, Text: d.b[j]})
}

// middle compares the lines of a from a0 to before a1 with those of b.
func (d *differ) middle(a0, a1, b0, b1 int) {
	trace := d.search(a0, a1, b0, b1)
	if trace == nil {
		for i := a0; i < a1; i++ {
			d.removed(i)
		}
		for j := b0; j < b1; j++ {
			d.added(j)
		}
		return
	}
	var back []DiffLine
	forward := d.out
	x, y := a1-a0, b1-b0
	for steps, v := range slices.Backward(trace) {
		k := x - y
		prev := k - 1
		if k == -steps || k != steps && v.at(k-1) < v.at(k+1) {
			prev = k + 1
		}
		px := v.at(prev)
		py := px - prev
		d.out = nil
		for x > px && y > py && (steps > 0 || x > 0 && y > 0) {
			x, y = x-1, y-1
			d.same(a0+x, b0+y)
		}
		if steps > 0 && prev == k-1 {
			x--
			d.removed(a0 + x)
		} else if steps > 0 {
			y--
			d.added(b0 + y)
		}
		back = append(back, d.out...)
	}
	slices.Reverse(back)
	d.out = append(forward, back...) //nolint:gocritic // forward is what d.out was
}

// furthest holds how far each diagonal has got, for diagonals −n to n.
type furthest []int

func (f furthest) at(k int) int { return f[k+len(f)/2] }

// search gives the states before each step of the shortest difference; nil
// when it takes too many.
func (d *differ) search(a0, a1, b0, b1 int) []furthest {
	n, m := a1-a0, b1-b0
	limit := min(n+m, maxDiffSteps)
	v := make(furthest, 2*limit+3)
	mid := len(v) / 2
	var trace []furthest
	for steps := 0; steps <= limit; steps++ {
		// Only the part that a step can reach is kept.
		trace = append(trace, slices.Clone(v[mid-steps-1:mid+steps+2]))
		for k := -steps; k <= steps; k += 2 {
			x := v.at(k-1) + 1
			if k == -steps || k != steps && v.at(k-1) < v.at(k+1) {
				x = v.at(k + 1)
			}
			y := x - k
			for x < n && y < m && d.a[a0+x] == d.b[b0+y] {
				x, y = x+1, y+1
			}
			v[k+mid] = x
			if x >= n && y >= m {
				return trace
			}
		}
	}
	return nil
}

// hunks leaves out the lines that are far from any change.
func (d *differ) hunks() []DiffLine {
	near := make([]bool, len(d.out))
	for i := range d.out {
		if d.out[i].Op == DiffSame {
			continue
		}
		for j := max(i-diffContext, 0); j <= min(i+diffContext, len(d.out)-1); j++ {
			near[j] = true
		}
	}
	var out []DiffLine
	for i, keep := range near {
		if keep {
			out = append(out, d.out[i])
		}
	}
	return out
}
