package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// maxRedirects is how often a provider may send us on to where a file is. Every
// address is dialed through the same guard.
const maxRedirects = 3

// maxSaid is how long an answer may be that stands in a file's place.
const maxSaid = 16 << 10

// fewRedirects follows what stays on the way that it began, or becomes safer. The
// address that we come from is told to nobody: some providers want tokens in it.
func fewRedirects(r *http.Request, via []*http.Request) error {
	r.Header.Del("Referer")
	last := via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case r.URL.Scheme != "https" && r.URL.Scheme != last.Scheme:
		return errors.New("a redirect to a less safe address")
	case r.URL.User != nil:
		return errors.New("a redirect with a password")
	}
	return nil
}

// NewFetcher gives a client for fetching files, which follows a few redirects.
// What it is made of must refuse to dial into private networks.
func NewFetcher(c *http.Client) *http.Client {
	out := *c
	out.CheckRedirect, out.Jar = fewRedirects, nil
	return &out
}

// Open makes a call and gives its answer unread; who gets it closes it.
//
// Errors: [*SendError], classed by [StatusClass]: a call that only reads may be
// made again whatever became of it. What the answer says then is in Fetched.Said.
func Open(ctx context.Context, client *http.Client, c Call) (Fetched, error) {
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	req, err := c.request(ctx)
	if err != nil {
		return Fetched{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		failure := notCarried(ctx, err, new(atomic.Bool))
		failure.Class = Retry
		return Fetched{}, failure
	}
	if class := StatusClass(resp.StatusCode); class != "" {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, maxSaid)) // what is cut says nothing
		_ = resp.Body.Close()
		failure := &SendError{Class: class, Code: "http_" + strconv.Itoa(resp.StatusCode), After: RetryAfter(resp.Header, time.Now())}
		if class == Unknown {
			failure.Class = Retry
		}
		return Fetched{Said: said}, failure
	}
	out := Fetched{Body: resp.Body, Type: resp.Header.Get("Content-Type")}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		out.Name = params["filename"]
	}
	return out, nil
}

// Instead gives what a provider says in place of a file with the status of a
// success: a JSON object, short and without a file's name. Nil means that it is a
// file, of which nothing is missing then.
//
// Errors: [*SendError] when the answer cannot be read.
func (f *Fetched) Instead() ([]byte, error) {
	if f.Name != "" {
		return nil, nil
	}
	head, err := io.ReadAll(io.LimitReader(f.Body, maxSaid))
	if err != nil {
		_ = f.Body.Close()
		return nil, &SendError{Class: Retry, Code: "file_cut", Err: err}
	}
	if len(head) < maxSaid && bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) && json.Valid(head) {
		_ = f.Body.Close()
		return head, nil
	}
	f.Body = rejoined{Reader: io.MultiReader(bytes.NewReader(head), f.Body), Closer: f.Body}
	return nil, nil
}

// rejoined is a body of which the beginning was read already.
type rejoined struct {
	io.Reader
	io.Closer
}
