package formats

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/intent"
)

// maxCellRunes is what a cell of Excel holds; a longer list goes on in the
// rows below.
const maxCellRunes = 32_000

// sheetOf writes packs as rows: one for each intent and language, with the
// columns that an import understands.
func sheetOf(c *intent.Contents, o *Output) [][]string {
	rows := [][]string{{"intent", "language", "standard question", "similar questions (one per line)", "answer", "counterexamples (one per line)", "test questions (one per line)"}}
	if c.Lang == "zh" {
		rows[0] = []string{"意图", "语言", "标准问", "相似问（每行一个）", "答案", "反例（每行一个）", "测试问（每行一个）"}
	}
	for i := range c.Intents {
		x := &c.Intents[i]
		if x.Background {
			o.leaveOut("intent "+x.ID, "background", "a spreadsheet has no place for what no intent covers")
			continue
		}
		if len(x.Buttons) > 0 {
			o.leaveOut("intent "+x.ID, "buttons "+strings.Join(x.Buttons, ", "), "a spreadsheet has no buttons")
		}
		for _, lang := range langsOf(x) {
			rows = append(rows, rowsOf(x, lang)...)
		}
	}
	for _, e := range c.Entities {
		o.leaveOut("entity "+e.Name, e.Name, "a spreadsheet has no entities")
	}
	for _, v := range c.Variables {
		o.leaveOut("variable "+v.Name, v.Name, "a spreadsheet has no variables; their names stay in the answers")
	}
	o.leaveOutRest(c, "a spreadsheet")
	return rows
}

