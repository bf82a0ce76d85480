package actors

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// journalThatForgets takes everything and keeps nothing, so that a benchmark
// shows what the actors cost.
type journalThatForgets struct{ *memory }

// Append implements [Journal].
func (j journalThatForgets) Append(_ context.Context, a *conversation.Append) error {
	if a.Expect == 0 {
		j.mu.Lock()
		j.current[a.Contact] = a.ID
		j.mu.Unlock()
	}
	return nil
}

// BenchmarkTurn is a visitor's message with the bot's reply on its response:
// shard, grain, scoring actor, one append, and back.
func BenchmarkTurn(b *testing.B) {
	for _, conversations := range []int{1, 64} {
		b.Run(fmt.Sprintf("conversations=%d", conversations), func(b *testing.B) {
			r := newRig(b, func(o *Options) {
				o.Journal = journalThatForgets{o.Journal.(*memory)} //nolint:forcetypeassert // the rig made it
				o.Budget = time.Second
				o.Classifier = alwaysHours{}
			})
			b.ReportAllocs()
			var share sync.WaitGroup
			b.ResetTimer()
			for c := range conversations {
				share.Go(func() {
					in := with(anna("when do you open?"), "", time.Minute)
					in.Contact[0] = byte(c)
					for n := c; n < b.N; n += conversations {
						in.Ref = conversation.Ref(fmt.Sprint(n))
						if got, err := r.engine.Deliver(context.Background(), in); err != nil || len(got.Replies) != 1 {
							b.Errorf("Deliver = %+v, %v", got, err)
							return
						}
					}
				})
			}
			share.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "turns/s")
		})
	}
}

// alwaysHours is a classifier that costs nothing.
type alwaysHours struct{}

// Predict implements [Classifier].
func (alwaysHours) Predict(_ context.Context, _ *conversation.Utterance, p *conversation.Prediction) error {
	p.Lang, p.Model = "en", "m1"
	p.Candidates = []conversation.Candidate{{Intent: "hours", Confidence: 0.97}}
	return nil
}
