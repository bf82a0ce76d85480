package channels

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// tray is a [Spool] in memory.
type tray struct {
	mu   sync.Mutex
	fail error
	list []Fetch

	forgotten []conversation.ContactID
}

func (s *tray) Forget(_ context.Context, contact conversation.ContactID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = append(s.forgotten, contact)
	return s.fail
}

func (s *tray) PutFetch(_ context.Context, f Fetch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil && !slices.ContainsFunc(s.list, func(o Fetch) bool { return o.Attachment.ID == f.Attachment.ID }) {
		s.list = append(s.list, f)
	}
	return s.fail
}

func (s *tray) DropFetch(_ context.Context, id conversation.AttachmentID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(f Fetch) bool { return f.Attachment.ID == id })
	return nil
}

func (s *tray) Fetches(_ context.Context, limit int) ([]Fetch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list[:min(len(s.list), limit)]), nil
}

func (s *tray) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// courierOf is a [Media] driver whose provider does what fetch and sendFile say.
type courierOf struct {
	fetch    func(source string) (Fetched, error)
	sendFile func(p Part) (string, error)

	mu    sync.Mutex
	texts []string
	files []string
	asked int
}

func (*courierOf) Kind() conversation.ChannelKind { return conversation.ChannelTelegram }
func (*courierOf) Limits() Limits                 { return Limits{} }
func (*courierOf) Receive(context.Context, Request, []byte) ([]Event, Ack, error) {
	return []Event{{Peer: "77", Ref: "m1", Text: "look", Files: []File{{Name: "v.txt", Source: "file-1"}, {Name: "b.txt", Body: []byte("in hand")}}}}, Ack{}, nil
}

func (d *courierOf) Send(_ context.Context, p Part) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts = append(d.texts, string(p.Text))
	return "t", nil
}

func (d *courierOf) Fetch(_ context.Context, _ conversation.InboxID, source string) (Fetched, error) {
	d.mu.Lock()
	d.asked++
	d.mu.Unlock()
	return d.fetch(source)
}

func (d *courierOf) SendFile(ctx context.Context, p Part) (string, error) {
	r, err := p.File.Open(ctx)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	d.files = append(d.files, p.File.Name+"="+string(b)+" "+p.Key)
	d.mu.Unlock()
	return d.sendFile(p)
}

// told is what a conversation heard.
type told struct {
	mu   sync.Mutex
	fail error
	cmds []conversation.Command
}

func (h *told) tell(_ context.Context, _ conversation.ConversationID, c conversation.Command) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return h.fail
	}
	h.cmds = append(h.cmds, c)
	return nil
}

func (h *told) all() []conversation.Command {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.cmds)
}

type fetchRig struct {
	registry  *Registry
	driver    *courierOf
	shelf     *shelf
	tray      *tray
	told      *told
	delivered []conversation.Inbound
}

func newFetchRig(t *testing.T, d *courierOf) *fetchRig {
	t.Helper()
	r := &fetchRig{driver: d, shelf: &shelf{}, tray: &tray{}, told: &told{}}
	registry, err := NewRegistry(Options{
		Drivers: map[conversation.ChannelKind]Driver{d.Kind(): d},
		Inbox:   func(id conversation.InboxID) (conversation.Inbox, error) { return conversation.Inbox{ID: id}, nil },
		Deliver: func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			r.delivered = append(r.delivered, in)
			return conversation.Receipt{Conversation: conversation.ConversationID{5}, Seq: 2, Duplicate: len(r.delivered) > 1}, nil
		},
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{6}
		},
		Tell: r.told.tell, Files: r.shelf, Spool: r.tray,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.registry = registry
	return r
}

// handIn makes the delivery that the driver always translates to the same.
func (r *fetchRig) handIn(t *testing.T) error {
	t.Helper()
	c, ok := r.registry.For(conversation.ChannelTelegram, "shop")
	if !ok {
		t.Fatal("no channel")
	}
	events, _, err := r.driver.Receive(t.Context(), Request{}, nil)
	if err == nil {
		_, err = c.handIn(t.Context(), events, 0)
	}
	return err
}

func everything(conversation.ChannelKind, conversation.InboxID) bool { return true }

