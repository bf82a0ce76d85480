package intent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxProblems bounds how many problems of one pack are reported at a time.
const maxProblems = 50

// PackError is one thing that is wrong in a pack file.
type PackError struct {
	Pack   string // empty while the file's header has not been read
	File   string
	Line   int // zero when the file as a whole is meant
	Reason string
}

// Error implements error in the form "file:line: reason".
func (e *PackError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Unwrap gives the class [conversation.ErrInvalid].
func (e *PackError) Unwrap() error { return conversation.ErrInvalid }

// place is where something stands in a pack's files.
type place struct {
	file string
	line int
}

// problems collects what is wrong with a pack, so that an author sees all of
// it at once.
type problems struct {
	pack string
	list []*PackError
}

func (p *problems) add(at place, format string, args ...any) {
	p.list = append(p.list, &PackError{Pack: p.pack, File: at.file, Line: at.line, Reason: fmt.Sprintf(format, args...)})
}

// err joins the problems in the order of the files, or gives nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b *PackError) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	var errs []error
	for i, e := range p.list {
		if i == maxProblems {
			errs = append(errs, fmt.Errorf("%d more problems: %w", len(p.list)-i, conversation.ErrInvalid))
			break
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}
