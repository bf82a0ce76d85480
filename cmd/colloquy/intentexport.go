package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/formats"
)

// intentExportCmd is `colloquy intent export`.
type intentExportCmd struct {
	configFlags

	Pack   []string `help:"Pack to write, with what it extends; more than one are merged." required:"" placeholder:"NAME"`
	Format string   `help:"Form to write: ${enum}." enum:"yaml,json,csv,xlsx,rasa" default:"xlsx"`
	Out    string   `help:"Folder to write into." default:"." placeholder:"DIR"`
	Force  bool     `help:"Overwrite files."`
}

// Run implements the subcommand.
func (c *intentExportCmd) Run(t *tool) error {
	l, err := c.library(t)
	if err != nil {
		return err
	}
	contents, err := l.Contents(t.ctx, c.Pack)
	if err != nil {
		return err
	}
	out, err := formats.Write(&contents, formats.Format(c.Format))
	if err != nil {
		return err
	}
	for _, f := range out.Files {
		name := filepath.Join(c.Out, filepath.FromSlash(f.Name))
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) && !c.Force {
			return conversation.Refusef(conversation.CodeConflict, "%s is there already; choose another --out, or --force to overwrite it", name)
		}
	}
	if err := writeFiles(c.Out, out.Files); err != nil {
		return err
	}
	return c.print(t.stdout, &contents, out)
}

func (c *intentExportCmd) print(w io.Writer, contents *intent.Contents, out formats.Output) error {
	questions := 0
	for i := range contents.Intents {
		for _, q := range contents.Intents[i].Ask {
			questions += len(q)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d intents, %d questions\n", strings.Join(c.Pack, " + "), len(contents.Intents), questions)
	for _, f := range out.Files {
		fmt.Fprintf(&b, "  → %s\n", filepath.Join(c.Out, filepath.FromSlash(f.Name)))
	}
	printRemarks(&b, "Changed", formats.Changed, out.Remarks)
	printRemarks(&b, "Left out", formats.LeftOut, out.Remarks)
	_, err := io.WriteString(w, b.String())
	return err
}
