package formats

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/intent"
)

// Limits of a spreadsheet.
const (
	maxRows      = 100_000
	maxColumns   = 256
	maxHeaderRow = 20 // how far down the header may stand
)

// table is a sheet or a CSV file.
type table struct {
	file  string
	sheet string // empty for CSV
	rows  []tableRow
}

// tableRow is a row with its number in the file, from 1.
type tableRow struct {
	number int
	cells  []string
}

func (r *tableRow) cell(column int) string {
	if column >= len(r.cells) {
		return ""
	}
	return r.cells[column]
}

// at names a cell: the line in CSV, which people look for in an editor, and the
// cell of a sheet.
func (t *table) at(r *tableRow, column int) Place {
	if t.sheet == "" {
		return Place{File: t.file, Line: r.number}
	}
	return Place{File: t.file, Cell: fmt.Sprintf("%s!%s%d", t.sheet, columnName(column), r.number)}
}

// columnName gives A for 0, AA for 26.
func columnName(n int) string {
	s := ""
	for n++; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}

// role is what a column holds.
type role uint8

const (
	roleNone role = iota // nothing that a pack has
	roleQuestion
	roleSimilar
	roleAnswer
	roleIntent
	roleLang
	roleNot
	roleTest
	roleIgnored // row numbers and the like, not worth a word
)

// column is one column of the header.
type column struct {
	role  role
	lang  string // that the header names
	lines bool   // several values in a cell are on lines of their own, and nothing else parts them
	title string
}

// headerWords are the names of columns, without spaces and in lower case.
func headerWords() map[role][]string {
	return map[role][]string{
		roleQuestion: {
			"标准问", "标准问题", "标准问法", "标准问句", "问题", "问题标题", "问题内容", "主问题", "主问", "知识标题", "知识点", "知识点标题", "faq问题", "提问", "用户问题", "问",
			"question", "standardquestion", "mainquestion", "primaryquestion", "canonicalquestion", "faq", "faqquestion", "title",
		},
		roleSimilar: {
			"相似问", "相似问题", "相似问法", "相似问句", "相似说法", "扩展问", "扩展问法", "扩展问题", "扩展问句", "类似问", "类似问题", "同义问", "同义问法", "同义句", "其他问法", "问法", "用户问法", "变体", "例句", "语料",
			"similar", "similarquestion", "similarquestions", "variation", "variations", "variant", "variants", "alternatives", "alternativequestion", "alternativequestions",
			"alternativephrasings", "alternatephrasings", "paraphrase", "paraphrases", "utterance", "utterances", "example", "examples", "phrases", "trainingphrases", "questions",
		},
		roleAnswer: {
			"答案", "答案内容", "标准答案", "默认答案", "回答", "标准回答", "回复", "回复内容", "答复", "答复内容", "解答", "机器人回复", "话术", "答",
			"answer", "answers", "standardanswer", "reply", "response", "responses",
		},
		roleIntent:  {"意图", "意图id", "意图名", "意图名称", "意图编码", "标签", "intent", "intentid", "intentname", "label"},
		roleLang:    {"语言", "语种", "language", "lang", "locale"},
		roleNot:     {"反例", "负例", "排除问", "not", "counterexample", "counterexamples", "negative", "negatives"},
		roleTest:    {"测试问", "测试问题", "测试问法", "test", "tests", "testquestion", "testquestions"},
		roleIgnored: {"序号", "编号", "id", "no", "no.", "#", "知识id", "问题id", "number"},
	}
}

var (
	headerNote   = regexp.MustCompile(`[（(\[【](.*?)[)）\]】]`)
	headerSuffix = regexp.MustCompile(`^(.+?)[ _.\-]+([a-z]{2}(?:[-_][a-z]{2,4})?)$`)
)

