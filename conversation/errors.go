package conversation

import (
	"errors"
	"fmt"
	"time"
)

// The error classes. Everything that leaves a package of this module is one of
// them, or wraps one; the edge turns the class into a status.
var (
	ErrInvalid         = errors.New("invalid")         // the request is wrong and stays wrong
	ErrUnauthenticated = errors.New("unauthenticated") // nobody we know
	ErrForbidden       = errors.New("forbidden")       // somebody we know, not allowed
	ErrNotFound        = errors.New("not found")       // does not exist, or is not theirs to see
	ErrConflict        = errors.New("conflict")        // the state does not allow it now
	ErrTooLarge        = errors.New("too large")       // over a size limit
	ErrOverloaded      = errors.New("overloaded")      // a bounded queue or a rate limit is full; retry later
	ErrUnavailable     = errors.New("unavailable")     // certainly not done; retry with the same ref
	ErrUnknown         = errors.New("outcome unknown") // may be done; retry with the same ref
	ErrInternal        = errors.New("internal")        // our fault
)

// Error is a refusal or failure with a stable code. Its class and its cause
// are both found by [errors.Is].
type Error struct {
	Code    Code
	Detail  string        // for the person who reads it; may name ids, never message text
	Hint    string        // what to do about it, optional
	Allowed []string      // the transitions that would have been legal, if that is the point
	After   time.Duration // when to try again; zero means not stated
	Err     error         // cause, optional
}

// Error implements error.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the class of the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code.Class()}
	}
	return []error{e.Code.Class(), e.Err}
}

// Refuse makes an [Error] from a code and a sentence.
func Refuse(code Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// Refusef is [Refuse] with formatting. Arguments must not hold message text.
func Refusef(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// CodeOf finds the code of an error. Errors without one get the general code
// of their class, and [CodeInternal] when they have no class either.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	for _, c := range generalCodes() {
		if errors.Is(err, c.Class()) {
			return c
		}
	}
	return CodeInternal
}
