package conversation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// The tables of this package are kept complete by reading its own source: a
// list that somebody forgot to extend fails here, not in production.

func parseSource(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// declaredWith lists the types of a file that have a method, in the order of
// the methods.
func declaredWith(t *testing.T, file, method string) []string {
	t.Helper()
	var out []string
	for _, d := range parseSource(t, file).Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || f.Name.Name != method {
			continue
		}
		if id, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
			out = append(out, id.Name)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s declares nothing with %s()", file, method)
	}
	return out
}

// constantsOf lists the names of a file's constants of a type.
func constantsOf(t *testing.T, file, typeName string) []string {
	t.Helper()
	var out []string
	for _, d := range parseSource(t, file).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == typeName {
				for _, n := range v.Names {
					out = append(out, n.Name)
				}
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no constant of type %s", file, typeName)
	}
	return out
}
