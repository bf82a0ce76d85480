package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// packCmd is `colloquy pack`, for the packs of a running node.
type packCmd struct {
	List     packListCmd     `cmd:"" help:"List the packs of the node, and what state they are in."`
	Versions packVersionsCmd `cmd:"" help:"List the kept versions of a saved pack: who, when, why, hash."`
	Show     packShowCmd     `cmd:"" help:"Print the text of a pack, or of an earlier version of it."`
	Save     packSaveCmd     `cmd:"" help:"Save a pack on all nodes. What is wrong is told by file and line, and then nothing changes."`
	Rollback packRollbackCmd `cmd:"" help:"Save an earlier version again, as a new one."`
}

// packPath gives the path of a pack in the API.
func packPath(name string, more ...string) (string, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_.-", r) }) {
		return "", &failure{exitUsage, fmt.Errorf("%q is no name of a pack: lower-case letters, digits, and _ - . inside", name)}
	}
	return strings.Join(append([]string{"/v1/packs", name}, more...), "/"), nil
}

// packListCmd is `colloquy pack list`.
type packListCmd struct{ apiFlags }

// Run implements the subcommand.
func (c *packListCmd) Run(t *tool) error {
	var got struct {
		Data []gateway.PackInfo `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/packs", answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got.Data)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PACK\tORIGIN\tSTATE\tVERSION\tHASH\tINTENTS\tQUESTIONS\tLANGUAGES\tNOTE")
	for i := range got.Data {
		p := &got.Data[i]
		number := "–"
		if p.Saved > 0 {
			number = strconv.FormatUint(p.Saved, 10)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", p.Name, p.Origin, p.State, number, p.Version,
			p.Intents, p.Questions, strings.Join(p.Langs, ","), oneLine(p.Error))
	}
	return w.Flush()
}

// packVersionsCmd is `colloquy pack versions`.
type packVersionsCmd struct {
	apiFlags

	Name string `arg:"" help:"The pack."`
}

// Run implements the subcommand.
func (c *packVersionsCmd) Run(t *tool) error {
	path, err := packPath(c.Name, "versions")
	if err != nil {
		return err
	}
	var got struct {
		Data []conversation.PackVersion `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: path, answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got.Data)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "VERSION\tHASH\tSAVED\tBY\tBYTES\tCOMMENT")
	for i, v := range got.Data {
		comment := v.Comment
		if v.Restores > 0 {
			comment = strings.Join(nonEmpty(fmt.Sprintf("version %d again", v.Restores), comment), ": ")
		}
		number := strconv.FormatUint(v.Number, 10)
		if i == 0 {
			number += " *"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", number, v.Hash, v.At.UTC().Format(time.DateTime), v.By, v.Bytes, oneLine(comment))
	}
	return w.Flush()
}

// packShowCmd is `colloquy pack show`.
type packShowCmd struct {
	apiFlags

	Name    string `arg:"" help:"The pack."`
	Version uint64 `help:"An earlier version of a saved pack." placeholder:"N"`
	Diff    bool   `help:"Only the lines in which that version differs from the one in force."`
}

// Run implements the subcommand.
func (c *packShowCmd) Run(t *tool) error {
	if c.Diff && c.Version == 0 {
		return &failure{exitUsage, errors.New("--diff needs --version: which one is compared with the one in force?")}
	}
	if c.Version > 0 {
		return c.earlier(t)
	}
	path, err := packPath(c.Name)
	if err != nil {
		return err
	}
	var p struct {
		gateway.PackView

		Saved *conversation.PackVersion `json:"saved,omitempty"`
	}
	if err := c.call(t, apiCall{method: "GET", path: path, answer: &p}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, p)
	}
	for i, f := range p.Files {
		if len(p.Files) > 1 { // a comment, so that what is printed is YAML still
			if i > 0 {
				_, _ = fmt.Fprintln(t.stdout, "---")
			}
			_, _ = fmt.Fprintln(t.stdout, "#", f.Name)
		}
		if _, err := io.WriteString(t.stdout, ended(f.Text)); err != nil {
			return err
		}
	}
	return nil
}

func (c *packShowCmd) earlier(t *tool) error {
	path, err := packPath(c.Name, "versions", strconv.FormatUint(c.Version, 10))
	if err != nil {
		return err
	}
	var v gateway.PackVersionView
	if err := c.call(t, apiCall{method: "GET", path: path, answer: &v}); err != nil {
		return err
	}
	switch {
	case c.JSON:
		return writeJSON(t.stdout, v)
	case !c.Diff:
		_, err = io.WriteString(t.stdout, ended(v.Text))
		return err
	}
	for _, line := range v.Diff {
		if line.Op == " " {
			continue
		}
		if _, err := fmt.Fprintf(t.stdout, "%s %4d  %s\n", line.Op, max(line.Old, line.New), line.Text); err != nil {
			return err
		}
	}
	return nil
}

// ended gives a text whose last line has an end.
func ended(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}
