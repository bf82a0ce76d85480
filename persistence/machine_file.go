package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// dropsAtOnce bounds what one operation deletes.
const dropsAtOnce = 128

// blobBook counts the bytes of files that are stored here.
type blobBook struct{ bytes, count atomic.Int64 }

func (b *blobBook) add(size int64) {
	b.bytes.Add(size)
	b.count.Add(1)
}

func (b *blobBook) remove(size int64) {
	b.bytes.Add(-size)
	b.count.Add(-1)
}

func (b *blobBook) clear() {
	b.bytes.Store(0)
	b.count.Store(0)
}

// load counts anew. It passes over the pieces without reading them.
func (b *blobBook) load(db *pebble.DB) error {
	b.clear()
	it, err := db.NewIter(prefixBounds(tagPrefix(tagBlob), nil))
	if err != nil {
		return err
	}
	ok := it.First()
	for ok && err == nil {
		key := it.Key()
		if len(key) < prefixBytes+blobBytes {
			err = errBadKey
			break
		}
		blob := blobID(key[prefixBytes : prefixBytes+blobBytes])
		if len(key) == prefixBytes+blobBytes {
			var head blobHead
			if head, err = decodeBlobHead(it.Value()); err == nil {
				b.add(head.size)
			}
		}
		ok = it.SeekGE(after(blobKey(blob)))
	}
	return errors.Join(err, it.Error(), it.Close())
}

// current gives a copy of a row as the operations so far have left it; nil when
// there is none. What looks at files may not commit the batch in the middle of an
// operation, and asks rarely.
func (m *machine) current(key []byte) ([]byte, error) {
	if v, known := m.batch.newest(key); known {
		return bytes.Clone(v), nil
	}
	return m.get(key)
}

func (m *machine) blobHead(id blobID) (blobHead, error) {
	rec, err := m.current(blobKey(id))
	if err != nil || rec == nil {
		return blobHead{}, err
	}
	return decodeBlobHead(rec)
}

// applyPutChunk stores a piece of bytes that are not there yet.
func (m *machine) applyPutChunk(r *reader) (result, error) {
	day := r.uint32()
	var id blobID
	copy(id[:], r.take(blobBytes))
	index, data := r.uint32(), r.b
	r.b = nil
	head, err := m.blobHead(id)
	if err != nil {
		return result{}, err
	}
	if head.refs > 0 {
		return result{n: 1}, nil
	}
	m.value = append(appendHeader(m.value[:0], tagBlob), data...)
	m.batch.set(chunkKey(id, index), m.value)
	if index == 0 {
		m.batch.set(expiryKey(day, tagBlob, id[:]), nil)
	}
	return result{}, nil
}

// applyPutFile stores a file when all its bytes are there.
func (m *machine) applyPutFile(r *reader) (result, error) {
	id := conversation.AttachmentID(r.id())
	f, err := decodeFile(r.b)
	r.b = nil
	if err != nil {
		return result{}, err
	}
	rec, err := m.current(fileKey(id))
	if err != nil {
		return result{}, err
	}
	if rec != nil {
		old, err := decodeFile(rec)
		if err == nil && old.blob != f.blob {
			return refused(fmt.Errorf("%s holds other bytes: %w", id, ErrConflict))
		}
		return result{}, err
	}
	head, err := m.blobHead(f.blob)
	if err != nil {
		return result{}, err
	}
	if head.refs == 0 {
		whole, err := m.whole(f.blob, f.size)
		if err != nil {
			return result{}, err
		}
		if !whole {
			return refused(ErrIncomplete)
		}
		head.size = f.size
		m.blobs.add(f.size)
	}
	head.refs++
	m.batch.set(blobKey(f.blob), head.append(nil))
	m.batch.set(fileKey(id), f.append(nil))
	if f.sent {
		m.batch.set(fileOfKey(f.of, id), nil)
	} else {
		m.batch.set(expiryKey(f.day, tagFile, id[:]), nil)
	}
	return result{}, nil
}

// whole reports whether all pieces are there, and of the right size.
func (m *machine) whole(id blobID, size int64) (bool, error) {
	for i := range chunksOf(size) {
		rec, err := m.current(chunkKey(id, uint32(i)))
		if err != nil {
			return false, err
		}
		if int64(len(rec)) != headerBytes+min(size-i*BlobChunkBytes, BlobChunkBytes) {
			return false, nil
		}
	}
	return true, nil
}

