package loop

import "sync"

// Ledger is told what the connections of an event loop did in each of its turns,
// so that what a turn cost can be shared out among them. A connection without a
// loop borrows one when it has received something; its writing may wait and is not
// noted.
//
// Both methods are called on one goroutine, which does not wait in between; they
// must not block.
type Ledger interface {
	// Begin is called before a turn's work. It reports whether End wants to hear of it.
	Begin() bool
	// End gives what was done. A handler may be there several times; the slice is
	// lent until it returns.
	End(done []Work)
}

// Work is something that was done for a connection.
type Work struct {
	Handler Handler
	Bytes   int // received or sent
}

// ledgers are those that connections without a loop borrow.
type ledgers struct{ pool sync.Pool }

func newLedgers(o *Options) *ledgers {
	if o.Ledger == nil || o.Ledger(-1) == nil {
		return nil
	}
	return &ledgers{sync.Pool{New: func() any { return o.Ledger(-1) }}}
}

// input has a handler take what was received, and notes it.
func (ls *ledgers) input(h Handler, t Turn, b []byte) bool {
	if ls == nil {
		return h.Input(t, b)
	}
	l, _ := ls.pool.Get().(Ledger)
	defer ls.pool.Put(l)
	if !l.Begin() {
		return h.Input(t, b)
	}
	waits := h.Input(t, b)
	l.End([]Work{{h, len(b)}})
	return waits
}
