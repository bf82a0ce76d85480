package channels

import (
	"errors"
	"fmt"
	"time"
)

// Class says what a failed send means for the message. The class decides what
// happens next; see [Next].
type Class string

// The classes.
const (
	Permanent    Class = "permanent"     // this message will never be taken
	Retry        Class = "retry"         // certainly not taken; may be taken later
	Unknown      Class = "unknown"       // may have been taken
	Auth         Class = "auth"          // our credential is not accepted
	Limited      Class = "limited"       // too fast; wait
	WindowClosed Class = "window_closed" // the provider wants the visitor to write first
	Gone         Class = "gone"          // the peer, or the whole account, is not there any more
)

// Classes lists all of them.
func Classes() []Class {
	return []Class{Permanent, Retry, Unknown, Auth, Limited, WindowClosed, Gone}
}

// Scope says how far a failure reaches.
type Scope uint8

// The scopes.
const (
	ScopePeer    Scope = iota // this peer only
	ScopeAccount              // everything that the account sends
)

// SendError is a send that failed. It never holds message text.
type SendError struct {
	Class Class
	Scope Scope
	Code  string        // the provider's code or our own slug, such as http_503
	After time.Duration // when the provider says to come back; zero means not stated
	Once  bool          // the provider does not drop a repetition of this call, whatever Limits.Idempotent says
	Idle  bool          // no call was made: it was not this message's turn
	Sent  int           // parts of the message that had arrived before; zero = none of it
	Parts int           // that the message has, where Sent is set
	Err   error         // cause, optional
}

// Error implements error.
func (e *SendError) Error() string {
	s := "send: " + e.Detail()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Detail gives class and code, and how much of the message arrived if that is not
// nothing, as they are kept with the message.
func (e *SendError) Detail() string {
	s := string(e.Class)
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Sent > 0 {
		s += fmt.Sprintf(" (%d of %d parts sent)", e.Sent, e.Parts)
	}
	return s
}

// behind says that parts of the message had arrived before this one failed.
func (e *SendError) behind(sent, parts int) *SendError {
	out := *e
	out.Sent, out.Parts = sent, parts
	return &out
}

// ClassOf gives the class of a failed call; empty for nil.
func ClassOf(err error) Class {
	if failure := classified(err); failure != nil {
		return failure.Class
	}
	return ""
}

// classified makes a SendError of whatever a driver returned. An error without
// a class leaves open whether the message was taken, so it is Unknown.
func classified(err error) *SendError {
	if err == nil {
		return nil
	}
	var e *SendError
	if errors.As(err, &e) {
		return e
	}
	return &SendError{Class: Unknown, Code: "unclassified", Err: err}
}
