package formats

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// What is needed of a workbook are sheets, cells and shared strings: a few
// hundred lines over archive/zip and encoding/xml, which resolves no entities
// of a document's own. The usual library would add seven modules and 4.3 MB.

// maxSheets bounds the sheets of a workbook, maxCells the filled cells of one.
const (
	maxSheets = 256
	maxCells  = 2_000_000
)

// isWorkbook tells a workbook from other zip archives, without unpacking.
func isWorkbook(content []byte) bool {
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return false
	}
	for _, f := range z.File {
		if f.Name == "xl/workbook.xml" || f.Name == "mimetype" {
			return true
		}
	}
	return false
}

// readXLSX reads every sheet of every workbook as a table.
func readXLSX(in *Input, d *draft) error {
	files := in.ending(".xlsx", ".xlsm", ".xls", ".ods")
	if len(files) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "%s holds no .xlsx file", in.name)
	}
	for _, f := range files {
		w, err := openWorkbook(f.name, f.content)
		if err != nil {
			return err
		}
		f.read = true
		if err := w.readSheets(d); err != nil {
			return err
		}
	}
	return nil
}

// workbook is an open xlsx file.
type workbook struct {
	file   string
	parts  map[string]*zip.File
	left   int64 // bytes that may still be unpacked
	shared []string
	styles cellStyles
	days   dayCount
	sheets []sheetRef
}

// sheetRef is a sheet before it is read.
type sheetRef struct {
	name   string
	part   string
	hidden bool
}

// openWorkbook reads everything but the sheets.
func openWorkbook(file string, content []byte) (*workbook, error) {
	at := Place{File: file}
	if bytes.HasPrefix(content, []byte("\xd0\xcf\x11\xe0")) {
		return nil, refuse(at, "this is a workbook of the old kind (.xls), or one with a password; save it as .xlsx without one")
	}
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, refuse(at, "this is not an .xlsx workbook: %v", err)
	}
	w := &workbook{file: file, parts: map[string]*zip.File{}, left: maxInputBytes}
	for _, f := range z.File {
		w.parts[strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/")] = f
	}
	if w.parts["xl/workbook.xml"] == nil {
		return nil, refuse(at, "there is no workbook in it; save it as .xlsx (OpenDocument and .xlsb are not read)")
	}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *workbook) open() error {
	related, byKind, err := w.relations()
	if err != nil {
		return err
	}
	if err := w.listSheets(related); err != nil {
		return err
	}
	if part := byKind["sharedStrings"]; part != "" {
		if err := w.readShared(part); err != nil {
			return err
		}
	}
	if part := byKind["styles"]; part != "" {
		return w.readStyles(part)
	}
	return nil
}

// walk calls fn for every start of an element of a part. Size is bounded here,
// depth by xmlWalk; a missing part is an error.
func (w *workbook) walk(part string, fn func(x *xmlWalk, e xml.StartElement) error) error {
	at := Place{File: w.file}
	f := w.parts[part]
	if f == nil {
		return refuse(at, "the workbook lacks its part %s", part)
	}
	r, err := f.Open()
	if err != nil {
		return refuse(at, "%s is not readable: %v", part, err)
	}
	defer func() { _ = r.Close() }()
	limited := &io.LimitedReader{R: r, N: w.left + 1}
	x := &xmlWalk{dec: xml.NewDecoder(limited)}
	err = x.elements(fn)
	w.left = limited.N - 1
	switch {
	case limited.N == 0:
		return conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d MiB unpacked", w.file, maxInputBytes>>20)
	case errors.Is(err, conversation.ErrInvalid), errors.Is(err, conversation.ErrTooLarge):
		return err
	case err != nil:
		return refuse(at, "%s is not readable: %v", part, err)
	}
	return nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// relations gives the parts that the workbook refers to, by id and by kind.
func (w *workbook) relations() (byID, byKind map[string]string, err error) {
	byID, byKind = map[string]string{}, map[string]string{}
	err = w.walk("xl/_rels/workbook.xml.rels", func(_ *xmlWalk, e xml.StartElement) error {
		if e.Name.Local != "Relationship" {
			return nil
		}
		target := attribute(e, "Target")
		if !strings.HasPrefix(target, "/") {
			target = path.Join("xl", target)
		}
		target = strings.TrimPrefix(path.Clean(target), "/")
		byID[attribute(e, "Id")] = target
		kind := attribute(e, "Type")
		byKind[kind[strings.LastIndexByte(kind, '/')+1:]] = target
		return nil
	})
	return byID, byKind, err
}

func (w *workbook) listSheets(related map[string]string) error {
	return w.walk("xl/workbook.xml", func(_ *xmlWalk, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			if v := attribute(e, "date1904"); v == "1" || v == "true" {
				w.days = daysFrom1904
			}
		case "sheet":
			if len(w.sheets) == maxSheets {
				return conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d sheets", w.file, maxSheets)
			}
			id := ""
			for _, a := range e.Attr {
				if a.Name.Local == "id" && a.Name.Space != "" {
					id = a.Value
				}
			}
			state := attribute(e, "state")
			w.sheets = append(w.sheets, sheetRef{
				name: oneLine(attribute(e, "name")), part: related[id], hidden: state == "hidden" || state == "veryHidden",
			})
		}
		return nil
	})
}

// readShared reads the strings that cells refer to by number. The parts of a
// rich text are put together; readings above characters are not part of it.
func (w *workbook) readShared(part string) error {
	return w.walk(part, func(x *xmlWalk, e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		c, err := x.cell()
		w.shared = append(w.shared, unescapeCell(c.text))
		return err
	})
}

// readSheets takes every visible sheet that has a header into the draft. A
// workbook without one is an error; other sheets are said to be left out.
func (w *workbook) readSheets(d *draft) error {
	var first error
	read := 0
	for _, ref := range w.sheets {
		at := Place{File: w.file, Cell: ref.name}
		if ref.hidden {
			d.leaveOut(at, ref.name, "the sheet is hidden")
			continue
		}
		if !strings.HasPrefix(ref.part, "xl/worksheets/") {
			continue // a chart or a macro sheet
		}
		t, err := w.readSheet(ref, d)
		if err != nil {
			return err
		}
		if len(t.rows) == 0 {
			continue
		}
		if err := d.readTable(t); err != nil {
			d.leaveOut(at, ref.name, "no row of the sheet names the columns")
			if first == nil {
				first = err
			}
			continue
		}
		read++
	}
	if read > 0 {
		return nil
	}
	if first == nil {
		first = refuse(Place{File: w.file}, "there is no visible sheet with anything in it")
	}
	return first
}
