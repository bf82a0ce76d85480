package persistence

import (
	"bytes"
	"fmt"
)

// applyPutDoc writes a document whose stored version is the expected one. The
// same write a second time is no error.
func (m *machine) applyPutDoc(r *reader) (result, error) {
	d := readDocument(r)
	d.version, d.doc = r.uint(), r.b
	r.b = nil
	if d.version == 0 {
		d.version = d.expect + 1
	}
	version, old, err := m.storedDoc(&d)
	if err != nil {
		return result{}, err
	}
	if version == d.version && bytes.Equal(old, d.doc) {
		return result{n: version}, nil
	}
	if version != d.expect {
		return refused(&ConflictError{Expect: d.expect, Have: version})
	}
	if refusal := m.directory.refuse(&d); refusal != nil {
		return refused(refusal)
	}
	m.value = appendDocument(m.value[:0], d.version, d.doc)
	m.batch.set(documentKey(d.kind, d.id), m.value)
	m.docs = m.burst
	return result{n: d.version}, m.directory.put(&d)
}

// applyDeleteDoc removes a document whose stored version is the expected one.
// Version 0 stands for any.
func (m *machine) applyDeleteDoc(r *reader) (result, error) {
	d := readDocument(r)
	version, _, err := m.storedDoc(&d)
	if err != nil {
		return result{}, err
	}
	if version == 0 {
		return refused(fmt.Errorf("%s %s: %w", d.kind, d.id, ErrNotFound))
	}
	if d.expect != 0 && version != d.expect {
		return refused(&ConflictError{Expect: d.expect, Have: version})
	}
	m.batch.drop(documentKey(d.kind, d.id))
	m.docs = m.burst
	m.directory.drop(d.kind, d.id)
	return result{n: version}, nil
}

// storedDoc gives what is stored under d's name; version 0 when nothing is.
func (m *machine) storedDoc(d *document) (uint64, []byte, error) {
	m.settle(m.docs)
	rec, err := m.get(documentKey(d.kind, d.id))
	if err != nil || rec == nil {
		return 0, nil, err
	}
	return decodeDocument(rec)
}

// applyExpire drops the refs of all days before one.
func (m *machine) applyExpire(r *reader) (result, error) {
	day := r.uint32()
	m.batch.dropRange(tagPrefix(tagRef), appendRefDay(nil, day))
	return result{}, nil
}
