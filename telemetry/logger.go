package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/colloquyhq/colloquy/conversation"
)

// LogFormat is how log records are written.
type LogFormat string

// The formats.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// NewLogger makes a logger that writes to w. A record that is logged with a context
// says where in a trace that is. Errors: an unknown level (debug,
// info, warn, error) or format.
func NewLogger(w io.Writer, format LogFormat, level string) (*slog.Logger, error) {
	var least slog.Level
	if level != "" {
		if err := least.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
		}
	}
	o := &slog.HandlerOptions{Level: least}
	switch format {
	case LogJSON, "":
		return slog.New(traced{slog.NewJSONHandler(w, o)}), nil
	case LogText:
		return slog.New(traced{slog.NewTextHandler(w, o)}), nil
	}
	return nil, fmt.Errorf("log format %q: use json or text", format)
}

// traced adds the ids of a trace. It is only called for records that are written.
type traced struct{ slog.Handler }

// Handle implements [slog.Handler].
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if at := conversation.TraceOf(ctx); !at.IsZero() {
		r.AddAttrs(slog.String("trace_id", at.ID.String()), slog.String("span_id", at.Span.String()))
	}
	return t.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }
