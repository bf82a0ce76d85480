package channels

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	fail := &SendError{Class: Retry}
	for i := range breakerStrikes {
		if wait := b.allow(now); wait != 0 {
			t.Fatalf("send %d: wait %s, want 0", i, wait)
		}
		want := turnNone
		if i == breakerStrikes-1 {
			want = turnPaused
		}
		if got := b.record(fail, now); got != want {
			t.Errorf("send %d: turn %d, want %d", i, got, want)
		}
	}
	if wait := b.allow(now); wait != breakerCooldown {
		t.Errorf("paused: wait %s, want %s", wait, breakerCooldown)
	}
	now = now.Add(breakerCooldown)
	if wait := b.allow(now); wait != 0 {
		t.Errorf("probe: wait %s, want 0", wait)
	}
	if wait := b.allow(now); wait != breakerProbing {
		t.Errorf("second beside the probe: wait %s, want %s", wait, breakerProbing)
	}
	if got := b.record(fail, now); got != turnNone {
		t.Errorf("failed probe: turn %d, want none", got)
	}
	if wait := b.allow(now); wait != 2*breakerCooldown {
		t.Errorf("paused again: wait %s, want %s", wait, 2*breakerCooldown)
	}
	now = now.Add(2 * breakerCooldown)
	b.allow(now)
	if got := b.record(nil, now); got != turnResumed {
		t.Errorf("good probe: turn %d, want resumed", got)
	}
	if wait := b.allow(now); wait != 0 {
		t.Errorf("resumed: wait %s, want 0", wait)
	}
}

func TestBreakerCountsTheAccountOnly(t *testing.T) {
	for _, c := range []struct {
		class Class
		sends int // until the pause; zero = never
	}{
		{Permanent, 0},
		{WindowClosed, 0},
		{Gone, 0},
		{Limited, 0},
		{Retry, 5},
		{Unknown, 5},
		{Auth, 2},
	} {
		var b breaker
		now, paused := time.Unix(1000, 0), 0
		for i := 1; i <= 20 && paused == 0; i++ {
			if b.allow(now) == 0 && b.record(&SendError{Class: c.class}, now) == turnPaused {
				paused = i
			}
		}
		if paused != c.sends {
			t.Errorf("%s pauses after %d sends, want %d", c.class, paused, c.sends)
		}
	}
}

func TestBreakerForgivesAfterASuccess(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	for range 20 {
		b.allow(now)
		b.record(&SendError{Class: Retry}, now)
		b.allow(now)
		if b.record(nil, now) != turnNone || b.allow(now) != 0 {
			t.Fatal("paused though every second send succeeds")
		}
	}
}

func TestBreakerIgnoresWhatWasUnderWay(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	for range 8 {
		b.allow(now)
	}
	for range 8 {
		b.record(&SendError{Class: Retry}, now)
	}
	if wait := b.allow(now); wait != breakerCooldown {
		t.Errorf("wait %s after eight failures at a time, want %s", wait, breakerCooldown)
	}
}

func TestBreakerCooldownIsBounded(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	for range 200 {
		now = now.Add(b.allow(now))
		b.allow(now)
		b.record(&SendError{Class: Auth}, now)
	}
	if wait := b.allow(now); wait != breakerCap {
		t.Errorf("wait %s, want %s", wait, breakerCap)
	}
}
