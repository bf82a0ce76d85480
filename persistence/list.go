package persistence

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// Limits of a list.
const (
	DefaultListLimit = 50
	MaxListLimit     = 500
)

// ListQuery asks for conversations, newest activity first.
type ListQuery struct {
	Inboxes []conversation.InboxID // empty = all
	Status  []conversation.Status  // empty = all
	// Since leaves out what had its last activity in an earlier second; zero =
	// nothing.
	Since time.Time
	// Only says which conversations are wanted; others are passed over without
	// being read. It is called often and must be quick; nil = all are.
	Only   func(conversation.ConversationID) bool
	Cursor string // where the page before ended; empty = from the start
	Limit  int    // zero = [DefaultListLimit]; at most [MaxListLimit]
}

// List gives one page of conversations and the cursor of the next page, which is
// empty after the last. A page is in the order of activity; which of those that
// were active in the same second come on an earlier page is by their ids. No
// conversation comes twice while a list is read page by page, even when some
// move; one that becomes active meanwhile is at the front of a new list.
func (s *Store) List(ctx context.Context, q ListQuery) (heads []conversation.Head, next string, err error) {
	start, err := parseListCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultListLimit
	}
	limit = min(limit, MaxListLimit)
	done, err := s.reading(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("list conversations: %w", err)
	}
	defer done()
	snap := s.db.NewSnapshot()
	defer func() { _ = snap.Close() }() // nothing was written through it
	heads, next, err = listPage(snap, q, start, limit)
	if err != nil {
		return nil, "", fmt.Errorf("list conversations: %w", err)
	}
	return heads, next, nil
}

func listPage(snap *pebble.Snapshot, q ListQuery, start *listPlace, limit int) ([]conversation.Head, string, error) {
	it, err := snap.NewIter(prefixBounds(tagPrefix(tagList), nil))
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = it.Close() }() // its error was looked at
	prefixes := listPrefixes(it, q)
	page := newestPlaces{limit: limit + 1, only: q.Only, oldest: math.MinInt64}
	if !q.Since.IsZero() {
		page.oldest = listTime(q.Since)
	}
	for _, prefix := range prefixes {
		if err := page.collect(it, prefix, start); err != nil {
			return nil, "", err
		}
	}
	if err := it.Error(); err != nil {
		return nil, "", err
	}
	places := page.sorted()
	next := ""
	if len(places) > limit {
		places = places[:limit]
		next = places[limit-1].cursor()
	}
	heads := make([]conversation.Head, 0, len(places))
	for _, p := range places {
		h, err := readHead(valuesOf(snap), p.id)
		if err != nil {
			return nil, "", fmt.Errorf("head of %s: %w", p.id, err)
		}
		heads = append(heads, h)
	}
	// The index has them by the second.
	slices.SortStableFunc(heads, func(a, b conversation.Head) int { return b.LastActivity.Compare(a.LastActivity) })
	return heads, next, nil
}

// listPrefixes gives the stretches of the index that a query is about. Where it
// does not name inboxes or statuses, those in use are found by leaping from one
// to the next.
func listPrefixes(it *pebble.Iterator, q ListQuery) [][]byte {
	var out [][]byte
	if len(q.Inboxes) > 0 && len(q.Status) > 0 {
		for _, inbox := range unique(q.Inboxes) {
			for _, status := range unique(q.Status) {
				out = append(out, appendListPrefix(nil, inbox, status))
			}
		}
		return out
	}
	inboxes := unique(q.Inboxes)
	if len(inboxes) == 0 {
		return leap(it, tagPrefix(tagList), q.Status)
	}
	for _, inbox := range inboxes {
		out = append(out, leap(it, appendInboxListPrefix(nil, inbox), q.Status)...)
	}
	return out
}

// leap finds the (inbox, status) stretches under a prefix.
func leap(it *pebble.Iterator, prefix []byte, statuses []conversation.Status) [][]byte {
	var out [][]byte
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); {
		inbox, status, err := listKeyInbox(it.Key())
		if err != nil {
			return out
		}
		found := appendListPrefix(nil, inbox, status)
		if len(statuses) == 0 || slices.Contains(statuses, status) {
			out = append(out, found)
		}
		ok = it.SeekGE(after(found))
	}
	return out
}

func unique[T comparable](in []T) []T {
	var out []T
	for _, v := range in {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// compare orders places as lists show them.
func (p listPlace) compare(o listPlace) int {
	if p.activity != o.activity {
		if p.activity > o.activity {
			return -1
		}
		return 1
	}
	return bytes.Compare(p.id[:], o.id[:])
}

// newestPlaces keeps the first places of several stretches: a heap with the
// last of them on top.
type newestPlaces struct {
	limit  int
	oldest int64 // place in time, in milliseconds
	only   func(conversation.ConversationID) bool
	places []listPlace
}

// collect looks at a stretch from start on, until what follows cannot be on the
// page any more.
func (n *newestPlaces) collect(it *pebble.Iterator, prefix []byte, start *listPlace) error {
	from := prefix
	if start != nil {
		from = append(appendListPlace(bytes.Clone(prefix), *start), 0)
	}
	for ok := it.SeekGE(from); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		p, err := readListPlace(it.Key())
		if err != nil {
			return err
		}
		if p.activity < n.oldest {
			return nil
		}
		if n.only != nil && !n.only(p.id) {
			continue
		}
		if len(n.places) == n.limit {
			if p.compare(n.places[0]) > 0 {
				return nil
			}
			n.places[0] = p
			heap.Fix(n, 0)
			continue
		}
		heap.Push(n, p)
	}
	return nil
}

func (n *newestPlaces) sorted() []listPlace {
	slices.SortFunc(n.places, listPlace.compare)
	return n.places
}

// Len implements [heap.Interface].
func (n *newestPlaces) Len() int { return len(n.places) }

// Less implements [heap.Interface].
func (n *newestPlaces) Less(i, j int) bool { return n.places[i].compare(n.places[j]) > 0 }

// Swap implements [heap.Interface].
func (n *newestPlaces) Swap(i, j int) { n.places[i], n.places[j] = n.places[j], n.places[i] }

// Push implements [heap.Interface].
func (n *newestPlaces) Push(x any) {
	if p, ok := x.(listPlace); ok {
		n.places = append(n.places, p)
	}
}

// Pop implements [heap.Interface].
func (n *newestPlaces) Pop() any {
	p := n.places[len(n.places)-1]
	n.places = n.places[:len(n.places)-1]
	return p
}

// cursorVersion is the first byte of a list cursor.
const cursorVersion = 1

func (p listPlace) cursor() string {
	return base64.RawURLEncoding.EncodeToString(appendListPlace([]byte{cursorVersion}, p))
}

func parseListCursor(s string) (*listPlace, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no cursor, no place
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 1+listPlaceBytes || b[0] != cursorVersion {
		return nil, conversation.Refuse(conversation.CodeInvalid, "the cursor is not one that a list gave")
	}
	b = b[1:]
	return &listPlace{
		activity: unsortable(^binary.BigEndian.Uint64(b)), id: conversation.ConversationID(b[8:]),
	}, nil
}
