package main

import (
	"io"
	"os"

	"github.com/colloquyhq/colloquy/intent"
)

// emotionCmd is `colloquy emotion`.
type emotionCmd struct {
	Data string `arg:"" help:"JSON lines with text and angry, which is true or false; lang and kind make rows of their own. - is standard input."`
	JSON bool   `help:"Print JSON."`
}

// Run implements the subcommand.
func (c *emotionCmd) Run(t *tool) error {
	in := io.Reader(os.Stdin)
	if c.Data != "-" {
		f, err := os.Open(c.Data)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	ear, err := intent.NewEar()
	if err != nil {
		return err
	}
	r, err := intent.EvaluateTone(ear, in)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	return r.Print(t.stdout)
}
