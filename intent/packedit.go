package intent

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxEdits bounds how many edits are applied to a pack at a time.
const maxEdits = 1000

// PackEdit adds to one intent of a pack. An intent that the pack does not
// state yet is added to it: with questions only where a pack below has the
// intent, with an answer where it is new.
type PackEdit struct {
	Intent string
	Lang   string            // of Ask and Not; empty = the language of the pack's file
	Ask    []string          // questions
	Not    []string          // sentences that look like it and are not
	Title  map[string]string // by language; only for an intent that the pack does not state
	Answer map[string]string // by language; only for an intent that the pack does not state
}

// EditPack applies edits to the text of a pack file. Lines that are there
// already are not added again.
//
// The rest of the file stays as it is, comments, order and blank lines too,
// as long as what is added to is written one entry a line. Where it is not
// (lists in brackets, mappings in braces), that part is written anew, or the
// whole file when nothing else helps: comments and order still stay, blank
// lines do not.
//
// Errors: class [conversation.ErrInvalid] for a text that is not a pack or an
// edit that does not fit; the result is not checked, see [Library.Check].
func EditPack(text []byte, edits []PackEdit) ([]byte, error) {
	if len(edits) == 0 || len(edits) > maxEdits {
		return nil, conversation.Refusef(conversation.CodeInvalid, "%d edits; 1 to %d are possible", len(edits), maxEdits)
	}
	for i := range edits {
		if err := edits[i].check(); err != nil {
			return nil, err
		}
		var err error
		if text, err = editOnce(text, &edits[i]); err != nil {
			return nil, err
		}
	}
	return text, nil
}

func (e *PackEdit) check() error {
	if !isName(e.Intent) || len(e.Intent) > maxNameBytes {
		return conversation.Refusef(conversation.CodeInvalid, "%q is not the name of an intent", e.Intent)
	}
	if e.Lang != "" && !isLang(e.Lang) {
		return conversation.Refusef(conversation.CodeInvalid, "%q is not a language such as zh or en", e.Lang)
	}
	if len(e.Ask)+len(e.Not) == 0 {
		return conversation.Refusef(conversation.CodeInvalid, "nothing is added to intent %s", e.Intent)
	}
	for _, list := range [][]string{e.Ask, e.Not} {
		if len(list) > maxQuestionsPerIntent {
			return conversation.Refusef(conversation.CodeTooLarge, "%d lines, the limit is %d", len(list), maxQuestionsPerIntent)
		}
		for _, line := range list {
			if strings.TrimSpace(line) == "" || len(line) > maxQuestionBytes {
				return conversation.Refusef(conversation.CodeInvalid, "a line has 1 to %d bytes", maxQuestionBytes)
			}
		}
	}
	for _, m := range []map[string]string{e.Title, e.Answer} {
		for lang, text := range m {
			if !isLang(lang) || strings.TrimSpace(text) == "" {
				return conversation.Refusef(conversation.CodeInvalid, "title and answer of intent %s are texts by language", e.Intent)
			}
		}
	}
	return nil
}

// editOnce applies one edit. What it should come to is done on the nodes of
// the file first; the text is then changed line by line, and taken only if it
// says the same.
func editOnce(text []byte, e *PackEdit) ([]byte, error) {
	doc, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	t := &packText{lines: splitLines(text), file: doc}
	if err := t.apply(e); err != nil {
		return nil, err
	}
	if !t.changed {
		return text, nil
	}
	whole, err := encodeYAML(t.file)
	if err != nil {
		return nil, err
	}
	spliced := []byte(strings.Join(t.lines, ""))
	if t.spliced && sameYAML(spliced, whole) {
		return spliced, nil
	}
	return whole, nil
}

func parseYAML(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	err := yaml.Unmarshal(text, &doc)
	switch {
	case len(text) > maxFileBytes:
		return nil, conversation.Refusef(conversation.CodeTooLarge, "the pack has %d bytes, the limit is %d", len(text), maxFileBytes)
	case err != nil:
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the pack is not readable as YAML", Err: err}
	case doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode:
		return nil, conversation.Refuse(conversation.CodeInvalid, "a pack is a mapping that begins with colloquy: "+formatVersion)
	}
	return &doc, nil
}

func encodeYAML(n *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(n), enc.Close()); err != nil {
		return nil, fmt.Errorf("write the pack: %w", err)
	}
	return out.Bytes(), nil
}

// sameYAML reports whether two texts hold the same values in the same order.
func sameYAML(a, b []byte) bool {
	var x, y yaml.Node
	if yaml.Unmarshal(a, &x) != nil || yaml.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(content(&x), content(&y))
}

// content lists what a tree holds, without places, comments and style.
func content(n *yaml.Node) []any {
	out := []any{n.Kind, n.ShortTag(), n.Value}
	for _, c := range n.Content {
		out = append(out, content(c))
	}
	return out
}

// splitLines splits a text into lines that keep their ends; the last one gets
// one if it has none.
func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	return lines
}

// packText is a pack file as lines and as nodes, which are changed together.
// Each edit adds at one place, from the end of the file to its beginning, so
// that the line numbers of the nodes before it hold.
type packText struct {
	lines   []string
	file    *yaml.Node
	changed bool
	spliced bool // the lines say what the nodes say
	edits   []splice
}

// splice puts text in place of the lines from one to before another.
type splice struct {
	from, to int // counted from 0
	text     string
}

func (t *packText) apply(e *PackEdit) error {
	t.spliced = true
	root := t.file.Content[0]
	lang := defaultLang
	if n := valueOf(root, "lang"); n != nil && isLang(n.Value) {
		lang = n.Value
	}
	list := valueOf(root, "intents")
	if list != nil && list.Kind != yaml.SequenceNode {
		return conversation.Refuse(conversation.CodeInvalid, "intents is not a list")
	}
	if in := intentOf(list, e.Intent); in != nil {
		for _, part := range []struct {
			key   string
			lines []string
		}{{"ask", e.Ask}, {"not", e.Not}} {
			if err := t.addLines(in, part.key, cmp.Or(e.Lang, lang), lang, part.lines); err != nil {
				return err
			}
		}
	} else {
		t.addIntent(root, list, e.node(lang))
	}
	t.write()
	return nil
}

// write makes the splices, last one first.
func (t *packText) write() {
	slices.SortStableFunc(t.edits, func(a, b splice) int { return cmp.Compare(a.from, b.from) })
	for _, s := range slices.Backward(t.edits) {
		t.lines = slices.Replace(t.lines, s.from, s.to, s.text)
	}
}

// node makes the intent of an edit whose intent the pack does not state.
func (e *PackEdit) node(fileLang string) *yaml.Node {
	in := &yaml.Node{Kind: yaml.MappingNode}
	set(in, "id", scalar(e.Intent))
	for _, part := range []struct {
		key   string
		texts map[string]string
	}{{"title", e.Title}, {"answer", e.Answer}} {
		if len(part.texts) == 0 {
			continue
		}
		if only, ok := part.texts[fileLang]; ok && len(part.texts) == 1 {
			set(in, part.key, scalar(only))
			continue
		}
		m := &yaml.Node{Kind: yaml.MappingNode}
		for _, lang := range langs(part.texts) {
			set(m, lang, scalar(part.texts[lang]))
		}
		set(in, part.key, m)
	}
	for _, part := range []struct {
		key   string
		lines []string
	}{{"ask", e.Ask}, {"not", e.Not}} {
		if len(part.lines) > 0 {
			set(in, part.key, inLang(sequence(part.lines), cmp.Or(e.Lang, fileLang), fileLang))
		}
	}
	return in
}

