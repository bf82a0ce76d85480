package persistence

import (
	"encoding/binary"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// A proposal is the content of one raft entry: the id under which the proposing
// process remembers it, and operations in order.
//
//	header nonce8 counter8 count (length operation)*
//
// An operation is its code and its fields. Everything that a record will hold
// is encoded once, by the goroutine that asks; the state machine copies bytes.

// opCode says what an operation does. Codes are never reused.
type opCode byte

const (
	opAppend     opCode = 1
	opClaim      opCode = 2
	opSaveState  opCode = 3
	opPutDoc     opCode = 4
	opDeleteDoc  opCode = 5
	opExpireRefs opCode = 6
	opClear      opCode = 7
	opNothing    opCode = 8
	opMember     opCode = 9
	opAppendOnce opCode = 10
	opPutChunk   opCode = 11
	opPutFile    opCode = 12
	opDropFiles  opCode = 13
	opSweepFiles opCode = 14
	opErase      opCode = 15
	opForget     opCode = 16

	lastOp = opForget
)

const (
	appendContact byte = 1 << iota // the contact's current conversation is set
	appendState                    // a snapshot follows
	appendFiles                    // the files that the conversation keeps follow all else
)

// proposalID names a proposal: which process made it, and its number there.
type proposalID struct {
	nonce, counter uint64
}

func appendProposalHeader(b []byte, id proposalID, count int) []byte {
	b = appendHeader(b, kindProposal)
	b = binary.BigEndian.AppendUint64(b, id.nonce)
	b = binary.BigEndian.AppendUint64(b, id.counter)
	return binary.AppendUvarint(b, uint64(count)) //nolint:gosec // a length
}

// readProposal gives the id, the number of operations and the rest.
func readProposal(rec []byte) (proposalID, int, reader, error) {
	b, err := body(kindProposal, rec)
	if err != nil {
		return proposalID{}, 0, reader{}, err
	}
	r := reader{b: b}
	id := proposalID{nonce: r.uint64(), counter: r.uint64()}
	n := r.count()
	if r.bad {
		return proposalID{}, 0, reader{}, fmt.Errorf("%w: proposal", ErrCorrupt)
	}
	return id, n, r, nil
}

// checkProposal looks at what a peer wants to have in the log: an entry that
// cannot be read there would end every node.
func checkProposal(rec []byte) error {
	_, n, r, err := readProposal(rec)
	if err != nil {
		return err
	}
	for range n {
		op := r.bytes()
		if len(op) == 0 || opCode(op[0]) == 0 || opCode(op[0]) > lastOp {
			return fmt.Errorf("%w: operation of a proposal", ErrCorrupt)
		}
	}
	return r.end("proposal")
}

// encodeAppend makes the operation of an append. The refs of one that checks
// them are looked for as many days back as they are kept.
func (e *encoders) encodeAppend(b []byte, a *conversation.Append, days uint32) ([]byte, error) {
	if a.CheckRefs {
		b = append(b, byte(opAppendOnce))
		b = binary.AppendUvarint(b, uint64(days))
	} else {
		b = append(b, byte(opAppend))
	}
	return e.appendStep(b, a)
}

// encodeErase makes the operation that puts the entry of an append in the place of
// all that the conversation held.
func (e *encoders) encodeErase(a *conversation.Append) ([]byte, error) {
	return e.appendStep([]byte{byte(opErase)}, a)
}

// encodeForget makes the operation that ends the erasure of contacts.
func encodeForget(contacts []conversation.ContactID) []byte {
	b := binary.AppendUvarint([]byte{byte(opForget)}, uint64(len(contacts)))
	for _, c := range contacts {
		b = append(b, c[:]...)
	}
	return b
}

// appendStep adds an append, from after the code of its operation.
func (e *encoders) appendStep(b []byte, a *conversation.Append) ([]byte, error) {
	b = append(b, a.ID[:]...)
	b = binary.AppendUvarint(b, uint64(a.Expect))
	b = binary.AppendUvarint(b, a.Epoch)
	b, err := e.appendEntries(b, a.Entries)
	if err != nil {
		return b, err
	}
	b = binary.AppendVarint(b, listTime(a.Head.LastActivity))
	b = binary.AppendVarint(b, dueOf(a.NextDue))
	b = appendBytes(b, a.Head.Inbox)
	b = appendBytes(b, a.Head.Status)
	b = append(b, a.Head.Contact[:]...)
	if b, err = appendSized(b, func(b []byte) ([]byte, error) { return appendHead(b, &a.Head), nil }); err != nil {
		return b, err
	}
	var flags byte
	// Only the first entry, or a late word of an old conversation would take the
	// contact away from its successor.
	if a.Expect == 0 && !a.Contact.Contact.IsZero() {
		flags |= appendContact
	}
	if a.State != nil {
		flags |= appendState
	}
	if len(a.Files) > 0 {
		flags |= appendFiles
	}
	b = append(b, flags)
	if flags&appendContact != 0 {
		b = appendBytes(b, a.Contact.Inbox)
		b = append(b, a.Contact.Contact[:]...)
	}
	b = appendRefs(b, a)
	if b, err = e.appendOutbox(b, a.Outbox); err != nil {
		return b, err
	}
	b = binary.AppendUvarint(b, uint64(len(a.Settled)))
	for _, seq := range a.Settled {
		b = binary.AppendUvarint(b, uint64(seq))
	}
	if a.State != nil {
		if b, err = e.appendStateField(b, a.State); err != nil {
			return b, err
		}
	}
	return appendFileIDs(b, a.Files), nil
}

// appendFileIDs adds nothing when there are none.
func appendFileIDs(b []byte, ids []conversation.AttachmentID) []byte {
	if len(ids) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func (e *encoders) appendEntries(b []byte, entries []conversation.Entry) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for i := range entries {
		var err error
		b, err = appendSized(b, func(b []byte) ([]byte, error) { return e.appendEntry(b, &entries[i]) })
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// appendRefs adds the refs that are not empty, each with the day of its entry.
func appendRefs(b []byte, a *conversation.Append) []byte {
	n := 0
	for _, r := range a.Refs {
		if r.Ref != "" {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for _, r := range a.Refs {
		if r.Ref == "" {
			continue
		}
		at := a.Head.LastActivity
		if i := int(r.Seq) - int(a.Expect) - 1; i >= 0 && i < len(a.Entries) { //nolint:gosec // bounds are checked
			at = a.Entries[i].At
		}
		b = binary.AppendUvarint(b, uint64(r.Seq))
		b = binary.AppendUvarint(b, uint64(dayOf(at)))
		b = appendBytes(b, r.Ref)
	}
	return b
}

func (e *encoders) appendOutbox(b []byte, rows []conversation.Outbound) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for i := range rows {
		b = binary.AppendUvarint(b, uint64(rows[i].Row()))
		var err error
		b, err = appendSized(b, func(b []byte) ([]byte, error) { return e.appendJSON(b, tagOutbox, &rows[i]) })
		if err != nil {
			return b, fmt.Errorf("encode outbox row: %w", err)
		}
	}
	return b, nil
}

func (e *encoders) appendStateField(b []byte, s *conversation.State) ([]byte, error) {
	b, err := appendSized(b, func(b []byte) ([]byte, error) { return e.appendJSON(b, tagState, s) })
	if err != nil {
		return b, fmt.Errorf("encode state: %w", err)
	}
	return b, nil
}

// appendSized adds what f adds, with its length before it. The length takes
// three bytes whatever it is, so that nothing has to be moved for most, and
// more only beyond 2 MB.
func appendSized(b []byte, f func([]byte) ([]byte, error)) ([]byte, error) {
	const room = 3
	start := len(b)
	b, err := f(append(b, 0, 0, 0))
	if err != nil {
		return b, err
	}
	n := len(b) - start - room
	if n >= 1<<(7*room) {
		content := append([]byte(nil), b[start+room:]...)
		return appendBytes(b[:start], content), nil
	}
	b[start] = byte(n)&0x7f | 0x80      //nolint:gosec // seven bits
	b[start+1] = byte(n>>7)&0x7f | 0x80 //nolint:gosec // seven bits
	b[start+2] = byte(n >> 14)          //nolint:gosec // n < 1<<21
	return b, nil
}

func encodeClaim(id conversation.ConversationID) []byte {
	return append([]byte{byte(opClaim)}, id[:]...)
}

func (e *encoders) encodeSaveState(s *conversation.State, epoch uint64) ([]byte, error) {
	b := append([]byte{byte(opSaveState)}, s.ID[:]...)
	b = binary.AppendUvarint(b, epoch)
	b = binary.AppendUvarint(b, uint64(s.Version))
	return e.appendStateField(b, s)
}

// document is a write to a document.
type document struct {
	kind, id string
	expect   uint64 // version before; 0 = there must be none
	version  uint64 // version after; 0 = expect + 1
	doc      []byte
}

func (d *document) encodePut() []byte {
	b := []byte{byte(opPutDoc)}
	b = appendBytes(b, d.kind)
	b = appendBytes(b, d.id)
	b = binary.AppendUvarint(b, d.expect)
	b = binary.AppendUvarint(b, d.version)
	return append(b, d.doc...)
}

func (d *document) encodeDelete() []byte {
	b := []byte{byte(opDeleteDoc)}
	b = appendBytes(b, d.kind)
	b = appendBytes(b, d.id)
	return binary.AppendUvarint(b, d.expect)
}

func readDocument(r *reader) document {
	return document{kind: string(r.bytes()), id: string(r.bytes()), expect: r.uint()}
}

// encodeExpire drops the refs of the days before day.
func encodeExpire(day uint32) []byte {
	return binary.AppendUvarint([]byte{byte(opExpireRefs)}, uint64(day))
}
