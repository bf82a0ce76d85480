package pages

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Release takes the program's code and constants out of this process's memory.
// What is used again is found in the kernel's cache of files at the price of a
// minor fault for 64 KiB, or read again where memory was short.
//
// A part in which somebody has put marks, such as a debugger or an observer by
// uprobes, is left alone: the marks would be lost.
func Release() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("read what is in memory: %w", err)
	}
	defer func() { _ = f.Close() }()
	parts, err := unwritten(f, program)
	if err != nil {
		return fmt.Errorf("read what is in memory: %w", err)
	}
	var errs []error
	for _, p := range parts {
		// Where the kernel has the file in large pieces it would map 2 MiB for a
		// byte. It may refuse, if it knows no such pieces.
		_ = p.advise(unix.MADV_NOHUGEPAGE)
		if err := p.advise(unix.MADV_DONTNEED); err != nil {
			errs = append(errs, fmt.Errorf("give memory back: %w", err))
		}
	}
	return errors.Join(errs...)
}

// part is a piece of the address space.
type part struct{ from, to uintptr }

func (p part) advise(advice uintptr) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_MADVISE, p.from, p.to-p.from, advice); errno != 0 {
		return errno
	}
	return nil
}

// unwritten finds in smaps (man 5 proc_pid_smaps) the parts that hold the file
// as it is: it cannot be written to there, and has not been.
func unwritten(smaps io.Reader, file string) ([]part, error) {
	var parts []part
	var at *part // the one being read about
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0:
		case !strings.HasSuffix(fields[0], ":"):
			p, ok, err := readPart(fields, file)
			if err != nil {
				return nil, err
			}
			if at = nil; ok {
				at = &p
			}
		case at != nil && fields[0] == "Anonymous:":
			if len(fields) > 1 && fields[1] == "0" {
				parts = append(parts, *at)
			}
			at = nil
		}
	}
	return parts, lines.Err()
}

// readPart reads the line that begins a part: addresses, permissions, offset,
// device, inode, path. It reports whether it is one of file that cannot be
// written to.
func readPart(fields []string, file string) (part, bool, error) {
	const path = 5
	if len(fields) <= path || strings.Join(fields[path:], " ") != file || strings.Contains(fields[1], "w") {
		return part{}, false, nil
	}
	from, to, _ := strings.Cut(fields[0], "-")
	a, err := strconv.ParseUint(from, 16, strconv.IntSize)
	if err != nil {
		return part{}, false, err
	}
	b, err := strconv.ParseUint(to, 16, strconv.IntSize)
	if err != nil {
		return part{}, false, err
	}
	return part{uintptr(a), uintptr(b)}, true, nil
}
