package persistence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// The bytes of files go through the log like everything else, in pieces, so that
// every node has them and none is lost with a node's disk. A file is acknowledged
// when all its pieces are there; equal bytes are stored once.

// Limits of the bytes of files.
const (
	// BlobChunkBytes is the size of a piece: what one raft entry may take without
	// holding up the messages beside it.
	BlobChunkBytes = 128 << 10
	// MaxBlobBytes bounds the bytes of one file.
	MaxBlobBytes = 256 << 20

	maxChunks    = MaxBlobBytes / BlobChunkBytes
	maxFileBytes = 4 << 10 // what is said about a file
)

// ErrIncomplete says that pieces of a file's bytes are missing: they have to be
// written again.
var ErrIncomplete = fmt.Errorf("pieces of the file are missing: %w", conversation.ErrConflict)

// blobID names bytes by their SHA-256.
type blobID [blobBytes]byte

func parseBlob(s string) (blobID, error) {
	var b blobID
	if n, err := hex.Decode(b[:], []byte(s)); len(s) != 2*blobBytes || err != nil || n != blobBytes {
		return b, conversation.Refuse(conversation.CodeBadID, "the bytes of a file are named by their SHA-256")
	}
	return b, nil
}

// chunksOf says how many pieces so many bytes are.
func chunksOf(size int64) int64 { return (size + BlobChunkBytes - 1) / BlobChunkBytes }

// PutChunk stores one piece of bytes that are named blob, the SHA-256 of all of
// them in hex. Pieces that no file follows go within two days. It reports whether
// all the bytes are stored already, so that the other pieces need not come.
func (s *Store) PutChunk(ctx context.Context, blob string, index int, data []byte) (whole bool, err error) {
	id, err := parseBlob(blob)
	if err != nil {
		return false, err
	}
	if index < 0 || index >= maxChunks || len(data) == 0 || len(data) > BlobChunkBytes {
		return false, conversation.Refusef(conversation.CodeTooLarge, "piece %d of %d bytes", index, len(data))
	}
	n, err := s.queue.do(ctx, encodePutChunk(s.expiresOn(), id, uint32(index), data), nil)
	if err != nil {
		return false, fmt.Errorf("store piece %d of a file: %w", index, err)
	}
	return n != 0, nil
}

// PutFile stores what is known of a file whose bytes are stored; the same file
// again changes nothing. One that is not sent goes within two days.
//
// Errors: [ErrIncomplete], [ErrConflict] for another file of the same id.
func (s *Store) PutFile(ctx context.Context, f *conversation.File) error {
	op, err := s.enc.encodePutFile(s.expiresOn(), f)
	if err != nil {
		return err
	}
	if _, err := s.queue.do(ctx, op, nil); err != nil {
		return fmt.Errorf("store %s: %w", f.ID, err)
	}
	return nil
}

// expiresOn is the day on whose end goes what nobody sends.
func (s *Store) expiresOn() uint32 { return dayOf(s.options.Now()) + 1 }

// File gives what is known of a file. Errors: [ErrNotFound].
func (s *Store) File(ctx context.Context, id conversation.AttachmentID) (conversation.File, error) {
	var f conversation.File
	done, err := s.looking(ctx)
	if err != nil {
		return f, fmt.Errorf("%s: %w", id, err)
	}
	defer done()
	found, err := s.buffer.value(fileKey(id), func(rec []byte) error {
		r, err := decodeFile(rec)
		if err == nil {
			f, err = r.file()
		}
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", id, err)
	}
	return f, nil
}

// FilesOf lists the files that a conversation keeps.
func (s *Store) FilesOf(ctx context.Context, c conversation.ConversationID) ([]conversation.AttachmentID, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, fmt.Errorf("files of %s: %w", c, err)
	}
	defer done()
	ids, err := filesOf(s.db, c, maxPage)
	if err != nil {
		return nil, fmt.Errorf("files of %s: %w", c, err)
	}
	return ids, nil
}

func filesOf(db pebble.Reader, c conversation.ConversationID, limit int) ([]conversation.AttachmentID, error) {
	var ids []conversation.AttachmentID
	err := scan(db, prefixBounds(fileOfPrefix(c), nil), func(key, _ []byte) (bool, error) {
		id, err := fileOfKeyID(key)
		ids = append(ids, id)
		return len(ids) < limit, err
	})
	return ids, err
}

