package channeltest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Answer is a provider's answer to a call.
type Answer struct {
	Status int // zero = 200
	Header map[string]string
	Body   string
}

// Script answers calls one after the other, and remembers them.
type Script struct {
	Answers []Answer
	Made    []Call
}

// RoundTrip implements [http.RoundTripper].
func (s *Script) RoundTrip(r *http.Request) (*http.Response, error) {
	c := Call{Request: r}
	if r.Body != nil {
		var err error
		if c.Body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	s.Made = append(s.Made, c)
	if len(s.Made) > len(s.Answers) {
		return nil, errRefused
	}
	a := s.Answers[len(s.Made)-1]
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	resp := response(r, a.Status, bytes.NewReader([]byte(a.Body)))
	for k, v := range a.Header {
		resp.Header.Set(k, v)
	}
	return resp, nil
}

// Where lists hosts and paths of the calls, one after the other.
func (s *Script) Where() string {
	out := make([]string, len(s.Made))
	for i, c := range s.Made {
		out[i] = c.Request.URL.Host + c.Request.URL.Path
	}
	return strings.Join(out, " ")
}

// FilePart is a file on its way to a peer of the inbox shop. size is what is said
// of it; zero = what content has.
func FilePart(peer, name, kind, content string, size int64) channels.Part {
	if size == 0 {
		size = int64(len(content))
	}
	return channels.Part{
		Key: "msg_1-2-f1", Outbound: conversation.Outbound{Inbox: Inbox, Peer: peer},
		File: &channels.OutFile{
			Attachment: conversation.Attachment{Name: name, Type: kind, Size: size, State: conversation.AttachmentStored},
			Open:       func(context.Context) (io.ReadSeeker, error) { return strings.NewReader(content), nil },
		},
	}
}

// AMR is a recording of so many frames of 20 ms.
func AMR(frames int) string {
	return "#!AMR\n" + strings.Repeat("\x3c"+strings.Repeat("\x55", 31), frames)
}
