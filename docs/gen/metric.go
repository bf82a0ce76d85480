package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// metric is one definition found in the code.
type metric struct {
	name, help, kind string
	labels           []string
	pkg              string // folder, slash-separated
}

// findMetrics reads every metric out of the non-test Go files below root.
func findMetrics(root string) ([]metric, error) {
	var all []metric
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		found, err := metricsOf(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for i := range found {
			found[i].pkg = filepath.ToSlash(dir)
		}
		all = append(all, found...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name)) })
	for i := 1; i < len(all); i++ {
		if all[i].name == all[i-1].name {
			return nil, fmt.Errorf("%s is defined twice", all[i].name)
		}
	}
	return all, nil
}

// reader reads the metrics of one file. It understands two ways of defining
// them: a call such as NewCounterVec(CounterOpts{Name: …}, labels), and a local
// function that makes such a call from its own arguments.
type reader struct {
	path    string
	lists   map[string][]string // names that stand for literal lists
	makers  map[string]maker
	found   []metric
	problem error
}

// maker is a local function that makes metrics of one kind.
type maker struct {
	kind, prefix       string
	name, help, labels int // positions of the arguments; labels -1 = none, else all from there
}

func metricsOf(path string) ([]metric, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	r := &reader{path: path, lists: map[string][]string{}, makers: map[string]maker{}}
	ast.Inspect(file, r.learn)
	ast.Inspect(file, r.collect)
	return r.found, r.problem
}

// learn notes what local names stand for.
func (r *reader) learn(n ast.Node) bool {
	a, ok := n.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 1 || len(a.Rhs) != 1 {
		return true
	}
	id, ok := a.Lhs[0].(*ast.Ident)
	if !ok {
		return true
	}
	switch v := a.Rhs[0].(type) {
	case *ast.CompositeLit:
		if l := stringList(v); l != nil {
			r.lists[id.Name] = l
		}
	case *ast.FuncLit:
		if m, ok := makerOf(v); ok {
			r.makers[id.Name] = m
		}
	}
	return true
}

func (r *reader) collect(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return true
	}
	if id, ok := call.Fun.(*ast.Ident); ok {
		if m, ok := r.makers[id.Name]; ok {
			r.made(m, call)
		}
		return true
	}
	if kind, opts, ok := definition(call); ok && text(opts["Name"]) != "" {
		r.direct(kind, opts, call)
	}
	return true
}

// made takes a metric out of a call of a local function.
func (r *reader) made(m maker, call *ast.CallExpr) {
	if len(call.Args) <= max(m.name, m.help) {
		return
	}
	out := metric{name: m.prefix + text(call.Args[m.name]), help: text(call.Args[m.help]), kind: m.kind}
	if m.labels >= 0 {
		for _, a := range call.Args[m.labels:] {
			out.labels = append(out.labels, text(a))
		}
	}
	r.add(out, m.labels < 0 || len(out.labels) > 0)
}

// direct takes a metric out of a call of the metrics library.
func (r *reader) direct(kind string, opts map[string]ast.Expr, call *ast.CallExpr) {
	out := metric{name: prefix(opts) + text(opts["Name"]), help: text(opts["Help"]), kind: plainKind(kind)}
	vector := strings.HasSuffix(kind, "Vec")
	if vector && len(call.Args) > 1 {
		out.labels = stringList(call.Args[1])
		if id, ok := call.Args[1].(*ast.Ident); ok {
			out.labels = r.lists[id.Name]
		}
	}
	r.add(out, !vector || out.labels != nil)
}

// add keeps a metric of ours. A definition that cannot be read is a problem, not
// a gap in the page.
func (r *reader) add(m metric, labelsKnown bool) {
	switch {
	case !strings.HasPrefix(m.name, "colloquy_"):
	case m.help == "" || !labelsKnown || slices.Contains(m.labels, ""):
		r.problem = fmt.Errorf("%s: help or labels of %s are not literals", r.path, m.name)
	default:
		r.found = append(r.found, m)
	}
}

// makerOf reads a function such as
// func(name, help string) … { … NewCounter(CounterOpts{Name: name, Help: help}) … }.
func makerOf(f *ast.FuncLit) (maker, bool) {
	at := map[string]int{}
	for _, field := range f.Type.Params.List {
		for _, id := range field.Names {
			at[id.Name] = len(at)
		}
	}
	m, ok := maker{labels: -1}, false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall {
			return true
		}
		kind, opts, isMetric := definition(call)
		if !isMetric {
			return true
		}
		name, okName := at[identifier(opts["Name"])]
		help, okHelp := at[identifier(opts["Help"])]
		if !okName || !okHelp {
			return true
		}
		ok = true
		m.kind, m.prefix, m.name, m.help = plainKind(kind), prefix(opts), name, help
		if len(call.Args) > 1 {
			if i, known := at[identifier(call.Args[1])]; known {
				m.labels = i
			}
		}
		return true
	})
	return m, ok
}

// definition tells a call that makes a metric, with the fields of its options.
func definition(call *ast.CallExpr) (kind string, opts map[string]ast.Expr, ok bool) {
	fun, isSelector := call.Fun.(*ast.SelectorExpr)
	if !isSelector || len(call.Args) == 0 {
		return "", nil, false
	}
	lit, isLit := call.Args[0].(*ast.CompositeLit)
	kind, isNew := strings.CutPrefix(fun.Sel.Name, "New")
	if !isLit || !isNew {
		return "", nil, false
	}
	if t, isType := lit.Type.(*ast.SelectorExpr); !isType || !strings.HasSuffix(t.Sel.Name, "Opts") {
		return "", nil, false
	}
	opts = map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, isPair := e.(*ast.KeyValueExpr); isPair {
			opts[identifier(kv.Key)] = kv.Value
		}
	}
	return kind, opts, true
}

func plainKind(kind string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(kind, "Vec"), "Func"))
}

func prefix(opts map[string]ast.Expr) string {
	var b strings.Builder
	for _, field := range []string{"Namespace", "Subsystem"} {
		if s := text(opts[field]); s != "" {
			b.WriteString(s + "_")
		}
	}
	return b.String()
}

func identifier(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func stringList(e ast.Expr) []string {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var out []string
	for _, e := range lit.Elts {
		s := text(e)
		if s == "" {
			return nil
		}
		out = append(out, s)
	}
	return out
}

// text gives the value of a string literal, or of several added up.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			return "" // a number
		}
		return s
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	}
	return ""
}
