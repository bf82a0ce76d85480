package gateway

import (
	"sync/atomic"

	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// outRules are the same for all queues of a gateway.
type outRules struct {
	soft, hard int   // bytes of one queue
	budget     int64 // bytes of all together; zero = no bound
	queued     atomic.Int64
	pool       backlogPool
	flights    *flight.Recorder // of replies on their way; nil = nobody records
}

// takes reports whether a queue that holds some bytes may hold more. Beyond the
// budget of all queues the limit of each one shrinks, to nothing at twice the
// budget: those that hold most are given up first, and those that are empty,
// whose clients read, still get what is for them.
func (r *outRules) takes(holds, more int) bool {
	limit := r.hard
	if over := r.queued.Load() - r.budget; r.budget > 0 && over > 0 && holds > 0 {
		limit = int(float64(r.hard) * max(1-float64(over)/float64(r.budget), 0))
	}
	return holds+more <= limit
}

func (r *outRules) more(n int) { r.queued.Add(int64(n)) }

func (r *outRules) less(n int) { r.queued.Add(int64(-n)) }
