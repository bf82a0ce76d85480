package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// request asks about a batch and settles each of its utterances.
func (c *Client) request(batch []*asked) {
	until, as := batch[0].until, passNormal
	us := make([]*conversation.Utterance, len(batch))
	for i, a := range batch {
		us[i], as = a.u, max(as, a.as)
		if a.until.After(until) {
			until = a.until
		}
	}
	// One of several turns is enough to find the request by.
	ctx, cancel := context.WithDeadline(conversation.WithTrace(c.base, batch[0].trace), until)
	defer cancel()
	began := time.Now()
	r, err := c.post(ctx, us)
	answers, errs := make([]Answer, len(batch)), make([]error, len(batch))
	if err == nil {
		err = c.read(r, us, answers, errs)
	}
	if c.base.Err() != nil {
		err = ErrFailed // Close has ended it; the backend is not to blame
	} else {
		c.report(err, as, len(batch), began)
	}
	for i, a := range batch {
		if err != nil {
			errs[i] = err
		}
		c.settle(a, answers[i], errs[i])
	}
}

// report tells metrics, breaker and log how a request went. A server that
// declines is alive; one whose every answer is unusable is not.
func (c *Client) report(err error, as pass, size int, began time.Time) {
	now := time.Now()
	c.metrics.batch.Observe(float64(size))
	c.metrics.seconds.Observe(now.Sub(began).Seconds())
	c.metrics.requests.WithLabelValues(outcomeOf(err)).Inc()
	var turned change
	if err == nil {
		turned = c.breaker.succeeded(as)
	} else {
		turned = c.breaker.failed(as, now)
	}
	switch turned {
	case changeNone:
	case changeOpened:
		c.metrics.open.Set(1)
		c.metrics.opened.Inc()
		c.log.Warn("intent backend given up for a while, the built-in engine answers", "err", err)
	case changeClosed:
		c.metrics.open.Set(0)
		c.log.Info("intent backend answers again")
	}
}

// post sends a batch and gives the parsed body.
func (c *Client) post(ctx context.Context, us []*conversation.Utterance) (*Response, error) {
	body, err := json.Marshal(requestOf(us))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL+Path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	Dress(req, c.o.Token)
	res, err := c.o.HTTP.Do(req)
	if err != nil {
		return nil, failure(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, refusal(res)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != ContentType {
		return nil, invalid("its Content-Type is not %s", ContentType)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, MaxResponseBytes+1))
	if err != nil {
		return nil, failure(ctx, err)
	}
	return ReadResponse(raw, len(us))
}

// Dress gives a request the headers of the protocol. Classifying twice does no
// harm, so the transport may send it again when a kept connection turns out to
// be closed.
func Dress(req *http.Request, token string) {
	req.Header.Set("Content-Type", ContentType)
	req.Header.Set("Accept", ContentType)
	req.Header.Set(HeaderRequestID, rand.Text())
	req.Header["Idempotency-Key"] = nil // read by net/http and not sent
	if until, ok := req.Context().Deadline(); ok {
		req.Header.Set(HeaderDeadline, strconv.FormatInt(deadlineHeader(time.Until(until)), 10))
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
}

// failure names a request that got no whole answer. The URL stays out: the
// operator knows it, and a log is read by more people.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrLate
	}
	text := err.Error()
	if i := strings.LastIndex(text, "\": "); i >= 0 {
		text = text[i+3:] // url.Error puts method and address in front
	}
	return fmt.Errorf("%w: %s", ErrFailed, clip(text))
}

// refusal names an answer with another status than 200. Its message may repeat
// what a visitor wrote, so only the code is kept.
func refusal(res *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBytes))
	var body struct {
		Error Problem `json:"error"`
	}
	code := ""
	if json.Unmarshal(raw, &body) == nil && isName(body.Error.Code) {
		code = " " + body.Error.Code
	}
	return fmt.Errorf("%w: it answered with status %d%s", ErrFailed, res.StatusCode, code)
}

// ReadResponse reads the body of an answer to n utterances, without looking into
// its results.
func ReadResponse(raw []byte, n int) (*Response, error) {
	if len(raw) > MaxResponseBytes {
		return nil, invalid("it is over %d bytes", MaxResponseBytes)
	}
	var r Response
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, invalid("it is not the JSON of the protocol: %s", jsonReason(err))
	}
	switch {
	case !isName(r.Model):
		return nil, invalid("model is not a name of 1 to %d letters, digits, _, - and .", MaxNameBytes)
	case r.Version != "" && !isName(r.Version):
		return nil, invalid("version is not a name of up to %d letters, digits, _, - and .", MaxNameBytes)
	case len(r.Results) != n:
		return nil, invalid("%d results for %d utterances", len(r.Results), n)
	}
	return &r, nil
}

// ModelName joins what a response says about its model.
func (r *Response) ModelName() string {
	if r.Version == "" {
		return r.Model
	}
	return r.Model + "@" + r.Version
}

// read checks each result. The error is that of the request: all of them were
// unusable.
func (c *Client) read(r *Response, us []*conversation.Utterance, answers []Answer, errs []error) error {
	model := r.ModelName()
	var bad *InvalidError
	usable := 0
	for i, raw := range r.Results {
		u, err := Check(raw, us[i], c.o.Labels, c.o.Foreign)
		answers[i], errs[i] = Answer{Understood: u, Model: model}, err
		if err == nil || !errors.As(err, &bad) {
			usable++
		}
	}
	if usable == 0 {
		return bad
	}
	if bad != nil {
		c.log.Debug("some answers of the intent backend are not usable", "err", bad)
	}
	return nil
}
