package formats

import (
	"cmp"
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// readCSV reads every .csv, .tsv and .txt file as a table.
func readCSV(in *Input, d *draft) error {
	files := in.ending(".csv", ".tsv", ".txt")
	if len(files) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "%s holds no .csv file", in.name)
	}
	for _, f := range files {
		text, err := toUTF8(f.name, f.content)
		if err != nil {
			return err
		}
		t, err := parseCSV(f.name, text)
		if err != nil {
			return err
		}
		f.read = true
		if err := d.readTable(t); err != nil {
			return err
		}
	}
	return nil
}

// parseCSV finds the separator by trying: the one with which the most columns
// get a name is it. Excel writes commas, or semicolons where the comma is part
// of numbers, and tabs for "Unicode text".
func parseCSV(file, text string) (*table, error) {
	offset := 0
	separators := ",;\t，|"
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(strings.ToLower(first), "sep=") {
		if s := strings.TrimRight(first[len("sep="):], "\r"); len(s) == 1 && strings.Contains(separators, s) {
			separators, text, offset = s, rest, 1
		}
	}
	head := text
	if len(head) > 64<<10 {
		head = head[:strings.LastIndexByte(head[:64<<10], '\n')+1]
	}
	best, most := rune(','), 0
	var refused error
	for _, s := range separators {
		t, err := splitCSV(file, head, s)
		if err != nil {
			refused = cmp.Or(refused, err)
			continue
		}
		n := 0
		_, columns := t.header()
		for _, c := range columns {
			if c.role != roleNone {
				n++
			}
		}
		if n > most {
			best, most = s, n
		}
	}
	if most == 0 && refused != nil {
		return nil, refused
	}
	t, err := splitCSV(file, text, best)
	if err != nil {
		return nil, err
	}
	for i := range t.rows {
		t.rows[i].number += offset
	}
	return t, nil
}

func splitCSV(file, text string, separator rune) (*table, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = separator, true, -1
	t := &table{file: file}
	for {
		cells, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return t, nil
		case err != nil:
			e := (*csv.ParseError)(nil)
			at := Place{File: file}
			if errors.As(err, &e) {
				at.Line, err = e.Line, e.Err
			}
			return nil, refuse(at, "not readable as CSV: %v", err)
		case len(t.rows) == maxRows:
			return nil, conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d rows", file, maxRows)
		case len(cells) > maxColumns:
			return nil, conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d columns", file, maxColumns)
		}
		for i, c := range cells {
			if rest, ok := strings.CutPrefix(c, "'"); ok && formula(rest) {
				cells[i] = rest
			}
		}
		line, _ := r.FieldPos(0)
		t.rows = append(t.rows, tableRow{number: line, cells: cells})
	}
}
