package channels

import (
	"io"
	"sync/atomic"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxBodies bounds the bytes of all deliveries that are being read or handled.
// They come from senders who have not proved who they are, so a limit for each
// of them would not be one.
const maxBodies = 64 << 20

// meteredReader takes what it reads out of a budget that readers share.
type meteredReader struct {
	from   io.Reader
	budget *atomic.Int64 // bytes in use
	taken  int64
}

// Read implements [io.Reader]. Errors: class ErrOverloaded when the budget is
// used up.
func (m *meteredReader) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.taken += int64(n)
	if m.budget.Add(int64(n)) > maxBodies {
		return 0, conversation.Refuse(conversation.CodeOverloaded, "too many deliveries at a time")
	}
	return n, err
}

// release gives back what was taken.
func (m *meteredReader) release() {
	m.budget.Add(-m.taken)
	m.taken = 0
}
