package channeltest

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Media describes how files come and go at a provider.
type Media struct {
	// Deliver gives what the provider sends for a message with one file.
	Deliver func(t testing.TB, m Message, at time.Time) Delivery
	// Name is what that file is called; empty = the provider says no name.
	Name string
	// Answer is the provider's side of the calls that fetch a file or carry one:
	// the status and the body of the answer. content is the file that the provider
	// has. It must check that each call shows the account's credential.
	Answer func(t testing.TB, r *http.Request, body, content []byte) (int, []byte)
	// Gone is the status of a file that the provider no longer has; zero = 400.
	Gone int
	// Links says that files go as links: the provider fetches them, or only the
	// visitor does.
	Links bool
	// Arrived gives the file that the calls carried, or for Links its address.
	Arrived func(t testing.TB, calls []Call) (peer, name, content string)
}

// Call is a call that a provider got.
type Call struct {
	Request *http.Request
	Body    []byte
}

// FormFile takes a form apart: its fields, and the file in it.
func FormFile(t testing.TB, c Call, field string) (fields map[string]string, name, kind, content string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("%s is no form: %v", c.Request.URL.Path, err)
	}
	if got := c.Request.ContentLength; got != int64(len(c.Body)) {
		t.Errorf("the form says that it has %d bytes, and has %d", got, len(c.Body))
	}
	fields = make(map[string]string)
	r := multipart.NewReader(bytes.NewReader(c.Body), params["boundary"])
	for {
		part, err := r.NextPart()
		if err == io.EOF { //nolint:errorlint // as the standard library gives it
			return fields, name, kind, content
		}
		if err != nil {
			t.Fatalf("a part of the form: %v", err)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			t.Fatalf("a part of the form: %v", err)
		}
		if part.FormName() == field {
			name, kind, content = part.FileName(), part.Header.Get("Content-Type"), string(b)
		} else {
			fields[part.FormName()] = string(b)
		}
	}
}

func (s Suite) runMedia(t *testing.T) {
	t.Helper()
	t.Run("a file is fetched", s.testFetched)
	t.Run("a file that is gone is shown as such", s.testGone)
	t.Run("a file is sent", s.testFileSent)
}

// shelf is a [channels.Files] and a [channels.Spool].
type shelf struct {
	mu    sync.Mutex
	files map[conversation.AttachmentID][]byte
	spool []channels.Fetch
	said  []conversation.RecordAttachment
}

// Save implements [channels.Files].
func (s *shelf) Save(_ context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return conversation.Attachment{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[u.ID] = b
	return conversation.Attachment{ID: u.ID, Name: u.Name, Type: u.Declared, Size: int64(len(b)), State: conversation.AttachmentStored}, nil
}

// Open implements [channels.Files].
func (s *shelf) Open(_ context.Context, a *conversation.Attachment) (io.ReadSeeker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.NewReader(s.files[a.ID]), nil
}

// Link implements [channels.Files].
func (*shelf) Link(id conversation.AttachmentID, _ time.Time, _ time.Duration) string {
	return "https://support.example.com/v1/files/" + id.String() + "?until=1&signature=x"
}

// PutFetch implements [channels.Spool].
func (s *shelf) PutFetch(_ context.Context, f channels.Fetch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spool = append(s.spool, f)
	return nil
}

// DropFetch implements [channels.Spool].
func (s *shelf) DropFetch(context.Context, conversation.AttachmentID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spool = nil
	return nil
}

// Fetches implements [channels.Spool].
func (s *shelf) Fetches(context.Context, int) ([]channels.Fetch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]channels.Fetch(nil), s.spool...), nil
}

// Forget implements [channels.Spool]: nobody is erased here.
func (*shelf) Forget(context.Context, conversation.ContactID) error { return nil }

func (s *shelf) tell(_ context.Context, _ conversation.ConversationID, c conversation.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := c.(conversation.RecordAttachment); ok {
		s.said = append(s.said, r)
	}
	return nil
}

