package channels

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// shelf is a [Files] that remembers what it was given.
type shelf struct {
	err    error
	saved  map[conversation.AttachmentID]string
	public string // where links lead; empty = there are none
}

// Save implements [Files].
func (s *shelf) Save(_ context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error) {
	b, err := io.ReadAll(body)
	if err != nil || s.err != nil {
		return conversation.Attachment{}, errors.Join(err, s.err)
	}
	if s.saved == nil {
		s.saved = make(map[conversation.AttachmentID]string)
	}
	s.saved[u.ID] = string(b)
	return conversation.Attachment{ID: u.ID, Name: u.Name, Type: "text/plain", Size: int64(len(b)), State: conversation.AttachmentStored}, nil
}

// Open implements [Files].
func (s *shelf) Open(_ context.Context, a *conversation.Attachment) (io.ReadSeeker, error) {
	return strings.NewReader(s.saved[a.ID]), nil
}

// Link implements [Files].
func (s *shelf) Link(id conversation.AttachmentID, _ time.Time, life time.Duration) string {
	if s.public == "" {
		return ""
	}
	return s.public + "/" + id.String() + "?life=" + life.String()
}

func channelWith(f Files) *Channel {
	return &Channel{driver: silent{}, account: "shop", shared: &shared{files: f}}
}

// silent is a driver that is only asked for its kind.
type silent struct{ Driver }

// Kind implements [Driver].
func (silent) Kind() conversation.ChannelKind { return conversation.ChannelEmail }

func TestBytesInHandAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	c := channelWith(s)
	e := &Event{Files: []File{{Name: "../a.txt", Type: "text/plain; charset=utf-8", Body: []byte("hello")}, {Type: "image/png", Body: []byte{}}}}
	var first []conversation.Attachment
	for range 2 {
		in := conversation.Inbound{Inbox: "shop", Channel: conversation.ChannelEmail, Peer: "li@example.com", Ref: "m1"}
		if err := c.attach(t.Context(), &in, e.Files); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = in.Attachments
		}
		if len(in.Attachments) != 2 || in.Attachments[0] != first[0] || in.Attachments[1] != first[1] {
			t.Errorf("attachments %+v, at first %+v", in.Attachments, first)
		}
	}
	if len(s.saved) != 2 || s.saved[first[0].ID] != "hello" || first[0].Name != "a.txt" || first[1].Name != "image" {
		t.Errorf("saved %v as %+v", s.saved, first)
	}
	other := conversation.Inbound{Inbox: "shop", Channel: conversation.ChannelEmail, Peer: "li@example.com", Ref: "m2"}
	if err := c.attach(t.Context(), &other, e.Files); err != nil || other.Attachments[0].ID == first[0].ID {
		t.Errorf("another message has %+v, %v", other.Attachments, err)
	}
}

func TestFilesThatCannotBeStored(t *testing.T) {
	t.Parallel()
	file := []File{{Name: "a.exe", Body: []byte("MZ")}}
	for name, tc := range map[string]struct {
		files  Files
		of     []File
		reason string
		fails  bool
	}{
		"no store":            {nil, file, reasonNoFetch, false},
		"not in hand":         {&shelf{}, []File{{Name: "a.png", Source: "f1", Size: 7}}, reasonNoFetch, false},
		"refused by its kind": {&shelf{err: conversation.Refuse(conversation.CodeMediaType, "")}, file, string(conversation.CodeMediaType), false},
		"too large":           {&shelf{err: conversation.Refuse(conversation.CodeTooLarge, "")}, file, string(conversation.CodeTooLarge), false},
		"quota":               {&shelf{err: conversation.Refuse(conversation.CodeQuota, "")}, file, string(conversation.CodeQuota), false},
		"the store is away":   {&shelf{err: conversation.Refuse(conversation.CodeUnavailable, "")}, file, "", true},
	} {
		in := conversation.Inbound{Inbox: "shop", Peer: "li", Ref: "m1"}
		err := channelWith(tc.files).attach(t.Context(), &in, tc.of)
		if tc.fails {
			if !errors.Is(err, conversation.ErrUnavailable) {
				t.Errorf("%s: %v, want the delivery to be repeated", name, err)
			}
			continue
		}
		if err != nil || len(in.Attachments) != 1 {
			t.Errorf("%s: %+v, %v", name, in.Attachments, err)
			continue
		}
		if a := in.Attachments[0]; a.State != conversation.AttachmentUnavailable || a.Reason != tc.reason {
			t.Errorf("%s: %+v, want the reason %s", name, a, tc.reason)
		}
	}
}

func TestMoreFilesThanAMessageHolds(t *testing.T) {
	t.Parallel()
	var e Event
	for i := range 13 {
		e.Files = append(e.Files, File{Name: strconv.Itoa(i), Body: []byte("x")})
	}
	in := conversation.Inbound{Inbox: "shop", Peer: "li", Ref: "m1"}
	if err := channelWith(&shelf{}).attach(t.Context(), &in, e.Files); err != nil {
		t.Fatal(err)
	}
	last := in.Attachments[len(in.Attachments)-1]
	if len(in.Attachments) != conversation.MaxAttachments || last.Name != "+4" || last.Reason != reasonTooMany {
		t.Errorf("%d attachments, the last is %+v", len(in.Attachments), last)
	}
}
