package channeltest

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Options are those of a provider's driver whose one account is in the inbox
// shop, and whose calls go to provider.
func Options(provider http.RoundTripper, values map[string]string) channels.ProviderOptions {
	return channels.ProviderOptions{
		Client: &http.Client{Transport: provider},
		Accounts: func(_ context.Context, id conversation.InboxID) (channels.Account, error) {
			if id != Inbox {
				return channels.Account{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return channels.NewAccount("1", values), nil
		},
	}
}

// Inbox is the inbox of [Options].
const Inbox conversation.InboxID = "shop"

// Calls answers the calls to a provider by path, and remembers them. What has no
// path of its own goes to Rest.
type Calls struct {
	Answers map[string]string // body by path; status 200
	Status  int               // zero = 200
	Rest    http.RoundTripper

	Made []Made
}

// Made is a call that came.
type Made struct {
	Method, URL, Body string
	Header            http.Header
}

// RoundTrip implements [http.RoundTripper].
func (c *Calls) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, ok := c.Answers[r.URL.Path]
	if !ok && c.Rest != nil {
		return c.Rest.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	c.Made = append(c.Made, Made{Method: r.Method, URL: r.URL.String(), Body: string(body), Header: r.Header})
	status := c.Status
	if status == 0 {
		status = http.StatusOK
	}
	if !ok {
		status = http.StatusNotFound
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}
