package assist

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxResponseBytes = 256 << 10
	maxDraftTokens   = 700
	defaultTimeout   = 12 * time.Second
	defaultInFlight  = 8
	// temperature near zero: a reply is to be right, not original.
	temperature = 0.2
)

// Options say which model drafts. The first block is needed; zero means the
// stated default in the second.
type Options struct {
	URL   string // an endpoint of the protocol; /chat/completions is added
	Model string
	HTTP  *http.Client // expected to refuse addresses that the operator has not allowed

	Token      string        // sent as a bearer token; empty = none
	Timeout    time.Duration // of a draft; default 12 s
	InFlight   int           // drafts at a time on this node; default 8
	Logger     *slog.Logger  // nil = silent
	Registerer prometheus.Registerer
}

// Client drafts.
//
// Concurrency: Draft may run many times at once; above Options.InFlight it
// refuses.
type Client struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	slots   chan struct{}
}

// New makes a client. It connects to nothing yet.
func New(o Options) (*Client, error) {
	if o.URL == "" || o.Model == "" || o.HTTP == nil {
		return nil, errors.New("assist: URL, model and an HTTP client are needed")
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{o: o, log: o.Logger.With("component", "assist"), metrics: newMetrics(o.Registerer), slots: make(chan struct{}, o.InFlight)}, nil
}

// Draft asks for one reply and gives its text, at most 4,000 characters.
//
// Errors: class overloaded when too many are under way; class unavailable when
// the model failed, was late, or gave nothing that could be used. Hints say which.
func (c *Client) Draft(ctx context.Context, p Prompt) (string, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		c.metrics.drafts.WithLabelValues(outcomeFull).Inc()
		return "", conversation.Refuse(conversation.CodeOverloaded, "too many drafts are being written")
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	began := time.Now()
	text, err := c.ask(ctx, &p)
	c.metrics.seconds.Observe(time.Since(began).Seconds())
	f := c.judge(ctx, err)
	c.metrics.drafts.WithLabelValues(f.outcome).Inc()
	if err == nil {
		return text, nil
	}
	if f.outcome != outcomeCanceled {
		c.log.Warn("no draft", "err", err)
	}
	return "", &conversation.Error{Code: conversation.CodeUnavailable, Detail: "there is no draft", Hint: f.hint, Err: err}
}

// fate is how a draft ended, and what an agent is told.
type fate struct{ outcome, hint string }

var (
	errMalformed = errors.New("the model's answer is not one of the protocol")
	errTooLarge  = errors.New("the model's answer is too large")
)

func (c *Client) judge(ctx context.Context, err error) fate {
	switch {
	case err == nil:
		return fate{outcome: outcomeDrafted}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fate{outcomeLate, "the model did not answer in time"}
	case ctx.Err() != nil:
		return fate{outcomeCanceled, "the request was given up"}
	case errors.Is(err, errTooLarge):
		return fate{outcomeTooLarge, "the model's answer is too long to be a reply"}
	case errors.Is(err, errMalformed):
		return fate{outcomeMalformed, "the model's answer is not usable"}
	}
	return fate{outcomeFailed, "the model cannot be reached or failed"}
}

// chatMessage, chatRequest and chatResponse are the part of the protocol that is
// used. There are no tools in it: a model that calls some has given no text.
type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type chatRequest struct {
	Model       string        `json:"model"`
	Messages    []chatMessage `json:"messages"`
	MaxTokens   int           `json:"max_tokens"`
	Temperature float64       `json:"temperature"`
	Stream      bool          `json:"stream"`
}

type chatResponse struct {
	Choices []struct {
		Message struct {
			Content *string `json:"content"`
		} `json:"message"`
	} `json:"choices"`
}

func (c *Client) ask(ctx context.Context, p *Prompt) (string, error) {
	body, err := json.Marshal(chatRequest{Model: c.o.Model, Messages: p.chat(), MaxTokens: maxDraftTokens, Temperature: temperature})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if c.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	res, err := c.o.HTTP.Do(req)
	if err != nil {
		return "", withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		// The body may repeat the prompt, which is what people wrote.
		return "", fmt.Errorf("the model's server answered with status %d", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxResponseBytes+1))
	if err != nil {
		return "", withoutURL(err)
	}
	return read(raw)
}

// withoutURL keeps the address out of logs that more people read than know it.
func withoutURL(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "\": "); i >= 0 {
		text = text[i+3:]
	}
	return errors.New(text)
}

// read takes the text out of an answer.
func read(raw []byte) (string, error) {
	if len(raw) > maxResponseBytes {
		return "", errTooLarge
	}
	var r chatResponse
	if err := json.Unmarshal(raw, &r); err != nil {
		return "", errMalformed
	}
	if len(r.Choices) == 0 || r.Choices[0].Message.Content == nil {
		return "", fmt.Errorf("%w: it has no text", errMalformed)
	}
	text := clean(*r.Choices[0].Message.Content)
	switch {
	case text == "":
		return "", fmt.Errorf("%w: its text is empty", errMalformed)
	case utf8.RuneCountInString(text) > maxDraftRunes:
		return "", errTooLarge
	}
	return text, nil
}
