package attachments

import (
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options says what a store is made of.
type Options struct {
	Journal Journal // required

	MaxBytes         int64    // of one file; zero = 10 MiB, at most 64 MiB
	DayBytes         int64    // of one visitor in a day, as this node sees it; zero = 100 MiB
	TotalBytes       int64    // of all files; zero = no limit
	MemoryBytes      int64    // of files that are coming in; zero = eight of the largest
	WriteBytesPerSec int64    // that go into the journal; zero = 16 MiB
	Types            []string // media types that are taken; empty = [DefaultTypes], one "*" = all
	KeepMetadata     bool     // pictures keep what stands beside their pixels, such as where they were taken

	Now        func() time.Time // nil = the clock
	Registerer prometheus.Registerer
}

const (
	defaultMaxBytes   = 10 << 20
	largestMaxBytes   = 64 << 20
	defaultDayBytes   = 100 << 20
	defaultWriteBytes = 16 << 20
	filesInMemory     = 8
)

// Validate reports everything that is wrong, at once.
func (o *Options) Validate() error {
	var errs []error
	if o.Journal == nil {
		errs = append(errs, errors.New("a journal is needed"))
	}
	if o.MaxBytes < 0 || o.MaxBytes > largestMaxBytes {
		errs = append(errs, fmt.Errorf("a file has at most %d bytes", int64(largestMaxBytes)))
	}
	if o.DayBytes < 0 || o.TotalBytes < 0 || o.MemoryBytes < 0 || o.WriteBytesPerSec < 0 {
		errs = append(errs, errors.New("limits are not negative"))
	}
	if err := CheckTypes(o.Types); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("attachment options: %w", err)
	}
	return nil
}

// CheckTypes refuses a list that holds what is no media type.
func CheckTypes(types []string) error {
	for _, t := range types {
		if t == allTypes && len(types) == 1 {
			continue
		}
		if got, params, err := mime.ParseMediaType(t); err != nil || got != t || len(params) > 0 || !strings.Contains(t, "/") {
			return fmt.Errorf("%q is no media type such as image/png", t)
		}
	}
	return nil
}

func (o *Options) filled() Options {
	out := *o
	out.fill()
	return out
}

func (o *Options) fill() {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.DayBytes == 0 {
		o.DayBytes = defaultDayBytes
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = filesInMemory * o.MaxBytes
	}
	if o.WriteBytesPerSec == 0 {
		o.WriteBytesPerSec = defaultWriteBytes
	}
	if len(o.Types) == 0 {
		o.Types = DefaultTypes()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

const allTypes = "*"

// typeSet gives nil when everything is taken.
func typeSet(types []string) map[string]bool {
	set := make(map[string]bool, len(types))
	for _, t := range types {
		if t == allTypes {
			return nil
		}
		set[t] = true
	}
	return set
}
