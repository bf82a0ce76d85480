package persistence

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxImportLine    = 32 << 20
	importChunk      = 256 // entries of one append
	importParallel   = 32  // conversations that are written at a time
	importStateAfter = 64  // entries above which a snapshot is stored
	clearTimeout     = 30 * time.Second
)

// LineError says which line of an import is wrong.
type LineError struct {
	Line int // from 1
	Err  error
}

// Error implements error.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the cause.
func (e *LineError) Unwrap() error { return e.Err }

// importLine is any line of an export.
type importLine struct {
	Type    lineKind `json:"type"`
	Format  int      `json:"format"`
	Secrets bool     `json:"secrets"`

	Kind    string          `json:"kind"`
	ID      string          `json:"id"`
	Version uint64          `json:"version"`
	JSON    json.RawMessage `json:"json"`
	Bytes   []byte          `json:"bytes"`

	Head    *conversation.Head `json:"head"`
	Current bool               `json:"current"`
	NextDue time.Time          `json:"next_due"`

	Conversation conversation.ConversationID `json:"conversation"`
	Seq          conversation.Seq            `json:"seq"`
	At           time.Time                   `json:"at"`
	Data         json.RawMessage             `json:"data"`

	Blob  string             `json:"blob"`
	Index int                `json:"index"`
	File  *conversation.File `json:"file"`

	Message *conversation.Outbound `json:"message"`
	Lines   int                    `json:"lines"`
}

// Import reads what [Store.Export] wrote into a store that holds nothing, and
// gives the number of lines read. When it fails, the store holds nothing again.
//
// Errors: a [LineError] that names the line, class [conversation.ErrConflict]
// for a store that is not empty.
func (s *Store) Import(ctx context.Context, r io.Reader) (int, error) {
	empty, err := s.empty(ctx)
	if err != nil {
		return 0, fmt.Errorf("import: %w", err)
	}
	if !empty {
		return 0, fmt.Errorf("import: %w", conversation.Refuse(conversation.CodeConflict, "the store is not empty"))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	im := &importer{store: s, fail: cancel, slots: make(chan struct{}, importParallel)}
	err = im.read(ctx, r)
	im.writers.Wait()
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = cause
	}
	if err != nil {
		return im.line, fmt.Errorf("import: %w", errors.Join(err, s.wipe(ctx)))
	}
	return im.line, nil
}

// wipe drops all state; the import it follows had found none.
func (s *Store) wipe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
	defer cancel()
	if _, err := s.queue.do(ctx, []byte{byte(opClear)}, nil); err != nil {
		return fmt.Errorf("drop what was imported: %w", err)
	}
	return nil
}

// empty reports whether there are no conversations and no documents.
func (s *Store) empty(ctx context.Context) (bool, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	found := false
	for _, tag := range []byte{tagHead, tagEntry, tagDocument} {
		err = errors.Join(err, scan(s.db, prefixBounds(tagPrefix(tag), nil), func(_, _ []byte) (bool, error) {
			found = true
			return false, nil
		}))
	}
	return !found, err
}

// importer reads the lines and gathers those of one conversation.
type importer struct {
	store   *Store
	fail    context.CancelCauseFunc
	slots   chan struct{}
	writers sync.WaitGroup

	line    int
	ended   bool
	current *importedConversation
	done    map[conversation.ConversationID]struct{}
}

type importedConversation struct {
	line    int
	head    conversation.Head
	current bool
	due     time.Time
	state   conversation.State
	entries []conversation.Entry
	outbox  []conversation.Outbound
}

func (im *importer) read(ctx context.Context, r io.Reader) error {
	im.done = make(map[conversation.ConversationID]struct{})
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<20), maxImportLine)
	for lines.Scan() {
		im.line++
		if err := im.take(ctx, lines.Bytes()); err != nil {
			return &LineError{Line: im.line, Err: err}
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return &LineError{Line: im.line + 1, Err: err}
	case !im.ended:
		return &LineError{Line: im.line + 1, Err: conversation.Refuse(conversation.CodeInvalid, "the end line is missing; the file is not complete")}
	}
	return nil
}

func (im *importer) take(ctx context.Context, text []byte) error {
	if err := ctx.Err(); err != nil {
		return context.Canceled
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return conversation.Refuse(conversation.CodeBadJSON, "the line is empty")
	}
	var l importLine
	if err := json.Unmarshal(text, &l); err != nil {
		return &conversation.Error{Code: conversation.CodeBadJSON, Err: err}
	}
	switch {
	case im.ended:
		return conversation.Refuse(conversation.CodeInvalid, "a line after the end line")
	case (im.line == 1) != (l.Type == lineExport):
		return conversation.Refuse(conversation.CodeInvalid, "the first line, and no other, is of type export")
	}
	switch l.Type {
	case lineExport:
		return checkFormat(&l)
	case lineDocument:
		return im.document(ctx, &l)
	case lineBlob:
		return im.blob(ctx, &l)
	case lineFile:
		return im.file(ctx, &l)
	case lineConversation:
		return im.start(ctx, &l)
	case lineEntry:
		return im.entry(&l)
	case lineOutbox:
		return im.outbound(&l)
	case lineEnd:
		return im.end(ctx, &l)
	}
	return conversation.Refusef(conversation.CodeInvalid, "type %q is not one of an export", l.Type)
}

