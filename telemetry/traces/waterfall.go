package traces

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Row is a span as people are shown it.
type Row struct {
	ID, Parent string
	Name, Node string
	Start      time.Time
	Took       time.Duration
	Failed     bool
	Note       string // what it came to
	Depth      int    // below how many others
}

// Rows gives the spans of a trace in the order in which they are shown.
func (t *Trace) Rows() []Row {
	rows := make([]Row, len(t.All))
	for i := range t.All {
		s := t.span(&t.All[i])
		rows[i] = s.row(t.All[i].Node)
	}
	return Arrange(rows)
}

// Arrange puts each row below its parent, by their start, and says how deep it
// is. A row whose parent is not there stands at the top.
func Arrange(rows []Row) []Row {
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(b.Took, a.Took)) })
	known := map[string]bool{}
	for i := range rows {
		known[rows[i].ID] = true
	}
	below := map[string][]Row{}
	for _, r := range rows {
		parent := r.Parent
		if !known[parent] || parent == r.ID {
			parent = ""
		}
		below[parent] = append(below[parent], r)
	}
	out := make([]Row, 0, len(rows))
	var add func(parent string, depth int)
	add = func(parent string, depth int) {
		list := below[parent]
		delete(below, parent) // ids that lead in a circle end here
		for _, r := range list {
			r.Depth = depth
			out = append(out, r)
			if r.ID != "" {
				add(r.ID, depth+1)
			}
		}
	}
	add("", 0)
	return out
}

// span gives when the first row begins, and how long it takes until the last one
// ends.
func span(rows []Row) (from time.Time, took time.Duration) {
	for i := range rows {
		if r := &rows[i]; from.IsZero() || r.Start.Before(from) {
			from = r.Start
		}
	}
	for i := range rows {
		took = max(took, rows[i].Start.Add(rows[i].Took).Sub(from))
	}
	return from, max(took, 1)
}

// barWidth is how many characters a waterfall is wide.
const barWidth = 40

// WriteWaterfall draws rows as text: when each began and how long it took, as a
// bar below the others.
func WriteWaterfall(w io.Writer, rows []Row) error {
	from, all := span(rows)
	nodes, name := map[string]string{}, 0
	for i := range rows {
		name = max(name, 2*rows[i].Depth+len(rows[i].Name))
		if n := rows[i].Node; nodes[n] == "" {
			nodes[n] = string(rune('A' + len(nodes)%26))
		}
	}
	for i := range rows {
		r := &rows[i]
		begin := int(int64(barWidth) * int64(r.Start.Sub(from)) / int64(all))
		width := max(1, min(barWidth-begin, int(int64(barWidth)*int64(r.Took)/int64(all))))
		begin = min(begin, barWidth-width)
		mark := "="
		if r.Failed {
			mark = "!"
		}
		bar := strings.Repeat(" ", begin) + strings.Repeat(mark, width) + strings.Repeat(" ", barWidth-begin-width)
		line := fmt.Sprintf("%-*s %s |%s| %9s %9s  %s", name, strings.Repeat("  ", r.Depth)+r.Name, nodes[r.Node], bar,
			short(r.Start.Sub(from)), short(r.Took), r.Note)
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(nodes), func(a, b string) int { return cmp.Compare(nodes[a], nodes[b]) }) {
		if _, err := fmt.Fprintf(w, "%s = %s\n", nodes[n], n); err != nil {
			return err
		}
	}
	return nil
}

// short writes a time with three or four digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
