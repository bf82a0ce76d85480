package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// sources is what reflection cannot tell: comments, and the constants of the
// named string types. Keys are "wire.Hello", "wire.Hello.Token",
// "conversation.Status".
type sources struct {
	docs  map[string]string
	enums map[string][]string // values in the order of their declaration
}

func readSources(dirs ...string) (*sources, error) {
	s := &sources{docs: make(map[string]string), enums: make(map[string][]string)}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
		}
		for _, name := range files { // Glob sorts
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			s.read(filepath.Base(dir), f)
		}
	}
	return s, nil
}

func (s *sources) read(pkg string, f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch v := spec.(type) {
			case *ast.TypeSpec:
				s.readType(pkg, g, v)
			case *ast.ValueSpec:
				s.readConst(pkg, g, v)
			}
		}
	}
}

func (s *sources) readType(pkg string, g *ast.GenDecl, t *ast.TypeSpec) {
	key := pkg + "." + t.Name.Name
	s.docs[key] = plain(g.Doc)
	st, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range st.Fields.List {
		doc := plain(field.Doc)
		if doc == "" {
			doc = plain(field.Comment)
		}
		for _, name := range field.Names {
			s.docs[key+"."+name.Name] = doc
		}
	}
}

func (s *sources) readConst(pkg string, g *ast.GenDecl, v *ast.ValueSpec) {
	typ, ok := v.Type.(*ast.Ident)
	if !ok || g.Tok != token.CONST {
		return
	}
	for _, value := range v.Values {
		lit, ok := value.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		if text, err := strconv.Unquote(lit.Value); err == nil {
			key := pkg + "." + typ.Name
			s.enums[key] = append(s.enums[key], text)
		}
	}
}

// plain gives a comment as one line of text.
func plain(c *ast.CommentGroup) string {
	var lines []string
	for line := range strings.Lines(c.Text()) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "sumtype:") {
			if len(lines) > 0 {
				break // the first paragraph says it
			}
			continue
		}
		lines = append(lines, line)
	}
	text := strings.Join(lines, " ")
	return strings.NewReplacer("[", "", "]", "", "*/", "").Replace(text)
}
