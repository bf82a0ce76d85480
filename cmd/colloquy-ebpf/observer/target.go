package observer

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// target is the program or process that is observed.
type target struct {
	exe     string
	pid     int
	eyes    Eyes
	log     *slog.Logger
	metrics *metrics

	attached io.Closer
	file     os.FileInfo // that is attached, or that could not be
	absent   bool        // and was said to be
}

// path is the program file.
func (t *target) path() string {
	if t.pid != 0 {
		return "/proc/" + strconv.Itoa(t.pid) + "/exe"
	}
	return t.exe
}

// attach attaches for the first time.
func (t *target) attach() error {
	file, err := os.Stat(t.path())
	if err != nil {
		if t.pid != 0 {
			return fmt.Errorf("look at process %d: %w", t.pid, err)
		}
		return fmt.Errorf("look at program: %w", err)
	}
	return t.attachTo(file)
}

func (t *target) attachTo(file os.FileInfo) error {
	t.file = file
	links, err := t.eyes.Attach(t.path(), t.pid)
	if err != nil {
		t.metrics.attaches.WithLabelValues("failed").Inc()
		return err
	}
	old := t.attached
	t.attached = links
	t.metrics.attaches.WithLabelValues("done").Inc()
	t.metrics.attached.Set(1)
	t.log.Info("attached", "program", t.path(), "pid", t.pid)
	if old != nil { // last, so that nothing is missed where both are the same file
		if err := old.Close(); err != nil {
			t.log.Warn("old program not let go of", "err", err)
		}
	}
	return nil
}

// follow keeps up with the target: a process may end, and a program may be replaced
// by another version. A program that is started again needs nothing: the kernel
// attaches to whatever runs the file. It reports false when there is nothing left
// to look at.
func (t *target) follow() bool {
	file, err := os.Stat(t.path())
	switch {
	case err != nil && t.pid != 0:
		t.log.Info("the process has ended", "pid", t.pid)
		return false
	case err != nil:
		if !t.absent {
			t.log.Warn("program is gone; waiting for it", "program", t.exe, "err", err)
		}
		t.absent = true
		return true
	}
	t.absent = false
	if sameFile(file, t.file) {
		return true
	}
	if err := t.attachTo(file); err != nil {
		t.log.Warn("new version of the program not attached", "err", err)
	}
	return true
}

// sameFile also sees that a file was written again, which some ways of installing
// do in the place of making a new one.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Sub(b.ModTime()).Abs() < time.Nanosecond
}

func (t *target) detach() error {
	t.metrics.attached.Set(0)
	if t.attached == nil {
		return nil
	}
	err := t.attached.Close()
	t.attached = nil
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return nil
}
