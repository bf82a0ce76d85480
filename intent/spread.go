package intent

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// spread runs work for 0 to n-1 on some goroutines and waits for them. Each
// goroutine gets its own function, so that it can own working memory. The
// result must not depend on who does what.
func spread(ctx context.Context, n, workers int, newWork func() func(i int)) error {
	if workers <= 1 {
		work := newWork()
		for i := range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			work(i)
		}
		return nil
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			work := newWork()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(i)
				runtime.Gosched() // a message waits for a piece of training, not for all of it
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
