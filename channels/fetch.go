package channels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Fetch is a file that is still with its provider.
type Fetch struct {
	Attachment   conversation.Attachment     `json:"attachment"` // as the message carries it, pending
	Kind         conversation.ChannelKind    `json:"kind"`       // of the driver
	Inbox        conversation.InboxID        `json:"inbox"`
	Contact      conversation.ContactID      `json:"contact"`
	Conversation conversation.ConversationID `json:"conversation"`
	Message      conversation.Seq            `json:"message"`
	Source       string                      `json:"source"` // the provider's name for the bytes
	First        time.Time                   `json:"first"`  // when the message came
}

// Spool keeps which files are still to be fetched, durably and the same on all
// nodes.
type Spool interface {
	// PutFetch remembers a file. One that is remembered already stays as it is.
	PutFetch(ctx context.Context, f Fetch) error
	// DropFetch forgets a file; one that is not remembered is no error.
	DropFetch(ctx context.Context, id conversation.AttachmentID) error
	// Fetches lists at most limit of them.
	Fetches(ctx context.Context, limit int) ([]Fetch, error)
	// Forget drops what was stored for a contact and is on no message: of one that
	// was erased while a file was being fetched.
	Forget(ctx context.Context, contact conversation.ContactID) error
}

const (
	fetchLook    = time.Second      // between two looks into the spool
	fetchWithin  = 30 * time.Second // for a provider to give a file
	fetchKeep    = 30 * time.Second // to store it after that
	maxFetches   = 4                // at a time
	maxFetchList = 512              // that are looked at; those behind wait
)

// Why a file will not come.
const (
	reasonGone     = "gone"      // the provider has it no more, or never had
	reasonTimedOut = "timed_out" // the provider did not give it within a day
)

// errNoFetch says that the driver, which may be another one than before, fetches
// nothing.
var errNoFetch = errors.New("the driver cannot fetch")

// spoolFiles remembers the files of a message that are still to be fetched. It
// runs before the delivery is acknowledged, so that a crash loses none; a
// repeated delivery remembers them once more, which does no harm.
func (c *Channel) spoolFiles(ctx context.Context, in *conversation.Inbound, files []File, r conversation.Receipt) error {
	waits := false
	for i := range in.Attachments {
		if in.Attachments[i].State != conversation.AttachmentPending {
			continue
		}
		waits = true
		err := c.shared.spool.PutFetch(ctx, Fetch{
			Attachment: in.Attachments[i], Kind: c.Kind(), Inbox: in.Inbox, Contact: in.Contact, Conversation: r.Conversation, Message: r.Seq,
			Source: files[i].Source, First: time.Now().UTC(),
		})
		if err != nil {
			return fmt.Errorf("remember file %d of a message: %w", i+1, err)
		}
	}
	if waits {
		select {
		case c.shared.spooled <- struct{}{}:
		default: // somebody has been told
		}
	}
	return nil
}

// fetcher fetches the files of the spool.
//
// owns: maxFetches goroutines at most, which end with ctx · bound: maxFetchList
// files are looked at; those behind them wait.
type fetcher struct {
	r    *Registry
	mine func(conversation.ChannelKind, conversation.InboxID) bool
	work sync.WaitGroup

	mu struct {
		sync.Mutex

		tries map[conversation.AttachmentID]try
		busy  int
		looks int // that have begun
	}
}

// try is how often a file was asked for, and when it will be asked for again.
type try struct {
	count   int
	next    time.Time
	running bool
	// ended is the newest look that had begun when the last try ended: what that
	// look saw may still name a file that is done.
	ended int
}

// FetchFiles fetches what visitors sent by providers that keep files themselves,
// until ctx ends: for the accounts that mine says are this node's. If two nodes
// take the same file for a while, it is stored once all the same.
func (r *Registry) FetchFiles(ctx context.Context, mine func(conversation.ChannelKind, conversation.InboxID) bool) {
	if r.shared.spool == nil {
		return
	}
	f := &fetcher{r: r, mine: mine}
	f.mu.tries = make(map[conversation.AttachmentID]try)
	defer f.work.Wait()
	tick := time.NewTicker(fetchLook)
	defer tick.Stop()
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-r.shared.spooled:
		case <-tick.C:
		}
	}
}

// look starts what is due.
func (f *fetcher) look(ctx context.Context) {
	number := f.begins()
	list, err := f.r.shared.spool.Fetches(ctx, maxFetchList)
	if err != nil {
		if ctx.Err() == nil {
			f.r.logger.WarnContext(ctx, "files to fetch cannot be listed", "err", err)
		}
		return
	}
	now := time.Now()
	there := make(map[conversation.AttachmentID]bool, len(list))
	for i := range list {
		one := list[i]
		there[one.Attachment.ID] = true
		if f.mine(one.Kind, one.Inbox) && !f.r.shared.paused(one.Kind, one.Inbox) && f.begin(one.Attachment.ID, number, now) {
			f.work.Go(func() { f.fetch(ctx, &one) })
		}
	}
	f.forget(there)
}

