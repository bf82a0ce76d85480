package persistence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// errFilesFirst says that a conversation has more files than one operation drops.
var errFilesFirst = fmt.Errorf("files of the conversation are left: %w", conversation.ErrConflict)

// applyErase puts one entry in the place of everything that a conversation held,
// or refuses: for another version than the row's, and while a hold stands.
//
// The epoch is raised, so that whoever runs the conversation is fenced; the
// contact's row stays, so that the next message finds the place and goes on from
// there.
func (m *machine) applyErase(r *reader, req *request) (result, error) {
	m.settleAll() // what goes is looked for in the database
	whole := *r
	c, err := decodeCommit(r)
	if err != nil || len(c.Entries) != 1 || !erases(&c.Entries[0]) {
		return result{}, errors.Join(ErrCorrupt, err)
	}
	r.b = nil // the rest of an append, which is empty
	have, err := m.row(c.ID)
	if err != nil {
		return result{}, err
	}
	contact := conversation.ContactKey{Inbox: c.Head.Inbox, Contact: c.Head.Contact}
	files, err := filesOf(m.db, c.ID, dropsAtOnce)
	expect := c.Entries[0].Seq - 1
	switch {
	case err != nil:
		return result{}, err
	case have.version == 0:
		return refused(ErrNotFound)
	case expect != have.version:
		return refused(&ConflictError{Expect: uint64(expect), Have: uint64(have.version)})
	case m.directory.held(c.ID, contact.Contact):
		return refused(errHeld())
	case len(files) == dropsAtOnce:
		return refused(errFilesFirst)
	}
	for _, id := range files {
		if err := m.eraseFile(id); err != nil {
			return result{}, err
		}
	}
	if err := m.dropRefs(contact, c.ID); err != nil {
		return result{}, err
	}
	m.dropConversation(c.ID, have)
	if err := m.leaveErased(whole, have); err != nil {
		return result{}, err
	}
	if ev, ok := c.Entries[0].Event.(conversation.ConversationErased); ok {
		m.metrics.erased(ev.Reason)
		m.scrubber.conversation(c.ID, contact)
		m.scrubber.due(ev.Reason)
	}
	m.scrubLater()
	return result{n: uint64(len(files))}, m.announce(c.ID, req, whole)
}

// dropConversation drops all rows of a conversation but its head and what is
// kept by contact.
func (m *machine) dropConversation(id conversation.ConversationID, have *row) {
	m.batch.dropRange(appendEntryKey(nil, id, 0), afterConversation(id))
	outbox := append(tagPrefix(tagOutbox), id[:]...)
	m.batch.dropRange(outbox, after(outbox))
	m.batch.drop(appendStateKey(nil, id))
	m.batch.drop(appendListKey(nil, have, id))
	m.writeDue(id, have.due, noDue)
}

// leaveErased writes what stays: an entry and a head, in no list.
func (m *machine) leaveErased(r reader, have *row) error {
	id := r.id()
	next := row{version: conversation.Seq(r.uint()) + 1, epoch: have.epoch + 1, due: noDue}
	r.uint()  // of no owner
	r.count() // one
	entry := r.bytes()
	next.activity = r.int()
	r.int() // due
	next.inbox, next.status = conversation.InboxID(r.bytes()), conversation.Status(r.bytes())
	r.id() // contact
	head := r.bytes()
	if r.bad {
		return fmt.Errorf("%w: erasure", ErrCorrupt)
	}
	m.batch.set(appendEntryKey(nil, id, next.version), entry)
	*have = next
	m.writeRow(id, have, head)
	return nil
}

// dropRefs drops the senders' ids of a conversation, on all days.
func (m *machine) dropRefs(c conversation.ContactKey, of conversation.ConversationID) error {
	it, err := m.db.NewIter(prefixBounds(tagPrefix(tagRef), nil))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; {
		var day uint32
		if day, _, _, err = refKeyParts(it.Key()); err != nil {
			break
		}
		prefix := appendContactPlace(appendRefDay(nil, day), c)
		for ok = it.SeekGE(prefix); ok && err == nil && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
			var v refValue
			if v, err = decodeRef(it.Value()); err == nil && v.id == of {
				m.batch.drop(it.Key())
			}
		}
		m.scrubber.wants(prefix, after(prefix))
		ok = it.SeekGE(appendRefDay(nil, day+1))
	}
	return errors.Join(err, it.Error(), it.Close())
}

// applyForget ends the erasure of contacts: the files that they handed in and never
// sent go, and every node makes sure that the bytes of all of it do.
func (m *machine) applyForget(r *reader) (result, error) {
	m.settleAll()
	contacts := make(map[conversation.ContactID]bool)
	for range r.count() {
		contacts[conversation.ContactID(r.id())] = true
	}
	if err := r.end("contacts to forget"); err != nil {
		return result{}, err
	}
	dropped := uint64(0)
	var mine []conversation.AttachmentID
	err := scan(m.db, prefixBounds(tagPrefix(tagExpiry), nil), func(key, _ []byte) (bool, error) {
		tag, id, err := expiryKeyParts(key)
		if err != nil || tag != tagFile {
			return err == nil, err
		}
		owned, err := m.handedInBy(conversation.AttachmentID(id), contacts)
		if owned {
			mine = append(mine, conversation.AttachmentID(id))
		}
		return len(mine) < dropsAtOnce, err
	})
	if err != nil {
		return result{}, err
	}
	for _, id := range mine {
		if err := m.eraseFile(id); err != nil {
			return result{}, err
		}
		dropped++
	}
	m.scrubber.documents()
	m.scrubLater()
	return result{n: dropped}, nil
}

// scrubLater has this node scrub once the batch is written.
func (m *machine) scrubLater() {
	m.batch.set(scrubKey(), appendHeader(nil, tagRaft))
	m.erased = true
}

// handedInBy reports whether a file was handed in by one of some contacts.
func (m *machine) handedInBy(id conversation.AttachmentID, contacts map[conversation.ContactID]bool) (bool, error) {
	rec, err := m.get(fileKey(id))
	if err != nil || rec == nil {
		return false, err
	}
	f, err := decodeFile(rec)
	if err != nil {
		return false, err
	}
	what, err := f.file()
	return contacts[what.Contact], err
}
