package channels

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// maxRedirects is how often a provider may send us on to where a file is. Every
// address is dialed through the same guard.
const maxRedirects = 3

// fewRedirects follows what stays on the way that it began, or becomes safer.
func fewRedirects(r *http.Request, via []*http.Request) error {
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
// made again whatever became of it.
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
		_ = resp.Body.Close() // nothing in it is wanted
		failure := &SendError{Class: class, Code: "http_" + strconv.Itoa(resp.StatusCode), After: RetryAfter(resp.Header, time.Now())}
		if class == Unknown {
			failure.Class = Retry
		}
		return Fetched{}, failure
	}
	out := Fetched{Body: resp.Body, Type: resp.Header.Get("Content-Type")}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		out.Name = params["filename"]
	}
	return out, nil
}