func given(text string) func(string) (Fetched, error) {
	return func(string) (Fetched, error) {
		return Fetched{Body: io.NopCloser(strings.NewReader(text)), Type: "text/plain"}, nil
	}
}

// TestFilesAreFetchedBehindTheAck: the message comes at once with a file that is
// pending, the spool remembers it before the delivery is acknowledged, and its
// bytes follow.
func TestFilesAreFetchedBehindTheAck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFetchRig(t, &courierOf{fetch: given("the bytes")})
		for range 2 { // a repeated delivery changes nothing
			if err := r.handIn(t); err != nil {
				t.Fatal(err)
			}
		}
		files := r.delivered[0].Attachments
		if len(files) != 2 || files[0].State != conversation.AttachmentPending || files[1].State != conversation.AttachmentStored {
			t.Fatalf("delivered with %+v", files)
		}
		if r.tray.len() != 1 {
			t.Fatalf("%d files are in the spool", r.tray.len())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.registry.FetchFiles(ctx, everything)
		synctest.Wait()
		cmds := r.told.all()
		if len(cmds) != 1 || r.tray.len() != 0 {
			t.Fatalf("told %+v, %d files are in the spool", cmds, r.tray.len())
		}
		got, ok := cmds[0].(conversation.RecordAttachment)
		if !ok || got.Message != 2 || got.Attachment.ID != files[0].ID || got.Attachment.State != conversation.AttachmentStored {
			t.Errorf("told %+v", cmds[0])
		}
		if r.shelf.saved[files[0].ID] != "the bytes" {
			t.Errorf("saved %q", r.shelf.saved)
		}
		cancel()
	})
}

// A file that comes when its conversation has been erased goes with it.
func TestFileOfAnErasedConversation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFetchRig(t, &courierOf{fetch: given("the bytes")})
		if err := r.handIn(t); err != nil {
			t.Fatal(err)
		}
		r.told.fail = conversation.Refuse(conversation.CodeNotFound, "no such conversation")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.registry.FetchFiles(ctx, everything)
		synctest.Wait()
		if r.tray.len() != 0 || !slices.Equal(r.tray.forgotten, []conversation.ContactID{{6}}) {
			t.Errorf("%d files are in the spool, %v are forgotten", r.tray.len(), r.tray.forgotten)
		}
		cancel()
	})
}

// TestSpoolMustHoldTheFile: without it the delivery is not acknowledged.
func TestSpoolMustHoldTheFile(t *testing.T) {
	t.Parallel()
	r := newFetchRig(t, &courierOf{})
	r.tray.fail = conversation.Refuse(conversation.CodeUnavailable, "no journal")
	if err := r.handIn(t); !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("handed in: %v", err)
	}
}

// broken gives some bytes and then fails.
type broken struct{ *bytes.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("connection reset")
	}
	return n, err
}

func (broken) Close() error { return nil }

