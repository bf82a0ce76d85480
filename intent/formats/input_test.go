package formats

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/colloquyhq/colloquy/conversation"
)

// makeTar packs parts as Botpress exports a bot.
func makeTar(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i+1 < len(parts); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: parts[i], Mode: 0o600, Size: int64(len(parts[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sourceParts gives the source files of a golden import.
func sourceParts(t testing.TB, archive string) []string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", archive))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			out = append(out, f.Name, string(f.Data))
		}
	}
	return out
}

// The same export gives the same pack as a folder, a zip and a tar.gz.
func TestOpen(t *testing.T) {
	t.Parallel()
	for archive, format := range map[string]Format{"dialogflow.txtar": Dialogflow, "dialogflowcx.txtar": Dialogflow, "botpress.txtar": Botpress, "rasa_old.txtar": Rasa} {
		parts := sourceParts(t, archive)
		junk := []string{".git/config.json", "{", "node_modules/x/package.json", "[1", "image.png", "\x00", "__MACOSX/._a.json", "\x00"}
		dir := t.TempDir()
		folder := filepath.Join(dir, "export")
		parts = append(parts, junk...)
		for i := 0; i+1 < len(parts); i += 2 {
			name := filepath.Join(folder, filepath.FromSlash(parts[i]))
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(parts[i+1]), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range map[string][]byte{"export.zip": makeZip(t, parts...), "export.tgz": makeTar(t, parts...)} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var first *Import
		for _, name := range []string{"export", "export.zip", "export.tgz"} {
			in, err := Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatalf("%s as %s: %v", archive, name, err)
			}
			got, err := Read(in, Options{Pack: "p"})
			if err != nil {
				t.Fatalf("%s as %s: %v", archive, name, err)
			}
			if got.Format != format {
				t.Errorf("%s as %s: found %s, want %s", archive, name, got.Format, format)
			}
			if first == nil {
				first = got
			}
			if diff := cmp.Diff(first.Contents, got.Contents); diff != "" {
				t.Errorf("%s as %s differs from the folder:\n%s", archive, name, diff)
			}
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
}

func TestDetectRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parts []string
		want  string
	}{
		"nothing":     {[]string{"notes.md", "# Notes"}, "holds nothing that can be read"},
		"a pack":      {[]string{"shop.yaml", "colloquy: 1\npack: shop\n"}, "is a pack already"},
		"two formats": {[]string{"a.csv", "x", "b.xlsx", "PK"}, "several formats (xlsx, csv); say with --format"},
		"CX, empty":   {[]string{"agent.json", `{"defaultLanguageCode": "en"}`}, "holds no intents of Dialogflow CX"},
		"CX, twice": {
			[]string{"a/agent.json", `{"defaultLanguageCode": "en"}`, "b/agent.json", `{"defaultLanguageCode": "en"}`},
			"b/agent.json: a second agent beside a/agent.json",
		},
		"CX, broken": {
			[]string{"agent.json", `{"defaultLanguageCode": "en"}`, "flows/Default Start Flow/Default Start Flow.json", "{\n\"transitionRoutes\": [\n}"},
			"flows/Default Start Flow/Default Start Flow.json:3: not readable as JSON",
		},
		"broken JSON": {[]string{"qna.json", "{\n\"qnas\": [\n}"}, "qna.json:3: not readable as JSON"},
		"two values":  {[]string{"qna.json", "{} {}"}, "qna.json:1: not readable as JSON: more than one JSON value"},
		"deep JSON":   {[]string{"qna.json", strings.Repeat("[", 5000)}, "nested too deep"},
		"broken YAML": {[]string{"nlu.yml", "nlu:\n  - intent: [a\n"}, "nlu.yml:"},
		"deep YAML":   {[]string{"nlu.yml", strings.Repeat("[", 5000)}, "nlu.yml"},
		"many aliases": {
			[]string{"nlu.yml", "nlu: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"},
			"nlu.yml",
		},
	} {
		in := &Input{name: "export"}
		for i := 0; i+1 < len(tc.parts); i += 2 {
			in.files = append(in.files, &inputFile{name: tc.parts[i], content: []byte(tc.parts[i+1])})
		}
		_, err := Read(in, Options{Pack: "p"})
		if !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want class invalid and %q", name, err, tc.want)
		}
	}
	in := &Input{name: "nlu.yml", files: []*inputFile{{name: "nlu.yml", content: []byte("nlu: [" + strings.Repeat("1,", maxYAMLBytes/2) + "]")}}}
	if _, err := Read(in, Options{Pack: "p"}); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("a large YAML file: %v, want class too large", err)
	}
	for _, o := range []Options{{Pack: "P p"}, {Pack: "p", Lang: "Chinese"}, {Pack: "p", Format: YAML}, {Pack: "p", Format: "word"}} {
		if _, err := readOneQuietly(o); !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("Read(%+v): %v, want class invalid", o, err)
		}
	}
	table, err := newInput("f.csv", []byte("question,answer\na,b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(table, Options{Pack: "p", Labels: map[string]string{"a": "No Id"}}); !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(err.Error(), `sends "a" to "No Id"`) {
		t.Errorf("a label that is none: %v", err)
	}
}

func readOneQuietly(o Options) (*Import, error) {
	in, err := newInput("f.csv", []byte("question,answer\na,b\n"))
	if err != nil {
		return nil, err
	}
	return Read(in, o)
}

func TestNamesFromChineseWindows(t *testing.T) {
	t.Parallel()
	got, err := safeName(gbk(t, "意图/售后.json"))
	if err != nil || got != "意图/售后.json" {
		t.Errorf("safeName = %q, %v", got, err)
	}
}

func TestUnmark(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		plain string
		n     int
	}{
		"from [Berlin](city) to [SF]{\"entity\": \"city\", \"value\": \"San Francisco\"}": {"from Berlin to SF", 2},
		"[x](a:b:c) and [y](a)":   {"x and y", 2},
		"an [open bracket (city)": {"an [open bracket (city)", 0},
		"[]( )":                   {"[]( )", 0},
		"[x]{not json}":           {"[x]{not json}", 0},
		"[x]{\"value\": \"y\"}":   {"[x]{\"value\": \"y\"}", 0},
		"[从北京](from)到[上海]{\"entity\":\"to\"}": {"从北京到上海", 2},
	} {
		plain, marks := unmark(text)
		if plain != want.plain || len(marks) != want.n {
			t.Errorf("unmark(%q) = %q with %d marks, want %q with %d", text, plain, len(marks), want.plain, want.n)
		}
	}
}