// begins counts a look.
func (f *fetcher) begins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.looks++
	return f.mu.looks
}

// begin takes a place for a file that is due, as a look has seen it.
func (f *fetcher) begin(id conversation.AttachmentID, look int, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.mu.tries[id]
	if t.running || t.ended >= look || now.Before(t.next) || f.mu.busy >= maxFetches {
		return false
	}
	t.running = true
	t.count++
	f.mu.tries[id] = t
	f.mu.busy++
	return true
}

// forget drops the tries of files that are not in the spool any more.
func (f *fetcher) forget(there map[conversation.AttachmentID]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, t := range f.mu.tries {
		if !there[id] && !t.running {
			delete(f.mu.tries, id)
		}
	}
}

// end says when to try again; zero = never.
func (f *fetcher) end(id conversation.AttachmentID, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.mu.tries[id]
	t.running, t.next, t.ended = false, time.Now().Add(wait), f.mu.looks
	f.mu.tries[id] = t
	f.mu.busy--
}

func (f *fetcher) count(id conversation.AttachmentID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.tries[id].count
}

// fetch takes one file as far as it gets.
func (f *fetcher) fetch(ctx context.Context, one *Fetch) {
	var wait time.Duration
	defer func() { f.end(one.Attachment.ID, wait) }()
	ctx, cancel := context.WithTimeout(ctx, fetchWithin+fetchKeep)
	defer cancel()
	a, err := f.bring(ctx, one)
	if err == nil {
		err = f.tell(ctx, one, a)
	}
	outcome := fetchStored
	switch {
	case err != nil:
		wait, outcome = pauseAfter(err, f.count(one.Attachment.ID)), fetchRetried
		f.r.logger.WarnContext(ctx, "file not fetched", "channel", string(one.Kind), "inbox", string(one.Inbox),
			"conversation_id", one.Conversation.String(), "err", err)
	case a.State != conversation.AttachmentStored:
		outcome = fetchFailed
	}
	f.r.shared.metrics.fetches.WithLabelValues(string(one.Kind), outcome).Inc()
}

// bring gives what became of a file. Errors: only those after which it is asked
// for again.
func (f *fetcher) bring(ctx context.Context, one *Fetch) (conversation.Attachment, error) {
	gone := one.Attachment
	gone.State, gone.Blob = conversation.AttachmentUnavailable, ""
	a, err := conversation.Attachment{}, errNoFetch
	if c, ok := f.r.For(one.Kind, one.Inbox); ok {
		a, err = c.bring(ctx, one)
	}
	failure := (*SendError)(nil)
	switch code := conversation.CodeOf(err); {
	case err == nil:
		return a, nil
	case errors.As(err, &failure) && (failure.Class == Permanent || failure.Class == Gone || failure.Class == WindowClosed):
		gone.Reason = reasonGone
	case errors.Is(err, errNoFetch):
		gone.Reason = reasonNoFetch
	case failure == nil && notTaken(err):
		gone.Reason = string(code)
	case time.Since(one.First) > retryFor:
		gone.Reason = reasonTimedOut
	default:
		return gone, err
	}
	return gone, nil
}

// bring asks the provider for a file and stores it. A driver that panics costs
// that file.
func (c *Channel) bring(ctx context.Context, one *Fetch) (a conversation.Attachment, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.logger.ErrorContext(ctx, "driver panicked on a file", "stack", string(debug.Stack()))
			err = &SendError{Class: Permanent, Code: "driver_panicked"}
		}
	}()
	m, ok := c.driver.(Media)
	if !ok {
		return a, errNoFetch
	}
	within, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	got, err := m.Fetch(within, one.Inbox, one.Source)
	if err != nil {
		return a, classified(err)
	}
	defer func() { _ = got.Body.Close() }()
	name := one.Attachment.Name
	if got.Name != "" {
		name = got.Name
	}
	body := &provided{from: got.Body}
	a, err = c.shared.files.Save(ctx, conversation.Upload{
		ID: one.Attachment.ID, Inbox: one.Inbox, Contact: one.Contact, Conversation: one.Conversation, Name: name, Declared: got.Type,
	}, body)
	if body.err != nil {
		return a, &SendError{Class: Retry, Code: "file_cut", Err: body.err}
	}
	return a, err
}

// provided remembers whether it was the provider that failed.
type provided struct {
	from io.Reader
	err  error
}

// Read implements [io.Reader].
func (p *provided) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

// tell records what became of a file, and forgets it then. A conversation that
// takes no news any more does not hold it up.
func (f *fetcher) tell(ctx context.Context, one *Fetch, a conversation.Attachment) error {
	err := f.r.shared.tell(ctx, one.Conversation, conversation.RecordAttachment{Message: one.Message, Attachment: a})
	if errors.Is(err, conversation.ErrNotFound) {
		err = f.r.shared.spool.Forget(ctx, one.Contact)
	}
	if err != nil && transient(err) {
		return fmt.Errorf("record a file: %w", err)
	}
	return f.r.shared.spool.DropFetch(ctx, one.Attachment.ID)
}
