// Package attachments takes files in and gives them out. What a file is, its
// bytes say and not its sender; how many may come, limits say; and a file is
// acknowledged when the journal has all of it, so that no node's loss is its loss.
package attachments

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/colloquyhq/colloquy/conversation"
)

// Journal keeps files and their bytes, which it takes in pieces.
type Journal interface {
	// PutChunk stores a piece of the bytes of that SHA-256, and reports whether all
	// of them are stored already.
	PutChunk(ctx context.Context, blob string, index int, data []byte) (whole bool, err error)
	// PutFile stores a file whose bytes are stored; the same again changes nothing.
	// Errors: class ErrConflict when pieces are missing, or another file has the id.
	PutFile(ctx context.Context, f *conversation.File) error
	// File gives what is known of a file. Errors: class ErrNotFound.
	File(ctx context.Context, id conversation.AttachmentID) (conversation.File, error)
	// OpenBlob opens bytes. Errors: class ErrNotFound.
	OpenBlob(ctx context.Context, blob string) (io.ReadSeeker, error)
	// BlobBytes gives how many bytes of files are stored.
	BlobBytes() int64
	// Barrier returns when what was acknowledged on any node can be read here.
	Barrier(ctx context.Context) error
}

// ChunkBytes is the size of the pieces. One shares a raft entry with messages, so
// it is small enough not to hold them up.
const ChunkBytes = 128 << 10

// Store takes files in and gives them out.
//
// Concurrency: all methods may run together.
type Store struct {
	options Options
	journal Journal
	types   map[string]bool // nil = all
	metrics *metrics

	memory atomic.Int64  // bytes of files that are coming in
	writes chan struct{} // a place is taken by each file that is being written
	pace   pace
	quota  quota
}

// maxWrites is how many files are written at a time. Each has one piece on its
// way, so this bounds what stands beside messages in the journal's queue.
const maxWrites = 2

// New makes a store over a journal.
func New(o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.filled()
	s := &Store{
		options: o, journal: o.Journal, types: typeSet(o.Types), metrics: newMetrics(o.Registerer),
		writes: make(chan struct{}, maxWrites), pace: pace{bytesPerSec: o.WriteBytesPerSec}, quota: quota{limit: o.DayBytes},
	}
	return s, nil
}

// MaxBytes is how large a file may be.
func (s *Store) MaxBytes() int64 { return s.options.MaxBytes }

// Types lists the media types that are taken; empty = all.
func (s *Store) Types() []string { return s.options.Types }

// Save takes a file in. It returns when the file is durable; until a message
// carries it, it is kept for a day or two. The same id and bytes again change
// nothing, and bytes that are stored already are not stored again.
//
// Errors: those of package conversation, with the code
// [conversation.CodeTooLarge], [conversation.CodeMediaType],
// [conversation.CodeBadAttachment] or [conversation.CodeQuota] for a file that is
// not taken, and [conversation.CodeOverloaded] when too many come at a time.
func (s *Store) Save(ctx context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error) {
	a, err := s.save(ctx, u, body)
	s.metrics.count(u, a.Size, err)
	return a, err
}

func (s *Store) save(ctx context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error) {
	in := &metered{from: body, budget: &s.memory, limit: s.options.MemoryBytes}
	defer in.release()
	data, err := s.read(in)
	if err != nil {
		return conversation.Attachment{}, err
	}
	kind, err := s.kindOf(u, data)
	if err != nil {
		return conversation.Attachment{}, err
	}
	plain, err := withoutMetadata(in, kind, data)
	if err != nil {
		return conversation.Attachment{}, err
	}
	if old, ok := s.known(ctx, u.ID, data, plain); ok {
		return old, nil
	}
	if !s.options.KeepMetadata {
		data = plain
	}
	f := describe(u, kind, data)
	f.At = s.options.Now()
	if u.ID.IsZero() {
		f.ID = conversation.NewAttachmentID(f.At)
	}
	if err := s.admit(&f, int64(len(data))); err != nil {
		return conversation.Attachment{}, err
	}
	if err := s.write(ctx, &f, data); err != nil {
		return conversation.Attachment{}, err
	}
	return f.Attachment, nil
}

