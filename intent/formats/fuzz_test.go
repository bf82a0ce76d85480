package formats

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/colloquyhq/colloquy/intent"
)

// Whatever the bytes are, a reader gives an error or a pack that loads.
func fuzzOne(t *testing.T, name string, content []byte, format Format) {
	in, err := newInput(name, content)
	if err != nil {
		return
	}
	fuzzInput(t, in, format)
}

func fuzzInput(t *testing.T, in *Input, format Format) {
	t.Helper()
	got, err := Read(in, Options{Pack: "p", Format: format})
	if err != nil {
		if err.Error() == "" {
			t.Error("an error without a word")
		}
		return
	}
	out, err := Write(&got.Contents, YAML)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for _, f := range out.Files {
		fsys["p/"+filepath.Base(f.Name)] = &fstest.MapFile{Data: f.Content}
	}
	if _, err := intent.Open(intent.Options{Builtin: fsys}); err != nil {
		t.Fatalf("what came out does not load: %v\n%s", err, out.Files[0].Content)
	}
}

// seeds gives the files of the golden imports that end in one of exts.
func seeds(f *testing.F, archive string, exts ...string) [][]byte {
	f.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", archive))
	if err != nil {
		f.Fatal(err)
	}
	var out [][]byte
	for _, file := range a.Files {
		for _, ext := range exts {
			if strings.HasSuffix(file.Name, ext) && !strings.HasPrefix(file.Name, "want/") {
				out = append(out, file.Data)
			}
		}
	}
	return out
}

func FuzzCSV(f *testing.F) {
	for _, s := range seeds(f, "csv.txtar", ".csv") {
		f.Add(s)
		f.Add([]byte(gbk(f, string(s))))
	}
	f.Add([]byte("sep=;\n标准问;答案\n\"a\nb\";{x}\n"))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzOne(t, "f.csv", content, CSV) })
}

func FuzzXLSX(f *testing.F) {
	row := `<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>2</v></c></row><row r="2"><c r="A2" t="s"><v>3</v></c><c r="B2" s="1"><v>46023</v></c></row></sheetData>`
	f.Add(row, testShared, testStyles)
	f.Add(row+`<mergeCells><mergeCell ref="A1:ZZ9999999"/></mergeCells>`, testShared, "")
	f.Fuzz(func(t *testing.T, sheet, shared, styles string) {
		fuzzOne(t, "f.xlsx", makeWorkbook(t, shared, styles, testSheet{name: "S", content: sheet}), XLSX)
	})
}

func FuzzArchive(f *testing.F) {
	f.Add(makeZip(f, "a.json", "{}", "b/c.csv", "question,answer\na,b\n"))
	f.Add(makeWorkbook(f, testShared, testStyles, testSheet{name: "S"}))
	f.Add(makeTar(f, "qna/a.json", "[]"))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzOne(t, "f.zip", content, Auto) })
}

func FuzzRasa(f *testing.F) {
	for _, archive := range []string{"rasa.txtar", "rasa_old.txtar"} {
		for _, s := range seeds(f, archive, ".yml", ".md") {
			f.Add(s, "yml")
			f.Add(s, "md")
		}
	}
	f.Add([]byte("nlu: &a\n- intent: x\n  examples: [*a, *a]\n"), "yml")
	f.Fuzz(func(t *testing.T, content []byte, ext string) {
		if ext != "md" && ext != "json" {
			ext = "yml"
		}
		fuzzOne(t, "f."+ext, content, Rasa)
	})
}

func FuzzDialogflow(f *testing.F) {
	all := seeds(f, "dialogflow.txtar", ".json")
	f.Add(all[2], all[3], all[len(all)-4])
	f.Add(all[len(all)-2], all[3], all[len(all)-1])
	f.Fuzz(func(t *testing.T, one, says, entries []byte) {
		in := &Input{name: "agent.zip", files: []*inputFile{
			{name: "agent.json", content: []byte(`{"language": "en", "supportedLanguages": []}`)},
			{name: "intents/x.json", content: one},
			{name: "intents/x_usersays_en.json", content: says},
			{name: "entities/e_entries_en.json", content: entries},
		}}
		fuzzInput(t, in, Dialogflow)
	})
}

func FuzzDialogflowCX(f *testing.F) {
	parts := map[string][]byte{}
	a, err := txtar.ParseFile(filepath.Join("testdata", "dialogflowcx.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range a.Files {
		parts[file.Name] = file.Data
	}
	names := []string{
		"agent/agent.json", "agent/intents/order.status/order.status.json", "agent/intents/order.status/trainingPhrases/en.json",
		"agent/entityTypes/order/order.json", "agent/entityTypes/order/entities/en.json",
		"agent/flows/Default Start Flow/Default Start Flow.json", "agent/flows/Default Start Flow/pages/Order.json",
	}
	for _, n := range names {
		if parts[n] == nil {
			f.Fatalf("no %s", n)
		}
	}
	f.Add(parts[names[1]], parts[names[2]], parts[names[3]], parts[names[4]], parts[names[5]], parts[names[6]])
	f.Fuzz(func(t *testing.T, one, phrases, kind, entries, flow, page []byte) {
		in := &Input{name: "agent.zip", files: []*inputFile{{name: names[0], content: parts[names[0]]}}}
		for i, content := range [][]byte{one, phrases, kind, entries, flow, page} {
			in.files = append(in.files, &inputFile{name: names[i+1], content: content})
		}
		fuzzInput(t, in, Dialogflow)
	})
}

func FuzzBotpress(f *testing.F) {
	for _, s := range seeds(f, "botpress.txtar", ".json") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content []byte) { fuzzOne(t, "qna.json", content, Botpress) })
}
