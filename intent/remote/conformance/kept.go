package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptrace"

	"github.com/colloquyhq/colloquy/intent/remote"
)

// checkKept looks at whether the second of two requests found the first one's
// connection.
func checkKept(ctx context.Context, s *session) error {
	body, err := json.Marshal(remote.Request{Utterances: []remote.Utterance{s.sample(0)}})
	if err != nil {
		return err
	}
	kept := false
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { kept = c.Reused }}
	for range 3 {
		if _, err := s.send(ctx, body, func(r *http.Request) { *r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace)) }); err != nil {
			return err
		}
	}
	if !kept {
		return errors.New("each request needs a new connection: answer in HTTP/1.1 with a Content-Length")
	}
	return nil
}
