package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/formats"
)

// intentImportCmd is `colloquy intent import`.
type intentImportCmd struct {
	From    string   `arg:"" name:"from" help:"File, folder or archive (.xlsx, .csv, .zip, .tgz, .json, .yml)." type:"path"`
	Format  string   `help:"What it is: ${enum}." enum:"auto,xlsx,csv,rasa,dialogflow,botpress" default:"auto"`
	Pack    string   `help:"Name of the pack to make." required:"" placeholder:"NAME"`
	Lang    string   `help:"Language of everything that names none, such as zh. Without it the script of each sentence decides." placeholder:"LANG"`
	Out     string   `help:"Folder of packs to write into." default:"packs" placeholder:"DIR"`
	Extends []string `help:"Packs that lie below the new one, such as common." placeholder:"NAME"`
	Map     string   `help:"YAML file that sends names or standard questions to ids of the pack; - leaves one out." type:"path" placeholder:"FILE"`
	Force   bool     `help:"Overwrite a pack of this name."`
	JSON    bool     `help:"Print JSON."`
}

// importReport is what an import did.
type importReport struct {
	Format    formats.Format   `json:"format"`
	Sources   []string         `json:"sources"`
	Pack      string           `json:"pack"`
	Files     []string         `json:"files"`
	Intents   int              `json:"intents"`
	Questions map[string]int   `json:"questions"` // by language
	Tests     int              `json:"tests"`
	Answers   int              `json:"answers"`   // intents with one
	Handovers int              `json:"handovers"` // intents that hand over to a human
	Entities  int              `json:"entities"`
	Variables int              `json:"variables"`
	Remarks   []formats.Remark `json:"remarks"`
	UnusedMap []string         `json:"unused_map_keys"`
	Next      string           `json:"next"`
}

// Run implements the subcommand.
func (c *intentImportCmd) Run(t *tool) error {
	labels, err := readLabels(c.Map)
	if err != nil {
		return err
	}
	base, err := c.base(t)
	if err != nil {
		return err
	}
	in, err := formats.Open(c.From)
	if err != nil {
		return err
	}
	got, err := formats.Read(in, formats.Options{
		Format: formats.Format(c.Format), Pack: c.Pack, Lang: c.Lang, Extends: c.Extends, Base: base, Labels: labels,
	})
	if err != nil {
		return err
	}
	out, err := formats.Write(&got.Contents, formats.YAML)
	if err != nil {
		return err
	}
	if err := c.try(t, out); err != nil {
		return err
	}
	if err := c.write(out); err != nil {
		return err
	}
	r := c.report(got, out)
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	return r.print(t.stdout)
}

// readLabels reads the map of labels: a YAML mapping of names to ids.
func readLabels(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no map
	}
	content, err := os.ReadFile(file) //nolint:gosec // the operator's own choice
	if err != nil {
		return nil, err
	}
	var labels map[string]string
	if err := yaml.Unmarshal(content, &labels); err != nil {
		return nil, &conversation.Error{
			Code: conversation.CodeInvalid, Detail: filepath.Base(file) + " has to be a YAML mapping of names or standard questions to ids", Err: err,
		}
	}
	return labels, nil
}

// base gives what the packs that the new one extends say, from the program and
// from the folder that is written into.
func (c *intentImportCmd) base(t *tool) (intent.Contents, error) {
	if len(c.Extends) == 0 {
		return intent.Contents{}, nil
	}
	o := intent.Options{}
	if info, err := os.Stat(c.Out); err == nil && info.IsDir() {
		o.Dir = c.Out
	}
	l, err := intent.Open(o)
	if err != nil {
		return intent.Contents{}, err
	}
	return l.Contents(t.ctx, c.Extends)
}

// try loads the new pack as a node would, before anything is written.
func (c *intentImportCmd) try(t *tool, out formats.Output) error {
	dir, err := os.MkdirTemp("", "colloquy-import-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if len(c.Extends) > 0 {
		if err := copyPacks(dir, c.Out, c.Pack); err != nil {
			return err
		}
	}
	if err := writeFiles(dir, out.Files); err != nil {
		return err
	}
	l, err := intent.Open(intent.Options{Dir: dir})
	if err == nil {
		_, err = l.Contents(context.WithoutCancel(t.ctx), []string{c.Pack})
	}
	if err != nil {
		return fmt.Errorf("the pack that came out does not load, so nothing was written: %w", err)
	}
	return nil
}

