package persistence

import (
	"fmt"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// checkInvariants compares what a store says of its conversations in different
// places: entries, head rows, list, due index. It gives the versions.
func checkInvariants(t testing.TB, s *Store) map[conversation.ConversationID]conversation.Seq {
	t.Helper()
	versions, err := inspect(s)
	if err != nil {
		t.Errorf("invariants: %v", err)
	}
	return versions
}

func inspect(s *Store) (map[conversation.ConversationID]conversation.Seq, error) {
	versions := make(map[conversation.ConversationID]conversation.Seq)
	wantList := make(map[string]bool)
	wantDue := make(map[string]bool)
	if err := s.buffer.settle(); err != nil {
		return nil, err
	}
	err := scan(s.db, prefixBounds(tagPrefix(tagHead), nil), func(key, rec []byte) (bool, error) {
		id, err := headKeyID(key)
		if err != nil {
			return false, err
		}
		r, _, err := decodeRow(rec)
		if err != nil || r.version == 0 {
			return err == nil, err
		}
		versions[id] = r.version
		h, err := readHead(valuesOf(s.db), id)
		if !h.Erased {
			wantList[string(appendListKey(nil, &r, id))] = true
		}
		if r.due != noDue {
			wantDue[string(appendDueKey(nil, r.due, id))] = true
		}
		if err == nil && (h.Version != r.version || h.ID != id || listTime(h.LastActivity) != r.activity) {
			err = fmt.Errorf("%s: head and row differ", id)
		}
		return true, err
	})
	if err != nil {
		return versions, err
	}
	if err := sameKeys(s, tagList, wantList); err != nil {
		return versions, err
	}
	if err := sameKeys(s, tagDue, wantDue); err != nil {
		return versions, err
	}
	return versions, inspectEntries(s, versions)
}

func sameKeys(s *Store, tag byte, want map[string]bool) error {
	n := 0
	err := scan(s.db, prefixBounds(tagPrefix(tag), nil), func(key, _ []byte) (bool, error) {
		n++
		if !want[string(key)] {
			return false, fmt.Errorf("index %q: row %x belongs to no head", tag, key)
		}
		return true, nil
	})
	if err == nil && n != len(want) {
		err = fmt.Errorf("index %q: %d rows, want %d", tag, n, len(want))
	}
	return err
}

func inspectEntries(s *Store, versions map[conversation.ConversationID]conversation.Seq) error {
	counts := make(map[conversation.ConversationID]conversation.Seq)
	err := scan(s.db, prefixBounds(tagPrefix(tagEntry), nil), func(key, rec []byte) (bool, error) {
		id, seq, err := entryKeySeq(key)
		if err != nil {
			return false, err
		}
		e, err := decodeEntry(rec)
		if err != nil {
			return false, err
		}
		if counts[id]++; erases(&e) {
			counts[id] += seq - 1 // nothing stands before it
		}
		if e.Seq != seq || counts[id] != seq {
			return false, fmt.Errorf("%s: entry %d stands at %d, %d are before it", id, e.Seq, seq, counts[id]-1)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for id, version := range versions {
		if counts[id] != version {
			return fmt.Errorf("%s: %d entries, version %d", id, counts[id], version)
		}
	}
	if len(counts) != len(versions) {
		return fmt.Errorf("entries of %d conversations, heads of %d", len(counts), len(versions))
	}
	return nil
}