// DropFiles deletes the files of a conversation, and the bytes that no other file
// holds. The messages go on saying that they were there.
func (s *Store) DropFiles(ctx context.Context, c conversation.ConversationID) (int, error) {
	total := 0
	for {
		n, err := s.queue.do(ctx, encodeDropFiles(c), nil)
		if err != nil {
			return total, fmt.Errorf("delete the files of %s: %w", c, err)
		}
		total += int(n) //nolint:gosec // at most dropsAtOnce
		if n < dropsAtOnce {
			return total, nil
		}
	}
}

// sweepFiles drops what nobody has sent in time. Like every write it goes through
// the log, so that all nodes drop the same at the same place in it.
func (s *Store) sweepFiles(ctx context.Context) error {
	today := dayOf(s.options.Now())
	for s.Leads() { // one node does it for all
		found, err := s.any(ctx, prefixBounds(tagPrefix(tagExpiry), expiryDay(today)))
		if err != nil || !found {
			return err
		}
		if _, err := s.queue.do(ctx, encodeSweepFiles(today), nil); err != nil {
			return fmt.Errorf("drop files that nobody sent: %w", err)
		}
	}
	return nil
}

// any reports whether there is a row within bounds.
func (s *Store) any(ctx context.Context, bounds *pebble.IterOptions) (bool, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	found := false
	err = scan(s.db, bounds, func(_, _ []byte) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// BlobBytes gives how many bytes of files are stored here.
func (s *Store) BlobBytes() int64 { return s.blobs.bytes.Load() }

// OpenBlob opens the bytes that a file names. Errors: [ErrNotFound].
func (s *Store) OpenBlob(ctx context.Context, blob string) (*Blob, error) {
	id, err := parseBlob(blob)
	if err != nil {
		return nil, err
	}
	done, err := s.looking(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the bytes of a file: %w", err)
	}
	defer done()
	b := &Blob{ctx: ctx, store: s, id: id, have: -1}
	found, err := s.buffer.value(blobKey(id), func(rec []byte) error {
		head, err := decodeBlobHead(rec)
		b.size = head.size
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open the bytes of a file: %w", err)
	}
	return b, nil
}

// Blob reads the bytes of a file, a piece at a time. It implements
// [io.ReadSeeker].
//
// Concurrency: none.
type Blob struct {
	ctx   context.Context //nolint:containedctx // of the request that reads; io.Reader takes none
	store *Store
	id    blobID
	size  int64
	at    int64
	have  int64  // index of the piece that chunk holds; -1 = none
	chunk []byte // of the last read
}

// Size gives how many bytes there are.
func (b *Blob) Size() int64 { return b.size }

// Read implements [io.Reader].
func (b *Blob) Read(p []byte) (int, error) {
	if b.at >= b.size {
		return 0, io.EOF
	}
	if index := b.at / BlobChunkBytes; index != b.have {
		if err := b.load(index); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.chunk[b.at%BlobChunkBytes:])
	b.at += int64(n)
	return n, nil
}

func (b *Blob) load(index int64) error {
	done, err := b.store.looking(b.ctx)
	if err != nil {
		return fmt.Errorf("read a file: %w", err)
	}
	defer done()
	b.have = -1
	found, err := b.store.buffer.value(chunkKey(b.id, uint32(index)), func(rec []byte) error { //nolint:gosec // below maxChunks
		data, err := body(tagBlob, rec)
		b.chunk = append(b.chunk[:0], data...)
		return err
	})
	want := min(b.size-index*BlobChunkBytes, BlobChunkBytes)
	switch {
	case err != nil:
		return fmt.Errorf("read a file: %w", err)
	case !found: // deleted meanwhile
		return fmt.Errorf("read a file: %w", ErrNotFound)
	case int64(len(b.chunk)) != want:
		return fmt.Errorf("read a file: %w: a piece of %d bytes, want %d", ErrCorrupt, len(b.chunk), want)
	}
	b.have = index
	return nil
}

// Seek implements [io.Seeker].
func (b *Blob) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	default:
		return 0, errors.New("seek in a file: no such place to start from")
	}
	if offset < 0 {
		return 0, errors.New("seek in a file: before its start")
	}
	b.at = offset
	return offset, nil
}
