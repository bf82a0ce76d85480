package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// LogFormat is how log records are written.
type LogFormat string

// The formats.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// NewLogger makes a logger that writes to w. Errors: an unknown level (debug,
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
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case LogText:
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: use json or text", format)
}
