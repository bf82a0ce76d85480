package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/conversation"
)

// Limits of one document.
const (
	maxNodes     = 1_000_000
	maxNesting   = 64
	maxYAMLBytes = 8 << 20 // its reader builds the whole tree before anybody can count
)

// node is a value of a JSON or YAML document with its line. The nil node stands
// for what is not there, and all methods take it.
type node struct {
	kind  nodeKind
	line  int
	block bool // a YAML block text: its first line is the one after line
	text  string
	names []string // of a mapping, as many as items
	items []*node
}

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeText          // with its text
	nodeNumber
	nodeTruth // text is true or false
	nodeList
	nodeMap
)

// get gives the value of a key.
func (n *node) get(name string) *node {
	if n == nil || n.kind != nodeMap {
		return nil
	}
	if i := slices.Index(n.names, name); i >= 0 {
		return n.items[i]
	}
	return nil
}

// list gives the entries of a list; a single value counts as a list of one.
func (n *node) list() []*node {
	switch {
	case n == nil || n.kind == nodeNull:
		return nil
	case n.kind == nodeList:
		return n.items
	}
	return []*node{n}
}

// string gives a single value as text.
func (n *node) string() string {
	if n == nil || n.kind == nodeList || n.kind == nodeMap {
		return ""
	}
	return n.text
}

// str is the text of a key.
func (n *node) str(name string) string { return n.get(name).string() }

// true reports whether the value of a key is true.
func (n *node) true(name string) bool {
	x := n.get(name)
	return x != nil && strings.EqualFold(x.text, "true")
}

// has reports whether a mapping has a key.
func (n *node) has(name string) bool {
	return n != nil && n.kind == nodeMap && slices.Contains(n.names, name)
}

// at gives the place of a node in a file.
func (n *node) at(file string) Place {
	if n == nil {
		return Place{File: file}
	}
	return Place{File: file, Line: n.line}
}

// parseJSON reads a document of JSON.
func parseJSON(file string, content []byte) (*node, error) {
	text, err := toUTF8(file, content)
	if err != nil {
		return nil, err
	}
	b := []byte(text)
	p := &jsonParser{dec: json.NewDecoder(bytes.NewReader(b)), lines: lineStarts(b)}
	p.dec.UseNumber()
	n, err := p.value(0)
	if err == nil {
		if _, more := p.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one JSON value")
		}
	}
	if err != nil {
		return nil, refuse(Place{File: file, Line: p.line()}, "not readable as JSON: %v", err)
	}
	return n, nil
}

type jsonParser struct {
	dec   *json.Decoder
	lines []int
	nodes int
}

func lineStarts(b []byte) []int {
	starts := []int{0}
	for i, c := range b {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (p *jsonParser) line() int {
	i, found := slices.BinarySearch(p.lines, int(p.dec.InputOffset()))
	if found {
		i++
	}
	return max(i, 1)
}

func (p *jsonParser) value(depth int) (*node, error) {
	t, err := p.dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if p.nodes++; p.nodes > maxNodes || depth > maxNesting {
		return nil, errors.New("too many values, or nested too deep")
	}
	n := &node{line: p.line()}
	switch v := t.(type) {
	case json.Delim:
		return n, p.inside(n, v, depth)
	case string:
		n.kind, n.text = nodeText, v
	case json.Number:
		n.kind, n.text = nodeNumber, v.String()
	case bool:
		n.kind, n.text = nodeTruth, strconv.FormatBool(v)
	}
	return n, nil
}

// inside reads what stands in brackets, and the closing one.
func (p *jsonParser) inside(n *node, open json.Delim, depth int) error {
	n.kind = nodeList
	if open == '{' {
		n.kind = nodeMap
	}
	for p.dec.More() {
		if n.kind == nodeMap {
			key, err := p.dec.Token()
			if err != nil {
				return err
			}
			n.names = append(n.names, fmt.Sprint(key))
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := p.dec.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseYAML reads the first document of a YAML file.
func parseYAML(file string, content []byte) (*node, error) {
	text, err := toUTF8(file, content)
	if err != nil {
		return nil, err
	}
	if len(text) > maxYAMLBytes {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d MiB; split it", file, maxYAMLBytes>>20)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		at := Place{File: file}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			at.Line, _ = strconv.Atoi(m[1])
		}
		return nil, refuse(at, "not readable as YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return &node{line: 1}, nil
	}
	p := &yamlTree{}
	n := p.value(doc.Content[0], 0)
	if p.nodes > maxNodes || p.deep {
		return nil, refuse(Place{File: file}, "too many values, or nested too deep")
	}
	return n, nil
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// yamlTree turns YAML nodes into ours. Aliases are followed, but count each
// time, so that a few lines cannot unfold into a great many.
type yamlTree struct {
	nodes int
	deep  bool
}

func (p *yamlTree) value(y *yaml.Node, depth int) *node {
	if p.nodes++; p.nodes > maxNodes || depth > maxNesting {
		p.deep = p.deep || depth > maxNesting
		return nil
	}
	n := &node{line: y.Line, block: y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0}
	switch y.Kind {
	case yaml.AliasNode:
		return p.value(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.kind = nodeList
		for _, c := range y.Content {
			n.items = append(n.items, p.value(c, depth+1))
		}
	case yaml.MappingNode:
		n.kind = nodeMap
		for i := 0; i+1 < len(y.Content); i += 2 {
			n.names = append(n.names, y.Content[i].Value)
			n.items = append(n.items, p.value(y.Content[i+1], depth+1))
		}
	case yaml.ScalarNode:
		n.text = y.Value
		n.kind = map[string]nodeKind{"!!null": nodeNull, "!!bool": nodeTruth, "!!int": nodeNumber, "!!float": nodeNumber}[y.Tag]
		if n.kind == nodeNull && y.Tag != "!!null" {
			n.kind = nodeText
		}
	case yaml.DocumentNode:
	}
	return n
}
