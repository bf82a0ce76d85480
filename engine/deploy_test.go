package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the files in deploy/ set in a node's environment are settings that there
// are: a node refuses to start with one that there is not.
func TestDeploymentsSetKnownVariables(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	known := otherVariables()
	for _, s := range c.Settings() {
		known = append(known, s.Env(), s.Env()+"_FILE")
	}
	variable := regexp.MustCompile(`\bCOLLOQUY_[A-Z0-9_]*[A-Z0-9]\b`)
	found := 0
	err := filepath.WalkDir("../deploy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".json") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range variable.FindAllString(string(text), -1) {
			found++
			if !slices.Contains(known, name) {
				t.Errorf("%s sets %s, which is no setting", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 10 {
		t.Errorf("only %d variables found in deploy/; does the test still read it?", found)
	}
}
