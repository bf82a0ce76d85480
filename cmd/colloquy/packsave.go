package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/gateway"
)

// maxPackBytes bounds a text that is sent: what a saved pack may have.
const maxPackBytes = 4 << 20

// packSaveCmd is `colloquy pack save`.
type packSaveCmd struct {
	apiFlags

	Name     string  `arg:"" help:"The pack."`
	From     string  `arg:"" help:"Its text, a YAML file; - is standard input."`
	Comment  string  `help:"Why, for the list of versions." placeholder:"TEXT"`
	OnlyOver *uint64 `help:"Save only over this version; 0 = only if the pack is new." placeholder:"N"`
	Check    bool    `help:"Only say what it would come to, and save nothing. Exits with 3 when the text is not good."`
}

// Run implements the subcommand.
func (c *packSaveCmd) Run(t *tool) error {
	path, err := packPath(c.Name)
	if err != nil {
		return err
	}
	text, err := c.read()
	if err != nil {
		return err
	}
	if c.Check {
		return c.check(t, path, text)
	}
	var s gateway.PackSaved
	call := apiCall{method: "PUT", path: path, body: map[string]string{"text": text, "comment": c.Comment}, answer: &s}
	if c.OnlyOver != nil {
		call.onlyOver = strconv.Quote(strconv.FormatUint(*c.OnlyOver, 10))
	}
	if err := c.call(t, call); err != nil {
		return c.named(err)
	}
	return c.printSaved(t, &s)
}

func (c *packSaveCmd) read() (string, error) {
	in := io.Reader(os.Stdin)
	if c.From != "-" {
		f, err := os.Open(c.From)
		if err != nil {
			return "", &failure{exitUsage, err}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPackBytes+1))
	if err != nil {
		return "", err
	}
	if len(raw) > maxPackBytes {
		return "", &failure{exitUsage, fmt.Errorf("%s has more than the %d MiB of a saved pack", c.From, maxPackBytes>>20)}
	}
	return string(raw), nil
}

// named has problems name the file that was read, where the node knows the text
// by the name of the pack.
func (c *packSaveCmd) named(err error) error {
	var refused *apiRefusedError
	if errors.As(err, &refused) {
		c.rename(refused.Problems)
	}
	return err
}

func (c *packSaveCmd) rename(all []gateway.PackProblem) {
	if c.From == "-" {
		return
	}
	for i := range all {
		if all[i].File == "saved:"+c.Name {
			all[i].File = filepath.Base(c.From)
		}
	}
}

func (c *packSaveCmd) check(t *tool, path, text string) error {
	var got gateway.PackCheck
	if err := c.call(t, apiCall{method: "POST", path: path + "/check", body: map[string]string{"text": text}, answer: &got}); err != nil {
		return err
	}
	c.rename(got.Problems)
	if c.JSON {
		if err := writeJSON(t.stdout, got); err != nil {
			return err
		}
	}
	if !got.OK {
		lines := make([]string, 0, len(got.Problems))
		for _, p := range got.Problems {
			lines = append(lines, problemLine(p))
		}
		return &failure{exitCheck, fmt.Errorf("%s would not be saved:\n  %s", c.Name, strings.Join(lines, "\n  "))}
	}
	if c.JSON {
		return nil
	}
	_, err := fmt.Fprintf(t.stdout, "%s would be saved, hash %s\n  intents    %d → %d\n  questions  %d → %d\n  test lines %d right of %d, before %d\n",
		c.Name, got.Hash, got.Intents.Before, got.Intents.After, got.Questions.Before, got.Questions.After,
		got.Tests.Right.After, got.Tests.N, got.Tests.Right.Before)
	for _, r := range got.Repeated {
		_, _ = fmt.Fprintf(t.stdout, "  line %d: «%s» stands under %s as well (%s:%d)\n", r.Line, r.Text, r.OtherIntent, r.OtherFile, r.OtherLine)
	}
	return err
}

// printSaved says what is stored now.
func (f *apiFlags) printSaved(t *tool, s *gateway.PackSaved) error {
	if f.JSON {
		return writeJSON(t.stdout, s)
	}
	what := "is saved"
	if s.Unchanged {
		what = "was the same already"
	}
	_, err := fmt.Fprintf(t.stdout, "%s %s: version %d, hash %s\n", s.Name, what, s.Saved.Number, s.Hash)
	for _, m := range s.Models {
		_, _ = fmt.Fprintf(t.stdout, "  inboxes with %s: answers will carry %s\n", strings.Join(m.Packs, " + "), m.Hash)
	}
	return err
}

// packRollbackCmd is `colloquy pack rollback`.
type packRollbackCmd struct {
	apiFlags

	Name    string `arg:"" help:"The pack."`
	Version uint64 `arg:"" help:"The version to save again."`
	Comment string `help:"Why, for the list of versions." placeholder:"TEXT"`
}

// Run implements the subcommand.
func (c *packRollbackCmd) Run(t *tool) error {
	path, err := packPath(c.Name, "rollback")
	if err != nil {
		return err
	}
	var s gateway.PackSaved
	if err := c.call(t, apiCall{method: "POST", path: path, body: map[string]any{"version": c.Version, "comment": c.Comment}, answer: &s}); err != nil {
		return err
	}
	return c.printSaved(t, &s)
}
