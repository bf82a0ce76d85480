package lab

import (
	"strings"
	"sync"
)

// logTail is how much of a log is kept in memory.
const logTail = 64 << 10

// Tail keeps the end of a log.
type Tail struct {
	mu struct {
		sync.Mutex
		lines []string
		bytes int
	}
}

// Add takes a line.
func (t *Tail) Add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.lines = append(t.mu.lines, line)
	t.mu.bytes += len(line)
	for t.mu.bytes > logTail && len(t.mu.lines) > 1 {
		t.mu.bytes -= len(t.mu.lines[0])
		t.mu.lines = t.mu.lines[1:]
	}
}

// String gives what is kept.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.mu.lines, "\n")
}
