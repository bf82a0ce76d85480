package formats

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// makeZip packs parts in the order of their names and contents.
func makeZip(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(parts); i += 2 {
		w, err := z.Create(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testSheet is a sheet of a workbook in a test.
type testSheet struct{ name, state, content string }

// makeWorkbook builds a workbook as Excel would.
func makeWorkbook(t testing.TB, shared, styles string, sheets ...testSheet) []byte {
	t.Helper()
	var list, rels strings.Builder
	parts := []string{}
	for i, s := range sheets {
		state := ""
		if s.state != "" {
			state = fmt.Sprintf(` state=%q`, s.state)
		}
		fmt.Fprintf(&list, `<sheet name=%q sheetId="%d"%s r:id="rId%d"/>`, s.name, i+1, state, i+1)
		fmt.Fprintf(&rels, `<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, i+1, xlsxRel, i+1)
		parts = append(parts, fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1), `<worksheet xmlns="`+xlsxMain+`">`+s.content+`</worksheet>`)
	}
	fmt.Fprintf(&rels, `<Relationship Id="rIdS" Type="%s/sharedStrings" Target="/xl/sharedStrings.xml"/><Relationship Id="rIdT" Type="%s/styles" Target="styles.xml"/>`, xlsxRel, xlsxRel)
	return makeZip(t, append(parts,
		"[Content_Types].xml", contentTypes,
		"xl/workbook.xml", `<workbook xmlns="`+xlsxMain+`" xmlns:r="`+xlsxRel+`"><sheets>`+list.String()+`</sheets></workbook>`,
		"xl/_rels/workbook.xml.rels", `<Relationships xmlns="`+xlsxPackage+`">`+rels.String()+`</Relationships>`,
		"xl/sharedStrings.xml", `<sst xmlns="`+xlsxMain+`">`+shared+`</sst>`,
		"xl/styles.xml", `<styleSheet xmlns="`+xlsxMain+`">`+styles+`</styleSheet>`)...)
}

const (
	testShared = `<si><t>标准问</t></si><si><t>相似问</t></si><si><t>答案</t></si>` +
		`<si><r><t>怎么</t></r><r><rPr><b/></rPr><t xml:space="preserve">退货 </t></r><rPh sb="0" eb="1"><t>读音</t></rPh></si>` +
		`<si><t>七天内_x000D_` + "\n" + `可以退</t></si>`
	testStyles = `<numFmts><numFmt numFmtId="170" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/><numFmt numFmtId="171" formatCode="0.00&quot;d&quot;"/></numFmts>` +
		`<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="10"/><xf numFmtId="22"/><xf numFmtId="171"/></cellXfs>`
)

func readOne(t *testing.T, name string, content []byte, o Options) (*Import, error) {
	t.Helper()
	in, err := newInput(name, content)
	if err != nil {
		return nil, err
	}
	if o.Pack == "" {
		o.Pack = "p"
	}
	return Read(in, o)
}

func TestWorkbook(t *testing.T) {
	t.Parallel()
	header := `<row r="2"><c r="B2" t="s"><v>0</v></c><c r="C2" t="s"><v>1</v></c><c r="D2" t="s"><v>2</v></c></row>`
	content := makeWorkbook(t, testShared, testStyles,
		testSheet{name: "售后", content: `<sheetData>` + header +
			`<row r="3"><c r="B3" t="s"><v>3</v></c><c r="C3" t="inlineStr"><is><r><t>能</t></r><r><t>退吗</t></r></is></c><c r="D3" t="s"><v>4</v></c></row>` +
			`<row r="4"><c r="C4" t="str"><f>"不要"&amp;"了"</f><v>不要了</v></c></row>` +
			`<row r="6"><c r="C6" t="str"><v>我要退</v></c><c r="D6" t="e"><v>#N/A</v></c></row>` +
			`<row r="7"><c r="B7" t="inlineStr"><is><t>哪天发</t></is></c><c r="D7" s="2"><v>46023</v></c></row>` +
			`<row r="8"><c r="B8" t="inlineStr"><is><t>几折</t></is></c><c r="D8" s="3"><v>0.85</v></c></row>` +
			`<row r="9"><c r="B9" t="inlineStr"><is><t>满多少包邮</t></is></c><c r="D9"><v>99</v></c></row>` +
			`<row><c/><c t="inlineStr"><is><t>截止什么时候</t></is></c><c/><c s="4"><v>46023.75</v></c></row>` +
			`<row r="11"><c r="B11" t="inlineStr"><is><t>多重</t></is></c><c r="D11" s="5"><v>0.30000000000000004</v></c></row>` +
			`</sheetData><mergeCells><mergeCell ref="B3:B6"/><mergeCell ref="D3:D4"/><mergeCell ref="nonsense"/></mergeCells>`},
		testSheet{name: "草稿", state: "hidden", content: `<sheetData>` + header + `</sheetData>`},
		testSheet{name: "说明", content: `<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>怎么用这张表</t></is></c></row></sheetData>`},
		testSheet{name: "空", content: `<sheetData/>`},
	)
	got, err := readOne(t, "faq.xlsx", content, Options{})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Title  string
		Ask    []string
		Answer string
	}
	var rows []row
	for i := range got.Contents.Intents {
		x := &got.Contents.Intents[i]
		rows = append(rows, row{x.Title["zh"], x.Ask["zh"], x.Answer["zh"]})
	}
	want := []row{
		{"怎么退货", []string{"怎么退货", "能退吗", "不要了", "我要退"}, "七天内\n可以退"},
		{"哪天发", []string{"哪天发"}, "2026-01-01"},
		{"几折", []string{"几折"}, "85%"},
		{"满多少包邮", []string{"满多少包邮"}, "99"},
		{"截止什么时候", []string{"截止什么时候"}, "2026-01-01 18:00"},
		{"多重", []string{"多重"}, "0.3"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	var remarks []string
	for _, r := range got.Remarks {
		remarks = append(remarks, r.At+": "+r.Why)
	}
	if diff := cmp.Diff([]string{
		"faq.xlsx 售后!D6: the cell holds an error", "faq.xlsx 草稿: the sheet is hidden", "faq.xlsx 说明: no row of the sheet names the columns",
	}, remarks); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
}

func TestWorkbooksThatAreRefused(t *testing.T) {
	t.Parallel()
	sheet := func(content string) []byte {
		return makeWorkbook(t, testShared, "", testSheet{name: "S", content: content})
	}
	whole := sheet(`<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c></row></sheetData>`)
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"not a zip":     {[]byte("question,answer"), "not an .xlsx workbook"},
		"cut off":       {whole[:len(whole)-40], "f.xlsx: not a whole zip archive"},
		"old format":    {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest"), "of the old kind (.xls), or one with a password"},
		"open document": {makeZip(t, "mimetype", "application/vnd.oasis.opendocument.spreadsheet"), "OpenDocument and .xlsb are not read"},
		"no header":     {sheet(`<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c></row></sheetData>`), `names the columns: a question (标准问, question)`},
		"no cells":      {sheet(`<sheetData/>`), "no visible sheet with anything in it"},
		"no such string": {
			sheet(`<sheetData><row r="1"><c r="A1" t="s"><v>9999999</v></c><c r="B1" t="s"><v>-1</v></c></row></sheetData>`), "names the columns",
		},
		"broken XML":    {sheet(`<sheetData><row r="1"><c r="A1"`), "xl/worksheets/sheet1.xml is not readable"},
		"missing sheet": {makeZip(t, "xl/workbook.xml", book, "xl/_rels/workbook.xml.rels", bookRels), "the workbook lacks its part xl/"},
		"nested deep":   {sheet(strings.Repeat("<a>", 1000)), "nested too deep"},
		"nested cell":   {sheet(`<sheetData><row><c>` + strings.Repeat("<a>", 1000)), "nested too deep"},
		"nested string": {makeWorkbook(t, "<si>"+strings.Repeat("<r>", 1000), "", testSheet{name: "S"}), "nested too deep"},
		"entities of its own": {
			makeZip(t, "xl/workbook.xml", `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><workbook>&b;</workbook>`, "xl/_rels/workbook.xml.rels", bookRels),
			"invalid character entity &b;",
		},
	} {
		_, err := readOne(t, "f.xlsx", tc.content, Options{Format: XLSX})
		if !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(fmt.Sprint(err), tc.want) {
			t.Errorf("%s: %v, want class invalid and %q", name, err, tc.want)
		}
	}
}

// A few kilobytes that unpack to far more end at the limit, not in memory.
func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat(" ", maxFileBytes+1)
	rows := strings.Repeat("<row><c><v>1</v></c></row>", maxRows+2)
	for name, tc := range map[string]struct {
		file    string
		content []byte
	}{
		"one file":  {"a.zip", makeZip(t, "intents/a.json", zeros)},
		"a CX flow": {"a.zip", makeZip(t, "agent.json", `{"defaultLanguageCode": "en"}`, "flows/A/A.json", "["+zeros)},
		"many rows": {"a.xlsx", makeWorkbook(t, "", "", testSheet{name: "S", content: rows})},
	} {
		if len(tc.content) > 64<<10 {
			t.Errorf("%s: the archive itself has %d bytes", name, len(tc.content))
		}
		if _, err := readOne(t, tc.file, tc.content, Options{}); !errors.Is(err, conversation.ErrTooLarge) {
			t.Errorf("%s: %v, want class too large", name, err)
		}
	}
	full := &Input{name: "a.zip", bytes: maxInputBytes - 10}
	if err := full.addContent("a.zip", makeZip(t, "a.json", "[1, 2, 3, 4]")); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("beyond the limit of all files: %v, want class too large", err)
	}
	w, err := openWorkbook("a.xlsx", makeWorkbook(t, "", "", testSheet{name: "S", content: "<sheetData>" + rows + "</sheetData>"}))
	if err != nil {
		t.Fatal(err)
	}
	w.left = 1000
	if err := w.readSheets(newDraft("")); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("beyond the limit of a workbook: %v, want class too large", err)
	}
}

func TestArchivesWithUnsafeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../intents/a.json", "/etc/a.json", `..\a.json`, "a/../../b.json", "flows/A/../../../agent.json"} {
		if _, err := readOne(t, "a.zip", makeZip(t, name, "{}"), Options{}); !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(err.Error(), "unsafe name") {
			t.Errorf("%s: %v, want an error about an unsafe name", name, err)
		}
	}
}