func (s *shelf) outcome() []conversation.RecordAttachment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]conversation.RecordAttachment(nil), s.said...)
}

// serving is a provider that has content.
func (s Suite) serving(t testing.TB, content []byte) *provider {
	t.Helper()
	p := &provider{}
	p.answer = func(r *http.Request) (*http.Response, error) {
		calls := p.all()
		status, body := s.Media.Answer(t, r, calls[len(calls)-1].body, content)
		return response(r, status, bytes.NewReader(body)), nil
	}
	return p
}

// fetch delivers a message with a file and lets it be fetched for a while.
func (s Suite) fetch(t *testing.T, p *provider) (*rig, *shelf) {
	t.Helper()
	keep := &shelf{files: make(map[conversation.AttachmentID][]byte)}
	r := s.rigWith(t, p, keep)
	if rec := r.post(t, s.Media.Deliver(t, s.message(0), time.Now())); rec.Code/100 != 2 {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go r.registry.FetchFiles(ctx, func(conversation.ChannelKind, conversation.InboxID) bool { return true })
	time.Sleep(5 * time.Second)
	synctest.Wait()
	cancel()
	synctest.Wait()
	return r, keep
}

func (s Suite) testFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := []byte("the bytes of a file\x00\xff")
		r, keep := s.fetch(t, s.serving(t, content))
		stored := r.journal.all()
		if len(stored) != 1 || len(stored[0].Attachments) != 1 {
			t.Fatalf("stored %+v, want one message with a file", stored)
		}
		a := stored[0].Attachments[0]
		if a.State != conversation.AttachmentPending || s.Media.Name != "" && a.Name != s.Media.Name {
			t.Errorf("the message came with %+v", a)
		}
		if stored[0].Metadata[channels.MetadataUnsupported] != "" {
			t.Errorf("the message is marked as %v", stored[0].Metadata)
		}
		said := keep.outcome()
		if len(said) != 1 || said[0].Attachment.ID != a.ID || said[0].Attachment.State != conversation.AttachmentStored {
			t.Fatalf("told %+v\n%s", said, r.logs)
		}
		if got := keep.files[a.ID]; !bytes.Equal(got, content) {
			t.Errorf("fetched %q, want %q", got, content)
		}
	})
}

func (s Suite) testGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := s.Media.Gone
		if status == 0 {
			status = http.StatusBadRequest
		}
		r, keep := s.fetch(t, answering(status, nil, "{}"))
		said := keep.outcome()
		if len(said) != 1 || said[0].Attachment.State != conversation.AttachmentUnavailable || said[0].Attachment.Reason == "" {
			t.Errorf("told %+v\n%s", said, r.logs)
		}
	})
}

func (s Suite) testFileSent(t *testing.T) {
	const content = "what the agent sends \x00\xff"
	p := s.serving(t, nil)
	keep := &shelf{files: map[conversation.AttachmentID][]byte{{9}: []byte(content)}}
	r := s.rigWith(t, p, keep)
	o := s.outbound(r.channel.Kind(), "")
	o.Attachments = []conversation.Attachment{{
		ID: conversation.AttachmentID{9}, Name: `订单 "1".pdf`, Type: "application/pdf", Size: int64(len(content)), State: conversation.AttachmentStored,
	}}
	if _, err := r.channel.Send(t.Context(), o); err != nil {
		t.Fatalf("Send: %v", err)
	}
	var calls []Call
	for _, c := range p.all() {
		calls = append(calls, Call{Request: c.request, Body: c.body})
	}
	peer, name, got := s.Media.Arrived(t, calls)
	if peer != s.peer() {
		t.Errorf("it went to %q, want %q", peer, s.peer())
	}
	if s.Media.Links {
		if !strings.Contains(got, keep.Link(conversation.AttachmentID{9}, time.Time{}, 0)) {
			t.Errorf("the visitor gets %q, want a link", got)
		}
		return
	}
	if name != o.Attachments[0].Name || got != content {
		t.Errorf("the provider got %q called %q, want %q called %q", got, name, content, o.Attachments[0].Name)
	}
}
