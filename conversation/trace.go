package conversation

import (
	"context"
	"encoding/hex"
)

// TraceID names everything that one message of a visitor set in motion. The
// zero value means "none".
type TraceID [16]byte

// String gives 32 hexadecimal digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// ParseTraceID reads what String gives. Errors: class invalid.
func ParseTraceID(s string) (TraceID, error) {
	var id TraceID
	if !lowerHex(s) || len(s) != hex.EncodedLen(len(id)) {
		return id, Refuse(CodeInvalid, "the id of a trace has 32 hexadecimal digits")
	}
	_, _ = hex.Decode(id[:], []byte(s)) // the digits have been checked
	return id, nil
}

// MarshalText implements [encoding.TextMarshaler].
func (id TraceID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *TraceID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseTraceID(string(b))
	return err
}

// SpanID names one piece of work in a trace. The zero value means "none".
type SpanID [8]byte

// String gives 16 hexadecimal digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (id SpanID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *SpanID) UnmarshalText(b []byte) error {
	if s := string(b); !lowerHex(s) || len(s) != hex.EncodedLen(len(id)) {
		return Refuse(CodeInvalid, "the id of a span has 16 hexadecimal digits")
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// Trace is a place in a trace: what is passed on so that the work of others
// finds its place below it. The zero value means that nothing is traced.
type Trace struct {
	ID      TraceID
	Span    SpanID
	Sampled bool // somebody has decided already that this trace is kept
}

// IsZero reports whether nothing is traced.
func (t Trace) IsZero() bool { return t.ID == TraceID{} }

// The layout of a traceparent, version 00: version-trace-span-flags.
// Source: W3C Trace Context, section 3.2.
const (
	traceparentLen = 55
	traceAt        = 3
	spanAt         = 36
	flagsAt        = 53
	flagSampled    = 1
)

// ParseTraceparent reads the header of the same name. What is not well formed
// counts as not there, as the specification wants it.
func ParseTraceparent(s string) Trace {
	if len(s) < traceparentLen || s[2] != '-' || s[spanAt-1] != '-' || s[flagsAt-1] != '-' {
		return Trace{}
	}
	version := s[:2]
	later := version != "00" && len(s) > traceparentLen && s[traceparentLen] == '-'
	if version == "ff" || len(s) != traceparentLen && !later {
		return Trace{}
	}
	s = s[:traceparentLen]
	if !lowerHex(version) || !lowerHex(s[traceAt:spanAt-1]) || !lowerHex(s[spanAt:flagsAt-1]) || !lowerHex(s[flagsAt:]) {
		return Trace{}
	}
	var t Trace
	var flags [1]byte
	_, _ = hex.Decode(t.ID[:], []byte(s[traceAt:spanAt-1])) // the digits have been checked
	_, _ = hex.Decode(t.Span[:], []byte(s[spanAt:flagsAt-1]))
	_, _ = hex.Decode(flags[:], []byte(s[flagsAt:]))
	if t.IsZero() || t.Span == (SpanID{}) {
		return Trace{}
	}
	t.Sampled = flags[0]&flagSampled != 0
	return t
}

// Traceparent writes the header; empty when nothing is traced.
func (t Trace) Traceparent() string {
	if t.IsZero() {
		return ""
	}
	flags := "00"
	if t.Sampled {
		flags = "01"
	}
	return "00-" + t.ID.String() + "-" + t.Span.String() + "-" + flags
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

type traceKey struct{}

// WithTrace gives a context for work that belongs below t.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf gives the place in a trace that ctx carries; zero for none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}
