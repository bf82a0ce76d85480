package channels

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// problem is an error answer in the form of RFC 9457.
type problem struct {
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Code   conversation.Code `json:"code"`
	Detail string            `json:"detail,omitempty"`
}

// Refusal makes the answer for an error: status and code by its class, and the
// detail unless the fault is ours.
func Refusal(err error) Answer {
	row := conversation.CodeOf(err).Row()
	if ended(err) {
		row = conversation.CodeUnknownOutcome.Row()
	}
	p := problem{
		Type: "/problems/" + string(row.Code), Title: row.Means, Status: row.Status, Code: row.Code,
	}
	var e *conversation.Error
	if errors.As(err, &e) && !errors.Is(err, conversation.ErrInternal) {
		p.Detail = e.Detail
	}
	body, jsonErr := json.Marshal(p)
	if jsonErr != nil {
		body = nil
	}
	return Answer{Status: row.Status, Type: "application/problem+json", Body: body}
}

// ended reports whether the time for an answer ran out. Whatever was being
// stored then may be stored.
func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// transient reports whether the same delivery may succeed later.
func transient(err error) bool {
	return ended(err) || conversation.CodeOf(err).Row().Retry
}

// retryAfter gives the wait that an error asks for, at least a second.
func retryAfter(err error) time.Duration {
	var e *conversation.Error
	if errors.As(err, &e) {
		return max(e.After, time.Second)
	}
	return time.Second
}

// reply is an answer on its way out.
type reply struct {
	Answer

	after time.Duration // Retry-After; zero = not stated
	allow string        // methods, for 405
}

func (r reply) write(w http.ResponseWriter) {
	h := w.Header()
	if r.Type != "" {
		h.Set("Content-Type", r.Type)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if r.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int((r.after+time.Second-1)/time.Second)))
	}
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	_, _ = w.Write(r.Body) // a sender that has gone repeats the delivery
}
