package email

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Each mail of the corpus gives what stands beside it. The mails are written for
// this test, after the habits of the programs whose names they bear.
func TestParseCorpus(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(paths) < 25 {
		t.Fatalf("%d mails in the corpus: %v", len(paths), err)
	}
	box := mailbox{local: "shop", domain: "example.com"}
	box.address.Address = "shop@example.com"
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".eml")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := describe(parse(raw), &box)
			golden := strings.TrimSuffix(path, ".eml") + ".txt"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("parse (-want +got):\n%s", diff)
			}
		})
	}
}

func describe(m *message, box *mailbox) string {
	var b strings.Builder
	line := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" && s != "[]" {
			fmt.Fprintf(&b, "%s: %s\n", name, s)
		}
	}
	line("from", m.from)
	line("name", m.fromName)
	line("subject", m.subject)
	line("ref", m.ref())
	line("ancestors", m.ancestors())
	line("root", m.root())
	line("automatic", m.automatic(box))
	if r, ok := m.bounce(); ok {
		fmt.Fprintf(&b, "bounce: %s %s <%s>\n", r.action, r.status, r.about)
	}
	for _, f := range m.files {
		fmt.Fprintf(&b, "file: %s %s %d\n", f.name, f.media, len(f.data))
	}
	if m.broken != nil {
		fmt.Fprintf(&b, "broken: %v\n", m.broken)
	}
	fmt.Fprintf(&b, "\n%s\n", m.content(len(m.ancestors()) == 0))
	return b.String()
}
