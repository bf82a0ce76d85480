package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Every key is a tag, a group of two bytes and the rest, all big-endian. The
// group is always zero; it is where several raft groups would live side by
// side. No key is built or taken apart outside this file.
//
//	m conv16 seq8                      entry
//	h conv16                           head row: epoch, version, index fields, head
//	s conv16                           state snapshot
//	i inbox 0 status 0 ^activity8 conv list index, newest activity first, by the second
//	x day4 inbox 0 contact16 ref       sender's id -> conversation and seq, by the day of its entry
//	c inbox 0 contact16                the contact's current conversation
//	o conv16 seq8                      outbox row
//	d due8 conv16                      due index
//	r kind 0 id                        document
//	b blob32                           bytes of files: their size, and how many files hold them
//	b blob32 chunk4                    a piece of them
//	f file16                           file
//	w conv16 file16                    index of the files of a conversation
//	u day4 kind1 id                    what goes on a day unless somebody wants it: a file, or pieces without one
//	a                                  applied index
//	v node                             member: what is known of a node
//	L index8                           raft log of a directory of format 1
//	k sub rest                         raft: snapshot mark, mark of a replacement; stays on the node
//	n                                  node identity; stays on the node
const (
	tagEntry    = 'm'
	tagHead     = 'h'
	tagState    = 's'
	tagList     = 'i'
	tagRef      = 'x'
	tagContact  = 'c'
	tagOutbox   = 'o'
	tagDue      = 'd'
	tagDocument = 'r'
	tagBlob     = 'b'
	tagFile     = 'f'
	tagFileOf   = 'w'
	tagExpiry   = 'u'
	tagApplied  = 'a'
	tagMember   = 'v'
	tagLog      = 'L'
	tagRaft     = 'k'
	tagNode     = 'n'
)

const (
	prefixBytes = 3 // tag and group
	idBytes     = 16
)

var errBadKey = errors.New("key of the wrong form")

// stateTags lists the tags that the state machine writes, in key order. What
// is not among them belongs to one node.
func stateTags() []byte {
	return []byte{
		tagApplied, tagBlob, tagContact, tagDue, tagFile, tagHead, tagList, tagEntry, tagOutbox, tagDocument, tagState,
		tagExpiry, tagMember, tagFileOf, tagRef,
	}
}

// tagPrefix is the start of all keys of a tag.
func tagPrefix(tag byte) []byte { return []byte{tag, 0, 0} }

// after gives the smallest key that is larger than every key that starts with
// prefix. Prefixes here start with a tag, so there always is one.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return end
}

func appendTag(b []byte, tag byte) []byte { return append(b, tag, 0, 0) }

