package persistence

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// An export is JSON lines:
//
//	export        first; the format's version and where it comes from
//	document      one per document
//	blob          a piece of the bytes of files
//	file          a file whose bytes came before it
//	conversation  a conversation's head, whether it is its contact's current one, its next timer
//	entry         its entries, in order
//	outbox        its messages that have not been sent
//	end           last; how many lines there were, so that a part is not taken for the whole
const exportFormat = 1

// lineKind names what a line of an export holds.
type lineKind string

const (
	lineExport       lineKind = "export"
	lineDocument     lineKind = "document"
	lineBlob         lineKind = "blob"
	lineFile         lineKind = "file"
	lineConversation lineKind = "conversation"
	lineEntry        lineKind = "entry"
	lineOutbox       lineKind = "outbox"
	lineEnd          lineKind = "end"
)

type exportHeader struct {
	Type    lineKind  `json:"type"`
	Format  int       `json:"format"`
	Time    time.Time `json:"time"`
	Node    string    `json:"node"`
	Secrets bool      `json:"secrets"`
}

type exportDocument struct {
	Type    lineKind        `json:"type"`
	Kind    string          `json:"kind"`
	ID      string          `json:"id"`
	Version uint64          `json:"version"`
	JSON    json.RawMessage `json:"json,omitempty"`
	Bytes   []byte          `json:"bytes,omitempty"` // of a document that is not JSON
}

type exportBlob struct {
	Type  lineKind `json:"type"`
	Blob  string   `json:"blob"`
	Index int      `json:"index"`
	Bytes []byte   `json:"bytes"`
}

type exportFile struct {
	Type lineKind          `json:"type"`
	File conversation.File `json:"file"`
}

type exportConversation struct {
	Type    lineKind          `json:"type"`
	Head    conversation.Head `json:"head"`
	Current bool              `json:"current,omitempty"`
	NextDue time.Time         `json:"next_due,omitzero"`
}

type exportEntry struct {
	Type         lineKind                    `json:"type"`
	Conversation conversation.ConversationID `json:"conversation"`
	Seq          conversation.Seq            `json:"seq"`
	At           time.Time                   `json:"at"`
	Kind         string                      `json:"kind"`
	Data         json.RawMessage             `json:"data"`
}

type exportOutbox struct {
	Type    lineKind              `json:"type"`
	Message conversation.Outbound `json:"message"`
}

type exportEnd struct {
	Type  lineKind `json:"type"`
	Lines int      `json:"lines"` // before this one
}

// Export writes everything that was stored at the moment of the call as JSON
// lines, without what opens doors: credentials, secrets, hashes of passwords.
func (s *Store) Export(ctx context.Context, w io.Writer) error {
	return s.export(ctx, w, exportDocument.public)
}

// ExportWithSecrets is [Store.Export] with everything; what it writes has to be
// kept like a key.
func (s *Store) ExportWithSecrets(ctx context.Context, w io.Writer) error {
	return s.export(ctx, w, nil)
}

