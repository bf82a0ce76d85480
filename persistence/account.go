package persistence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// Account gives an inbox's account with a provider; what it points to is shared:
// callers must not change it. Errors: [ErrNotFound].
func (s *Store) Account(kind conversation.ChannelKind, inbox conversation.InboxID) (conversation.Account, error) {
	place := (&conversation.Account{Inbox: inbox, Kind: kind}).Place()
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	v, ok := s.directory.mu.accounts[place]
	if !ok {
		return v, fmt.Errorf("channel account %s: %w", place, ErrNotFound)
	}
	return v, nil
}

// Accounts gives all accounts, by inbox and kind.
func (s *Store) Accounts() []conversation.Account {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.directory.mu.accounts), func(a, b conversation.Account) int {
		return cmp.Or(cmp.Compare(a.Inbox, b.Inbox), cmp.Compare(a.Kind, b.Kind))
	})
}

// PutAccount writes an account whose stored version is the one it carries, where
// 0 makes a new one, and gives it back with its new version.
func (s *Store) PutAccount(ctx context.Context, a conversation.Account) (conversation.Account, error) {
	version, err := s.putJSON(ctx, &document{kind: docAccount, id: a.Place(), expect: a.Version}, a)
	if err != nil {
		return a, err
	}
	a.Version = version
	return a, nil
}

// DeleteAccount removes an account, and how far its messages were fetched: the
// next account in its place may be with somebody else. Errors: [ErrNotFound],
// [ErrConflict].
func (s *Store) DeleteAccount(ctx context.Context, a conversation.Account) error {
	if err := s.DeleteDoc(ctx, docAccount, a.Place(), a.Version); err != nil {
		return err
	}
	return s.DeleteCursor(ctx, &a)
}

// DeleteCursor forgets how far an account's messages were fetched, if they were.
func (s *Store) DeleteCursor(ctx context.Context, a *conversation.Account) error {
	if err := s.DeleteDoc(ctx, docCursor, a.Place(), 0); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// Cursor gives how far an account's messages were fetched, and the version of
// that; nothing and zero at first.
func (s *Store) Cursor(
	ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID,
) (cursor []byte, version uint64, err error) {
	d, err := s.Doc(ctx, docCursor, (&conversation.Account{Inbox: inbox, Kind: kind}).Place())
	if isGone(err) {
		return nil, 0, nil
	}
	return d.Data, d.Version, err
}

// SetCursor stores how far an account's messages were fetched, after the cursor
// of that version. Errors: [ErrConflict].
func (s *Store) SetCursor(
	ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, version uint64, cursor []byte,
) error {
	_, err := s.PutDoc(ctx, docCursor, (&conversation.Account{Inbox: inbox, Kind: kind}).Place(), version, cursor)
	return err
}

// putAccount takes an account over.
func (d *directory) putAccount(doc *document) error {
	v, err := decodeDoc[conversation.Account](doc)
	if err != nil {
		return err
	}
	v.Version = doc.version
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.accounts[doc.id] = v
	return nil
}
