package persistence

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// Limits of documents.
const (
	MaxDocBytes   = 1 << 20
	maxDocIDBytes = 256
)

// Doc is a stored document.
type Doc struct {
	ID      string
	Version uint64 // counts its writes, from 1
	Data    []byte
}

// PutDoc writes a document whose stored version is expect, where 0 means that
// there is none yet, and gives its new version. Errors: [ErrConflict], as a
// [ConflictError] that says what is there.
func (s *Store) PutDoc(ctx context.Context, kind, id string, expect uint64, doc []byte) (version uint64, err error) {
	return s.putDoc(ctx, &document{kind: kind, id: id, expect: expect, doc: doc})
}

func (s *Store) putDoc(ctx context.Context, d *document) (uint64, error) {
	if err := checkDocName(d.kind, d.id); err != nil {
		return 0, err
	}
	limit := MaxDocBytes
	if d.kind == docPackText {
		limit = maxPackTextBytes
	}
	if len(d.doc) > limit {
		return 0, conversation.Refusef(conversation.CodeTooLarge, "document of %d bytes, the limit is %d", len(d.doc), limit)
	}
	version, err := s.queue.do(ctx, d.encodePut(), nil)
	if err != nil {
		return 0, fmt.Errorf("put %s %s: %w", d.kind, d.id, err)
	}
	return version, nil
}

func checkDocName(kind, id string) error {
	if kind == "" || id == "" || len(kind) > maxDocIDBytes || len(id) > maxDocIDBytes || strings.IndexByte(kind, 0) >= 0 {
		return conversation.Refuse(conversation.CodeBadID, "a document has a kind and an id of 1 to 256 bytes")
	}
	return nil
}

// Doc gives a document. Errors: [ErrNotFound].
func (s *Store) Doc(ctx context.Context, kind, id string) (Doc, error) {
	done, err := s.looking(ctx)
	if err != nil {
		return Doc{}, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	defer done()
	d := Doc{ID: id}
	found, err := s.buffer.value(documentKey(kind, id), func(rec []byte) error { return d.decode(rec) })
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Doc{}, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return d, nil
}

func (d *Doc) decode(rec []byte) error {
	version, data, err := decodeDocument(rec)
	d.Version, d.Data = version, bytes.Clone(data)
	return err
}

// Docs gives all documents of a kind, by id.
func (s *Store) Docs(ctx context.Context, kind string) ([]Doc, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, fmt.Errorf("documents of kind %s: %w", kind, err)
	}
	defer done()
	var out []Doc
	err = scanDocs(s.db, documentPrefix(kind), func(_ string, d Doc) error {
		out = append(out, d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("documents of kind %s: %w", kind, err)
	}
	return out, nil
}

// scanDocs walks the documents whose keys start with prefix.
func scanDocs(db pebble.Reader, prefix []byte, visit func(kind string, d Doc) error) error {
	return scan(db, prefixBounds(prefix, nil), func(key, rec []byte) (bool, error) {
		kind, id, err := documentKeyParts(key)
		if err != nil {
			return false, err
		}
		d := Doc{ID: id}
		if err := d.decode(rec); err != nil {
			return false, err
		}
		return true, visit(kind, d)
	})
}

// DeleteDoc removes a document whose stored version is expect, or whatever its
// version when expect is 0. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) DeleteDoc(ctx context.Context, kind, id string, expect uint64) error {
	if err := checkDocName(kind, id); err != nil {
		return err
	}
	d := document{kind: kind, id: id, expect: expect}
	if _, err := s.queue.do(ctx, d.encodeDelete(), nil); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, id, err)
	}
	return nil
}
