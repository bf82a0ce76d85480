package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Yardstick writes single rows of so many bytes to a database of its own in dir,
// synced each, from so many writers at a time and for so long, and gives how
// many were written. That is what this machine can do without versions, indexes
// and replicas: the measure of what [Store.Append] does. The options of the
// database are those of a store, but for the write-ahead log.
func Yardstick(ctx context.Context, dir string, writers, bytes int, d time.Duration) (rows uint64, err error) {
	o := withDefaults(Options{Dir: dir})
	h := newHalt(o.Logger, func(string) {})
	p := o.pebbleOptions(h)
	p.DisableWAL = false
	db, err := pebble.Open(dir, p)
	if err != nil {
		return 0, fmt.Errorf("yardstick: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var n atomic.Uint64
	errs := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			value := []byte(strings.Repeat("hello there ", bytes/12+1)[:bytes])
			for i := uint64(0); ctx.Err() == nil && errs[w] == nil; i++ {
				key := appendTag(nil, tagEntry)
				key = binary.BigEndian.AppendUint64(key, uint64(w)) //nolint:gosec // not negative
				key = binary.BigEndian.AppendUint64(key, i)
				errs[w] = db.Set(key, value, pebble.Sync)
				n.Add(1)
			}
		})
	}
	all.Wait()
	if err := errors.Join(append(errs, db.Close())...); err != nil || h.failed() {
		return 0, fmt.Errorf("yardstick: %w", errors.Join(ErrUnavailable, err))
	}
	return n.Load(), nil
}
