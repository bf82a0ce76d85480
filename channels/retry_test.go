package channels

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestNext(t *testing.T) {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	// Jitter of one half moves nothing.
	at := func(number int, age, after time.Duration) Attempt {
		return Attempt{Number: number, First: first, Now: first.Add(age), After: after, Jitter: .5}
	}
	idempotent := func(a Attempt) Attempt { a.Idempotent = true; return a }
	for _, c := range []struct {
		name    string
		class   Class
		attempt Attempt
		result  conversation.Delivery
		wait    time.Duration
	}{
		{"permanent", Permanent, at(1, 0, 0), conversation.DeliveryFailed, 0},
		{"permanent, whatever the provider says", Permanent, at(1, 0, time.Minute), conversation.DeliveryFailed, 0},
		{"gone", Gone, at(1, 0, 0), conversation.DeliveryFailed, 0},
		{"window closed", WindowClosed, at(1, 0, 0), conversation.DeliveryFailed, 0},
		{"retry, first", Retry, at(1, 0, 0), conversation.DeliveryPending, time.Second},
		{"retry, fourth", Retry, at(4, time.Minute, 0), conversation.DeliveryPending, 8 * time.Second},
		{"retry, at the cap", Retry, at(10, time.Hour, 0), conversation.DeliveryPending, 5 * time.Minute},
		{"retry, far", Retry, at(1<<30, time.Hour, 0), conversation.DeliveryPending, 5 * time.Minute},
		{"retry, number unknown", Retry, at(0, 0, 0), conversation.DeliveryPending, time.Second},
		{"retry, the provider asks for more", Retry, at(1, 0, time.Minute), conversation.DeliveryPending, time.Minute},
		{"retry, the provider asks for days", Retry, at(1, 0, 72*time.Hour), conversation.DeliveryPending, time.Hour},
		{"retry, last", Retry, at(99, 24*time.Hour-5*time.Minute, 0), conversation.DeliveryPending, 5 * time.Minute},
		{"retry, too old", Retry, at(99, 24*time.Hour-5*time.Minute+1, 0), conversation.DeliveryFailed, 0},
		{"unknown", Unknown, at(1, 0, 0), conversation.DeliveryUncertain, 0},
		{"unknown, idempotent", Unknown, idempotent(at(2, 0, 0)), conversation.DeliveryPending, 2 * time.Second},
		{"unknown, idempotent, too old", Unknown, idempotent(at(99, 24*time.Hour, 0)), conversation.DeliveryUncertain, 0},
		{"auth, once more", Auth, at(1, 0, 0), conversation.DeliveryPending, time.Second},
		{"auth, broken", Auth, at(2, time.Second, 0), conversation.DeliveryPending, 5 * time.Minute},
		{"auth, too old", Auth, at(300, 24*time.Hour, 0), conversation.DeliveryFailed, 0},
		{"limited", Limited, at(7, 0, 17*time.Second), conversation.DeliveryPending, 17 * time.Second},
		{"limited, not stated", Limited, at(3, 0, 0), conversation.DeliveryPending, 4 * time.Second},
		{"limited, nearly nothing", Limited, at(1, 0, 1), conversation.DeliveryPending, 100 * time.Millisecond},
		{"limited, too old", Limited, at(1, 24*time.Hour, time.Minute), conversation.DeliveryFailed, 0},
		{"no class at all", "", at(1, 0, 0), conversation.DeliveryUncertain, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Next(c.class, c.attempt)
			want := Step{Result: c.result}
			if c.result == conversation.DeliveryPending {
				want.At = c.attempt.Now.Add(c.wait)
			}
			if got != want {
				t.Errorf("Next = %s at %s, want %s at %s", got.Result, got.At, want.Result, want.At)
			}
		})
	}
}

func TestNextEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom(Classes()).Draw(t, "class")
		a := Attempt{
			Number: 1, First: time.Unix(0, 0), Now: time.Unix(0, 0),
			After:      time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "after")),
			Idempotent: rapid.Bool().Draw(t, "idempotent"),
			Jitter:     rapid.Float64Range(0, 1).Draw(t, "jitter"),
		}
		for ; ; a.Number++ {
			step := Next(class, a)
			if step.Result != conversation.DeliveryPending {
				break
			}
			if !step.At.After(a.Now) {
				t.Fatalf("%s: attempt %d follows at %s, not after %s", class, a.Number, step.At, a.Now)
			}
			if step.At.Sub(a.First) > retryFor {
				t.Fatalf("%s: attempt %d comes %s after the first", class, a.Number+1, step.At.Sub(a.First))
			}
			a.Now = step.At
			if a.After < time.Minute && class == Limited {
				a.After = time.Minute // bounds the loop
			}
		}
	})
}
