package persistence

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Every stored value starts with its kind and the version of its form. The
// kinds are the tags of the keys, and two that have no tag of their own.
const (
	kindSnapshot = 'S' // raft snapshot mark
	kindProposal = 'p' // content of a raft entry

	recordVersion = 1 // of all kinds, so far
	headerBytes   = 2
)

func appendHeader(b []byte, kind byte) []byte { return append(b, kind, recordVersion) }

// body checks the header of a record and gives what follows.
func body(kind byte, rec []byte) ([]byte, error) {
	switch {
	case len(rec) < headerBytes:
		return nil, fmt.Errorf("%w: %q record of %d bytes", ErrCorrupt, kind, len(rec))
	case rec[0] != kind:
		return nil, fmt.Errorf("%w: kind %q where %q belongs", ErrCorrupt, rec[0], kind)
	case rec[1] > recordVersion:
		return nil, fmt.Errorf("%w: %q record of version %d, this program knows %d", ErrNewerFormat, kind, rec[1], recordVersion)
	case rec[1] == 0:
		return nil, fmt.Errorf("%w: %q record of version 0", ErrCorrupt, kind)
	}
	return rec[headerBytes:], nil
}

// jsonBuffer lends an encoder out, because a new one for each record costs
// more than the encoding.
type jsonBuffer struct {
	buf bytes.Buffer
	enc *json.Encoder
}

// encoders is a cache of encoders, and of memory for what they make.
type encoders struct{ pool, rooms sync.Pool }

func newEncoders() *encoders {
	return &encoders{pool: sync.Pool{New: func() any {
		j := new(jsonBuffer)
		j.enc = json.NewEncoder(&j.buf)
		j.enc.SetEscapeHTML(false)
		return j
	}}}
}

// appendRoom is what most appends need, so that their encoding does not grow.
const appendRoom = 2 << 10

// room lends memory for an append.
func (e *encoders) room() *[]byte {
	if b, ok := e.rooms.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, appendRoom)
	return &b
}

// giveBack takes memory back that nobody reads any more.
func (e *encoders) giveBack(b *[]byte) {
	if cap(*b) <= maxPooledBytes {
		e.rooms.Put(b)
	}
}

// maxPooledBytes keeps one huge document from staying in memory for ever.
const maxPooledBytes = 64 << 10

// append adds the JSON of v to b.
func (e *encoders) append(b []byte, v any) ([]byte, error) {
	j, ok := e.pool.Get().(*jsonBuffer)
	if !ok {
		panic("pool of another type")
	}
	j.buf.Reset()
	if err := j.enc.Encode(v); err != nil {
		return b, err
	}
	out := j.buf.Bytes()
	b = append(b, out[:len(out)-1]...) // without the line end
	if cap(out) <= maxPooledBytes {
		e.pool.Put(j)
	}
	return b, nil
}

// appendEntry adds the record of an entry: its JSON with the members in this
// order, which is what decodeEntry is fast for.
func (e *encoders) appendEntry(b []byte, en *conversation.Entry) ([]byte, error) {
	b = appendHeader(b, tagEntry)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, uint64(en.Seq), 10)
	b = append(b, `,"at":"`...)
	b = en.At.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","kind":"`...)
	b = append(b, en.Event.Kind()...)
	b = append(b, `","data":`...)
	b, err := e.append(b, en.Event)
	if err != nil {
		return b, fmt.Errorf("encode %s: %w", en.Event.Kind(), err)
	}
	return append(b, '}'), nil
}

// entryJSON is the body of an entry record.
type entryJSON struct {
	Seq  conversation.Seq `json:"seq"`
	At   time.Time        `json:"at"`
	Kind string           `json:"kind"`
	Data json.RawMessage  `json:"data"`
}

// readEntry takes an entry record apart without decoding its event.
func readEntry(rec []byte) (entryJSON, error) {
	b, err := body(tagEntry, rec)
	if err != nil {
		return entryJSON{}, err
	}
	if e, ok := cutEntry(b); ok {
		return e, nil
	}
	var e entryJSON
	if err := json.Unmarshal(b, &e); err != nil {
		return entryJSON{}, fmt.Errorf("%w: entry: %w", ErrCorrupt, err)
	}
	return e, nil
}

func decodeEntry(rec []byte) (conversation.Entry, error) {
	e, err := readEntry(rec)
	if err != nil {
		return conversation.Entry{}, err
	}
	ev, err := conversation.DecodeEvent(e.Kind, e.Data)
	if err != nil {
		return conversation.Entry{}, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, e.Seq, err)
	}
	return conversation.Entry{Seq: e.Seq, At: e.At, Event: ev}, nil
}

// cutEntry reads the form that appendEntry writes. It says no to every other
// one, and leaves the JSON of the event unchecked; [conversation.DecodeEvent]
// sees to that.
func cutEntry(b []byte) (e entryJSON, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(`{"seq":`))
	if !ok {
		return e, false
	}
	num, b, ok := bytes.Cut(b, []byte(`,"at":"`))
	if !ok {
		return e, false
	}
	seq, err := strconv.ParseUint(string(num), 10, 64)
	if err != nil {
		return e, false
	}
	at, b, ok := bytes.Cut(b, []byte(`","kind":"`))
	if !ok || e.At.UnmarshalText(at) != nil {
		return e, false
	}
	kind, b, ok := bytes.Cut(b, []byte(`","data":`))
	if !ok || len(b) < 2 || b[len(b)-1] != '}' || bytes.IndexByte(kind, '\\') >= 0 {
		return e, false
	}
	e.Seq, e.Kind, e.Data = conversation.Seq(seq), string(kind), b[:len(b)-1]
	return e, true
}

func (e *encoders) appendJSON(b []byte, kind byte, v any) ([]byte, error) {
	return e.append(appendHeader(b, kind), v)
}

func decodeJSON(kind byte, rec []byte, v any) error {
	b, err := body(kind, rec)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %q record: %w", ErrCorrupt, kind, err)
	}
	return nil
}

// refValue is where a sender's id was stored.
type refValue struct {
	id  conversation.ConversationID
	seq conversation.Seq
}

func (v refValue) append(b []byte) []byte {
	b = appendHeader(b, tagRef)
	b = append(b, v.id[:]...)
	return binary.AppendUvarint(b, uint64(v.seq))
}

func decodeRef(rec []byte) (refValue, error) {
	b, err := body(tagRef, rec)
	if err != nil {
		return refValue{}, err
	}
	r := reader{b: b}
	v := refValue{id: r.id(), seq: conversation.Seq(r.uint())}
	return v, r.end("ref")
}

func appendContactValue(b []byte, id conversation.ConversationID) []byte {
	return append(appendHeader(b, tagContact), id[:]...)
}

func decodeContact(rec []byte) (conversation.ConversationID, error) {
	b, err := body(tagContact, rec)
	if err != nil {
		return conversation.ConversationID{}, err
	}
	r := reader{b: b}
	id := r.id()
	return id, r.end("contact")
}

func appendDocument(b []byte, version uint64, doc []byte) []byte {
	b = binary.AppendUvarint(appendHeader(b, tagDocument), version)
	return append(b, doc...)
}

// decodeDocument gives a document's version and its bytes, which alias rec.
func decodeDocument(rec []byte) (uint64, []byte, error) {
	b, err := body(tagDocument, rec)
	if err != nil {
		return 0, nil, err
	}
	r := reader{b: b}
	version := r.uint()
	if r.bad || version == 0 {
		return 0, nil, fmt.Errorf("%w: document", ErrCorrupt)
	}
	return version, r.b, nil
}
