package formats

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/colloquyhq/colloquy/intent"
)

var rewrite = flag.Bool("rewrite", false, "write what came out into testdata")

// Names of what is expected in an archive.
const (
	wantPack    = "want/pack.yaml"
	wantRemarks = "want/remarks"
)

// Each archive in testdata is a source with the pack and the remarks that come
// out of it.
func TestImports(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d archives, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			testImport(t, file)
		})
	}
}

func testImport(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in, o, want := &Input{name: filepath.Base(file)}, goldenOptions(t, string(a.Comment)), map[string]string{}
	kept := a.Files[:0:0]
	for _, f := range a.Files {
		if f.Name == wantPack || f.Name == wantRemarks {
			want[f.Name] = string(f.Data)
			continue
		}
		kept = append(kept, f)
		in.files = append(in.files, &inputFile{name: f.Name, content: f.Data})
	}
	got, err := Read(in, o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Write(&got.Contents, YAML)
	if err != nil {
		t.Fatal(err)
	}
	var remarks strings.Builder
	fmt.Fprintf(&remarks, "format %s\n", got.Format)
	for _, r := range got.Remarks {
		fmt.Fprintf(&remarks, "%s %s «%s»: %s\n", r.Kind, r.At, r.What, r.Why)
	}
	for _, key := range got.Unused {
		fmt.Fprintf(&remarks, "unused %s\n", key)
	}
	if *rewrite {
		a.Files = append(kept, txtar.File{Name: wantPack, Data: out.Files[0].Content}, txtar.File{Name: wantRemarks, Data: []byte(remarks.String())})
		if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want[wantPack], string(out.Files[0].Content)); diff != "" {
		t.Errorf("pack (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[wantRemarks], remarks.String()); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
	mustLoad(t, out, o.Extends)
}

// goldenOptions reads the lines "key: value" at the top of an archive.
func goldenOptions(t *testing.T, comment string) Options {
	t.Helper()
	o := Options{}
	for line := range strings.Lines(comment) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			break
		}
		switch key {
		case "pack":
			o.Pack = value
		case "format":
			o.Format = Format(value)
		case "lang":
			o.Lang = value
		case "extends":
			o.Extends, o.Base = []string{value}, basePack(t)
		case "map":
			o.Labels = map[string]string{}
			for pair := range strings.FieldsSeq(value) {
				from, to, _ := strings.Cut(pair, "=")
				o.Labels[from] = to
			}
		default:
			t.Fatalf("no option %q", key)
		}
	}
	return o
}

const baseFile = "colloquy: 1\npack: base\nintents:\n  - {id: return_policy, ask: [退货规则], answer: 可以退。}\n"

func basePack(t *testing.T) intent.Contents {
	t.Helper()
	return load(t, []string{"base"}, map[string]string{"base/pack.yaml": baseFile})
}

// load gives what packs say together.
func load(t testing.TB, packs []string, files map[string]string) intent.Contents {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	l, err := intent.Open(intent.Options{Builtin: fsys})
	if err != nil {
		t.Fatalf("open %v: %v", packs, err)
	}
	c, err := l.Contents(t.Context(), packs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mustLoad checks that what was written is a pack, and gives it.
func mustLoad(t testing.TB, out Output, extends []string) intent.Contents {
	t.Helper()
	files := map[string]string{}
	name := ""
	for _, f := range out.Files {
		if !strings.Contains(f.Name, "/") {
			f.Name = "pack/" + f.Name
		}
		files[f.Name] = string(f.Content)
		if line, _, ok := bytes.Cut(f.Content, []byte("pack: ")); ok && len(line) < 20 {
			rest, _, _ := bytes.Cut(f.Content[len(line)+len("pack: "):], []byte("\n"))
			name = strings.Trim(string(rest), `"'`)
		}
	}
	if len(extends) > 0 {
		files["base/pack.yaml"] = baseFile
	}
	return load(t, []string{name}, files)
}
