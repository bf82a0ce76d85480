package channeltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
)

// errRefused is what a dial to nobody gives.
var errRefused = errors.New("connect: connection refused")

// provider answers calls without a network, so that it works in a bubble of
// fake time. The zero value refuses every connection.
type provider struct {
	answer func(r *http.Request) (*http.Response, error)

	mu struct {
		sync.Mutex

		calls  int
		bodies [][]byte
		heads  []*http.Request
	}
}

// RoundTrip implements [http.RoundTripper].
func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	p.mu.Lock()
	p.mu.calls++
	p.mu.bodies = append(p.mu.bodies, body)
	p.mu.heads = append(p.mu.heads, r)
	p.mu.Unlock()
	if p.answer == nil {
		return nil, errRefused
	}
	return p.answer(r)
}

// call is one call that the provider got.
type call struct {
	request *http.Request
	body    []byte
}

func (p *provider) all() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]call, len(p.mu.heads))
	for i := range out {
		out[i] = call{request: p.mu.heads[i], body: p.mu.bodies[i]}
	}
	return out
}

// response makes an answer with a body.
func response(r *http.Request, status int, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(body), Request: r, ContentLength: -1,
	}
}

// answering gives the same status to every call.
func answering(status int, header http.Header, body string) *provider {
	return &provider{answer: func(r *http.Request) (*http.Response, error) {
		resp := response(r, status, bytes.NewReader([]byte(body)))
		maps.Copy(resp.Header, header)
		return resp, nil
	}}
}

// stalledReader gives its bytes and then nothing until the call is given up.
type stalledReader struct {
	ctx  context.Context //nolint:containedctx // stands for a connection, which ends with the call
	head []byte
}

func (s *stalledReader) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// endlessReader never ends.
type endlessReader struct{ n int64 }

func (e *endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.n += int64(len(p))
	return len(p), nil
}