// readHeader says what a column is from its title: a word of headerWords,
// perhaps with a number behind it, a language, or a note in brackets.
func readHeader(title string) column {
	c := column{title: oneLine(title)}
	name := strings.ToLower(c.title)
	for _, note := range headerNote.FindAllStringSubmatch(name, -1) {
		if l := langOf(note[1]); intent.IsLang(l) && len(l) == 2 {
			c.lang = l
		}
		c.lines = c.lines || strings.Contains(note[1], "one per line") || strings.Contains(note[1], "每行一个")
	}
	name = headerNote.ReplaceAllString(name, "")
	if c.role = wordRole(name); c.role != roleNone {
		return c
	}
	if m := headerSuffix.FindStringSubmatch(strings.TrimSpace(name)); m != nil {
		if r := wordRole(m[1]); r != roleNone {
			c.role, c.lang = r, langOf(m[2])
		}
	}
	return c
}

func wordRole(name string) role {
	bare := strings.NewReplacer(" ", "", "_", "", "-", "", "*", "", ":", "", "：", "", "?", "", "？", "").Replace(name)
	for _, w := range []string{bare, strings.TrimRight(bare, "0123456789")} {
		for r, words := range headerWords() {
			if w != "" && slices.Contains(words, w) {
				return r
			}
		}
	}
	return roleNone
}

// header finds the row that names the columns. The row that names the most of
// those that matter is it.
func (t *table) header() (row int, columns []column) {
	row, best := -1, 0
	for i := range min(len(t.rows), maxHeaderRow) {
		var cs []column
		found := map[role]bool{}
		for _, title := range t.rows[i].cells {
			c := readHeader(title)
			cs = append(cs, c)
			found[c.role] = true
		}
		score := 0
		for _, r := range []role{roleQuestion, roleSimilar, roleAnswer, roleIntent} {
			if found[r] {
				score++
			}
		}
		if asks := found[roleQuestion] || found[roleSimilar]; asks && score >= 2 && score > best {
			row, columns, best = i, cs, score
		}
	}
	return row, columns
}

// readTable takes a table's rows into the draft.
func (d *draft) readTable(t *table) error {
	start, columns := t.header()
	if start < 0 {
		return refuse(t.place(), "no row among the first %d names the columns: a question (标准问, question) or similar questions (相似问, examples), and an answer (答案, answer) or an intent (意图, intent)%s",
			maxHeaderRow, t.firstRow())
	}
	r := &tableReader{draft: d, table: t, columns: columns}
	for i, c := range columns {
		r.has[c.role] = true
		if c.role == roleNone && c.title != "" && t.filled(start+1, i) {
			d.leaveOut(t.at(&t.rows[start], i), c.title, "a pack has nothing that this column could become")
		}
	}
	for i := start + 1; i < len(t.rows); i++ {
		r.row(&t.rows[i])
	}
	return nil
}

func (t *table) place() Place {
	if t.sheet != "" {
		return Place{File: t.file, Cell: t.sheet}
	}
	return Place{File: t.file}
}

// firstRow shows what was there instead of a header.
func (t *table) firstRow() string {
	if len(t.rows) == 0 {
		return "; it is empty"
	}
	return fmt.Sprintf("; its first row is %q", shorten(strings.Join(t.rows[0].cells, " | ")))
}

// filled reports whether a column holds anything from a row on.
func (t *table) filled(from, column int) bool {
	return slices.ContainsFunc(t.rows[from:], func(r tableRow) bool { return strings.TrimSpace(r.cell(column)) != "" })
}

// tableReader walks the rows below a header.
type tableReader struct {
	*draft

	table   *table
	columns []column
	has     [roleIgnored + 1]bool
	current *draftIntent // what a row without a question continues
}

// values gives the filled cells of a role in a row, with their columns.
func (r *tableReader) values(row *tableRow, want role) (cells []string, columns []int) {
	for i, c := range r.columns {
		if c.role != want {
			continue
		}
		if text := clean(row.cell(i)); text != "" {
			cells, columns = append(cells, text), append(columns, i)
		}
	}
	return cells, columns
}