// TestProviderFailsWithAFile: what may pass is tried again, with growing pauses;
// what will not makes the file unavailable, with the reason.
func TestProviderFailsWithAFile(t *testing.T) {
	t.Parallel()
	const soon = 10 * time.Minute
	for name, tc := range map[string]struct {
		fetch  func(string) (Fetched, error)
		refuse error
		tell   error
		after  time.Duration
		reason string // of unavailable; empty = still tried
	}{
		"gone":             {fetch: failing(Gone), after: soon, reason: reasonGone},
		"never taken":      {fetch: failing(Permanent), after: soon, reason: reasonGone},
		"away":             {fetch: failing(Retry), after: soon},
		"no credential":    {fetch: failing(Auth), after: soon},
		"nobody knows":     {fetch: func(string) (Fetched, error) { return Fetched{}, errors.New("huh") }, after: soon},
		"away for a day":   {fetch: failing(Retry), after: 25 * time.Hour, reason: reasonTimedOut},
		"cut in the midst": {fetch: func(string) (Fetched, error) { return Fetched{Body: broken{bytes.NewReader([]byte("half"))}}, nil }, after: soon},
		"panics":           {fetch: func(string) (Fetched, error) { panic("hostile") }, after: soon, reason: reasonGone},
		"too large":        {fetch: given("x"), refuse: conversation.Refuse(conversation.CodeTooLarge, ""), after: soon, reason: string(conversation.CodeTooLarge)},
		"another kind":     {fetch: given("x"), refuse: conversation.Refuse(conversation.CodeMediaType, ""), after: soon, reason: string(conversation.CodeMediaType)},
		"store away":       {fetch: given("x"), refuse: conversation.Refuse(conversation.CodeUnavailable, ""), after: soon},
		"actor away":       {fetch: given("x"), tell: conversation.Refuse(conversation.CodeUnavailable, ""), after: soon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newFetchRig(t, &courierOf{fetch: tc.fetch})
				if err := r.handIn(t); err != nil {
					t.Fatal(err)
				}
				r.shelf.err, r.told.fail = tc.refuse, tc.tell
				ctx, cancel := context.WithCancel(t.Context())
				go r.registry.FetchFiles(ctx, everything)
				time.Sleep(tc.after)
				synctest.Wait()
				cancel()
				synctest.Wait()
				cmds, asked := r.told.all(), r.driver.asked
				if tc.reason == "" {
					if len(cmds) != 0 || r.tray.len() != 1 || asked < 3 || asked > 20 {
						t.Errorf("told %+v, %d in the spool, asked %d times", cmds, r.tray.len(), asked)
					}
					return
				}
				if len(cmds) != 1 || r.tray.len() != 0 {
					t.Fatalf("told %+v, %d in the spool after %d questions", cmds, r.tray.len(), asked)
				}
				got, ok := cmds[0].(conversation.RecordAttachment)
				if !ok || got.Attachment.State != conversation.AttachmentUnavailable || got.Attachment.Reason != tc.reason {
					t.Errorf("told %+v, want the reason %s", cmds[0], tc.reason)
				}
			})
		})
	}
}

func failing(c Class) func(string) (Fetched, error) {
	return func(string) (Fetched, error) { return Fetched{}, &SendError{Class: c, Code: "so"} }
}

// TestOnlyTheOwnerFetches: and a conversation that takes no news does not keep a
// file in the spool.
func TestOnlyTheOwnerFetches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newFetchRig(t, &courierOf{fetch: given("x")})
		if err := r.handIn(t); err != nil {
			t.Fatal(err)
		}
		r.told.fail = conversation.Refuse(conversation.CodeConversationClosed, "it is closed")
		var mine sync.Map
		ctx, cancel := context.WithCancel(t.Context())
		go r.registry.FetchFiles(ctx, func(conversation.ChannelKind, conversation.InboxID) bool {
			_, ok := mine.Load("yes")
			return ok
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if r.driver.asked != 0 || r.tray.len() != 1 {
			t.Errorf("asked %d times, %d in the spool", r.driver.asked, r.tray.len())
		}
		mine.Store("yes", true)
		time.Sleep(2 * fetchLook)
		synctest.Wait()
		if r.driver.asked != 1 || r.tray.len() != 0 {
			t.Errorf("asked %d times, %d in the spool", r.driver.asked, r.tray.len())
		}
		cancel()
	})
}

func outboundWith(text string, names ...string) conversation.Outbound {
	o := conversation.Outbound{Conversation: conversation.ConversationID{5}, Message: 9, Inbox: "shop", Channel: conversation.ChannelTelegram, Peer: "77", Text: conversation.Text(text)}
	for i, n := range names {
		o.Attachments = append(o.Attachments, conversation.Attachment{ID: conversation.AttachmentID{byte(i + 1)}, Name: n, State: conversation.AttachmentStored})
	}
	return o
}

func channelOf(d Driver, files Files) *Channel {
	return newChannel(d, "shop", &shared{
		files: files, metrics: newMetrics(nil, nil), paused: func(conversation.ChannelKind, conversation.InboxID) bool { return false },
	}, discard())
}

