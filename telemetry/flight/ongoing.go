package flight

import (
	"encoding/binary"
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
)

// ongoing remembers which trace a conversation's newest turn belongs to. What
// happens after the turn, on the way of its replies to the visitor, has nothing
// but the conversation to find it by.
//
// bound: a table of fixed size; of two conversations that meet at one place the
// older one is forgotten, and its flush or send is missing from a trace.
type ongoing struct {
	shards [ongoingShards]struct {
		sync.Mutex
		places [ongoingPlaces]ongoingTurn
	}
}

const (
	ongoingShards = 64
	ongoingPlaces = 64
)

// ongoingTurn is a turn whose replies are on their way.
type ongoingTurn struct {
	conversation conversation.ConversationID
	at           conversation.Trace
	from         string           // the node that the message came by
	first, last  conversation.Seq // entries of the turn, while they are known
}

// lock finds the place of a conversation and locks it. Ids are random bytes, or
// derived ones that look so.
func (o *ongoing) lock(id conversation.ConversationID) (*ongoingTurn, *sync.Mutex) {
	h := binary.LittleEndian.Uint64(id[8:])
	s := &o.shards[h%ongoingShards]
	s.Lock()
	return &s.places[h/ongoingShards%ongoingPlaces], &s.Mutex
}

// Entered says that a message has come for a conversation: what its visitor is
// shown next belongs to at.
func (r *Recorder) Entered(id conversation.ConversationID, at conversation.Trace) {
	if r == nil || at.IsZero() {
		return
	}
	p, mu := r.ongoing.lock(id)
	defer mu.Unlock()
	*p = ongoingTurn{conversation: id, at: at}
}

// Stored says which entries of a conversation a turn has written, and by which
// node its message came.
func (r *Recorder) Stored(id conversation.ConversationID, at conversation.Trace, first, last conversation.Seq, from string) {
	if r == nil || at.IsZero() {
		return
	}
	p, mu := r.ongoing.lock(id)
	defer mu.Unlock()
	if p.conversation == id && p.at.ID == at.ID && p.first > 0 {
		p.at, p.last, p.from = at, last, from // message and reply were stored one after the other
		return
	}
	*p = ongoingTurn{conversation: id, at: at, from: from, first: first, last: last}
}

// Shown gives the trace that an entry of a conversation belongs to, and the node
// that the message came by; zero when that is not known any more.
func (r *Recorder) Shown(id conversation.ConversationID, seq conversation.Seq) (at conversation.Trace, from string) {
	if r == nil {
		return conversation.Trace{}, ""
	}
	p, mu := r.ongoing.lock(id)
	defer mu.Unlock()
	if p.conversation != id || p.last > 0 && (seq < p.first || seq > p.last) {
		return conversation.Trace{}, ""
	}
	return p.at, p.from
}
