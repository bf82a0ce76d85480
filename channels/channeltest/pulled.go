package channeltest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Pulled is how a driver fetches what visitors write.
type Pulled struct {
	// New makes a driver whose account is fetched from; its calls go to provider.
	New func(t testing.TB, provider http.RoundTripper) channels.Driver
	// Provider is a provider at which messages wait, oldest first. They come again
	// until a cursor behind them is presented.
	Provider func(t testing.TB, messages []Message) http.RoundTripper
	// Failing makes every other of the first calls of a provider fail: with a status,
	// or without an answer when that is zero. Where the driver makes no HTTP calls the
	// provider is its transport in name only, and this says what a status is there;
	// nil = HTTP calls.
	Failing func(provider http.RoundTripper, status int) http.RoundTripper
	// Kinds are those of messages that the driver cannot show; nil = as of
	// deliveries.
	Kinds []string
}

const (
	manyPulled = 120             // more than any driver gets by one look here
	pulledFor  = 5 * time.Minute // of fake time
	letGo      = 5 * time.Minute // in which a driver ends a connection that nobody looks at
)

func (s Suite) runPulled(t *testing.T) {
	t.Helper()
	s.New = s.Pulled.New
	t.Run("what is fetched keeps its order", s.testPulledOrder)
	t.Run("unknown kinds that are fetched are kept", s.testPulledUnsupported)
	t.Run("what is fetched again is stored once", s.testPulledAgain)
	t.Run("the cursor waits for a store that is down", s.testPulledDown)
	t.Run("the cursor waits for a store that stalls", s.testPulledStalled)
	t.Run("a provider that fails loses nothing", s.testPulledFailures)
}

// waiting gives a provider with so many messages, and these.
func (s Suite) waiting(t *testing.T, n int) (http.RoundTripper, []Message) {
	t.Helper()
	sent := make([]Message, n)
	for i := range sent {
		sent[i] = s.message(i)
	}
	return s.Pulled.Provider(t, sent), sent
}

// fetch has the channel fetch for a while. The bubble it runs in fails if anything
// of it stays behind.
func (r *rig) fetch(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pulledFor)
	defer cancel()
	r.channel.PullLoop(ctx)
	if ctx.Err() == nil {
		t.Error("the driver says that there is nothing to fetch")
	}
	time.Sleep(letGo)
}

// each fails unless the messages are stored once and in order.
func (r *rig) each(t *testing.T, sent []Message) {
	t.Helper()
	stored := r.journal.all()
	if len(stored) != len(sent) {
		t.Errorf("%d messages stored, want %d", len(stored), len(sent))
		return
	}
	for i, in := range stored {
		if string(in.Text) != sent[i].Text || string(in.Ref) != sent[i].Ref {
			t.Errorf("message %d is %q (%s), want %q (%s)", i, string(in.Text), in.Ref, sent[i].Text, sent[i].Ref)
		}
	}
}

func (s Suite) testPulledOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sent := s.waiting(t, manyPulled)
		r := s.rig(t, p)
		r.fetch(t)
		r.each(t, sent)
		r.silent(t)
	})
}

func (s Suite) testPulledUnsupported(t *testing.T) {
	kinds := s.Pulled.Kinds
	if kinds == nil {
		kinds = []string{"location", "kind_of_next_year"}
	}
	for _, kind := range kinds {
		synctest.Test(t, func(t *testing.T) {
			m := s.message(0)
			m.Kind, m.Text = kind, ""
			r := s.rig(t, s.Pulled.Provider(t, []Message{m}))
			r.fetch(t)
			stored := r.journal.all()
			if len(stored) != 1 {
				t.Fatalf("%s: %d messages stored, want 1", kind, len(stored))
			}
			if got := stored[0].Metadata; got[channels.MetadataUnsupported] != kind || got[channels.MetadataRaw] == "" || stored[0].Text == "" {
				t.Errorf("%s is kept as %q with %v", kind, string(stored[0].Text), got)
			}
		})
	}
}

// testPulledAgain lets the cursor get lost, as when a node ends between the events
// and the cursor.
func (s Suite) testPulledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sent := s.waiting(t, manyPulled)
		r := s.rig(t, p)
		r.fetch(t)
		again := s.rig(t, p)
		again.journal.mu.stored, again.journal.mu.seen = r.journal.all(), maps.Clone(r.journal.mu.seen)
		again.fetch(t)
		again.each(t, sent)
	})
}

func (s Suite) testPulledDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sent := s.waiting(t, manyPulled)
		r := s.rig(t, p)
		failures := 0
		r.journal.before = func(_ context.Context, _ int, in conversation.Inbound) error {
			if string(in.Ref) == sent[1].Ref && failures < 3 {
				failures++
				return conversation.Refuse(conversation.CodeUnavailable, "no quorum")
			}
			return nil
		}
		r.fetch(t)
		r.each(t, sent)
		if failures != 3 {
			t.Errorf("the message that was not stored came %d times, want 3 and once more", failures)
		}
	})
}

func (s Suite) testPulledStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sent := s.waiting(t, 3)
		r := s.rig(t, p)
		r.journal.before = func(ctx context.Context, n int, _ conversation.Inbound) error {
			if n > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		r.fetch(t)
		r.each(t, sent)
	})
}

func (s Suite) testPulledFailures(t *testing.T) {
	for _, status := range []int{0, http.StatusTooManyRequests, http.StatusBadGateway} {
		synctest.Test(t, func(t *testing.T) {
			p, sent := s.waiting(t, manyPulled)
			failing := s.Pulled.Failing
			if failing == nil {
				failing = func(p http.RoundTripper, status int) http.RoundTripper { return &faulty{provider: p, status: status} }
			}
			r := s.rig(t, failing(p, status))
			r.fetch(t)
			r.each(t, sent)
			r.silent(t)
		})
	}
}

// faulty is a provider of whose first calls every other fails: with a status, or
// without an answer when that is zero.
type faulty struct {
	provider http.RoundTripper
	status   int

	mu struct {
		sync.Mutex
		calls int
	}
}

// RoundTrip implements [http.RoundTripper].
func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.mu.calls++
	fails := f.mu.calls <= 12 && f.mu.calls%2 == 1
	f.mu.Unlock()
	switch {
	case !fails:
		return f.provider.RoundTrip(r)
	case f.status == 0:
		return nil, fmt.Errorf("call: %w", errRefused)
	default:
		return answering(f.status, nil, canary).RoundTrip(r)
	}
}