// inLang puts a list under its language, unless that is the file's.
func inLang(list *yaml.Node, lang, fileLang string) *yaml.Node {
	if lang == fileLang {
		return list
	}
	m := &yaml.Node{Kind: yaml.MappingNode}
	set(m, lang, list)
	return m
}

// addLines adds lines to ask or not of an intent.
func (t *packText) addLines(in *yaml.Node, key, lang, fileLang string, lines []string) error {
	at := valueOf(in, key)
	if at != nil && at.Kind == yaml.MappingNode {
		if own := valueOf(at, lang); own != nil && own.Kind == yaml.SequenceNode {
			t.extend(at, lang, own, missing(own, lines))
			return nil
		} else if own != nil {
			return errNoList(in, key)
		}
		if len(lines) > 0 {
			t.insert(at, lang, sequence(lines))
		}
		return nil
	}
	switch {
	case len(lines) == 0:
	case at == nil:
		t.insert(in, key, inLang(sequence(lines), lang, fileLang))
	case at.Kind != yaml.SequenceNode:
		return errNoList(in, key)
	case lang == fileLang:
		t.extend(in, key, at, missing(at, lines))
	default:
		// The list is in the file's language so far: now it gets both.
		own := *at
		m := &yaml.Node{Kind: yaml.MappingNode}
		set(m, fileLang, &own)
		set(m, lang, sequence(lines))
		t.replace(in, key, m)
	}
	return nil
}

func errNoList(in *yaml.Node, key string) error {
	return conversation.Refusef(conversation.CodeInvalid, "%s of intent %s is not a list", key, valueOf(in, "id").Value)
}

// missing leaves out the lines that a list holds.
func missing(list *yaml.Node, lines []string) []string {
	var out []string
	for _, l := range lines {
		same := func(n *yaml.Node) bool { return strings.TrimSpace(n.Value) == strings.TrimSpace(l) }
		if !slices.ContainsFunc(list.Content, same) && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// extend adds lines to the list that stands under a key of parent.
func (t *packText) extend(parent *yaml.Node, key string, list *yaml.Node, lines []string) {
	if len(lines) == 0 {
		return
	}
	more := sequence(lines).Content
	if last, ok := t.lastEntry(list); ok {
		t.changed = true
		list.Content = append(list.Content, more...)
		t.put(last, last, indented(&yaml.Node{Kind: yaml.SequenceNode, Content: more}, list.Column-1))
		return
	}
	own := *list
	own.Style, own.Content = 0, append(slices.Clone(list.Content), more...)
	t.replace(parent, key, &own)
}

// addIntent adds an intent to the list, which may not be there yet.
func (t *packText) addIntent(root, list, in *yaml.Node) {
	one := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{in}}
	if list == nil {
		t.insert(root, "intents", one)
		return
	}
	t.changed = true
	last, ok := t.lastEntry(list)
	list.Content = append(list.Content, in)
	if !ok {
		list.Style = 0
		t.spliced = false
		return
	}
	t.put(last, last, indented(one, list.Column-1))
}

// insert adds a key to a mapping, after what it holds.
func (t *packText) insert(parent *yaml.Node, key string, value *yaml.Node) {
	t.changed = true
	end, ok := t.lastEntry(parent)
	set(parent, key, value)
	if !ok {
		parent.Style = 0
		t.spliced = false
		return
	}
	one := &yaml.Node{Kind: yaml.MappingNode}
	set(one, key, value)
	t.put(end, end, indented(one, parent.Column-1))
}

// replace writes another value under a key of a mapping.
func (t *packText) replace(parent *yaml.Node, key string, value *yaml.Node) {
	t.changed = true
	i := slices.IndexFunc(parent.Content, func(n *yaml.Node) bool { return n.Value == key })
	at := parent.Content[i]
	parent.Content[i+1] = value
	from, ok := t.ownLine(parent, at)
	if !ok {
		parent.Style = 0
		t.spliced = false
		return
	}
	one := &yaml.Node{Kind: yaml.MappingNode}
	bare := *at
	bare.HeadComment, bare.FootComment = "", "" // they stay where they are
	one.Content = append(one.Content, &bare, value)
	text := indented(one, parent.Column-1)
	if prefix := t.lines[from]; strings.TrimSpace(prefix[:at.Column-1]) != "" {
		text = prefix[:at.Column-1] + strings.TrimLeft(text, " ") // the first key after a dash
	}
	t.put(from, t.endOf(from, at.Column-1), text)
}

func (t *packText) put(from, to int, text string) {
	t.edits = append(t.edits, splice{from: from, to: to, text: text})
}

// lastEntry gives the line after the last entry of a list or mapping that is
// written one entry a line.
func (t *packText) lastEntry(n *yaml.Node) (int, bool) {
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		return 0, false
	}
	last := n.Content[len(n.Content)-1]
	if n.Kind == yaml.MappingNode {
		last = n.Content[len(n.Content)-2] // its key
	}
	from, ok := t.ownLine(n, last)
	if !ok {
		return 0, false
	}
	return t.endOf(from, n.Column-1), true
}

