package persistence

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftSink writes what raft logs to ours. An election is an event in the life
// of a cluster, but nothing that somebody has to look at, so all but errors
// come out a level lower.
type raftSink struct{ logger *slog.Logger }

func newRaftLogger(logger *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Error})
	l.RegisterSink(raftSink{logger: logger})
	return l
}

// Accept implements [hclog.SinkAdapter].
func (s raftSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	attrs := []any{"detail", msg}
	for i := 0; i+1 < len(args); i += 2 {
		attrs = append(attrs, fmt.Sprint(args[i]), args[i+1])
	}
	switch level {
	case hclog.Error:
		s.logger.Error("raft", attrs...)
	case hclog.Warn:
		s.logger.Info("raft", attrs...)
	case hclog.NoLevel, hclog.Trace, hclog.Debug, hclog.Info, hclog.Off:
		s.logger.Debug("raft", attrs...)
	}
}
