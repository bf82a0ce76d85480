package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"github.com/colloquyhq/colloquy/channels"
)

const (
	refusedAgain = 5 * time.Minute // between logins that are refused, lest the server lock the account
	reconnect    = 5 * time.Second // at most, and at random, before a connection is made anew
)

// session is a connection to an IMAP server with a folder opened for reading only,
// so that nothing here can change a flag. Only this file knows the library.
//
// Concurrency: one caller at a time.
type session struct {
	login  login
	folder string
	conn   net.Conn
	client *imapclient.Client
	wakes  chan struct{} // holds one when the server said that the folder has changed

	validity uint32 // UIDVALIDITY: UIDs mean the same as long as it does
	next     uint32 // UIDNEXT when the folder was opened
	idles    bool   // the server tells of news by itself
}

// size is how large a mail is, and when it came into the mailbox.
type size struct {
	uid   uint32
	bytes int64
	at    time.Time
}

// newSession connects, logs in, with a token if there is one, and opens the folder.
// Errors:
// [*channels.SendError].
func newSession(ctx context.Context, dial Dial, l login, token, folder string) (*session, error) {
	conn, err := connect(ctx, dial, l)
	if err != nil {
		return nil, err
	}
	s := &session{login: l, folder: folder, conn: conn, wakes: make(chan struct{}, 1)}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := s.begin(token); err != nil {
		s.close()
		return nil, classifyIMAP(err)
	}
	return s, nil
}

func (s *session) begin(token string) error {
	options := &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				s.wake()
			}
		},
	}}
	if s.login.security == securityStartTLS {
		config, err := s.login.tls()
		if err != nil {
			return err
		}
		options.TLSConfig = config
		if s.client, err = imapclient.NewStartTLS(s.conn, options); err != nil {
			return s.login.notSecure(err)
		}
	} else {
		s.client = imapclient.New(s.conn, options)
	}
	if err := s.client.WaitGreeting(); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := s.authenticate(token); err != nil {
		return err
	}
	s.idles = s.client.Caps().Has(imap.CapIdle)
	got, err := s.client.Select(s.folder, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return noFolder(err)
	}
	s.validity, s.next = got.UIDValidity, uint32(got.UIDNext)
	if s.validity == 0 || s.next == 0 {
		return &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "imap_without_uids"}
	}
	return nil
}

// authenticate logs in, in the way that the server offers.
func (s *session) authenticate(token string) error {
	caps := s.client.Caps()
	var err error
	switch {
	case token != "":
		way := tokenClient(&s.login, token, func(mechanism string) bool { return caps.Has(imap.AuthCap(mechanism)) })
		if way == nil {
			return &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "imap_no_oauth"}
		}
		err = s.client.Authenticate(way)
	case caps.Has(imap.AuthCap("PLAIN")):
		err = s.client.Authenticate(sasl.NewPlainClient("", s.login.user, s.login.password))
	case caps.Has(imap.CapLoginDisabled):
		return &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "imap_login_disabled"}
	default:
		err = s.client.Login(s.login.user, s.login.password).Wait()
	}
	var no *imap.Error
	if tokenRefused(err) || errors.As(err, &no) && no.Type == imap.StatusResponseTypeNo && !passing(no.Code) {
		return &channels.SendError{Class: channels.Auth, Scope: channels.ScopeAccount, Code: "imap_login_refused", After: refusedAgain}
	}
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// passing reports whether a server refuses something that it may allow later.
func passing(c imap.ResponseCode) bool {
	switch c { //nolint:exhaustive // all others last
	case imap.ResponseCodeUnavailable, imap.ResponseCodeInUse, imap.ResponseCodeLimit, imap.ResponseCodeServerBug:
		return true
	}
	return false
}

func noFolder(err error) error {
	var no *imap.Error
	if errors.As(err, &no) && no.Type == imap.StatusResponseTypeNo && !passing(no.Code) {
		return &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "imap_no_such_folder"}
	}
	return fmt.Errorf("open the folder: %w", err)
}

