package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxPage bounds what one call reads, whatever was asked for.
const maxPage = 10_000

// prefixBounds are iterator bounds from a prefix on, to end, or to the last key
// of the prefix when end is nil.
func prefixBounds(prefix, end []byte) *pebble.IterOptions {
	if end == nil {
		end = after(prefix)
	}
	return &pebble.IterOptions{LowerBound: prefix, UpperBound: end}
}

// value reads one row and hands it to use, which must not keep it. It reports
// whether there was one.
func value(db pebble.Reader, key []byte, use func([]byte) error) (bool, error) {
	rec, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(use(rec), closer.Close())
}

// lookup is value for a row that often is not there. A get reads a block of the
// bottom level before it knows; this asks that level's filters first.
func lookup(db pebble.Reader, key []byte, use func([]byte) error) (bool, error) {
	it, err := db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return false, err
	}
	// Every key is a prefix of its own for the default comparer, so that the
	// filters, which know prefixes, know whole keys.
	found := it.SeekPrefixGE(key)
	if found {
		err = use(it.Value())
	}
	return found, errors.Join(err, it.Error(), it.Close())
}

// scan walks the rows within bounds until visit says no.
func scan(db pebble.Reader, bounds *pebble.IterOptions, visit func(key, value []byte) (bool, error)) error {
	it, err := db.NewIter(bounds)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		var more bool
		if more, err = visit(it.Key(), it.Value()); err != nil || !more {
			break
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// Load gives the state of a conversation: its newest snapshot and the entries
// after it, folded. A conversation that does not exist gives the zero state
// with its id.
func (s *Store) Load(ctx context.Context, id conversation.ConversationID) (*conversation.State, error) {
	done, err := s.looking(ctx)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", id, err)
	}
	defer done()
	state, err := s.load(id)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", id, err)
	}
	return state, nil
}

// load folds a conversation from the database and what waits. The two parts share
// an iterator: to make one is a good part of what a short conversation costs.
func (s *Store) load(id conversation.ConversationID) (*conversation.State, error) {
	n, it, err := s.buffer.conversation(id, 0, &pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, err
	}
	state, err := foldState(it, n, id)
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, err
	}
	return state, nil
}

func foldState(it *pebble.Iterator, n newest, id conversation.ConversationID) (*conversation.State, error) {
	state := new(conversation.State)
	snapshot := n.state
	if snapshot == nil && it.SeekPrefixGE(appendStateKey(nil, id)) {
		snapshot = it.Value()
	}
	if err := it.Error(); err != nil {
		return nil, err // the next move would forget it
	}
	if snapshot != nil {
		if err := decodeJSON(tagState, snapshot, state); err != nil {
			return nil, err
		}
	}
	state.ID = id
	it.SetBounds(appendEntryKey(nil, id, state.Version+1), after(append(tagPrefix(tagEntry), id[:]...)))
	for ok := it.First(); ok; ok = it.Next() {
		if err := foldEntry(state, it.Value()); err != nil {
			return nil, err
		}
	}
	for _, rec := range n.entries {
		if err := foldEntry(state, rec); err != nil {
			return nil, err
		}
	}
	state.ID = id
	return state, nil
}

// foldEntry applies an entry, unless the state has it already.
func foldEntry(state *conversation.State, rec []byte) error {
	e, err := decodeEntry(rec)
	switch {
	case err != nil:
		return err
	case e.Seq <= state.Version:
		return nil
	case e.Seq != state.Version+1 && !erases(&e):
		return fmt.Errorf("%w: entry %d follows %d", ErrCorrupt, e.Seq, state.Version)
	}
	state.Apply(e)
	return nil
}

// erases reports whether an entry is what is left of an erased conversation:
// nothing stands before it.
func erases(e *conversation.Entry) bool {
	_, ok := e.Event.(conversation.ConversationErased)
	return ok
}

