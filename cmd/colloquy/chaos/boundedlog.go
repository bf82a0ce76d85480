package chaos

import (
	"errors"
	"os"
	"sync"
)

// logBytes is how large one file of a node's log gets; two are kept.
const logBytes = 8 << 20

// boundedLog writes a log to a file and begins a new one when it is full,
// keeping the one before.
type boundedLog struct {
	path string
	mu   struct {
		sync.Mutex
		file *os.File
		size int64
	}
}

func newBoundedLog(path string) (*boundedLog, error) {
	l := &boundedLog{path: path}
	return l, l.begin()
}

// begin opens an empty file; the lock is held, or nobody else knows the log.
func (l *boundedLog) begin() error {
	f, err := os.Create(l.path)
	if err != nil {
		return err
	}
	l.mu.file, l.mu.size = f, 0
	return nil
}

// Write implements [io.Writer].
func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.file == nil {
		return 0, os.ErrClosed
	}
	if l.mu.size+int64(len(p)) > logBytes {
		err := errors.Join(l.mu.file.Close(), os.Rename(l.path, l.path+".1"))
		l.mu.file = nil
		if err == nil {
			err = l.begin()
		}
		if err != nil {
			return 0, err
		}
	}
	n, err := l.mu.file.Write(p)
	l.mu.size += int64(n)
	return n, err
}

// Close ends the log.
func (l *boundedLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.file == nil {
		return nil
	}
	err := l.mu.file.Close()
	l.mu.file = nil
	return err
}
