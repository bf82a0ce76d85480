package persistence

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// halt ends the process when the disk can no longer be trusted: after a failed
// fsync nobody knows what is stored, and trying again would hide it. Where the
// process outlives that, because a test wants it to, the store answers nothing
// any more.
type halt struct {
	logger *slog.Logger
	fatal  func(reason string)
	once   sync.Once
	c      chan struct{}
}

func newHalt(logger *slog.Logger, fatal func(string)) *halt {
	if fatal == nil {
		fatal = func(string) { os.Exit(exitFatal) } //nolint:forbidigo // nothing after a failed fsync is worth a clean way out
	}
	return &halt{logger: logger, fatal: fatal, c: make(chan struct{})}
}

// exitFatal is the exit status after a disk failure.
const exitFatal = 70

func (h *halt) fail(err error) {
	h.once.Do(func() {
		close(h.c)
		h.logger.Error("storage failed, ending the process", "err", err)
		h.fatal(err.Error())
	})
}

func (h *halt) failed() bool {
	select {
	case <-h.c:
		return true
	default:
		return false
	}
}

// pebbleLogger is the Logger of the database.
type pebbleLogger struct {
	logger *slog.Logger
	halt   *halt
}

// Infof implements the Logger of the database.
func (l pebbleLogger) Infof(format string, args ...any) {
	l.logger.Debug("database", "detail", fmt.Sprintf(format, args...))
}

// Errorf implements the Logger of the database.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.logger.Warn("database", "detail", fmt.Sprintf(format, args...))
}

// Fatalf implements the Logger of the database: it ends the process.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.halt.fail(fmt.Errorf(format, args...)) //nolint:err113 // the database's own words
}
