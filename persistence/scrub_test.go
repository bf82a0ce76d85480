package persistence

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Scrubbing removes write-ahead logs and lists of files under the database's hands,
// again and again here. A power cut in the middle of it costs nothing.
func TestPowerCutsWhileScrubbing(t *testing.T) {
	t.Parallel()
	open := func(fs vfs.FS) Options {
		o := crashOptions(fs)
		o.scrub = scrubPace{soon: time.Microsecond, later: time.Microsecond, daily: time.Microsecond}
		return o
	}
	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 9))
		fs, l := vfs.NewCrashableMem(), newLedger()
		s, err := Open(open(fs))
		if err != nil {
			t.Fatal(err)
		}
		for cut := range 8 {
			done := make(chan struct{})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					select {
					case <-done:
						return
					default:
						s.scrubber.everything()
						_ = pause(t.Context(), time.Millisecond, done) // its end is seen in the next round
					}
				}
			}()
			after, promised := powerCut(t, l, fs, s, rng)
			close(done)
			<-ended
			if err := s.Close(); err != nil {
				t.Fatalf("Close = %v", err)
			}
			fs = after
			if s, err = Open(open(fs)); err != nil {
				t.Fatalf("seed %d, cut %d: Open = %v", seed, cut, err)
			}
			if err := l.check(s, promised); err != nil {
				t.Fatalf("seed %d, cut %d: %v", seed, cut, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close = %v", err)
		}
	}
}