// classifyIMAP makes a SendError of what went wrong. Fetching changes nothing, so
// it can always be tried again; many accounts of one server do not come back in
// the same moment.
func classifyIMAP(err error) error {
	var e *channels.SendError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &channels.SendError{
		Class: channels.Retry, Scope: channels.ScopeAccount, Code: "imap_failed",
		After: rand.N(reconnect), Err: err, //nolint:gosec // spreads reconnections, decides nothing
	}
}

func (s *session) wake() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// search gives UIDs from first to last, ascending; 0 = all there are. With a time
// it gives those that came since that day only, and with unread those that nobody
// has read.
func (s *session) search(first, last uint32, since time.Time, f filter) ([]uint32, error) {
	select {
	case <-s.wakes: // what it told of is found now
	default:
	}
	var set imap.UIDSet
	set.AddRange(imap.UID(first), imap.UID(last))
	criteria := &imap.SearchCriteria{UID: []imap.UIDSet{set}, Since: since}
	if f == unread {
		criteria.NotFlag = []imap.Flag{imap.FlagSeen}
	}
	got, err := s.client.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	var out []uint32
	for _, uid := range got.AllUIDs() {
		// n:* means the newest mail too when n is beyond it (RFC 9051, 6.4.8).
		if n := uint32(uid); n >= first && (last == 0 || n <= last) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// filter chooses among mails.
type filter uint8

const (
	everything filter = iota
	unread
)

// sizes gives the sizes of mails that are still there, ascending by UID.
func (s *session) sizes(uids []uint32) ([]size, error) {
	var set imap.UIDSet
	for _, uid := range uids {
		set.AddNum(imap.UID(uid))
	}
	got, err := s.client.Fetch(set, &imap.FetchOptions{UID: true, RFC822Size: true, InternalDate: true}).Collect()
	if err != nil {
		return nil, fmt.Errorf("fetch sizes: %w", err)
	}
	var out []size
	for _, m := range got {
		if slices.Contains(uids, uint32(m.UID)) { // servers also tell of others
			out = append(out, size{uid: uint32(m.UID), bytes: m.RFC822Size, at: m.InternalDate})
		}
	}
	slices.SortFunc(out, func(a, b size) int { return int(int64(a.uid) - int64(b.uid)) })
	return out, nil
}

// fetch reads a mail, or its header only, up to a number of bytes. It is nil when
// the mail is gone.
func (s *session) fetch(uid uint32, part imap.PartSpecifier, limit int64) ([]byte, error) {
	var set imap.UIDSet
	set.AddNum(imap.UID(uid))
	section := &imap.FetchItemBodySection{
		Specifier: part, Peek: true, Partial: &imap.SectionPartial{Offset: 0, Size: limit},
	}
	cmd := s.client.Fetch(set, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
	var out []byte
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		for item := m.Next(); item != nil; item = m.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || body.Literal == nil {
				continue
			}
			var err error
			if out, err = io.ReadAll(io.LimitReader(body.Literal, limit)); err != nil {
				// The library reads on by itself now, and whatever is asked of the command would
				// read beside it.
				s.close()
				return nil, fmt.Errorf("fetch: %w", err)
			}
		}
	}
	if err := cmd.Close(); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return out, nil
}

// idle waits until the server tells of a change, or for d. It reports whether
// there is one.
func (s *session) idle(ctx context.Context, d time.Duration) (bool, error) {
	cmd, err := s.client.Idle()
	if err != nil {
		return false, fmt.Errorf("idle: %w", err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	woken := false
	select {
	case <-s.wakes:
		woken = true
	case <-timer.C:
	case <-s.client.Closed():
	case <-ctx.Done():
	}
	if err := errors.Join(cmd.Close(), cmd.Wait()); err != nil {
		return false, fmt.Errorf("end idle: %w", err)
	}
	return woken, nil
}

// close ends the connection without a word; the folder was only read.
func (s *session) close() {
	if s.client != nil {
		_ = s.client.Close()
		return
	}
	_ = s.conn.Close()
}
