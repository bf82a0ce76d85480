package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../.."

// TestGeneratedFilesAreFresh writes the files somewhere else and compares.
func TestGeneratedFilesAreFresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var stderr bytes.Buffer
	if err := run([]string{"-root", root, "-o", dir}, &stderr); err != nil {
		t.Fatalf("run: %v %s", err, stderr.String())
	}
	for _, name := range []string{"console/src/wire.gen.ts", "docs/protocol.md"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not fresh (- generated, + there); run make generate\n%s", name, diff)
		}
	}
}

func TestGenerationIsDeterministic(t *testing.T) {
	t.Parallel()
	src, err := readSources(root+"/gateway/wire", root+"/conversation")
	if err != nil {
		t.Fatal(err)
	}
	first := string(typescript(src)) + string(page(src))
	for range 5 {
		if diff := cmp.Diff(first, string(typescript(src))+string(page(src))); diff != "" {
			t.Fatalf("two runs differ:\n%s", diff)
		}
	}
	for _, part := range []string{"…\n", "undefined", "interface {"} {
		if strings.Contains(first, part) {
			t.Errorf("the output holds %q", part)
		}
	}
	if !strings.Contains(first, `| ({ t: "message.send" } & ClientSend)`) || !strings.Contains(first, "client_id: string;") {
		t.Error("message.send is not described")
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	if err := run([]string{"-root", t.TempDir(), "-o", t.TempDir()}, &stderr); err == nil {
		t.Error("run without sources succeeded")
	}
	if err := run([]string{"-nonsense"}, &stderr); err == nil {
		t.Error("run with an unknown flag succeeded")
	}
}
