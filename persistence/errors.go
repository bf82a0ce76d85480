package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// The refusals of the journal. Each carries a code, and by it a class of
// package conversation.
var (
	// ErrConflict says that the conversation is not at the version that an
	// append builds on, or a document not at the version expected. Nothing was
	// stored; see [ConflictError] for the version found.
	ErrConflict error = conversation.Refuse(conversation.CodeVersionMismatch, "the stored version is another one")
	// ErrFenced says that a younger claim owns the conversation. Nothing was
	// stored, and nothing ever will be under this epoch.
	ErrFenced error = conversation.Refuse(conversation.CodeFenced, "a younger claim owns the conversation")
	// ErrUnavailable says that nothing was stored; trying again may help.
	ErrUnavailable error = conversation.Refuse(conversation.CodeUnavailable, "the journal does not take writes now")
	// ErrUnknown says that the write may or may not be stored. The same append
	// may be tried again: it is stored once.
	ErrUnknown error = conversation.Refuse(conversation.CodeUnknownOutcome, "the write may or may not be stored")
	// ErrClosed says that the store is closed or closing; nothing was stored.
	ErrClosed error = conversation.Refuse(conversation.CodeShuttingDown, "the journal is closed")
	// ErrOverloaded says that the queue of writes is full; nothing was stored.
	ErrOverloaded error = conversation.Refuse(conversation.CodeOverloaded, "the journal's queue is full")
	// ErrNotFound says that there is no such conversation or document.
	ErrNotFound error = conversation.Refuse(conversation.CodeNotFound, "not in the journal")
	// ErrCorrupt says that stored bytes are not what was written.
	ErrCorrupt = errors.New("corrupt record")
	// ErrNewerFormat says that a record or a directory was written by a newer
	// version of this program.
	ErrNewerFormat = errors.New("written by a newer version")
	// ErrNoJournal says that a directory that was to be read holds no journal.
	ErrNoJournal = errors.New("there is no journal in this directory")
	// ErrLocked says that another process, or another Store of this one, has
	// the directory open.
	ErrLocked = errors.New("the directory is in use by another process")
)

// ConflictError is an [ErrConflict] that says what was found.
type ConflictError struct {
	Expect uint64 // the version asked for
	Have   uint64 // the version stored
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: expected %d, have %d", ErrConflict, e.Expect, e.Have)
}

// Unwrap gives [ErrConflict].
func (*ConflictError) Unwrap() error { return ErrConflict }

// RepeatedRefError is an [ErrConflict] that says under which conversation and
// seq the message is stored already; see the CheckRefs of an append.
type RepeatedRefError struct {
	Conversation conversation.ConversationID
	Seq          conversation.Seq
}

// Error implements error.
func (e *RepeatedRefError) Error() string {
	return fmt.Sprintf("%v: the message is entry %d of conversation %s", ErrConflict, e.Seq, e.Conversation)
}

// Unwrap gives [ErrConflict].
func (*RepeatedRefError) Unwrap() error { return ErrConflict }

// notStored is what a caller gets whose context ended before its write was
// handed to the log.
func notStored(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
}

// maybeStored is what a caller gets whose context ended while its write was
// under way.
func maybeStored(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
}