// export writes the documents that filter lets through, as it leaves them; nil
// lets all through.
func (s *Store) export(
	ctx context.Context, w io.Writer, filter func(exportDocument) (exportDocument, bool, error),
) error {
	done, err := s.reading(ctx)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer done()
	snap := s.db.NewSnapshot()
	defer func() { _ = snap.Close() }() // nothing was written through it
	x := &exporter{snap: snap, w: bufio.NewWriterSize(w, 256<<10)}
	x.enc = json.NewEncoder(x.w)
	x.enc.SetEscapeHTML(false)
	err = x.line(exportHeader{
		Type: lineExport, Format: exportFormat, Time: s.options.Now().UTC(), Node: s.identity.Node, Secrets: filter == nil,
	})
	if err == nil {
		err = x.documents(filter)
	}
	if err == nil {
		err = x.files(ctx)
	}
	if err == nil {
		err = x.conversations(ctx)
	}
	if err == nil {
		err = x.line(exportEnd{Type: lineEnd, Lines: x.lines})
	}
	if err == nil {
		err = x.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exporter writes one export from one snapshot of the database.
type exporter struct {
	snap  *pebble.Snapshot
	w     *bufio.Writer
	enc   *json.Encoder
	lines int
}

func (x *exporter) line(v any) error {
	x.lines++
	return x.enc.Encode(v)
}

func (x *exporter) documents(filter func(exportDocument) (exportDocument, bool, error)) error {
	return scanDocs(x.snap, tagPrefix(tagDocument), func(kind string, d Doc) error {
		out := exportDocument{Type: lineDocument, Kind: kind, ID: d.ID, Version: d.Version}
		if json.Valid(d.Data) {
			out.JSON = d.Data
		} else {
			out.Bytes = d.Data
		}
		if filter != nil {
			var keep bool
			var err error
			if out, keep, err = filter(out); err != nil || !keep {
				return err
			}
		}
		return x.line(out)
	})
}

// public takes out what opens doors.
func (d exportDocument) public() (exportDocument, bool, error) {
	switch d.Kind {
	case docSecret, docCredential, docLetter: // a letter may hold a secret in its headers
		return d, false, nil
	case docAccount:
		var a conversation.Account
		if err := json.Unmarshal(d.JSON, &a); err != nil {
			return d, false, fmt.Errorf("%w: channel account %s: %w", ErrCorrupt, d.ID, err)
		}
		a.Sealed = nil
		var err error
		d.JSON, err = json.Marshal(a)
		return d, true, err
	case docAgent:
		var a conversation.Agent
		if err := json.Unmarshal(d.JSON, &a); err != nil {
			return d, false, fmt.Errorf("%w: agent %s: %w", ErrCorrupt, d.ID, err)
		}
		a.PasswordHash = ""
		var err error
		d.JSON, err = json.Marshal(a)
		return d, true, err
	}
	return d, true, nil
}

func (x *exporter) conversations(ctx context.Context) error {
	return scan(x.snap, prefixBounds(tagPrefix(tagHead), nil), func(key, rec []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		id, err := headKeyID(key)
		if err != nil {
			return false, err
		}
		r, head, err := decodeRow(rec)
		if err != nil || r.version == 0 {
			return err == nil, err // claimed, never written to
		}
		if err := x.conversation(id, &r, head); err != nil {
			return false, fmt.Errorf("%s: %w", id, err)
		}
		return true, nil
	})
}

func (x *exporter) conversation(id conversation.ConversationID, r *row, head []byte) error {
	out := exportConversation{Type: lineConversation, NextDue: timeOf(r.due)}
	var err error
	if out.Head, err = decodeHead(head); err != nil || out.Head.Erased {
		return err // of an erased one there is nothing to bring anywhere
	}
	key := conversation.ContactKey{Inbox: out.Head.Inbox, Contact: out.Head.Contact}
	_, err = value(x.snap, appendContactKey(nil, key), func(rec []byte) error {
		current, err := decodeContact(rec)
		out.Current = current == id
		return err
	})
	if err != nil {
		return err
	}
	if err := x.line(out); err != nil {
		return err
	}
	return x.rows(id)
}

// rows writes a conversation's entries and outbox.
func (x *exporter) rows(id conversation.ConversationID) error {
	bounds := prefixBounds(appendEntryKey(nil, id, 0), afterConversation(id))
	err := scan(x.snap, bounds, func(_, rec []byte) (bool, error) {
		e, err := readEntry(rec)
		if err != nil {
			return false, err
		}
		return true, x.line(exportEntry{
			Type: lineEntry, Conversation: id, Seq: e.Seq, At: e.At, Kind: e.Kind, Data: e.Data,
		})
	})
	if err != nil {
		return err
	}
	start := appendOutboxKey(nil, id, 0)
	return scan(x.snap, prefixBounds(start, after(start[:prefixBytes+idBytes])), func(_, rec []byte) (bool, error) {
		out := exportOutbox{Type: lineOutbox}
		if err := decodeJSON(tagOutbox, rec, &out.Message); err != nil {
			return false, err
		}
		return true, x.line(out)
	})
}
