package persistence

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// blobHead is the row of a file's bytes.
type blobHead struct {
	size int64
	refs uint64 // files that hold them
}

func (h blobHead) append(b []byte) []byte {
	b = binary.AppendUvarint(appendHeader(b, tagBlob), uint64(h.size)) //nolint:gosec // never negative
	return binary.AppendUvarint(b, h.refs)
}

func decodeBlobHead(rec []byte) (blobHead, error) {
	b, err := body(tagBlob, rec)
	if err != nil {
		return blobHead{}, err
	}
	r := reader{b: b}
	h := blobHead{size: int64(min(r.uint(), MaxBlobBytes)), refs: r.uint()}
	return h, r.end("bytes of a file")
}

// fileRecord is a stored file. What may change stands before what is said about
// it, so that the state machine never decodes that.
type fileRecord struct {
	day  uint32 // on whose end it goes, unless it was sent
	sent bool
	of   conversation.ConversationID // that keeps it
	blob blobID
	size int64
	json []byte // of a [conversation.File]
}

func (f *fileRecord) append(b []byte) []byte {
	b = appendHeader(b, tagFile)
	b = binary.AppendUvarint(b, uint64(f.day))
	sent := byte(0)
	if f.sent {
		sent = 1
	}
	b = append(b, sent)
	b = append(b, f.of[:]...)
	b = append(b, f.blob[:]...)
	b = binary.AppendUvarint(b, uint64(f.size)) //nolint:gosec // never negative
	return append(b, f.json...)
}

// decodeFile reads a file's record; json aliases rec.
func decodeFile(rec []byte) (fileRecord, error) {
	b, err := body(tagFile, rec)
	if err != nil {
		return fileRecord{}, err
	}
	r := reader{b: b}
	f := fileRecord{day: r.uint32(), sent: r.byte() != 0, of: r.id()}
	copy(f.blob[:], r.take(blobBytes))
	f.size = int64(min(r.uint(), MaxBlobBytes))
	if r.bad {
		return f, fmt.Errorf("%w: file", ErrCorrupt)
	}
	f.json = r.b
	return f, nil
}

// file decodes what is said about it.
func (f *fileRecord) file() (conversation.File, error) {
	var out conversation.File
	if err := json.Unmarshal(f.json, &out); err != nil {
		return out, fmt.Errorf("%w: file: %w", ErrCorrupt, err)
	}
	out.Sent = f.sent
	if f.sent {
		out.Conversation = f.of
	}
	return out, nil
}

func encodePutChunk(day uint32, id blobID, index uint32, data []byte) []byte {
	b := make([]byte, 0, len(data)+64)
	b = binary.AppendUvarint(append(b, byte(opPutChunk)), uint64(day))
	b = append(b, id[:]...)
	b = binary.AppendUvarint(b, uint64(index))
	return append(b, data...)
}

func (e *encoders) encodePutFile(day uint32, f *conversation.File) ([]byte, error) {
	blob, err := parseBlob(f.Blob)
	if err != nil {
		return nil, err
	}
	if f.ID.IsZero() || f.Size <= 0 || f.Size > MaxBlobBytes {
		return nil, conversation.Refuse(conversation.CodeBadAttachment, "a file has an id and bytes")
	}
	rec := fileRecord{day: day, sent: f.Sent, blob: blob, size: f.Size}
	if f.Sent {
		rec.of = f.Conversation
	}
	if rec.json, err = e.append(nil, f); err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.ID, err)
	}
	if len(rec.json) > maxFileBytes {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "%d bytes about a file, the limit is %d", len(rec.json), maxFileBytes)
	}
	return rec.append(append([]byte{byte(opPutFile)}, f.ID[:]...)), nil
}

func encodeDropFiles(c conversation.ConversationID) []byte {
	return append([]byte{byte(opDropFiles)}, c[:]...)
}

func encodeSweepFiles(before uint32) []byte {
	return binary.AppendUvarint([]byte{byte(opSweepFiles)}, uint64(before))
}
