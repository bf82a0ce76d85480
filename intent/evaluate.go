package intent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// OutOfScope is the label of lines that no intent of the packs covers.
const OutOfScope = "out_of_scope"

const (
	maxEvalLineBytes = 1 << 20
	maxEvalLines     = 1_000_000
	maxLineErrors    = 20
)

// EvalOptions say what is evaluated.
type EvalOptions struct {
	Packs  []string // the model
	Domain string   // only lines of this domain; empty means all
}

// evalLine is one line of the input. Fields that are not listed are ignored.
type evalLine struct {
	Text   *string `json:"text"`
	Intent *string `json:"intent"`
	Lang   string  `json:"lang"`
	Domain string  `json:"domain"`
}

// judged is one labelled utterance with what was said about it.
type judged struct {
	text       string
	lang       string
	domain     string
	row        int32  // of the corpus, for lines of the packs themselves
	want       string // an intent or OutOfScope
	got        string // the best candidate, whatever its confidence
	confidence float32
	auto       float32
	suggest    float32
	offered    bool // want is among what would be offered when asking back
}

// answered reports whether the bot would have answered by itself.
func (j *judged) answered() bool { return j.got != "" && j.confidence >= j.auto }

// Evaluate classifies the labelled lines of r (JSON objects with text and
// intent, one a line) and reports how well that went.
//
// Errors: class [conversation.ErrInvalid] naming the numbers of lines that
// cannot be read, or a label that is neither an intent of the packs nor
// [OutOfScope].
func Evaluate(ctx context.Context, l *Library, o EvalOptions, r io.Reader) (EvalReport, error) {
	if err := l.Prepare(ctx, o.Packs); err != nil {
		return EvalReport{}, err
	}
	lines, err := readEvalLines(r, o.Domain, l.knows(o.Packs))
	if err != nil {
		return EvalReport{}, err
	}
	var p conversation.Prediction
	u := conversation.Utterance{Packs: o.Packs}
	var spent time.Duration
	for i := range lines {
		u.Text = conversation.Text(lines[i].text)
		start := l.options.Now()
		if err := l.Predict(ctx, &u, &p); err != nil {
			return EvalReport{}, err
		}
		spent += l.options.Now().Sub(start)
		lines[i].judge(&p)
	}
	report := newEvalReport(lines)
	report.Packs, report.Model = o.Packs, p.Model
	if len(lines) > 0 {
		report.MicrosPerUtterance = float64(spent.Nanoseconds()) / 1e3 / float64(len(lines))
	}
	return report, nil
}

func (j *judged) judge(p *conversation.Prediction) {
	best := p.Best()
	j.got, j.confidence, j.auto, j.suggest = best.Intent, best.Confidence, p.Auto, p.Suggest
	if j.lang == "" {
		j.lang = p.Lang
	}
	c := conversation.Policy{}.Choose(&conversation.State{}, p, conversation.Heard{})
	j.offered = slices.ContainsFunc(c.Offer, func(o conversation.Candidate) bool { return o.Intent == j.want })
}

// knows reports which labels the packs have.
func (l *Library) knows(packs []string) func(label string) bool {
	b := l.bundle(packs)
	return func(label string) bool {
		t := b.topic(label)
		return t != nil && !t.background
	}
}

func readEvalLines(r io.Reader, domain string, known func(string) bool) ([]judged, error) {
	return readLabelled(r, func(raw []byte) (judged, bool, error) { return readEvalLine(raw, domain, known) })
}

// readLabelled reads JSON lines, of which read gives one each, or says that it is
// not wanted. Errors: class [conversation.ErrInvalid] with the numbers of the
// lines that cannot be read, or when there is none.
func readLabelled[T any](r io.Reader, read func(raw []byte) (line T, keep bool, err error)) ([]T, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxEvalLineBytes)
	var out []T
	var errs []error
	number := 0
	for in.Scan() {
		number++
		raw := bytes.TrimPrefix(bytes.TrimSpace(in.Bytes()), []byte("\xef\xbb\xbf"))
		if len(raw) == 0 {
			continue
		}
		line, keep, err := read(raw)
		switch {
		case err != nil && len(errs) == maxLineErrors:
			return nil, errors.Join(append(errs, errors.New("more lines like these"))...)
		case err != nil:
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		case keep:
			out = append(out, line)
		}
		if number > maxEvalLines {
			return nil, conversation.Refusef(conversation.CodeTooLarge, "more than %d lines", maxEvalLines)
		}
	}
	if err := in.Err(); err != nil {
		errs = append(errs, fmt.Errorf("line %d: %w: %w", number+1, conversation.ErrInvalid, err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if len(out) == 0 {
		return nil, conversation.Refuse(conversation.CodeInvalid, "there is no line to evaluate")
	}
	return out, nil
}

func readEvalLine(raw []byte, domain string, known func(string) bool) (j judged, keep bool, err error) {
	var in evalLine
	if err := json.Unmarshal(raw, &in); err != nil {
		return j, false, &conversation.Error{Code: conversation.CodeInvalid, Detail: "not a JSON object with text and intent", Err: err}
	}
	if in.Text == nil || in.Intent == nil || *in.Intent == "" {
		return j, false, conversation.Refuse(conversation.CodeInvalid, "text or intent is missing")
	}
	if domain != "" && in.Domain != "" && in.Domain != domain {
		return j, false, nil
	}
	if *in.Intent != OutOfScope && !known(*in.Intent) {
		return j, false, conversation.Refusef(conversation.CodeInvalid, "the packs have no intent %q", *in.Intent)
	}
	return judged{text: *in.Text, lang: in.Lang, domain: in.Domain, want: *in.Intent}, true, nil
}
