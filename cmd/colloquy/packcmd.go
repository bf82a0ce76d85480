package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// packFlags choose the packs of an offline command.
type packFlags struct {
	configFlags

	Pack []string `help:"Pack to use; more than one are merged." required:""`
	JSON bool     `help:"Print JSON."`
}

func (f *packFlags) open(t *tool) (*intent.Library, error) {
	l, err := f.library(t)
	if err != nil {
		return nil, err
	}
	return l, l.Prepare(t.ctx, f.Pack)
}

// library opens the packs of a configuration; nothing is trained yet.
func (f *configFlags) library(t *tool) (*intent.Library, error) {
	config, err := f.load(t, nil)
	if err != nil {
		return nil, err
	}
	return intent.Open(intent.Options{Dir: config.Packs.Dir})
}

// predictCmd is `colloquy predict`.
type predictCmd struct {
	packFlags

	Lang string `help:"Language, if it is known: zh or en."`
	Text string `arg:"" help:"The sentence."`
}

// Run implements the subcommand.
func (c *predictCmd) Run(t *tool) error {
	l, err := c.open(t)
	if err != nil {
		return err
	}
	var p conversation.Prediction
	u := conversation.Utterance{Text: conversation.Text(c.Text), Lang: c.Lang, Packs: c.Pack}
	if err := l.Predict(t.ctx, &u, &p); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, p)
	}
	best := p.Best()
	decision := "hand over"
	switch {
	case best.Confidence >= p.Auto:
		decision = "answer"
	case best.Confidence >= p.Suggest:
		decision = "ask back"
	}
	if _, err := fmt.Fprintf(t.stdout, "%s (auto %.2f, suggest %.2f)  language %s  model %s\n", decision, p.Auto, p.Suggest, p.Lang, p.Model); err != nil {
		return err
	}
	for _, cand := range p.Candidates {
		if _, err := fmt.Fprintf(t.stdout, "  %.3f  %s\n", cand.Confidence, cand.Intent); err != nil {
			return err
		}
	}
	for _, e := range p.Entities {
		if _, err := fmt.Fprintf(t.stdout, "  %s = %s\n", e.Name, e.Value); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(t.stdout, "  nearest question: %s\n  tone: anger %.2f, abuse %.2f, threat %.2f\n", p.Nearest, p.Anger, p.Abuse, p.Threat)
	return err
}

// evaluateCmd is `colloquy evaluate`.
type evaluateCmd struct {
	packFlags

	Data   string `help:"JSON lines with text and intent; - is standard input. Without it the packs' own questions are cross-validated." placeholder:"FILE"`
	Domain string `help:"Only lines of this domain."`
}

// Run implements the subcommand.
func (c *evaluateCmd) Run(t *tool) error {
	l, err := c.open(t)
	if err != nil {
		return err
	}
	if c.Data == "" {
		return c.crossValidate(t, l)
	}
	in := io.Reader(os.Stdin)
	if c.Data != "-" {
		f, err := os.Open(c.Data)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	r, err := intent.Evaluate(t.ctx, l, intent.EvalOptions{Packs: c.Pack, Domain: c.Domain}, in)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	return r.Print(t.stdout)
}

func (c *evaluateCmd) crossValidate(t *tool, l *intent.Library) error {
	r, err := intent.CrossValidate(t.ctx, l, c.Pack)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, r)
	}
	if _, err := fmt.Fprintln(t.stdout, "Training questions, in folds:"); err != nil {
		return err
	}
	if err := r.Folds.Print(t.stdout); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(t.stdout, "\nTest questions:"); err != nil {
		return err
	}
	if err := r.Test.Print(t.stdout); err != nil {
		return err
	}
	word := "not yet"
	if r.Standing.Proven {
		word = "yes"
	}
	_, err = fmt.Fprintf(t.stdout, "\nanswers by itself: %s: %s\n", word, r.Standing.Reason)
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