// keepFiles makes a conversation keep the files of its messages. One that is not
// there any more stays away.
func (m *machine) keepFiles(r *reader, of conversation.ConversationID) error {
	for range r.count() {
		id := conversation.AttachmentID(r.id())
		rec, err := m.current(fileKey(id))
		if err != nil {
			return err
		}
		if rec == nil {
			continue
		}
		f, err := decodeFile(rec)
		if err != nil {
			return err
		}
		if f.sent {
			continue
		}
		m.batch.drop(expiryKey(f.day, tagFile, id[:]))
		f.sent, f.of = true, of
		m.batch.set(fileKey(id), f.append(nil))
		m.batch.set(fileOfKey(of, id), nil)
	}
	return nil
}

// applyDropFiles deletes some of the files of a conversation.
func (m *machine) applyDropFiles(r *reader) (result, error) {
	of := r.id()
	if err := r.end("files of a conversation"); err != nil {
		return result{}, err
	}
	m.settleAll() // the index is read from the database
	ids, err := filesOf(m.db, of, dropsAtOnce)
	if err != nil {
		return result{}, err
	}
	for _, id := range ids {
		if err := m.eraseFile(id); err != nil {
			return result{}, err
		}
	}
	return result{n: uint64(len(ids))}, nil
}

// eraseFile is dropFile for a file whose bytes must not stay on the disk.
func (m *machine) eraseFile(id conversation.AttachmentID) error {
	f, err := m.fileRow(id)
	if err != nil || f == nil {
		return err
	}
	m.scrubber.file(id, f.blob)
	return m.dropRow(id, f)
}

// dropFile deletes a file, and its bytes if no other file holds them.
func (m *machine) dropFile(id conversation.AttachmentID) error {
	f, err := m.fileRow(id)
	if err != nil || f == nil {
		return err
	}
	return m.dropRow(id, f)
}

// fileRow gives the record of a file as it will be after the batch; nil when
// there is none.
func (m *machine) fileRow(id conversation.AttachmentID) (*fileRecord, error) {
	rec, err := m.current(fileKey(id))
	if err != nil || rec == nil {
		return nil, err
	}
	f, err := decodeFile(rec)
	return &f, err
}

func (m *machine) dropRow(id conversation.AttachmentID, f *fileRecord) error {
	m.batch.drop(fileKey(id))
	if f.sent {
		m.batch.drop(fileOfKey(f.of, id))
	} else {
		m.batch.drop(expiryKey(f.day, tagFile, id[:]))
	}
	head, err := m.blobHead(f.blob)
	switch {
	case err != nil || head.refs == 0:
		return err
	case head.refs > 1:
		head.refs--
		m.batch.set(blobKey(f.blob), head.append(nil))
		return nil
	}
	m.batch.dropRange(blobKey(f.blob), after(blobKey(f.blob)))
	m.blobs.remove(head.size)
	return nil
}

// applySweepFiles drops some of what was to go before a day: files that nobody
// sent, and pieces that no file followed.
func (m *machine) applySweepFiles(r *reader) (result, error) {
	before := r.uint32()
	if err := r.end("sweep of files"); err != nil {
		return result{}, err
	}
	m.settleAll() // the index is read from the database
	var keys [][]byte
	err := scan(m.db, prefixBounds(tagPrefix(tagExpiry), expiryDay(before)), func(key, _ []byte) (bool, error) {
		keys = append(keys, bytes.Clone(key))
		return len(keys) < dropsAtOnce, nil
	})
	if err != nil {
		return result{}, err
	}
	for _, key := range keys {
		if err := m.expire(key); err != nil {
			return result{}, err
		}
	}
	return result{n: uint64(len(keys))}, nil
}

func (m *machine) expire(key []byte) error {
	tag, id, err := expiryKeyParts(key)
	if err != nil {
		return err
	}
	m.batch.drop(key)
	if tag == tagFile {
		return m.dropFile(conversation.AttachmentID(id))
	}
	head, err := m.blobHead(blobID(id))
	if err == nil && head.refs == 0 {
		m.batch.dropRange(blobKey(blobID(id)), after(blobKey(blobID(id))))
	}
	return err
}