// copyPacks copies the operator's packs, but for the one that is made anew.
func copyPacks(to, from, but string) error {
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	for _, name := range []string{but, but + ".yaml", but + ".yml"} {
		if err := os.RemoveAll(filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// write puts the pack into its folder, in place of an earlier one if that was
// asked for.
func (c *intentImportCmd) write(out formats.Output) error {
	for _, name := range []string{c.Pack, c.Pack + ".yaml", c.Pack + ".yml"} {
		old := filepath.Join(c.Out, name)
		if _, err := os.Stat(old); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if !c.Force {
			return conversation.Refusef(conversation.CodeConflict, "%s is there already; choose another --pack, or --force to overwrite it", old)
		}
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return writeFiles(c.Out, out.Files)
}

// writeFiles writes files below a folder, each as a whole or not at all.
func writeFiles(dir string, files []formats.OutputFile) error {
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // packs are for everybody who may see the folder
			return err
		}
		temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new") // hidden, so that a node does not read half of it
		if err := os.WriteFile(temp, f.Content, 0o644); err != nil {              //nolint:gosec // as above
			return err
		}
		if err := os.Rename(temp, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *intentImportCmd) report(got *formats.Import, out formats.Output) *importReport {
	r := &importReport{
		Format: got.Format, Sources: got.Sources, Pack: c.Pack, Intents: len(got.Contents.Intents), Questions: map[string]int{},
		Entities: len(got.Contents.Entities), Variables: len(got.Contents.Variables), Remarks: got.Remarks, UnusedMap: got.Unused,
		Next: fmt.Sprintf("colloquy intent test --packs-dir %s %s", c.Out, c.Pack),
	}
	for _, f := range out.Files {
		r.Files = append(r.Files, filepath.Join(c.Out, filepath.FromSlash(f.Name)))
	}
	for i := range got.Contents.Intents {
		x := &got.Contents.Intents[i]
		for lang, q := range x.Ask {
			r.Questions[lang] += len(q)
		}
		for _, q := range x.Test {
			r.Tests += len(q)
		}
		if len(x.Answer) > 0 {
			r.Answers++
		}
		if x.Handover {
			r.Handovers++
		}
	}
	return r
}

func (r *importReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n  → %s\n\n", strings.Join(shortList(r.Sources, 5), ", "), r.Format, strings.Join(r.Files, ", "))
	total := 0
	var by []string
	for _, lang := range slices.Sorted(maps.Keys(r.Questions)) {
		total += r.Questions[lang]
		by = append(by, fmt.Sprintf("%s %d", lang, r.Questions[lang]))
	}
	fmt.Fprintf(&b, "  intents    %5d\n  questions  %5d   %s\n  answers    %5d", r.Intents, total, strings.Join(by, ", "), r.Answers)
	if r.Handovers > 0 {
		fmt.Fprintf(&b, "   and %d that hand over to a human", r.Handovers)
	}
	b.WriteByte('\n')
	for _, x := range []struct {
		name string
		n    int
	}{{"test lines", r.Tests}, {"entities", r.Entities}, {"variables", r.Variables}} {
		if x.n > 0 {
			fmt.Fprintf(&b, "  %-10s %5d\n", x.name, x.n)
		}
	}
	printRemarks(&b, "Changed", formats.Changed, r.Remarks)
	printRemarks(&b, "Left out", formats.LeftOut, r.Remarks)
	if len(r.UnusedMap) > 0 {
		fmt.Fprintf(&b, "\nIn the map, but not in the source: %s\n", strings.Join(r.UnusedMap, ", "))
	}
	fmt.Fprintf(&b, "\nNext: %s\n", r.Next)
	_, err := io.WriteString(w, b.String())
	return err
}

func shortList(all []string, most int) []string {
	if len(all) <= most {
		return all
	}
	return append(slices.Clone(all[:most]), fmt.Sprintf("%d more", len(all)-most))
}

// printRemarks lists what became of things, by reason: all of them, since
// nothing may get lost unseen.
func printRemarks(b *strings.Builder, title string, kind formats.RemarkKind, all []formats.Remark) {
	var order []string
	by := map[string][]formats.Remark{}
	n := 0
	for _, r := range all {
		if r.Kind != kind {
			continue
		}
		n++
		if by[r.Why] == nil {
			order = append(order, r.Why)
		}
		by[r.Why] = append(by[r.Why], r)
	}
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s (%d)\n", title, n)
	for _, why := range order {
		if list := by[why]; len(list) == 1 {
			fmt.Fprintf(b, "  %s  «%s»: %s\n", list[0].At, list[0].What, why)
			continue
		}
		fmt.Fprintf(b, "  %s:\n", why)
		for _, r := range by[why] {
			fmt.Fprintf(b, "    %s  «%s»\n", r.At, r.What)
		}
	}
}