func langsOf(x *intent.IntentContents) []string {
	all := map[string]bool{}
	for lang := range x.Title {
		all[lang] = true
	}
	for lang := range x.Answer {
		all[lang] = true
	}
	for _, lists := range []map[string][]string{x.Ask, x.Not, x.Test} {
		for lang := range lists {
			all[lang] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// rowsOf writes one intent in one language.
func rowsOf(x *intent.IntentContents, lang string) [][]string {
	ask, not, test := cellsOf(x.Ask[lang]), cellsOf(x.Not[lang]), cellsOf(x.Test[lang])
	var out [][]string
	for i := range max(len(ask), len(not), len(test), 1) {
		row := []string{x.ID, lang, "", nth(ask, i), "", nth(not, i), nth(test, i)}
		if i == 0 {
			row[2], row[4] = oneLine(x.Title[lang]), x.Answer[lang]
		}
		out = append(out, row)
	}
	return out
}

func nth(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// cellsOf joins lines into as few cells as hold them.
func cellsOf(lines []string) []string {
	var out []string
	n := 0
	for _, l := range lines {
		l = oneLine(l)
		k := utf8.RuneCountInString(l) + 1
		if len(out) == 0 || n+k > maxCellRunes {
			out, n = append(out, l), k
			continue
		}
		out[len(out)-1] += "\n" + l
		n += k
	}
	return out
}

// formula reports cells that a spreadsheet would calculate instead of show.
func formula(cell string) bool { return cell != "" && strings.ContainsRune("=+-@\t", rune(cell[0])) }

// writeCSV writes UTF-8 with a mark, which Excel needs to see that it is. A
// cell that looks like a formula gets an apostrophe in front, as a person would
// type it; the import takes it away again.
func writeCSV(c *intent.Contents) (Output, error) {
	o := Output{}
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	for _, row := range sheetOf(c, &o) {
		for i, cell := range row {
			if formula(cell) {
				row[i] = "'" + cell
			}
		}
		if err := w.Write(row); err != nil {
			return o, fmt.Errorf("write CSV: %w", err)
		}
	}
	w.Flush()
	o.Files = []OutputFile{{Name: c.Name + ".csv", Content: b.Bytes()}}
	return o, w.Error()
}

// The fixed parts of a workbook with one sheet: a header in bold, lines wrapped.
const (
	xmlHead      = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	xlsxMain     = `http://schemas.openxmlformats.org/spreadsheetml/2006/main`
	xlsxRel      = `http://schemas.openxmlformats.org/officeDocument/2006/relationships`
	xlsxPackage  = `http://schemas.openxmlformats.org/package/2006/relationships`
	contentTypes = xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>`
	rootRels = xmlHead + `<Relationships xmlns="` + xlsxPackage + `"><Relationship Id="rId1" Type="` + xlsxRel + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`
	bookRels = xmlHead + `<Relationships xmlns="` + xlsxPackage + `"><Relationship Id="rId1" Type="` + xlsxRel + `/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId2" Type="` + xlsxRel + `/styles" Target="styles.xml"/></Relationships>`
	book      = xmlHead + `<workbook xmlns="` + xlsxMain + `" xmlns:r="` + xlsxRel + `"><sheets><sheet name="%s" sheetId="1" r:id="rId1"/></sheets></workbook>`
	styleBook = xmlHead + `<styleSheet xmlns="` + xlsxMain + `"><fonts count="2"><font><sz val="11"/></font><font><b/><sz val="11"/></font></fonts>` +
		`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>` +
		`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="2">` +
		`<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" applyAlignment="1"><alignment vertical="top" wrapText="1"/></xf>` +
		`<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>` +
		`<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`
	sheetHead = xmlHead + `<worksheet xmlns="` + xlsxMain + `"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>` +
		`<cols><col min="1" max="1" width="24" customWidth="1"/><col min="2" max="2" width="8" customWidth="1"/><col min="3" max="3" width="30" customWidth="1"/><col min="4" max="7" width="48" customWidth="1"/></cols><sheetData>`
)

// writeXLSX writes a workbook with one sheet.
func writeXLSX(c *intent.Contents) (Output, error) {
	o := Output{}
	var sheet bytes.Buffer
	sheet.WriteString(sheetHead)
	for i, row := range sheetOf(c, &o) {
		fmt.Fprintf(&sheet, `<row r="%d">`, i+1)
		style := 0
		if i == 0 {
			style = 1
		}
		for k, cell := range row {
			if cell == "" {
				continue
			}
			fmt.Fprintf(&sheet, `<c r="%s%d" s="%d" t="inlineStr"><is><t xml:space="preserve">`, columnName(k), i+1, style)
			if err := xml.EscapeText(&sheet, []byte(escapeCell(clean(cell)))); err != nil {
				return o, fmt.Errorf("write a cell: %w", err)
			}
			sheet.WriteString(`</t></is></c>`)
		}
		sheet.WriteString(`</row>`)
	}
	sheet.WriteString(`</sheetData></worksheet>`)
	var name bytes.Buffer
	if err := xml.EscapeText(&name, []byte(cutAt(c.Name, 31))); err != nil {
		return o, fmt.Errorf("write the sheet's name: %w", err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range []struct{ name, content string }{
		{"[Content_Types].xml", contentTypes},
		{"_rels/.rels", rootRels},
		{"xl/workbook.xml", fmt.Sprintf(book, name.String())},
		{"xl/_rels/workbook.xml.rels", bookRels},
		{"xl/styles.xml", styleBook},
		{"xl/worksheets/sheet1.xml", sheet.String()},
	} {
		w, err := z.Create(part.name)
		if err != nil {
			return o, fmt.Errorf("write %s: %w", part.name, err)
		}
		if _, err := w.Write([]byte(part.content)); err != nil {
			return o, fmt.Errorf("write %s: %w", part.name, err)
		}
	}
	if err := z.Close(); err != nil {
		return o, fmt.Errorf("write the workbook: %w", err)
	}
	o.Files = []OutputFile{{Name: c.Name + ".xlsx", Content: b.Bytes()}}
	return o, nil
}

// escapeCell keeps text that looks like an escape of Excel's from being one.
func escapeCell(s string) string {
	return cellEscape.ReplaceAllStringFunc(s, func(m string) string { return "_x005F" + m })
}
