package attachments

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// metered takes what it reads out of a budget that all files which are coming in
// share.
type metered struct {
	from   io.Reader
	budget *atomic.Int64 // bytes in use
	limit  int64
	taken  int64
}

// Read implements [io.Reader]. Errors: class ErrOverloaded when the budget is
// used up.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	if err := m.hold(int64(n)); err != nil {
		return 0, err
	}
	return n, err
}

// hold takes bytes out of the budget until release. Errors: class ErrOverloaded
// when it is used up.
func (m *metered) hold(n int64) error {
	m.taken += n
	if m.budget.Add(n) > m.limit {
		return conversation.Refuse(conversation.CodeOverloaded, "too many files at a time")
	}
	return nil
}

func (m *metered) release() {
	m.budget.Add(-m.taken)
	m.taken = 0
}

// pace keeps what is written below a rate, over all files together.
type pace struct {
	bytesPerSec int64

	mu struct {
		sync.Mutex

		free time.Time // when the next piece may go
	}
}

// wait returns when n bytes may be written.
func (p *pace) wait(ctx context.Context, n int) error {
	now := time.Now()
	p.mu.Lock()
	start := p.mu.free
	if start.Before(now) {
		start = now
	}
	p.mu.free = start.Add(time.Duration(n) * time.Second / time.Duration(p.bytesPerSec))
	p.mu.Unlock()
	if !start.After(now) {
		return nil
	}
	timer := time.NewTimer(start.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "other files are being written", Err: context.Cause(ctx)}
	}
}

// maxCounted bounds the visitors whose bytes are counted. When there are more in
// a day, counting starts over.
const maxCounted = 100_000

// quota counts what each visitor hands in on a day.
type quota struct {
	limit int64

	mu struct {
		sync.Mutex

		day  int64
		used map[conversation.ContactKey]int64
	}
}

// take counts size bytes of a visitor's, or refuses them.
func (q *quota) take(who conversation.ContactKey, size int64, now time.Time) error {
	const seconds = int64(24 * time.Hour / time.Second)
	day := now.Unix() / seconds
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.used == nil || q.mu.day != day || len(q.mu.used) >= maxCounted {
		q.mu.day, q.mu.used = day, make(map[conversation.ContactKey]int64)
	}
	if q.mu.used[who]+size > q.limit {
		left := time.Duration((day+1)*seconds-now.Unix()) * time.Second
		return &conversation.Error{Code: conversation.CodeQuota, Detail: "a visitor's files of one day are too large together", After: left}
	}
	q.mu.used[who] += size
	return nil
}
