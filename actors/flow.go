package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of a flow's look-up.
const (
	maxFlowResponseBytes = 256 << 10
	defaultFlowTimeout   = 3 * time.Second
	maxFlowTimeout       = 15 * time.Second
)

// errLookup says that a look-up failed in a way that only a human can mend.
var errLookup = errors.New("look-up failed")

// flows looks things up over HTTP. The client is expected to refuse addresses
// that the operator has not allowed.
type flows struct {
	client *http.Client
	b      *builtin
}

// configured reports whether a flow has an address to ask: its base variable is
// set.
func (f *flows) configured(flow *conversation.Flow, variables map[string]string) bool {
	everything := maps.Clone(variables)
	_, ok := fillURL(flow.URL, variables, withPlaceholders(flow.URL, everything))
	return ok
}

// withPlaceholders gives every name in a template a value, to test only whether
// the rest of it makes an address.
func withPlaceholders(template string, values map[string]string) map[string]string {
	expand(template, func(name string) string {
		if values[name] == "" {
			values[name] = "x"
		}
		return ""
	})
	return values
}

func (f *flows) binding(flow *conversation.Flow) *Binding {
	timeout := flow.Timeout
	if timeout <= 0 {
		timeout = defaultFlowTimeout
	}
	// A little more than the request gets, so that its own error is what is seen.
	return &Binding{Name: "flow:" + flow.Name, Timeout: min(timeout, maxFlowTimeout) + time.Second, Behavior: f}
}

// Turn implements [Behavior].
func (f *flows) Turn(ctx context.Context, t *Turn) (conversation.Outcome, error) {
	flow := t.Playbook.Flow
	timeout := flow.Timeout
	if timeout <= 0 {
		timeout = defaultFlowTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, min(timeout, maxFlowTimeout))
	defer cancel()
	status, body, err := f.fetch(ctx, flow, t)
	switch {
	case err != nil:
		return conversation.Outcome{}, fmt.Errorf("flow %s: %w: %w", flow.Name, errLookup, err)
	case status == http.StatusNotFound:
		return t.soften(f.notFound(t)), nil
	case status < 200 || status > 299:
		return conversation.Outcome{}, fmt.Errorf("flow %s: %w: status %d", flow.Name, errLookup, status)
	}
	out := f.b.settled(t, "")
	out.Replies = f.b.say(fillResponse(flow.Reply, f.b.values(t), body))
	if len(out.Replies) > 0 {
		out.Replies[0].Buttons = withMore(t.more, t.Playbook.Buttons)
	}
	return t.soften(f.b.beside(t, out)), nil
}

// withMore puts a button for each further value of a message before others.
func withMore(more []string, buttons []conversation.Button) []conversation.Button {
	if len(more) == 0 {
		return buttons
	}
	var out []conversation.Button
	for _, value := range more {
		out = append(out, conversation.Button{Label: value, Text: value})
	}
	out = append(out, buttons...)
	return out[:min(len(out), conversation.MaxButtons)]
}

// notFound says so, asks again and drops the slots: the visitor will want to give another
// number.
func (f *flows) notFound(t *Turn) conversation.Outcome {
	out := conversation.Outcome{
		Intent: t.Playbook.Intent, Slots: maps.Clone(t.Slots), Replies: f.b.say(f.b.fillText(t, t.Playbook.Flow.NotFound)), Denied: t.Choice.Denied,
	}
	for _, slot := range t.Playbook.Need {
		out.Slots[slot.Name] = "" // unknown again
	}
	if len(t.Playbook.Need) > 0 {
		out.Ask = t.Playbook.Need[0].Name
	}
	return out
}

func (f *flows) fetch(ctx context.Context, flow *conversation.Flow, t *Turn) (int, any, error) {
	address, ok := fillURL(flow.URL, f.b.variables(t), f.b.values(t))
	if !ok {
		return 0, nil, errors.New("the address is not complete")
	}
	method := flow.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", "application/json")
	for k, v := range flow.Headers {
		req.Header.Set(k, fillText(v, f.b.values(t)))
	}
	res, err := f.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.StatusCode, nil, nil
	}
	body, err := readJSON(res.Body)
	return res.StatusCode, body, err
}

// readJSON reads one value. Numbers stay as they are written: an order number
// must not come out as 1.2e+10.
func readJSON(r io.Reader) (body any, err error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxFlowResponseBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > maxFlowResponseBytes:
		return nil, fmt.Errorf("the response is over %d bytes", maxFlowResponseBytes)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&body); err != nil {
		return nil, fmt.Errorf("the response is not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the response is more than one JSON value")
	}
	return body, nil
}