// Exists reports whether anything of a conversation is stored. It costs less
// than reading it.
func (s *Store) Exists(ctx context.Context, id conversation.ConversationID) (bool, error) {
	done, err := s.looking(ctx)
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", id, err)
	}
	defer done()
	known := false
	_, err = s.buffer.lookup(appendHeadKey(nil, id), func(rec []byte) error {
		r, _, err := decodeRow(rec)
		known = r.version > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", id, err)
	}
	return known, nil
}

// Entries gives up to limit entries after a seq, oldest first. A limit of zero
// or less means as many as one call may read.
func (s *Store) Entries(
	ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int,
) ([]conversation.Entry, error) {
	done, err := s.looking(ctx)
	if err != nil {
		return nil, fmt.Errorf("entries of %s: %w", id, err)
	}
	defer done()
	out, err := s.entries(id, after, clampPage(limit))
	if err != nil {
		return nil, fmt.Errorf("entries of %s: %w", id, err)
	}
	return out, nil
}

func (s *Store) entries(id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	if after+1 == 0 {
		return nil, nil
	}
	n, it, err := s.buffer.conversation(id, after, prefixBounds(appendEntryKey(nil, id, after+1), afterConversation(id)))
	if err != nil {
		return nil, err
	}
	out, err := entriesOf(it, limit)
	for _, rec := range n.entries {
		if len(out) >= limit || err != nil {
			break
		}
		var e conversation.Entry
		if e, err = decodeEntry(rec); err == nil && (len(out) == 0 || e.Seq > out[len(out)-1].Seq) {
			out = append(out, e)
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func readEntries(
	db pebble.Reader, id conversation.ConversationID, after conversation.Seq, limit int,
) ([]conversation.Entry, error) {
	if after+1 == 0 {
		return nil, nil
	}
	it, err := db.NewIter(prefixBounds(appendEntryKey(nil, id, after+1), afterConversation(id)))
	if err != nil {
		return nil, err
	}
	return entriesOf(it, clampPage(limit))
}

// entriesOf reads up to limit entries and closes the iterator.
func entriesOf(it *pebble.Iterator, limit int) ([]conversation.Entry, error) {
	var out []conversation.Entry
	var err error
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		var e conversation.Entry
		if e, err = decodeEntry(it.Value()); err != nil {
			break
		}
		out = append(out, e)
	}
	return out, errors.Join(err, it.Error(), it.Close())
}

func afterConversation(id conversation.ConversationID) []byte {
	return after(append(tagPrefix(tagEntry), id[:]...))
}

func clampPage(limit int) int {
	if limit <= 0 || limit > maxPage {
		return maxPage
	}
	return limit
}

// Head gives the row that lists show. Errors: [ErrNotFound].
func (s *Store) Head(ctx context.Context, id conversation.ConversationID) (conversation.Head, error) {
	done, err := s.looking(ctx)
	if err != nil {
		return conversation.Head{}, fmt.Errorf("head of %s: %w", id, err)
	}
	defer done()
	h, err := readHead(s.buffer.value, id)
	if err != nil {
		return conversation.Head{}, fmt.Errorf("head of %s: %w", id, err)
	}
	return h, nil
}

// valuer reads one row, as [value] does.
type valuer func(key []byte, use func([]byte) error) (bool, error)

// valuesOf reads rows of a database or of a snapshot of it.
func valuesOf(db pebble.Reader) valuer {
	return func(key []byte, use func([]byte) error) (bool, error) { return value(db, key, use) }
}

func readHead(value valuer, id conversation.ConversationID) (conversation.Head, error) {
	var h conversation.Head
	found := false
	_, err := value(appendHeadKey(nil, id), func(rec []byte) error {
		r, head, err := decodeRow(rec)
		if err != nil || r.version == 0 {
			return err
		}
		found = true
		h, err = decodeHead(head)
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return h, err
}

// FindRef says where a sender's message id was stored. It gives the zero id when
// that is not known, or no longer.
func (s *Store) FindRef(
	ctx context.Context, c conversation.ContactKey, ref conversation.Ref,
) (conversation.ConversationID, conversation.Seq, error) {
	var v refValue
	done, err := s.looking(ctx)
	if err != nil {
		return v.id, 0, fmt.Errorf("find ref: %w", err)
	}
	defer done()
	if ref == "" {
		return v.id, 0, nil
	}
	var key []byte
	found := false
	youngest, oldest := s.refDays()
	for back := uint32(0); !found && err == nil && back <= youngest-oldest; back++ {
		key = appendRefKey(key[:0], youngest-back, c, ref)
		found, err = s.buffer.lookup(key, func(rec []byte) (err error) {
			v, err = decodeRef(rec)
			return err
		})
	}
	if err != nil {
		return conversation.ConversationID{}, 0, fmt.Errorf("find ref: %w", err)
	}
	return v.id, v.seq, nil
}

// Current gives the contact's current conversation, or the zero id when there
// has been none.
func (s *Store) Current(ctx context.Context, c conversation.ContactKey) (conversation.ConversationID, error) {
	var id conversation.ConversationID
	done, err := s.looking(ctx)
	if err != nil {
		return id, fmt.Errorf("current conversation: %w", err)
	}
	defer done()
	_, err = s.buffer.lookup(appendContactKey(nil, c), func(rec []byte) error {
		id, err = decodeContact(rec)
		return err
	})
	if err != nil {
		return conversation.ConversationID{}, fmt.Errorf("current conversation: %w", err)
	}
	return id, nil
}

// OutboxCursor is a place in the outbox; the zero value is its start.
type OutboxCursor struct {
	Conversation conversation.ConversationID
	Message      conversation.Seq // of its row
}

// IsZero reports whether the cursor stands at the start.
func (c OutboxCursor) IsZero() bool { return c == OutboxCursor{} }

// Outbox gives up to n messages that must be sent, by conversation and in order
// within each, and the cursor to go on from. The cursor is zero when there are
// no more.
func (s *Store) Outbox(ctx context.Context, after OutboxCursor, n int) ([]conversation.Outbound, OutboxCursor, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, OutboxCursor{}, fmt.Errorf("outbox: %w", err)
	}
	defer done()
	n = clampPage(n)
	start := tagPrefix(tagOutbox)
	if !after.IsZero() {
		start = append(appendOutboxKey(nil, after.Conversation, after.Message), 0)
	}
	var out []conversation.Outbound
	more := false
	err = scan(s.db, prefixBounds(start, endOf(tagOutbox)), func(_, rec []byte) (bool, error) {
		if len(out) == n {
			more = true
			return false, nil
		}
		var o conversation.Outbound
		if err := decodeJSON(tagOutbox, rec, &o); err != nil {
			return false, err
		}
		out = append(out, o)
		return true, nil
	})
	if err != nil {
		return nil, OutboxCursor{}, fmt.Errorf("outbox: %w", err)
	}
	if !more {
		return out, OutboxCursor{}, nil
	}
	last := &out[len(out)-1]
	return out, OutboxCursor{Conversation: last.Conversation, Message: last.Row()}, nil
}

func endOf(tag byte) []byte { return after(tagPrefix(tag)) }

// Due gives up to n conversations with a timer that is due at until or before,
// the longest due first.
func (s *Store) Due(ctx context.Context, until time.Time, n int) ([]conversation.ConversationID, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, fmt.Errorf("due timers: %w", err)
	}
	defer done()
	n = clampPage(n)
	limit := until.UnixMilli()
	var out []conversation.ConversationID
	err = scan(s.db, prefixBounds(tagPrefix(tagDue), nil), func(key, _ []byte) (bool, error) {
		due, id, err := dueKeyParts(key)
		if err != nil || due > limit {
			return false, err
		}
		out = append(out, id)
		return len(out) < n, nil
	})
	if err != nil {
		return nil, fmt.Errorf("due timers: %w", err)
	}
	return out, nil
}
