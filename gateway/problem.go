package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// problem turns an error into what its receiver is told. What went wrong
// inside stays inside: a 5xx carries its code and the request's id, no detail.
func (g *Gateway) problem(err error, requestID string) wire.Problem {
	err = classify(err)
	row := conversation.CodeOf(err).Row()
	p := wire.Problem{
		Kind: "/problems/" + string(row.Code), Title: row.Means, Status: row.Status, Code: row.Code,
		Retry: row.Retry, Instance: requestID, RequestID: requestID,
	}
	var e *conversation.Error
	if errors.As(err, &e) {
		p.Hint, p.Allowed, p.RetryAfterMS = e.Hint, e.Allowed, e.After.Milliseconds()
		if row.Status < http.StatusInternalServerError {
			p.Detail = e.Detail
		}
	}
	if row.Code == conversation.CodeInternal {
		g.log.Error("request failed", slog.String("request_id", requestID), slog.Any("err", err))
	}
	return p
}

// statusError is an error of HTTP itself, whose status is not the one of its
// code.
type statusError struct {
	status int
	err    error
}

// Error implements error.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *statusError) Unwrap() error { return e.err }

func errMethod() error {
	return &statusError{
		status: http.StatusMethodNotAllowed,
		err:    conversation.Refuse(conversation.CodeInvalid, "this address does not take this method; the header Allow lists the ones it takes"),
	}
}

// classify gives the errors of the standard library that cross the edge their
// class.
func classify(err error) error {
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return conversation.Refusef(conversation.CodeTooLarge, "the body is over %d bytes", big.Limit)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &conversation.Error{Code: conversation.CodeUnknownOutcome, Err: err}
	}
	return err
}

// refuse answers a request with a problem.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := g.problem(err, requestIDOf(w))
	var se *statusError
	if errors.As(err, &se) {
		p.Status, p.Title = se.status, http.StatusText(se.status)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.RetryAfterMS > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(p.RetryAfterMS)/1000))))
	} else if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="colloquy"`)
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(encodeProblem(p, err)) //nolint:gosec // JSON under its own type, with nosniff
	}
}

// encodeProblem writes a problem, with the list of a refused pack.
func encodeProblem(p wire.Problem, cause error) []byte {
	body := struct {
		wire.Problem

		Problems []PackProblem `json:"problems,omitempty"`
	}{Problem: p}
	var bad *PackRefusedError
	if errors.As(cause, &bad) {
		body.Problems = bad.Problems
	}
	b, err := json.Marshal(body)
	if err != nil { // strings and numbers only
		return []byte(`{"status":500,"code":"internal"}`)
	}
	return append(b, '\n')
}