func appendEntryKey(b []byte, id conversation.ConversationID, seq conversation.Seq) []byte {
	b = appendTag(b, tagEntry)
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

func entryKeySeq(key []byte) (conversation.ConversationID, conversation.Seq, error) {
	if len(key) != prefixBytes+idBytes+8 {
		return conversation.ConversationID{}, 0, errBadKey
	}
	rest := key[prefixBytes:]
	return conversation.ConversationID(rest[:idBytes]), conversation.Seq(binary.BigEndian.Uint64(rest[idBytes:])), nil
}

func appendHeadKey(b []byte, id conversation.ConversationID) []byte {
	return append(appendTag(b, tagHead), id[:]...)
}

func headKeyID(key []byte) (conversation.ConversationID, error) {
	if len(key) != prefixBytes+idBytes {
		return conversation.ConversationID{}, errBadKey
	}
	return conversation.ConversationID(key[prefixBytes:]), nil
}

func appendStateKey(b []byte, id conversation.ConversationID) []byte {
	return append(appendTag(b, tagState), id[:]...)
}

// appendListPrefix starts the list of an inbox and a status.
func appendListPrefix(b []byte, inbox conversation.InboxID, status conversation.Status) []byte {
	b = appendTag(b, tagList)
	b = append(b, inbox...)
	b = append(b, 0)
	b = append(b, status...)
	return append(b, 0)
}

func appendInboxListPrefix(b []byte, inbox conversation.InboxID) []byte {
	b = appendTag(b, tagList)
	b = append(b, inbox...)
	return append(b, 0)
}

func appendListKey(b []byte, r *row, id conversation.ConversationID) []byte {
	b = appendListPrefix(b, r.inbox, r.status)
	return appendListPlace(b, listPlace{activity: r.activity, id: id})
}

// listPlace orders conversations by activity, newest first, then by id.
type listPlace struct {
	activity int64 // milliseconds; of a whole second, but for rows of earlier versions
	id       conversation.ConversationID
}

func appendListPlace(b []byte, p listPlace) []byte {
	b = binary.BigEndian.AppendUint64(b, ^sortable(p.activity))
	return append(b, p.id[:]...)
}

const listPlaceBytes = 8 + idBytes

// readListPlace reads the end of a list key.
func readListPlace(key []byte) (listPlace, error) {
	if len(key) < prefixBytes+listPlaceBytes {
		return listPlace{}, errBadKey
	}
	rest := key[len(key)-listPlaceBytes:]
	return listPlace{
		activity: unsortable(^binary.BigEndian.Uint64(rest)),
		id:       conversation.ConversationID(rest[8:]),
	}, nil
}

// listKeyInbox reads the inbox of a list key, and its status.
func listKeyInbox(key []byte) (conversation.InboxID, conversation.Status, error) {
	if len(key) < prefixBytes {
		return "", "", errBadKey
	}
	inbox, rest, ok := bytes.Cut(key[prefixBytes:], []byte{0})
	if !ok {
		return "", "", errBadKey
	}
	status, _, ok := bytes.Cut(rest, []byte{0})
	if !ok {
		return "", "", errBadKey
	}
	return conversation.InboxID(inbox), conversation.Status(status), nil
}

func appendContactPlace(b []byte, c conversation.ContactKey) []byte {
	b = append(b, c.Inbox...)
	b = append(b, 0)
	return append(b, c.Contact[:]...)
}

func readContactPlace(b []byte) (conversation.ContactKey, []byte, error) {
	inbox, rest, ok := bytes.Cut(b, []byte{0})
	if !ok || len(rest) < idBytes {
		return conversation.ContactKey{}, nil, errBadKey
	}
	return conversation.ContactKey{
		Inbox: conversation.InboxID(inbox), Contact: conversation.ContactID(rest[:idBytes]),
	}, rest[idBytes:], nil
}

// appendRefDay starts the refs of a day. A whole day is dropped at once when
// its time is over, so that no ref needs a row that says when it expires.
func appendRefDay(b []byte, day uint32) []byte {
	return binary.BigEndian.AppendUint32(appendTag(b, tagRef), day)
}

func appendRefKey(b []byte, day uint32, c conversation.ContactKey, ref conversation.Ref) []byte {
	return append(appendContactPlace(appendRefDay(b, day), c), ref...)
}

func refKeyParts(key []byte) (day uint32, c conversation.ContactKey, ref conversation.Ref, err error) {
	if len(key) < prefixBytes+4 {
		return 0, c, "", errBadKey
	}
	rest := key[prefixBytes:]
	c, tail, err := readContactPlace(rest[4:])
	return binary.BigEndian.Uint32(rest), c, conversation.Ref(tail), err
}

func appendContactKey(b []byte, c conversation.ContactKey) []byte {
	return appendContactPlace(appendTag(b, tagContact), c)
}

func contactKeyParts(key []byte) (conversation.ContactKey, error) {
	if len(key) < prefixBytes {
		return conversation.ContactKey{}, errBadKey
	}
	c, rest, err := readContactPlace(key[prefixBytes:])
	if err == nil && len(rest) != 0 {
		err = errBadKey
	}
	return c, err
}

func appendOutboxKey(b []byte, id conversation.ConversationID, seq conversation.Seq) []byte {
	b = appendTag(b, tagOutbox)
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

func appendDueKey(b []byte, due int64, id conversation.ConversationID) []byte {
	b = binary.BigEndian.AppendUint64(appendTag(b, tagDue), sortable(due))
	return append(b, id[:]...)
}

func dueKeyParts(key []byte) (due int64, id conversation.ConversationID, err error) {
	if len(key) != prefixBytes+8+idBytes {
		return 0, id, errBadKey
	}
	rest := key[prefixBytes:]
	return unsortable(binary.BigEndian.Uint64(rest)), conversation.ConversationID(rest[8:]), nil
}

func documentPrefix(kind string) []byte {
	return append(append(tagPrefix(tagDocument), kind...), 0)
}

func documentKey(kind, id string) []byte { return append(documentPrefix(kind), id...) }

func documentKeyParts(key []byte) (kind, id string, err error) {
	if len(key) < prefixBytes {
		return "", "", errBadKey
	}
	k, i, ok := bytes.Cut(key[prefixBytes:], []byte{0})
	if !ok {
		return "", "", errBadKey
	}
	return string(k), string(i), nil
}

const blobBytes = 32 // of a SHA-256

func blobKey(blob blobID) []byte { return append(tagPrefix(tagBlob), blob[:]...) }

func chunkKey(blob blobID, index uint32) []byte {
	return binary.BigEndian.AppendUint32(blobKey(blob), index)
}

func fileKey(id conversation.AttachmentID) []byte { return append(tagPrefix(tagFile), id[:]...) }

func fileKeyID(key []byte) (conversation.AttachmentID, error) {
	if len(key) != prefixBytes+idBytes {
		return conversation.AttachmentID{}, errBadKey
	}
	return conversation.AttachmentID(key[prefixBytes:]), nil
}

func fileOfPrefix(c conversation.ConversationID) []byte { return append(tagPrefix(tagFileOf), c[:]...) }

func fileOfKey(c conversation.ConversationID, id conversation.AttachmentID) []byte {
	return append(fileOfPrefix(c), id[:]...)
}

// fileOfKeyID reads the file of an index key.
func fileOfKeyID(key []byte) (conversation.AttachmentID, error) {
	if len(key) != prefixBytes+2*idBytes {
		return conversation.AttachmentID{}, errBadKey
	}
	return conversation.AttachmentID(key[prefixBytes+idBytes:]), nil
}

func expiryDay(day uint32) []byte { return binary.BigEndian.AppendUint32(tagPrefix(tagExpiry), day) }

// expiryKey is for a tag that is tagFile or tagBlob, and the id of such a row.
func expiryKey(day uint32, tag byte, id []byte) []byte {
	return append(append(expiryDay(day), tag), id...)
}

func expiryKeyParts(key []byte) (tag byte, id []byte, err error) {
	if len(key) < prefixBytes+4+1 {
		return 0, nil, errBadKey
	}
	tag, id = key[prefixBytes+4], key[prefixBytes+5:]
	if (tag != tagFile || len(id) != idBytes) && (tag != tagBlob || len(id) != blobBytes) {
		return 0, nil, errBadKey
	}
	return tag, id, nil
}

func memberKey(node string) []byte { return append(tagPrefix(tagMember), node...) }

func appliedKey() []byte { return tagPrefix(tagApplied) }

func nodeKey() []byte { return tagPrefix(tagNode) }

func appendLogKey(b []byte, index uint64) []byte {
	return binary.BigEndian.AppendUint64(appendTag(b, tagLog), index)
}

func logKeyIndex(key []byte) (uint64, error) {
	if len(key) != prefixBytes+8 {
		return 0, errBadKey
	}
	return binary.BigEndian.Uint64(key[prefixBytes:]), nil
}

func stableKey(name []byte) []byte { return append(append(tagPrefix(tagRaft), 'k'), name...) }

func snapshotKey() []byte { return append(tagPrefix(tagRaft), 'S') }

// replacingKey marks a state that is being replaced by a received one: while
// it stands, the state is not to be used.
func replacingKey() []byte { return append(tagPrefix(tagRaft), 'R') }

// scrubKey marks that something was erased whose bytes may still lie in the files
// of this node.
func scrubKey() []byte { return append(tagPrefix(tagRaft), 'E') }

// sortable maps a signed number to an unsigned one of the same order.
func sortable(v int64) uint64 { return uint64(v) ^ 1<<63 } //nolint:gosec // the bits are wanted as they are

func unsortable(v uint64) int64 { return int64(v ^ 1<<63) } //nolint:gosec // undoes sortable

// dayOf is the unit in which refs expire.
func dayOf(t time.Time) uint32 {
	d := t.Unix() / int64(24*time.Hour/time.Second)
	return uint32(min(max(d, 0), 1<<32-1))
}
