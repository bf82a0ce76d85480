package telemetry

import (
	"bytes"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestLogSaysWhereInTheTrace(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, err := NewLogger(&b, LogJSON, "warn")
	if err != nil {
		t.Fatal(err)
	}
	at := conversation.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	ctx := conversation.WithTrace(t.Context(), at)
	log.With("component", "test").WarnContext(ctx, "traced")
	log.WarnContext(t.Context(), "plain")
	log.InfoContext(ctx, "quiet")
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"component":"test","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"`) ||
		strings.Contains(lines[1], "trace_id") {
		t.Errorf("log = %q", lines)
	}
}
