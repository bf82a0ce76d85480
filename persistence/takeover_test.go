package persistence

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkTakeOver is what the journal does when a node takes over conversations
// that others have begun: looks whether one is there, claims it, reads it and
// appends. Run it with -benchtime 20000x, so that none of them is known any more.
func BenchmarkTakeOver(b *testing.B) {
	const first, entries = 2, 3
	o := testOptions(vfs.Default)
	o.Dir, o.MemTableBytes, o.CacheBytes = b.TempDir(), DefaultMemTableBytes, DefaultCacheBytes
	s := openTest(b, o)
	inParallel(b, func(ctx context.Context, n int) error {
		if err := s.Append(ctx, step(conv(n), 0, first)); err != nil {
			return err
		}
		return s.Append(ctx, step(conv(n), first, entries))
	})
	s = reopen(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime(b)
	inParallel(b, func(ctx context.Context, n int) error {
		id := conv(n)
		if _, err := s.Exists(ctx, id); err != nil {
			return err
		}
		epoch, err := s.Claim(ctx, id)
		if err != nil {
			return err
		}
		state, err := s.Load(ctx, id)
		if err != nil {
			return err
		}
		a := step(id, state.Version, 1)
		a.Epoch = epoch
		return s.Append(ctx, a)
	})
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/conversation")
}

// inParallel does something with each of b.N conversations, 64 at a time.
func inParallel(b *testing.B, do func(context.Context, int) error) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
				if err := do(b.Context(), n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