// ownLine finds the line on which an entry of n begins, where nothing of
// another entry stands.
func (t *packText) ownLine(n, entry *yaml.Node) (int, bool) {
	at := entry.Line - 1
	if n.Style&yaml.FlowStyle != 0 || at < 0 || at >= len(t.lines) || n.Column > len(t.lines[at]) {
		return 0, false
	}
	before, rest := t.lines[at][:n.Column-1], t.lines[at][n.Column-1:]
	if n.Kind == yaml.SequenceNode {
		return at, strings.TrimLeft(before, " -") == "" && strings.HasPrefix(rest, "-")
	}
	return at, strings.TrimLeft(before, " -") == "" && entry.Column == n.Column
}

// endOf gives the line after an entry that begins on line from at a column:
// the lines below that stand further to the right belong to it. Blank lines
// and comments at its end do not.
func (t *packText) endOf(from, column int) int {
	end := from + 1
	for i := from + 1; i < len(t.lines); i++ {
		text := strings.TrimLeft(t.lines[i], " ")
		switch indent := len(t.lines[i]) - len(text); {
		case strings.TrimSpace(text) == "":
		case indent > column, indent == column && dashAt(t.lines[from], column) != dashAt(t.lines[i], column) && dashAt(t.lines[i], column):
			// A list may stand at the column of its key.
			end = i + 1
		default:
			return end
		}
	}
	return end
}

func dashAt(line string, column int) bool {
	return strings.HasPrefix(line[min(column, len(line)):], "- ") || strings.TrimSpace(line[min(column, len(line)):]) == "-"
}

// indented writes a node as block lines that begin at a column.
func indented(n *yaml.Node, column int) string {
	raw, err := encodeYAML(n)
	if err != nil {
		return "" // and the check of the result refuses it
	}
	pad := strings.Repeat(" ", column)
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		if strings.TrimSpace(line) != "" {
			out.WriteString(pad)
		}
		out.WriteString(line)
	}
	return out.String()
}

// valueOf finds the value of a key.
func valueOf(m *yaml.Node, key string) *yaml.Node {
	for i := 0; m.Kind == yaml.MappingNode && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func intentOf(list *yaml.Node, id string) *yaml.Node {
	if list == nil {
		return nil
	}
	for _, in := range list.Content {
		if n := valueOf(in, "id"); n != nil && n.Value == id {
			return in
		}
	}
	return nil
}

func set(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, scalar(key), value)
}

// scalar makes a text. Unlike a node of no style it stays one whatever it
// looks like, such as «true» or «12».
func scalar(text string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(text)
	return n
}

func sequence(lines []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, l := range lines {
		n.Content = append(n.Content, scalar(l))
	}
	return n
}
