package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxReply      = 1 << 20
	maxRetryAfter = 24 * time.Hour
)

// Call is one call to a provider.
type Call struct {
	Method string // empty = POST
	URL    string
	Header http.Header
	JSON   any        // body; nil = none
	Form   *Form      // body instead, with a file; nil = none
	Values url.Values // body instead, as a form without files; nil = none
}

// Reply is what a provider answered.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON reads the answer. An answer that cannot be read leaves open what was
// done. Errors: [*SendError] of class Unknown, without the answer in it.
func (r Reply) JSON(v any) error {
	if json.Unmarshal(r.Body, v) != nil {
		return &SendError{Class: Unknown, Code: "answer_unreadable"}
	}
	return nil
}

// Do makes a call. It follows no redirect and reads at most 1 MiB.
//
// Errors: [*SendError], classed by [StatusClass], or by whether the call can have
// reached the provider. Errors never hold the address, in which some providers
// want tokens. After a status that is no success the Reply is set all the same,
// since most providers say more in the body.
func Do(ctx context.Context, client *http.Client, c Call) (Reply, error) {
	var sent atomic.Bool
	req, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}))
	if err != nil {
		return Reply{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return Reply{}, notCarried(ctx, err, &sent)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	out := Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}
	if class := StatusClass(resp.StatusCode); class != "" {
		failure := &SendError{Class: class, Code: "http_" + strconv.Itoa(resp.StatusCode), After: RetryAfter(resp.Header, time.Now())}
		if class == Auth {
			failure.Scope = ScopeAccount
		}
		return out, failure
	}
	if err != nil {
		return out, &SendError{Class: Unknown, Code: "answer_cut"}
	}
	return out, nil
}

func (c Call) request(ctx context.Context) (*http.Request, error) {
	method := c.Method
	if method == "" {
		method = http.MethodPost
	}
	var body io.Reader = http.NoBody
	kind, size := "", int64(0)
	switch {
	case c.JSON != nil:
		b, err := EncodeJSON(c.JSON)
		if err != nil {
			return nil, &SendError{Class: Permanent, Code: "not_encodable"}
		}
		body, kind = bytes.NewReader(b), "application/json"
	case c.Form != nil:
		var err error
		if body, kind, size, err = c.Form.body(); err != nil {
			return nil, &SendError{Class: Permanent, Code: "not_encodable"}
		}
	case c.Values != nil:
		body, kind = strings.NewReader(c.Values.Encode()), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL, body)
	if err != nil || req.URL.Host == "" || req.URL.User != nil {
		return nil, &SendError{Class: Permanent, Scope: ScopeAccount, Code: "bad_address"}
	}
	maps.Copy(req.Header, c.Header)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if size > 0 {
		req.ContentLength = size
	}
	return req, nil
}

// notCarried classes a call that got no answer: when no byte of it was written
// it was certainly not taken.
func notCarried(ctx context.Context, err error, sent *atomic.Bool) *SendError {
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	out := &SendError{Class: Retry, Code: "transport", Err: err}
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || ctx.Err() != nil
	if ended {
		out.Code = "timeout"
	}
	if ended || sent.Load() {
		out.Class = Unknown
	}
	return out
}

// EncodeJSON writes JSON without the escapes that are meant for HTML pages,
// which some providers show to people as they are.
func EncodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// StatusClass says what a status means where the provider's documentation has
// nothing else; empty for success. A gateway in between that fails leaves open
// whether the message was taken.
func StatusClass(status int) Class {
	switch {
	case status >= 200 && status <= 299:
		return ""
	case status == http.StatusTooManyRequests:
		return Limited
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Auth
	case status == http.StatusRequestTimeout, status == http.StatusInternalServerError, status == http.StatusServiceUnavailable:
		return Retry
	case status >= 500:
		return Unknown
	}
	return Permanent
}

// RetryAfter reads the header Retry-After: seconds or a date; anything else
// counts as not stated.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	s := h.Get("Retry-After")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
