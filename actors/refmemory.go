package actors

import (
	"hash/maphash"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxRefMemory bounds what a grain remembers of senders' ids besides its state:
// about half a megabyte for a conversation that has had so many messages since
// it was activated.
const maxRefMemory = 16_384

// refMemory knows which senders' ids an activation has certainly not seen, so
// that a new message of a long conversation does not cost a look into the
// journal. It forgets with the activation, and is of use only when the state
// knew all ids at its beginning.
type refMemory struct {
	seed  maphash.Seed
	known map[uint64]struct{} // nil = unknown ids may have been stored
}

func newRefMemory(s *conversation.State) *refMemory {
	m := &refMemory{}
	if s.RefsComplete() {
		m.seed, m.known = maphash.MakeSeed(), make(map[uint64]struct{}, len(s.Refs))
		for _, r := range s.Refs {
			m.add(r.Ref)
		}
	}
	return m
}

func (m *refMemory) add(r conversation.Ref) {
	if m.known == nil || r == "" {
		return
	}
	if len(m.known) >= maxRefMemory {
		m.known = nil
		return
	}
	m.known[maphash.String(m.seed, string(r))] = struct{}{}
}

// rulesOut reports whether r has certainly not been stored.
func (m *refMemory) rulesOut(r conversation.Ref) bool {
	if m.known == nil {
		return false
	}
	_, ok := m.known[maphash.String(m.seed, string(r))]
	return !ok
}
