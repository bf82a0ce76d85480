package persistence

import (
	"bytes"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// applyAppend stores the entries of one append and everything that goes with
// them, or refuses:
//
//   - an append whose entries are stored already, byte for byte, was sent twice:
//     that is no error, whatever the epoch, and changes nothing;
//   - an older epoch than the row's is fenced;
//   - another version than the row's is a conflict.
func (m *machine) applyAppend(r *reader, req *request) (result, error) {
	whole := *r
	id := r.id()
	expect, epoch := conversation.Seq(r.uint()), r.uint()
	have, err := m.row(id)
	if err != nil {
		return result{}, err
	}
	n := r.count()
	if expect < have.version && n > 0 {
		m.settle(have.burst)
		same, err := m.stored(id, expect, n, *r)
		if err != nil || same {
			r.b = nil
			return result{}, err
		}
	}
	if refusal := have.refuse(expect, epoch); refusal != nil {
		r.b = nil
		return refused(refusal)
	}
	for i := range n {
		m.key = appendEntryKey(m.key[:0], id, expect+1+conversation.Seq(i))
		m.batch.set(m.key, r.bytes())
	}
	contact := m.writeHead(r, id, have, row{version: expect + conversation.Seq(n), epoch: epoch}) //nolint:gosec // a count
	if err := m.writeExtras(r, id, contact); err != nil {
		return result{}, err
	}
	if err := r.end("append"); err != nil {
		return result{}, err
	}
	return result{}, m.announce(id, req, whole)
}

// applyAppendOnce is applyAppend for a conversation that has a predecessor: a
// message that was stored there must not be stored again here. The conversation
// that asks may run on a node that does not see the other's newest entries yet;
// here they are all in order.
func (m *machine) applyAppendOnce(r *reader, req *request) (result, error) {
	days := r.uint32()
	repeated, err := m.repeated(*r, min(days, maxRefDays))
	if err != nil {
		return result{}, err
	}
	if repeated != nil {
		r.b = nil
		return refused(repeated)
	}
	return m.applyAppend(r, req)
}

// maxRefDays bounds how far back a ref is looked for.
const maxRefDays = uint32(MaxRefTTL/(24*time.Hour)) + 2

// repeated looks whether another conversation of the contact has a ref of an
// append, and says where.
func (m *machine) repeated(r reader, days uint32) (error, error) {
	id := r.id()
	r.uint() // expect
	r.uint() // epoch
	for range r.count() {
		r.bytes()
	}
	r.int() // activity
	r.int() // due
	inbox := conversation.InboxID(r.bytes())
	r.bytes() // status
	contact := conversation.ContactKey{Inbox: inbox, Contact: conversation.ContactID(r.id())}
	r.bytes() // head
	if r.byte()&appendContact != 0 {
		r.bytes()
		r.id()
	}
	for range r.count() {
		r.uint() // seq
		day, ref := r.uint32(), conversation.Ref(r.bytes())
		if r.bad {
			break
		}
		v, err := m.findRef(contact, ref, day, days)
		if err != nil {
			return nil, err
		}
		if !v.id.IsZero() && v.id != id {
			return &RepeatedRefError{Conversation: v.id, Seq: v.seq}, nil
		}
	}
	if r.bad {
		return nil, fmt.Errorf("%w: append", ErrCorrupt)
	}
	return nil, nil
}

// findRef gives where a ref is stored, on a day, the one after it or one of the
// days before it; the zero value when it is not.
func (m *machine) findRef(c conversation.ContactKey, ref conversation.Ref, day, days uint32) (refValue, error) {
	oldest := day - min(day, days)
	for d := day + 1; d >= oldest && d <= day+1; d-- {
		m.key = appendRefKey(m.key[:0], d, c, ref)
		rec := m.batch.find(m.key)
		if rec == nil {
			var err error
			if rec, err = m.get(m.key); err != nil {
				return refValue{}, err
			}
		}
		if rec != nil {
			return decodeRef(rec)
		}
	}
	return refValue{}, nil
}

func (r *row) refuse(expect conversation.Seq, epoch uint64) error {
	if epoch < r.epoch {
		return fmt.Errorf("epoch %d, the claim of epoch %d came later: %w", epoch, r.epoch, ErrFenced)
	}
	if expect != r.version {
		return &ConflictError{Expect: uint64(expect), Have: uint64(r.version)}
	}
	return nil
}

// stored reports whether the n entries that r stands before are the ones
// stored after expect.
func (m *machine) stored(id conversation.ConversationID, expect conversation.Seq, n int, r reader) (bool, error) {
	for i := range n {
		m.key = appendEntryKey(m.key[:0], id, expect+1+conversation.Seq(i))
		rec, err := m.get(m.key)
		if err != nil || !bytes.Equal(rec, r.bytes()) {
			return false, err
		}
	}
	return true, nil
}

// writeHead replaces the head row and its index rows. next brings version and
// epoch; the rest is read from r.
func (m *machine) writeHead(r *reader, id conversation.ConversationID, have *row, next row) conversation.ContactKey {
	next.activity, next.due = r.int(), r.int()
	next.inbox = reuse(have.inbox, r.bytes())
	next.status = reuse(have.status, r.bytes())
	contact := conversation.ContactKey{Inbox: next.inbox, Contact: conversation.ContactID(r.id())}
	head := r.bytes()

	moved := have.activity != next.activity || have.inbox != next.inbox || have.status != next.status
	if have.version > 0 && moved {
		m.key = appendListKey(m.key[:0], have, id)
		m.batch.drop(m.key)
	}
	if have.version == 0 || moved {
		m.key = appendListKey(m.key[:0], &next, id)
		m.batch.set(m.key, nil)
	}
	m.writeDue(id, have.due, next.due)
	*have = next
	m.writeRow(id, have, head)
	return contact
}

func (m *machine) writeRow(id conversation.ConversationID, r *row, head []byte) {
	r.burst = m.burst
	m.key = appendHeadKey(m.key[:0], id)
	m.value = appendRow(m.value[:0], r, head)
	m.batch.set(m.key, m.value)
}

// reuse gives old when now is the same, to save a copy of a string that hardly
// ever changes.
func reuse[S ~string](old S, now []byte) S {
	if string(now) == string(old) {
		return old
	}
	return S(now)
}

func (m *machine) writeDue(id conversation.ConversationID, old, due int64) {
	if old == due {
		return
	}
	if old != noDue {
		m.key = appendDueKey(m.key[:0], old, id)
		m.batch.drop(m.key)
	}
	if due == noDue {
		return
	}
	m.key = appendDueKey(m.key[:0], due, id)
	m.batch.set(m.key, nil)
}

// writeExtras stores what follows the head: contact, refs, outbox, snapshot,
// files.
func (m *machine) writeExtras(r *reader, id conversation.ConversationID, contact conversation.ContactKey) error {
	flags := r.byte()
	if flags&appendContact != 0 {
		c := conversation.ContactKey{Inbox: conversation.InboxID(r.bytes()), Contact: conversation.ContactID(r.id())}
		m.key = appendContactKey(m.key[:0], c)
		m.value = appendContactValue(m.value[:0], id)
		m.batch.set(m.key, m.value)
	}
	m.writeRefs(r, id, contact)
	m.writeOutbox(r, id)
	if flags&appendState != 0 {
		m.key = appendStateKey(m.key[:0], id)
		m.batch.set(m.key, r.bytes())
	}
	if flags&appendFiles != 0 {
		return m.keepFiles(r, id)
	}
	return nil
}

func (m *machine) writeRefs(r *reader, id conversation.ConversationID, contact conversation.ContactKey) {
	for range r.count() {
		v := refValue{id: id, seq: conversation.Seq(r.uint())}
		day := r.uint32()
		m.key = appendRefKey(m.key[:0], day, contact, conversation.Ref(r.bytes()))
		m.value = v.append(m.value[:0])
		m.batch.set(m.key, m.value)
	}
}

func (m *machine) writeOutbox(r *reader, id conversation.ConversationID) {
	for range r.count() {
		m.key = appendOutboxKey(m.key[:0], id, conversation.Seq(r.uint()))
		m.batch.set(m.key, r.bytes())
	}
	for range r.count() {
		m.key = appendOutboxKey(m.key[:0], id, conversation.Seq(r.uint()))
		m.batch.drop(m.key)
	}
}

// applyClaim raises the epoch of a conversation.
func (m *machine) applyClaim(r *reader) (result, error) {
	id := r.id()
	have, head, err := m.rowAndHead(id)
	if err != nil {
		return result{}, err
	}
	have.epoch++
	m.writeRow(id, have, head)
	return result{n: have.epoch}, nil
}

// rowAndHead is row, with the head that is stored beside it. When a node is lost,
// the others claim everything that it had, and know none of it yet: so both come
// from one look.
func (m *machine) rowAndHead(id conversation.ConversationID) (have *row, head []byte, err error) {
	if have = m.rows.get(id); have != nil {
		if have.version == 0 {
			return have, nil, nil
		}
		m.settle(have.burst)
	}
	stored := row{due: noDue}
	m.key = appendHeadKey(m.key[:0], id)
	_, err = m.buffer.lookup(m.key, func(rec []byte) (err error) {
		stored, head, err = decodeRow(rec)
		head = bytes.Clone(head)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if have == nil {
		have = &stored
		m.rows.put(id, have)
	}
	return have, head, nil
}

// applySaveState stores a snapshot of the version that is stored. One that
// comes too late is refused and does no harm.
func (m *machine) applySaveState(r *reader) (result, error) {
	id := r.id()
	epoch, version := r.uint(), conversation.Seq(r.uint())
	state := r.bytes()
	have, err := m.row(id)
	if err != nil {
		return result{}, err
	}
	if refusal := have.refuse(version, epoch); refusal != nil {
		return refused(refusal)
	}
	m.key = appendStateKey(m.key[:0], id)
	m.batch.set(m.key, state)
	return result{}, nil
}

// applyClear drops all state. It is how a failed import leaves nothing behind.
func (m *machine) applyClear() (result, error) {
	for _, tag := range stateTags() {
		if tag == tagApplied || tag == tagMember {
			continue
		}
		prefix := tagPrefix(tag)
		m.batch.dropRange(prefix, after(prefix))
	}
	m.rows.clear()
	m.directory.clear()
	m.blobs.clear()
	m.cleared = true // what comes after must not find the rows of before
	return result{}, nil
}
