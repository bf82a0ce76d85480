package formats

import (
	"encoding/xml"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/colloquyhq/colloquy/conversation"
)

// sheetReader reads the cells of one sheet.
type sheetReader struct {
	*workbook

	table  *table
	draft  *draft
	cells  int
	row    tableRow
	column int      // of the next cell that does not say where it is
	merges []string // such as A2:A5
}

func (w *workbook) readSheet(ref sheetRef, d *draft) (*table, error) {
	r := &sheetReader{workbook: w, table: &table{file: w.file, sheet: ref.name}, draft: d}
	err := w.walk(ref.part, r.element)
	if err != nil {
		return nil, err
	}
	r.endRow()
	r.spread()
	return r.table, nil
}

func (r *sheetReader) element(x *xmlWalk, e xml.StartElement) error {
	switch e.Name.Local {
	case "row":
		r.endRow()
		next := r.row.number + 1
		if n, err := strconv.Atoi(attribute(e, "r")); err == nil && n > 0 {
			next = n
		}
		r.row, r.column = tableRow{number: next}, 0
		if len(r.table.rows) == maxRows {
			return conversation.Refusef(conversation.CodeTooLarge, "%s %s has more than %d rows", r.file, r.table.sheet, maxRows)
		}
	case "c":
		return r.cell(x, e)
	case "mergeCell":
		if len(r.merges) < maxRows {
			r.merges = append(r.merges, attribute(e, "ref"))
		}
	}
	return nil
}

func (r *sheetReader) endRow() {
	if len(r.row.cells) > 0 {
		r.table.rows = append(r.table.rows, r.row)
	}
	r.row.cells = nil
}

// cell reads one cell.
func (r *sheetReader) cell(x *xmlWalk, e xml.StartElement) error {
	column := r.column
	if c, _, ok := parseRef(attribute(e, "r")); ok {
		column = c
	}
	r.column = column + 1
	kind, style := attribute(e, "t"), attribute(e, "s")
	raw, err := x.cell()
	if err != nil {
		return err
	}
	if column >= maxColumns {
		return nil
	}
	if r.cells++; r.cells > maxCells {
		return conversation.Refusef(conversation.CodeTooLarge, "%s %s has more than %d cells", r.file, r.table.sheet, maxCells)
	}
	text := r.text(kind, style, raw.value)
	if kind == "inlineStr" {
		text = unescapeCell(raw.text)
	}
	for len(r.row.cells) <= column {
		r.row.cells = append(r.row.cells, "")
	}
	r.row.cells[column] = text
	if kind == "e" {
		r.draft.leaveOut(r.table.at(&r.row, column), raw.value, "the cell holds an error")
	}
	return nil
}

// text gives what a cell shows. Of a formula it is the value that was last
// calculated.
func (r *sheetReader) text(kind, style, value string) string {
	switch kind {
	case "s":
		if i, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && i >= 0 && i < len(r.shared) {
			return r.shared[i]
		}
		return ""
	case "b":
		return map[string]string{"1": "TRUE", "0": "FALSE"}[value]
	case "str":
		return unescapeCell(value)
	case "e":
		return ""
	case "d":
		return strings.TrimSuffix(strings.Replace(value, "T", " ", 1), " 00:00:00")
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return value
	}
	i, _ := strconv.Atoi(style)
	return r.styles.show(f, i, r.days)
}

// spread repeats the value of merged cells in each of their rows.
func (r *sheetReader) spread() {
	budget := maxCells
	for _, ref := range r.merges {
		from, to, _ := strings.Cut(ref, ":")
		c1, r1, ok1 := parseRef(from)
		_, r2, ok2 := parseRef(to)
		if !ok1 || !ok2 || c1 >= maxColumns {
			continue
		}
		first, found := slices.BinarySearchFunc(r.table.rows, r1, func(row tableRow, n int) int { return row.number - n })
		if !found {
			continue
		}
		text := r.table.rows[first].cell(c1)
		for i := first + 1; i < len(r.table.rows) && r.table.rows[i].number <= r2 && budget > 0; i++ {
			row := &r.table.rows[i]
			for len(row.cells) <= c1 {
				row.cells = append(row.cells, "")
				budget--
			}
			row.cells[c1] = text
			budget--
		}
	}
}

