// Package conformance asks an intent backend everything that the protocol of
// package remote promises, and says what does not hold. It is what
// `colloquy intent conformance` runs.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent/remote"
)

// Options say what is checked. The first block is needed; zero means the stated
// default in the second.
type Options struct {
	URL     string
	Packs   []string // that the server has learned
	Samples []Sample // two at least, of different intents

	Token   string        // sent as a bearer token; empty = none
	HTTP    *http.Client  // default: a plain one
	Labels  remote.Labels // of the packs; nil = any well-formed name goes
	Timeout time.Duration // a request may take so long; default 2 s
	P99     time.Duration // and 99 of 100 single utterances so long; default 250 ms
	Calls   int           // of the latency figures; default 200
}

// Sample is a question that the server may be asked.
type Sample struct {
	Text   string `json:"text"`
	Intent string `json:"intent"`
	Lang   string `json:"lang,omitempty"`
}

// Check is one thing that has to hold.
type Check struct {
	Name   string  `json:"name"`
	What   string  `json:"what"`
	Passed bool    `json:"passed"`
	Detail string  `json:"detail,omitempty"` // why it does not hold
	TookMS float64 `json:"took_ms"`
}

// Latency holds milliseconds of single utterances, one after the other.
type Latency struct {
	Calls int     `json:"calls"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Report is what a run found.
type Report struct {
	URL     string  `json:"url"`
	Model   string  `json:"model"`
	Checks  []Check `json:"checks"`
	Failed  int     `json:"failed"`
	Latency Latency `json:"latency"`
	Rate    float64 `json:"utterances_per_second"` // in batches of 16, 4 at a time
}

// Run checks a server. The error is that of the options or of ctx; what the
// server does wrong stands in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	s, err := newSession(o)
	if err != nil {
		return nil, err
	}
	r := &Report{URL: s.o.URL}
	for _, c := range table() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		err := c.run(ctx, s)
		check := Check{Name: c.name, What: c.what, Passed: err == nil, TookMS: float64(time.Since(began).Microseconds()) / 1000}
		if err != nil {
			check.Detail = err.Error()
			r.Failed++
		}
		r.Checks = append(r.Checks, check)
		if err != nil && c.decisive() {
			break
		}
	}
	r.Model, r.Latency, r.Rate = s.model, s.latency, s.rate
	return r, ctx.Err()
}

func newSession(o Options) (*session, error) {
	if _, err := remote.ParseURL(o.URL); err != nil {
		return nil, fmt.Errorf("the URL %w", err)
	}
	if len(o.Packs) == 0 || len(o.Samples) < 2 {
		return nil, errors.New("a pack and two sample questions at least are needed")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&o.Timeout, 2 * time.Second}, {&o.P99, 250 * time.Millisecond}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	if o.Calls <= 0 {
		o.Calls = 200
	}
	return &session{o: o}, nil
}

// Print writes a report for people.
func (r *Report) Print(w io.Writer) error {
	p := &printer{w: w}
	p.line("%s  %s", r.URL, r.Model)
	for _, c := range r.Checks {
		mark := "ok    "
		if !c.Passed {
			mark = "FAILED"
		}
		p.line("%s  %-24s %s", mark, c.Name, c.What)
		if c.Detail != "" {
			p.line("        %s", c.Detail)
		}
	}
	if l := r.Latency; l.Calls > 0 {
		p.line("latency of %d single utterances: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, at most %.1f ms", l.Calls, l.P50, l.P95, l.P99, l.Max)
	}
	if r.Rate > 0 {
		p.line("in batches of 16, 4 at a time: %.0f utterances a second", r.Rate)
	}
	p.line("%d of %d checks passed", len(r.Checks)-r.Failed, len(r.Checks))
	return p.err
}

// printer keeps the first error of its writer.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// utterance makes what the checker compares a result with.
func utterance(u remote.Utterance) *conversation.Utterance {
	return &conversation.Utterance{Text: conversation.Text(u.Text), Packs: u.Packs, Lang: u.Lang}
}