func (r *tableReader) row(row *tableRow) {
	if !slices.ContainsFunc(row.cells, func(c string) bool { return strings.TrimSpace(c) != "" }) {
		return
	}
	lang := ""
	if l, _ := r.values(row, roleLang); len(l) > 0 {
		lang = langOf(l[0])
	}
	x := r.intentOfRow(row)
	if x == nil {
		return
	}
	r.current = x
	questions, at := r.values(row, roleQuestion)
	for i, text := range questions {
		q := r.sentence(row, at[i], oneLine(text), lang)
		if _, ok := x.title[q.lang]; !ok {
			x.title[q.lang] = q
		}
		x.ask = append(x.ask, q)
	}
	x.ask = append(x.ask, r.lines(row, roleSimilar, lang)...)
	x.not = append(x.not, r.lines(row, roleNot, lang)...)
	x.test = append(x.test, r.lines(row, roleTest, lang)...)
	answers, at := r.values(row, roleAnswer)
	for i, text := range answers {
		a := r.sentence(row, at[i], text, lang)
		if r.columns[at[i]].lang == "" && lang == "" && r.lang == "" && len(questions) > 0 {
			a.lang = scriptOf(questions[0]) // 答案 may be a link or a number
		}
		r.answerWith(x, a)
	}
}

// sentence makes a sentence of a cell: the row's language, the column's, or
// what its script says.
func (r *tableReader) sentence(row *tableRow, column int, text, lang string) sentence {
	if own := r.columns[column].lang; own != "" {
		lang = own
	}
	return r.say(text, lang, r.table.at(row, column))
}

// intentOfRow finds the intent that a row is about: the one that it names, the
// one of its standard question, or that of the row above.
func (r *tableReader) intentOfRow(row *tableRow) *draftIntent {
	names, at := r.values(row, roleIntent)
	if len(names) > 0 && strings.ContainsFunc(names[0], func(c rune) bool { return c < '0' || c > '9' }) {
		name := oneLine(names[0])
		x := r.intentOf(name, r.table.at(row, at[0]))
		x.label = name
		return x
	}
	questions, at := r.values(row, roleQuestion)
	if len(questions) == 0 && !r.has[roleQuestion] {
		if questions, at = r.values(row, roleSimilar); len(questions) > 0 {
			questions[0] = splitCell(questions[0], r.columns[at[0]].lines)[0]
		}
	}
	switch {
	case len(questions) > 0:
		return r.intentOf(oneLine(questions[0]), r.table.at(row, at[0]))
	case r.current == nil:
		r.leaveOut(r.table.at(row, 0), strings.Join(row.cells, " "), "the row has no standard question, and there is none above it")
	}
	return r.current
}

// lines gives the sentences in the cells of a role.
func (r *tableReader) lines(row *tableRow, want role, lang string) []sentence {
	var out []sentence
	cells, at := r.values(row, want)
	for i, text := range cells {
		for _, q := range splitCell(text, r.columns[at[i]].lines) {
			out = append(out, r.sentence(row, at[i], q, lang))
		}
	}
	return out
}

var numbering = regexp.MustCompile(`^\s*(?:[-•·*]|[(（]?\d{1,3}(?:[)）、．]|\.\s|\.$))\s*`)

// splitCell parts a cell that holds several questions: by lines if it has
// several, else by | ｜ ； or ;. A list's numbers go.
func splitCell(text string, linesOnly bool) []string { //nolint:revive // the header says which it is
	parts := strings.Split(text, "\n")
	if len(parts) == 1 && !linesOnly {
		parts = strings.FieldsFunc(text, func(c rune) bool { return c == '|' || c == '｜' || c == '；' || c == ';' })
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" })
	numbered := len(parts) > 1 && !linesOnly
	for _, p := range parts {
		numbered = numbered && numbering.MatchString(p)
	}
	for i, p := range parts {
		if numbered {
			p = numbering.ReplaceAllString(p, "")
		}
		parts[i] = oneLine(p)
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return []string{oneLine(text)}
	}
	return parts
}
