package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/colloquyhq/colloquy/intent"
)

// intentTestCmd is `colloquy intent test`.
type intentTestCmd struct {
	configFlags

	Pack         []string `arg:"" help:"Pack to test; more than one are merged."`
	MinAccuracy  float64  `help:"Exit with 1 when fewer questions than this share (0 to 1) are understood." placeholder:"SHARE"`
	MinPrecision float64  `help:"Exit with 1 when a smaller share (0 to 1) of the answers is right." placeholder:"SHARE"`
	MinQuestions int      `help:"Questions that an intent should have in each language." default:"10"`
	JSON         bool     `help:"Print JSON."`
}

// Run implements the subcommand.
func (c *intentTestCmd) Run(t *tool) error {
	l, err := c.library(t)
	if err != nil {
		return err
	}
	r, err := intent.TestPacks(t.ctx, l, intent.TestOptions{Packs: c.Pack, MinQuestions: c.MinQuestions})
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(t.stdout, r)
	} else {
		err = r.Print(t.stdout, terminalWidth(t))
	}
	if err != nil {
		return err
	}
	return c.judge(r)
}

// judge says what is below what was asked for.
func (c *intentTestCmd) judge(r *intent.PackReport) error {
	var short []string
	if got := r.Folds.Accuracy; got < c.MinAccuracy {
		short = append(short, fmt.Sprintf("accuracy is %.4f, asked for are %.4f", got, c.MinAccuracy))
	}
	if got := r.Folds.Precision; got < c.MinPrecision {
		short = append(short, fmt.Sprintf("precision is %.4f, asked for are %.4f", got, c.MinPrecision))
	}
	if len(short) == 0 {
		return nil
	}
	return &failure{exitFailed, fmt.Errorf("%s: %s", strings.Join(c.Pack, " + "), strings.Join(short, "; "))}
}

// terminalWidth gives the columns of the terminal that is written to, or zero
// when it is none and COLUMNS does not say.
func terminalWidth(t *tool) int {
	for _, v := range t.environ {
		if s, ok := strings.CutPrefix(v, "COLUMNS="); ok {
			if n, err := strconv.Atoi(s); err == nil && n > 0 {
				return n
			}
		}
	}
	return columnsOf(t.stdout)
}

func columnsOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