// read takes the bytes of one file into memory, and no more than are allowed.
func (s *Store) read(in io.Reader) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(in, s.options.MaxBytes+1))
	switch {
	case errors.Is(err, conversation.ErrOverloaded), errors.Is(err, conversation.ErrTooLarge):
		return nil, err
	case err != nil:
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the file did not arrive", Err: err}
	case n > s.options.MaxBytes:
		return nil, conversation.Refusef(conversation.CodeTooLarge, "the file has over %d bytes", s.options.MaxBytes)
	case n == 0:
		return nil, conversation.Refuse(conversation.CodeBadAttachment, "the file is empty")
	}
	return b.Bytes(), nil
}

// kindOf says what the bytes are, and refuses kinds that are not taken.
func (s *Store) kindOf(u conversation.Upload, data []byte) (string, error) {
	kind := Sniff(data, u.Declared)
	if s.types != nil && !s.types[kind] {
		return "", &conversation.Error{
			Code: conversation.CodeMediaType, Detail: "the file is " + kind, Hint: "what counts is the content of a file, not its name",
		}
	}
	return kind, checkPicture(kind, data)
}

// known gives the file that an id has already if its bytes are these or those: a
// picture with what stands beside it or without, since whether that is kept may
// have changed meanwhile.
func (s *Store) known(ctx context.Context, id conversation.AttachmentID, these, those []byte) (conversation.Attachment, bool) {
	if id.IsZero() {
		return conversation.Attachment{}, false
	}
	old, err := s.journal.File(ctx, id)
	if err != nil || old.Blob != blobOf(these) && old.Blob != blobOf(those) {
		return conversation.Attachment{}, false
	}
	return old.Attachment, true
}

// blobOf names bytes.
func blobOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func describe(u conversation.Upload, kind string, data []byte) conversation.File {
	return conversation.File{
		Attachment: conversation.Attachment{
			ID: u.ID, Name: named(u.Name, kind), Type: kind, Size: int64(len(data)), Blob: blobOf(data), State: conversation.AttachmentStored,
		},
		Inbox: u.Inbox, Contact: u.Contact, Agent: u.Agent, Conversation: u.Conversation,
	}
}

// admit refuses what goes over a day's or the whole store's bytes.
func (s *Store) admit(f *conversation.File, size int64) error {
	if s.options.TotalBytes > 0 && s.journal.BlobBytes()+size > s.options.TotalBytes {
		return conversation.Refuse(conversation.CodeQuota, "the store of attachments is full")
	}
	if f.Agent != "" {
		return nil // who has a login is trusted with the disk
	}
	return s.quota.take(conversation.ContactKey{Inbox: f.Inbox, Contact: f.Contact}, size, f.At)
}

// write makes the pieces durable one after the other, and then the file. When
// equal bytes are there already one piece is enough to learn it, and when they go
// in that moment all are written.
func (s *Store) write(ctx context.Context, f *conversation.File, data []byte) error {
	select {
	case s.writes <- struct{}{}:
		defer func() { <-s.writes }()
	case <-ctx.Done():
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "other files are being written", Err: context.Cause(ctx)}
	}
	var err error
	for range 2 {
		if err = s.writeChunks(ctx, f.Blob, data); err != nil {
			return err
		}
		if err = s.journal.PutFile(ctx, f); !errors.Is(err, conversation.ErrConflict) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("store a file: %w", err)
	}
	return nil
}

func (s *Store) writeChunks(ctx context.Context, blob string, data []byte) error {
	for i := 0; i*ChunkBytes < len(data); i++ {
		part := data[i*ChunkBytes : min((i+1)*ChunkBytes, len(data))]
		if err := s.pace.wait(ctx, len(part)); err != nil {
			return err
		}
		whole, err := s.journal.PutChunk(ctx, blob, i, part)
		if err != nil {
			return fmt.Errorf("store a piece of a file: %w", err)
		}
		if whole {
			return nil
		}
	}
	return nil
}

// Find gives what is known of a file, also of one that another node has just
// taken. Errors: class ErrNotFound.
func (s *Store) Find(ctx context.Context, id conversation.AttachmentID) (conversation.File, error) {
	f, err := s.journal.File(ctx, id)
	if !errors.Is(err, conversation.ErrNotFound) {
		return f, err
	}
	if err := s.journal.Barrier(ctx); err != nil {
		return f, err
	}
	return s.journal.File(ctx, id)
}

// Open opens the bytes of an attachment. Errors: class ErrNotFound.
func (s *Store) Open(ctx context.Context, a *conversation.Attachment) (io.ReadSeeker, error) {
	if a.State != conversation.AttachmentStored {
		return nil, conversation.Refuse(conversation.CodeNotFound, "the file is not stored")
	}
	return s.journal.OpenBlob(ctx, a.Blob)
}
