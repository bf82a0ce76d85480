package email

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// idleFor is how long one look waits for news. It is short, because a look that
	// waits also says that the server is still there, and the next one begins with a
	// search, which finds what a server forgot to tell.
	idleFor     = 40 * time.Second
	pollEvery   = time.Minute      // of servers without IDLE
	fetchFor    = 20 * time.Second // then what came so far is handed in
	batchMails  = 20
	batchBytes  = 16 << 20
	maxFetches  = 4 // of all accounts at a time: each may hold a batch and the largest mail
	maxHeader   = 256 << 10
	maxFailures = 10 // at the same mail, some 20 minutes; then it is noted and passed
)

// Pull implements [channels.Puller]. The cursor names the newest mail that was
// dealt with.
func (d *Driver) Pull(ctx context.Context, p channels.Pull) (channels.Pulled, error) {
	box, err := d.mailbox(ctx, p.Account)
	if err != nil {
		return channels.Pulled{}, err
	}
	s := d.sessions.take(p.Account, &box)
	if s == nil {
		s, err = d.session(ctx, p.Account, &box)
	}
	if err != nil {
		return channels.Pulled{}, err
	}
	out, err := d.look(ctx, s, &reading{Pull: p, driver: d, box: &box, cursor: parseCursor(p.Cursor)})
	if err != nil {
		s.close()
		return channels.Pulled{}, classifyIMAP(err)
	}
	d.sessions.put(p.Account, s)
	return out, nil
}

// look makes one look at the folder: what is new, or else waiting for it.
func (d *Driver) look(ctx context.Context, s *session, r *reading) (channels.Pulled, error) {
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	r.cursor.meet(s.validity, s.next, r.At)
	uids, err := r.news(s)
	if err != nil {
		return channels.Pulled{}, err
	}
	if len(uids) > 0 {
		return d.read(ctx, s, r, uids)
	}
	out := channels.Pulled{Cursor: r.cursor.encode()}
	switch {
	case string(out.Cursor) != string(r.Cursor): // kept before anything is waited for
		out.More = true
	case s.idles:
		out.More, err = s.idle(ctx, idleFor)
	default:
		out.Wait = pollEvery
	}
	return out, err
}

// reading is one look at an account.
type reading struct {
	channels.Pull

	driver *Driver
	box    *mailbox
	cursor cursor
}

// news finds the mails behind the cursor.
func (r *reading) news(s *session) ([]uint32, error) {
	c := &r.cursor
	if c.Last < c.Until {
		f := everything
		if c.Unread {
			f = unread
		}
		uids, err := s.search(c.Last+1, c.Until, c.Since, f)
		if err != nil || len(uids) > 0 {
			return uids, err
		}
		c.Last = c.Until
	}
	return s.search(c.Last+1, 0, time.Time{}, everything)
}

// read fetches a batch of mails and translates them.
func (d *Driver) read(ctx context.Context, s *session, r *reading, uids []uint32) (channels.Pulled, error) {
	select {
	case d.fetches <- struct{}{}:
		defer func() { <-d.fetches }()
	case <-ctx.Done():
		return channels.Pulled{}, ctx.Err()
	}
	batch := uids[:min(len(uids), batchMails)]
	sizes, err := s.sizes(batch)
	if err != nil {
		return channels.Pulled{}, err
	}
	out := channels.Pulled{More: true}
	began, taken := time.Now(), int64(0)
	for i, m := range sizes {
		if i > 0 && (taken+m.bytes > batchBytes || time.Since(began) > fetchFor) {
			break
		}
		event, err := r.take(ctx, s, m)
		if err != nil && len(out.Events) == 0 {
			return channels.Pulled{}, err
		}
		if err != nil {
			break // those before it first
		}
		taken += min(m.bytes, r.box.maxSize)
		r.cursor.passed(m)
		out.Events = append(out.Events, event...)
	}
	if len(sizes) == 0 { // all of them were deleted meanwhile
		r.cursor.Last = max(r.cursor.Last, slices.Max(batch))
	}
	out.Cursor = r.cursor.encode()
	return out, nil
}

// take fetches one mail and translates it. One that the server cannot give is
// noted after some attempts and holds up nothing any longer.
func (r *reading) take(ctx context.Context, s *session, m size) ([]channels.Event, error) {
	limit, part := r.box.maxSize, imap.PartSpecifierNone
	if m.bytes > limit {
		limit, part = maxHeader, imap.PartSpecifierHeader
	}
	raw, err := s.fetch(m.uid, part, limit)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) || r.driver.failures.count(r.Account, m.uid) < maxFailures {
			return nil, err
		}
		r.driver.failures.clear(r.Account)
		return []channels.Event{r.note(m, "unreachable_mail")}, nil
	}
	r.driver.failures.clear(r.Account)
	if raw == nil {
		return nil, nil // deleted meanwhile
	}
	return r.translate(ctx, raw, m)
}

// failures counts how often the mail at which each account stands failed.
type failures struct {
	mu struct {
		sync.Mutex

		of map[conversation.InboxID]failed
	}
}

type failed struct {
	uid   uint32
	times int
}

func (f *failures) count(inbox conversation.InboxID, uid uint32) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.of == nil {
		f.mu.of = make(map[conversation.InboxID]failed)
	}
	now := f.mu.of[inbox]
	if now.uid != uid {
		now = failed{uid: uid}
	}
	now.times++
	f.mu.of[inbox] = now
	return now.times
}

func (f *failures) clear(inbox conversation.InboxID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.of, inbox)
}
