package conversation_test

import (
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestTraceparent(t *testing.T) {
	t.Parallel()
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, c := range []struct {
		name, in string
		want     string // of writing it again; empty = nothing is traced
	}{
		{"sampled", "00-" + id + "-" + span + "-01", "00-" + id + "-" + span + "-01"},
		{"not sampled", "00-" + id + "-" + span + "-00", "00-" + id + "-" + span + "-00"},
		{"other flags", "00-" + id + "-" + span + "-03", "00-" + id + "-" + span + "-01"},
		{"later version with more fields", "01-" + id + "-" + span + "-01-more", "00-" + id + "-" + span + "-01"},
		{"version 00 with more fields", "00-" + id + "-" + span + "-01-more", ""},
		{"later version with a longer flag", "01-" + id + "-" + span + "-011", ""},
		{"version ff", "ff-" + id + "-" + span + "-01", ""},
		{"zero trace", "00-00000000000000000000000000000000-" + span + "-01", ""},
		{"zero span", "00-" + id + "-0000000000000000-01", ""},
		{"upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01", ""},
		{"no hexadecimal", "00-" + id + "-" + span + "-0g", ""},
		{"cut", "00-" + id + "-" + span, ""},
		{"empty", "", ""},
	} {
		if got := conversation.ParseTraceparent(c.in).Traceparent(); got != c.want {
			t.Errorf("%s: ParseTraceparent(%q).Traceparent() = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestTraceTravelsInContexts(t *testing.T) {
	t.Parallel()
	at := conversation.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if got := conversation.TraceOf(conversation.WithTrace(t.Context(), at)); got != at {
		t.Errorf("TraceOf(WithTrace(%v)) = %v", at, got)
	}
	if got := conversation.TraceOf(conversation.WithTrace(t.Context(), conversation.Trace{})); !got.IsZero() {
		t.Errorf("TraceOf of no trace = %v, want none", got)
	}
}

func TestParseTraceID(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	if got, err := conversation.ParseTraceID(id); err != nil || got.String() != id {
		t.Errorf("ParseTraceID(%q) = %v, %v", id, got, err)
	}
	for _, bad := range []string{"", "4b", id + "00", "../../../../../../etc/passwd.....", "4BF92F3577B34DA6A3CE929D0E0E4736"} {
		if _, err := conversation.ParseTraceID(bad); conversation.CodeOf(err) != conversation.CodeInvalid {
			t.Errorf("ParseTraceID(%q) = %v, want class invalid", bad, err)
		}
	}
}

func FuzzParseTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, s string) {
		at := conversation.ParseTraceparent(s)
		if again := conversation.ParseTraceparent(at.Traceparent()); again != at {
			t.Errorf("%q is read as %v, written and read again as %v", s, at, again)
		}
	})
}
