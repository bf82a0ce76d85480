package colloquy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module       = "github.com/colloquyhq/colloquy"
	architecture = "ARCHITECTURE.md"
)

// goPackage is what the go command says about a package.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// name is the package's folder, "." for the root.
func (p goPackage) name() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

// watchTree makes the test's cached result depend on every folder: what the go
// command reads on its behalf is not seen otherwise.
func watchTree(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && name != "." && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	watchTree(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("decode the list: %v", err)
		}
		// Some npm packages carry Go code.
		if !strings.Contains(p.ImportPath, "/node_modules/") {
			all = append(all, p)
		}
	}
}

// importRow is a line of the table in ARCHITECTURE.md.
type importRow struct {
	pattern       string
	ours, foreign []string
}

var fence = regexp.MustCompile("(?s)\n```imports\n(.*?)\n```\n")

func readImportTable(t *testing.T) []importRow {
	t.Helper()
	block := fence.FindSubmatch(readFile(t, architecture))
	if block == nil {
		t.Fatalf("%s holds no block that begins with ```imports", architecture)
	}
	var rows []importRow
	for line := range strings.Lines(string(block[1])) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if line == "" {
			continue
		}
		head, rest, ok := strings.Cut(line, ":")
		ours, foreign, ok2 := strings.Cut(rest, "|")
		if !ok || !ok2 {
			t.Fatalf("line %q of the import table is not «package: ours | foreign»", line)
		}
		rows = append(rows, importRow{strings.TrimSpace(head), words(ours), words(foreign)})
	}
	return rows
}

// words splits a cell; a dash stands for nothing.
func words(cell string) []string {
	return slices.DeleteFunc(strings.Fields(cell), func(w string) bool { return w == "–" || w == "-" })
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rowOf finds the row of a package: the one that names it, or else the pattern
// over its folder.
func rowOf(rows []importRow, name string) int {
	if i := slices.IndexFunc(rows, func(r importRow) bool { return r.pattern == name }); i >= 0 {
		return i
	}
	return slices.IndexFunc(rows, func(r importRow) bool {
		ok, err := path.Match(r.pattern, name)
		return err == nil && ok
	})
}

func TestImportsFollowArchitecture(t *testing.T) {
	t.Parallel()
	rows := readImportTable(t)
	used := make([]map[string]bool, len(rows)) // what the packages of a row really import, by word of the row
	for _, p := range listPackages(t) {
		i := rowOf(rows, p.name())
		if i < 0 {
			t.Errorf("package %s has no row in the import table of %s", p.name(), architecture)
			continue
		}
		if used[i] == nil {
			used[i] = map[string]bool{}
		}
		for _, imp := range p.Imports {
			word, standard := judge(rows[i], imp)
			switch {
			case standard:
			case word == "":
				t.Errorf("%s imports %s, which its row in %s does not allow", p.name(), imp, architecture)
			default:
				used[i][word] = true
			}
		}
	}
	for i, r := range rows {
		if used[i] == nil {
			t.Errorf("the import table has a row for %s, which matches no package", r.pattern)
			continue
		}
		for _, w := range slices.Concat(r.ours, r.foreign) {
			if !used[i][w] {
				t.Errorf("the import table lets %s import %s, which it does not", r.pattern, w)
			}
		}
	}
}

// judge finds the word of a row that allows an import. Of our packages a word
// names one; of others it names everything below it.
func judge(r importRow, imp string) (word string, standard bool) {
	if own, ok := strings.CutPrefix(imp, module+"/"); ok {
		if slices.Contains(r.ours, own) {
			return own, false
		}
		for _, w := range r.ours {
			if ok, err := path.Match(w, own); err == nil && ok {
				return w, false
			}
		}
		return "", false
	}
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") {
		return "", true
	}
	for _, w := range r.foreign {
		if imp == w || strings.HasPrefix(imp, w+"/") {
			return w, false
		}
	}
	return "", false
}

func TestPackageDocs(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		var with []string
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc == nil {
				continue
			}
			with = append(with, f)
			want := "Package " + file.Name.Name + " "
			if file.Name.Name == "main" {
				want = "Command " + path.Base(p.ImportPath) + " "
			}
			if got := file.Doc.Text(); !strings.HasPrefix(got, want) {
				t.Errorf("%s/%s: the package comment begins %q, want %q", p.name(), f, firstLine(got), want)
			}
		}
		if len(p.GoFiles) > 0 && len(with) != 1 {
			t.Errorf("package %s has %d package comments %v, want 1", p.name(), len(with), with)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

var (
	fileInDoc = regexp.MustCompile("`([a-z][A-Za-z0-9_./-]*\\.(?:go|ts|mjs|yaml|yml|md))`")
	stepInDoc = regexp.MustCompile("`([a-z][A-Za-z0-9_/]*\\.go)`\\s·\\s((?:`[^`/]+`(?:,\\s|\\s→\\s)?)+)")
	nameInDoc = regexp.MustCompile("`([^`]+)`")
	method    = regexp.MustCompile(`^\(\*?(\w+)\)\.(\w+)$`)
)

func TestWalkNamesExist(t *testing.T) {
	t.Parallel()
	text := readFile(t, architecture)
	for _, m := range fileInDoc.FindAllSubmatch(text, -1) {
		if _, err := os.Stat(string(m[1])); strings.Contains(string(m[1]), "/") && err != nil {
			t.Errorf("%s names %s: %v", architecture, m[1], err)
		}
	}
	steps := stepInDoc.FindAllSubmatch(text, -1)
	if len(steps) < 10 {
		t.Fatalf("%s names %d steps «file · function», which is not a walk through the program", architecture, len(steps))
	}
	for _, m := range steps {
		declared := declarations(t, string(m[1]))
		for _, n := range nameInDoc.FindAllSubmatch(m[2], -1) {
			name := string(n[1])
			if r := method.FindStringSubmatch(name); r != nil {
				name = r[1] + "." + r[2]
			}
			if !declared[name] {
				t.Errorf("%s says that %s declares %s, which it does not", architecture, m[1], n[1])
			}
		}
	}
}

// declarations lists what a file declares at top level: functions, types,
// constants, and methods as Type.Method.
func declarations(t *testing.T, name string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s: %v", architecture, err)
		return out
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			out[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					out[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range s.Names {
						out[id.Name] = true
					}
				}
			}
		}
	}
	return out
}

// receiver gives "Type." of a method and "" of a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name + "."
		default:
			return fmt.Sprintf("%T.", e)
		}
	}
}
