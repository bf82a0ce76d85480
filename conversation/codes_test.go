package conversation

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCodesAreComplete reads the declarations: every code has exactly one row,
// and no two codes share a slug.
func TestCodesAreComplete(t *testing.T) {
	t.Parallel()
	declared := codeValues(t)
	if names := constantsOf(t, "codes.go", "Code"); len(names) != len(declared) {
		t.Fatalf("%d constants, %d different slugs", len(names), len(declared))
	}
	var rows []string
	for _, r := range Codes() {
		if slices.Contains(rows, string(r.Code)) {
			t.Errorf("%s has two rows", r.Code)
		}
		rows = append(rows, string(r.Code))
	}
	for slug, name := range declared {
		if !slices.Contains(rows, slug) {
			t.Errorf("%s (%s) has no row", name, slug)
		}
	}
	if len(rows) != len(declared) {
		t.Errorf("%d rows for %d codes", len(rows), len(declared))
	}
}

// codeValues gives slug → constant of codes.go.
func codeValues(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range parseSource(t, "codes.go").Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				continue
			}
			lit, ok := v.Values[0].(*ast.BasicLit)
			if !ok {
				continue
			}
			slug, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := out[slug]; taken {
				t.Errorf("%s and %s are both %q", other, v.Names[0].Name, slug)
			}
			out[slug] = v.Names[0].Name
		}
	}
	return out
}

// TestCodesAgreeWithTheirClass: one class, one status, and advice that fits.
func TestCodesAgreeWithTheirClass(t *testing.T) {
	t.Parallel()
	status := map[error]int{
		ErrInvalid: 400, ErrUnauthenticated: 401, ErrForbidden: 403, ErrNotFound: 404, ErrConflict: 409, ErrTooLarge: 413,
		ErrOverloaded: 429, ErrInternal: 500, ErrUnavailable: 503, ErrUnknown: 503,
	}
	slug := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	seen := map[error]bool{}
	for _, r := range Codes() {
		seen[r.Class] = true
		if r.Status != status[r.Class] {
			t.Errorf("%s: status %d, the class %v has %d", r.Code, r.Status, r.Class, status[r.Class])
		}
		if r.Retry != (r.Status >= 429 || r.Code == CodeVersionMismatch) {
			t.Errorf("%s: retry %t with status %d", r.Code, r.Retry, r.Status)
		}
		if !slug.MatchString(string(r.Code)) {
			t.Errorf("%q is not a slug", r.Code)
		}
		if !strings.HasSuffix(r.Means, ".") || r.Means[0] < 'A' || r.Means[0] > 'Z' {
			t.Errorf("%s: %q is not a sentence", r.Code, r.Means)
		}
		if got := r.Code.Row(); got != r {
			t.Errorf("%s.Row() = %+v", r.Code, got)
		}
		if got := r.Code.Class(); got != r.Class { //nolint:errorlint // the sentinel itself is the point
			t.Errorf("%s.Class() = %v", r.Code, got)
		}
	}
	for class := range status {
		if !seen[class] {
			t.Errorf("no code has the class %v", class)
		}
	}
	if got := Code("no_such_code").Row().Code; got != CodeInternal {
		t.Errorf("an unknown code has the row of %s, want %s", got, CodeInternal)
	}
}