var cellRef = regexp.MustCompile(`^\$?([A-Z]{1,3})\$?([0-9]{1,7})$`)

// parseRef reads B7 as column 1 and row 7.
func parseRef(s string) (column, row int, ok bool) {
	m := cellRef.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	for _, c := range m[1] {
		column = column*26 + int(c-'A') + 1
	}
	row, err := strconv.Atoi(m[2])
	return column - 1, row, err == nil
}

var cellEscape = regexp.MustCompile(`_x([0-9A-Fa-f]{4})_`)

// unescapeCell resolves _x000D_ and its like, by which Excel writes characters
// that XML cannot hold.
func unescapeCell(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return cellEscape.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[2:6], 16, 16)
		if err != nil || utf16.IsSurrogate(rune(n)) {
			return m
		}
		return string(rune(n))
	})
}

// dayCount says from when a workbook counts days.
type dayCount uint8

const (
	daysFrom1900 dayCount = iota
	daysFrom1904
)

// cellStyles says how each style of a workbook shows numbers.
type cellStyles struct {
	custom map[int]string // number formats by id
	format []int          // number format of each style
}

func (w *workbook) readStyles(part string) error {
	w.styles.custom = map[int]string{}
	inside := false
	return w.walk(part, func(_ *xmlWalk, e xml.StartElement) error {
		switch e.Name.Local {
		case "numFmt":
			if id, err := strconv.Atoi(attribute(e, "numFmtId")); err == nil {
				w.styles.custom[id] = attribute(e, "formatCode")
			}
		case "cellXfs":
			inside = true
		case "cellStyles", "cellStyleXfs", "dxfs":
			inside = false
		case "xf":
			if inside && len(w.styles.format) < 1<<16 {
				id, _ := strconv.Atoi(attribute(e, "numFmtId"))
				w.styles.format = append(w.styles.format, id)
			}
		}
		return nil
	})
}

// show writes a number as a person would read it in the cell.
func (s *cellStyles) show(f float64, style int, days dayCount) string {
	if style >= 0 && style < len(s.format) {
		id := s.format[style]
		switch code := s.custom[id]; {
		case isDateFormat(id, code):
			return showDate(f, days)
		case id == 9 || id == 10 || strings.HasSuffix(code, "%"):
			return trimNumber(f*100) + "%"
		}
	}
	return trimNumber(f)
}

// trimNumber writes a number with the 15 digits that a workbook keeps.
func trimNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	g, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64)
	if err != nil {
		return strconv.FormatFloat(f, 'g', 15, 64)
	}
	return strconv.FormatFloat(g, 'g', -1, 64)
}

var notDate = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\\.|_.|\*.`)

// isDateFormat knows the built-in formats (ECMA-376 part 1, 18.8.30, those of
// Chinese versions included) and looks for parts of dates in others.
func isDateFormat(id int, code string) bool {
	if code == "" {
		return id >= 14 && id <= 22 || id >= 27 && id <= 36 || id >= 45 && id <= 47 || id >= 50 && id <= 58
	}
	code = strings.ToLower(notDate.ReplaceAllString(code, ""))
	return !strings.Contains(code, "general") && strings.ContainsAny(code, "ymdhs年月日")
}

// showDate writes a count of days as a date, with the time if there is one.
func showDate(f float64, days dayCount) string {
	if f < 0 || f > 2_958_466 { // the year 9999
		return trimNumber(f)
	}
	start := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if days == daysFrom1904 {
		start = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	whole := math.Floor(f)
	t := start.AddDate(0, 0, int(whole)).Add(time.Duration(math.Round((f-whole)*86400)) * time.Second)
	switch {
	case whole == 0 && f > 0:
		return t.Format("15:04")
	case f == whole:
		return t.Format("2006-01-02")
	}
	return t.Format("2006-01-02 15:04")
}