func checkFormat(l *importLine) error {
	if l.Format < 1 || l.Format > exportFormat {
		return fmt.Errorf("export of format %d, this program knows %d: %w", l.Format, exportFormat, ErrNewerFormat)
	}
	return nil
}

func (im *importer) document(ctx context.Context, l *importLine) error {
	d := &document{kind: l.Kind, id: l.ID, version: l.Version, doc: l.Bytes}
	if l.JSON != nil {
		d.doc = l.JSON
	}
	if l.Version == 0 {
		return conversation.Refuse(conversation.CodeInvalid, "a document has a version")
	}
	if im.current != nil {
		return conversation.Refuse(conversation.CodeInvalid, "documents come before conversations")
	}
	_, err := im.store.putDoc(ctx, d)
	return err
}

func (im *importer) start(ctx context.Context, l *importLine) error {
	if err := im.finish(ctx); err != nil {
		return err
	}
	if l.Head == nil || l.Head.ID.IsZero() {
		return conversation.Refuse(conversation.CodeInvalid, "a conversation has a head with an id")
	}
	if _, twice := im.done[l.Head.ID]; twice {
		return conversation.Refusef(conversation.CodeInvalid, "%s is there twice", l.Head.ID)
	}
	im.done[l.Head.ID] = struct{}{}
	im.current = &importedConversation{line: im.line, head: *l.Head, current: l.Current, due: l.NextDue}
	im.current.state.ID = l.Head.ID
	return nil
}

func (im *importer) entry(l *importLine) error {
	c := im.current
	if c == nil || c.head.ID != l.Conversation {
		return conversation.Refuse(conversation.CodeInvalid, "an entry follows the line of its conversation")
	}
	if want := conversation.Seq(len(c.entries)) + 1; l.Seq != want {
		return conversation.Refusef(conversation.CodeInvalid, "seq %d where %d belongs", l.Seq, want)
	}
	ev, err := conversation.DecodeEvent(l.Kind, l.Data)
	if err != nil {
		return err
	}
	c.entries = append(c.entries, conversation.Entry{Seq: l.Seq, At: l.At, Event: ev})
	return nil
}

func (im *importer) outbound(l *importLine) error {
	c := im.current
	if c == nil || l.Message == nil || c.head.ID != l.Message.Conversation {
		return conversation.Refuse(conversation.CodeInvalid, "an outbox message follows the line of its conversation")
	}
	c.outbox = append(c.outbox, *l.Message)
	return nil
}

func (im *importer) end(ctx context.Context, l *importLine) error {
	if l.Lines != im.line-1 {
		return conversation.Refusef(conversation.CodeInvalid, "%d lines came before the end line, which says %d", im.line-1, l.Lines)
	}
	im.ended = true
	return im.finish(ctx)
}

// finish hands the gathered conversation to a writer, and waits for one when
// all are busy.
func (im *importer) finish(ctx context.Context) error {
	c := im.current
	im.current = nil
	if c == nil {
		return nil
	}
	if len(c.entries) == 0 {
		return &LineError{Line: c.line, Err: conversation.Refusef(conversation.CodeInvalid, "%s has no entries", c.head.ID)}
	}
	select {
	case im.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Canceled
	}
	im.writers.Go(func() {
		defer func() { <-im.slots }()
		if err := im.store.importConversation(ctx, c); err != nil {
			im.fail(&LineError{Line: c.line, Err: err})
		}
	})
	return nil
}

// importConversation appends a conversation piece by piece; what belongs to its
// end comes with the last one.
func (s *Store) importConversation(ctx context.Context, c *importedConversation) error {
	for start := 0; start < len(c.entries); start += importChunk {
		part := c.entries[start:min(start+importChunk, len(c.entries))]
		a := &conversation.Append{
			ID: c.head.ID, Expect: conversation.Seq(start), Entries: part, Head: c.head,
			Refs: s.liveRefs(part), NextDue: c.due,
		}
		if c.current {
			a.Contact = conversation.ContactKey{Inbox: c.head.Inbox, Contact: c.head.Contact}
		}
		for _, e := range part {
			c.state.Apply(e)
		}
		if start+len(part) == len(c.entries) {
			a.Outbox = c.outbox
			if len(c.entries) > importStateAfter {
				a.State = &c.state
			}
		}
		if err := s.Append(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// liveRefs finds the senders' ids of entries that are young enough to come again.
func (s *Store) liveRefs(entries []conversation.Entry) []conversation.RefRow {
	oldest := s.options.Now().Add(-s.options.RefTTL)
	var out []conversation.RefRow
	for i := range entries {
		e := &entries[i]
		if ref := refOf(e.Event); ref != "" && e.At.After(oldest) {
			out = append(out, conversation.RefRow{Ref: ref, Seq: e.Seq})
		}
	}
	return out
}

// refOf gives the sender's id that a visitor's message carries. Those of agents
// are looked up in the state only.
func refOf(ev conversation.Event) conversation.Ref {
	if m, ok := ev.(conversation.MessageAccepted); ok {
		return m.Ref
	}
	return ""
}
