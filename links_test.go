package colloquy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	linkInDoc = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fenced    = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinksResolve follows every link of the documentation that stays inside
// the repository, to the heading if it names one.
func TestLinksResolve(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			checkLinks(t, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkLinks(t *testing.T, name string) {
	t.Helper()
	for _, m := range linkInDoc.FindAllStringSubmatch(fenced.ReplaceAllString(string(readFile(t, name)), ""), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := name
		if file != "" {
			target = filepath.Join(filepath.Dir(name), filepath.FromSlash(file))
		}
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s links to %s: %v", name, m[1], err)
			continue
		}
		if anchor != "" && !anchors(t, target)[anchor] {
			t.Errorf("%s links to %s, and there is no such heading", name, m[1])
		}
	}
}

// anchors gives the names under which a page's headings can be linked to.
func anchors(t *testing.T, name string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(readFile(t, name)), ""), -1) {
		plain := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return out
}