// TestFilesGoBehindTheText: each by a call of its own, with a key of its own, and
// a retry goes on where it stopped.
func TestFilesGoBehindTheText(t *testing.T) {
	t.Parallel()
	fail := true
	d := &courierOf{sendFile: func(p Part) (string, error) {
		if p.File.Name == "b.txt" && fail {
			return "", &SendError{Class: Retry, Code: "away"}
		}
		return "f", nil
	}}
	s := &shelf{saved: map[conversation.AttachmentID]string{{1}: "one", {2}: "two"}}
	c := channelOf(d, s)
	o := outboundWith("hello", "a.txt", "b.txt")
	if _, err := c.Send(t.Context(), o); ClassOf(err) != Retry || classified(err).Detail() != "retry: away (2 of 3 parts sent)" {
		t.Fatalf("Send = %v", err)
	}
	fail = false
	if id, err := c.Send(t.Context(), o); err != nil || id != "t" {
		t.Fatalf("Send = %q, %v", id, err)
	}
	key := conversation.MessageID(o.Conversation, o.Message)
	want := []string{"a.txt=one " + key + "-f1", "b.txt=two " + key + "-f2", "b.txt=two " + key + "-f2"}
	if !slices.Equal(d.texts, []string{"hello"}) || !slices.Equal(d.files, want) {
		t.Errorf("sent %q and %q, want %q", d.texts, d.files, want)
	}
	if id, err := c.Send(t.Context(), outboundWith("", "a.txt")); err != nil || id != "f" || len(d.texts) != 1 {
		t.Errorf("a file alone: %q, %v, texts %q", id, err, d.texts)
	}
}

// TestFilesWithoutAWayGoAsLinks: or the agent learns that they cannot go; nothing
// of such a message is sent then.
func TestFilesWithoutAWayGoAsLinks(t *testing.T) {
	t.Parallel()
	link := "https://x.example/" + conversation.AttachmentID{1}.String() + "?life=168h0m0s"
	text := &plainDriver{}
	if _, err := channelOf(text, &shelf{public: "https://x.example"}).Send(t.Context(), outboundWith("hello", "a.txt")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(text.texts, []string{"hello\na.txt: " + link}) {
		t.Errorf("sent %q", text.texts)
	}
	_, err := channelOf(text, &shelf{}).Send(t.Context(), outboundWith("hello", "a.txt"))
	if failure := classified(err); failure == nil || failure.Class != Permanent || failure.Code != "no_public_url" || len(text.texts) != 1 {
		t.Errorf("without a public address: %v, sent %q", err, text.texts)
	}
	picky := &courierOf{sendFile: func(Part) (string, error) { return "", ErrUseLink }}
	if _, err := channelOf(picky, &shelf{public: "https://x.example"}).Send(t.Context(), outboundWith("", "a.txt")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(picky.texts, []string{"a.txt: " + link}) {
		t.Errorf("sent %q", picky.texts)
	}
	if _, err := channelOf(picky, &shelf{}).Send(t.Context(), outboundWith("", "a.txt")); classified(err).Code != "no_public_url" {
		t.Errorf("a kind that is not carried, without a public address: %v", err)
	}
	if _, err := channelOf(picky, nil).Send(t.Context(), outboundWith("", "a.txt")); classified(err).Code != "no_files_here" {
		t.Errorf("without a store: %v", err)
	}
}

// plainDriver carries texts only.
type plainDriver struct {
	silent
	texts []string
}

func (*plainDriver) Limits() Limits { return Limits{} }

func (d *plainDriver) Send(_ context.Context, p Part) (string, error) {
	d.texts = append(d.texts, string(p.Text))
	return "", nil
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A look into the spool may still see a file that is fetched meanwhile, and must
// not have it fetched once more; the next look may, if it is there again.
func TestOldLookFetchesNothingTwice(t *testing.T) {
	t.Parallel()
	f := &fetcher{}
	f.mu.tries = make(map[conversation.AttachmentID]try)
	id, now := conversation.AttachmentID{1}, time.Now()
	look := f.begins()
	if !f.begin(id, look, now) {
		t.Fatal("a file that nobody has asked for is not fetched")
	}
	f.end(id, 0)
	if f.begin(id, look, now.Add(time.Minute)) {
		t.Error("the same look has a file fetched twice")
	}
	if !f.begin(id, f.begins(), now.Add(time.Minute)) {
		t.Error("a file that is in the spool again is not fetched")
	}
}
