package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote/conformance"
)

// intentConformanceCmd is `colloquy intent conformance`.
type intentConformanceCmd struct {
	packFlags

	URL     string        `arg:"" name:"url" help:"Where the server is; /v1/classify is added. The token is the setting intent.http.token."`
	Data    string        `help:"JSON lines with text and intent that the server has not learned: says how many it gets right, and what its confidences are worth. - is standard input." placeholder:"FILE"`
	Timeout time.Duration `help:"A request may take so long." default:"2s"`
	P99     time.Duration `help:"99 of 100 single utterances may take so long." name:"p99" default:"250ms"`
}

// Run implements the subcommand.
func (c *intentConformanceCmd) Run(t *tool) error {
	config, err := c.load(t, nil)
	if err != nil {
		return err
	}
	l, err := intent.Open(intent.Options{Dir: config.Packs.Dir})
	if err != nil {
		return err
	}
	samples, err := packSamples(l, c.Pack)
	if err != nil {
		return err
	}
	o := conformance.Options{
		URL: c.URL, Packs: c.Pack, Samples: samples, Token: config.Intent.HTTP.Token, Labels: l, Timeout: c.Timeout, P99: c.P99,
	}
	report, err := conformance.Run(t.ctx, o)
	if err != nil {
		return &failure{exitUsage, err}
	}
	out := struct {
		*conformance.Report

		Measured *conformance.Measured `json:"measured,omitempty"`
	}{Report: report}
	if c.Data != "" && report.Failed == 0 {
		if out.Measured, err = c.measure(t, o); err != nil {
			return err
		}
	}
	if c.JSON {
		err = writeJSON(t.stdout, out)
	} else if err = report.Print(t.stdout); err == nil && out.Measured != nil {
		err = out.Measured.Print(t.stdout)
	}
	if err == nil && report.Failed > 0 {
		err = &failure{code: exitFailed}
	}
	return err
}

// packSamples takes the titles of the packs' intents, which are questions in a
// visitor's words.
func packSamples(l *intent.Library, packs []string) ([]conformance.Sample, error) {
	var out []conformance.Sample
	for _, id := range l.IntentNames(packs) {
		for _, lang := range []string{"en", "zh"} {
			if p, ok := l.Playbook(packs, id, lang); ok && p.Title != "" {
				out = append(out, conformance.Sample{Text: p.Title, Intent: id, Lang: langOf(p.Title)})
			}
		}
	}
	if len(out) < 2 {
		return nil, conversation.Refusef(conversation.CodeNotFound, "the packs %s have no intents to ask about", strings.Join(packs, ", "))
	}
	return out, nil
}

// langOf tells the language of a title, which may be another than was asked for.
func langOf(s string) string {
	for _, r := range s {
		if r >= 0x3400 && r <= 0x9fff {
			return "zh"
		}
	}
	return "en"
}

func (c *intentConformanceCmd) measure(t *tool, o conformance.Options) (*conformance.Measured, error) {
	in := io.Reader(os.Stdin)
	if c.Data != "-" {
		f, err := os.Open(c.Data)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	questions, err := readQuestions(c.Data, in)
	if err != nil {
		return nil, err
	}
	return conformance.Measure(t.ctx, o, questions)
}

func readQuestions(name string, in io.Reader) ([]conformance.Sample, error) {
	var out []conformance.Sample
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var q conformance.Sample
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil || q.Text == "" || q.Intent == "" {
			return nil, fmt.Errorf("%s:%d: a line is a JSON object with text and intent", name, n)
		}
		out = append(out, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
