package loop

// books are a loop's notes for its ledger.
type books struct {
	ledger Ledger // nil = nobody keeps one
	noting bool   // this turn is for the ledger
	done   []Work
}

// begin opens the books of a turn.
func (b *books) begin() { b.noting = b.ledger != nil && b.ledger.Begin() }

// note adds work that was done for a connection.
func (b *books) note(s *socket, n int) {
	if b.noting {
		b.done = append(b.done, Work{s.h, n})
	}
}

// end closes the books of a turn.
func (b *books) end() {
	if !b.noting {
		return
	}
	b.noting = false
	b.ledger.End(b.done)
	clear(b.done) // so that they hold nobody in memory
	b.done = b.done[:0]
}
