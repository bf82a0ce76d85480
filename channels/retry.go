package channels

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The retry table's numbers.
const (
	retryFirst   = time.Second
	retryCap     = 5 * time.Minute
	retryFor     = 24 * time.Hour // counted from the first attempt
	retryJitter  = 0.2            // each way
	authSecond   = time.Second    // a driver renews its token before this
	maxAfter     = time.Hour      // a provider that asks for more is asked again anyway
	minimumAfter = 100 * time.Millisecond
	unstatedHold = time.Second // an account or peer that is limited without a word on how long
)

// Attempt describes a send that has just failed.
type Attempt struct {
	Number     int       // 1 for the first
	First      time.Time // when the first was made
	Now        time.Time
	After      time.Duration // when the provider says to come back; zero means not stated
	Idempotent bool          // the provider drops repetitions by itself
	Jitter     float64       // 0 ≤ Jitter < 1; spreads attempts that failed together
}

// Step is what to do with a message after a failure.
type Step struct {
	Result conversation.Delivery // DeliveryPending = send again at At; otherwise final
	At     time.Time
}

// Next decides what becomes of a message whose send failed with class c.
//
//	permanent, gone     failed
//	window_closed       failed; an agent sees why and may use another way
//	retry               1 s doubling to 5 min, ±20 %, for 24 h, then failed
//	unknown             as retry if the provider drops repetitions, and then
//	                    uncertain; otherwise uncertain at once, because a second
//	                    copy is worse than a question mark
//	auth                once more after 1 s with a fresh token, then every 5 min
//	                    for 24 h, then failed
//	limited             when the provider says, or as retry if it does not say
//
// It is pure.
func Next(c Class, a Attempt) Step {
	last := conversation.DeliveryFailed
	var wait time.Duration
	switch c {
	case Permanent, Gone, WindowClosed:
		return Step{Result: conversation.DeliveryFailed}
	case Unknown:
		if !a.Idempotent {
			return Step{Result: conversation.DeliveryUncertain}
		}
		last = conversation.DeliveryUncertain
		wait = backoff(a.Number)
	case Retry:
		wait = backoff(a.Number)
	case Auth:
		wait = retryCap
		if a.Number <= 1 {
			wait = authSecond
		}
	case Limited:
		wait = backoff(a.Number)
		if a.After > 0 {
			wait = max(a.After, minimumAfter)
		}
	default:
		return Step{Result: conversation.DeliveryUncertain}
	}
	wait = spread(wait, a.Jitter)
	// The provider's own wish is a floor: no jitter takes from it.
	wait = max(wait, min(a.After, maxAfter))
	at := a.Now.Add(wait)
	if at.Sub(a.First) > retryFor {
		return Step{Result: last}
	}
	return Step{Result: conversation.DeliveryPending, At: at}
}

// backoff doubles from retryFirst to retryCap.
func backoff(number int) time.Duration {
	wait := retryFirst
	for i := 1; i < number && wait < retryCap; i++ {
		wait *= 2
	}
	return min(wait, retryCap)
}

// spread moves d by up to retryJitter each way; j is between 0 and 1.
func spread(d time.Duration, j float64) time.Duration {
	j = min(max(j, 0), 1)
	return time.Duration(float64(d) * (1 + retryJitter*(2*j-1)))
}
