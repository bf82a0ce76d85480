package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/intent/remote"
)

// session is a run against one server.
type session struct {
	o       Options
	model   string
	latency Latency
	rate    float64
}

// answered is what came back over HTTP.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// send posts a body as it is.
func (s *session) send(ctx context.Context, body []byte, change ...func(*http.Request)) (answered, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(s.o.URL, "/")+remote.Path, bytes.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	remote.Dress(req, s.o.Token)
	for _, f := range change {
		f(req)
	}
	return s.do(req)
}

func (s *session) do(req *http.Request) (answered, error) {
	res, err := s.o.HTTP.Do(req)
	if err != nil {
		return answered{}, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, remote.MaxResponseBytes+1))
	if err != nil {
		return answered{}, fmt.Errorf("the answer broke off: %w", err)
	}
	return answered{status: res.StatusCode, header: res.Header, body: raw}, nil
}

// sample gives the i-th sample question as an utterance.
func (s *session) sample(i int) remote.Utterance {
	q := s.o.Samples[i%len(s.o.Samples)]
	return remote.Utterance{Text: q.Text, Lang: q.Lang, Packs: s.o.Packs}
}

// say makes an utterance of a text.
func (s *session) say(text string) remote.Utterance {
	return remote.Utterance{Text: text, Packs: s.o.Packs}
}

// ask sends utterances and gives the results as they came.
func (s *session) ask(ctx context.Context, us ...remote.Utterance) (*remote.Response, error) {
	body, err := json.Marshal(remote.Request{Utterances: us})
	if err != nil {
		return nil, err
	}
	a, err := s.send(ctx, body)
	if err != nil {
		return nil, err
	}
	return response(a, len(us))
}

func response(a answered, n int) (*remote.Response, error) {
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("status %d, want 200: %s", a.status, short(a.body))
	}
	if kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || kind != remote.ContentType {
		return nil, fmt.Errorf("the Content-Type is %q, want %s", a.header.Get("Content-Type"), remote.ContentType)
	}
	return remote.ReadResponse(a.body, n)
}

// understand asks and checks every result strictly.
func (s *session) understand(ctx context.Context, us ...remote.Utterance) ([]remote.Understood, error) {
	r, err := s.ask(ctx, us...)
	if err != nil {
		return nil, err
	}
	out := make([]remote.Understood, len(us))
	for i, raw := range r.Results {
		if out[i], err = remote.Check(raw, utterance(us[i]), s.o.Labels, remote.ForeignRefuse); err != nil {
			return nil, fmt.Errorf("result %d for %s: %w", i, quote(us[i].Text), err)
		}
	}
	return out, nil
}

// some demands that a question which the server understands is still understood
// after a change.
func (s *session) some(ctx context.Context, change func(*remote.Utterance)) error {
	for i := range s.o.Samples {
		u := s.sample(i)
		if out, err := s.understand(ctx, u); err != nil {
			return err
		} else if len(out[0].Candidates) == 0 {
			continue
		}
		change(&u)
		out, err := s.understand(ctx, u)
		if err == nil && len(out[0].Candidates) == 0 {
			err = fmt.Errorf("%s has no candidate any more", quote(u.Text))
		}
		return err
	}
	return errors.New("no question of the packs has a candidate")
}

// refuses demands a status from 400 to 499 with a reason.
func refuses(a answered, err error) error {
	if err != nil {
		return err
	}
	if a.status < 400 || a.status > 499 {
		return fmt.Errorf("status %d, want one from 400 to 499: %s", a.status, short(a.body))
	}
	return reason(a.body)
}

// reason demands an error with a code and a sentence.
func reason(body []byte) error {
	var e struct {
		Error remote.Problem `json:"error"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
		return fmt.Errorf(`the body is %s, want {"error":{"code":…,"message":…}}`, short(body))
	}
	return nil
}

// differ says where two results are not the same.
func differ(a, b remote.Understood) error {
	x, err1 := json.Marshal(a.Candidates)
	y, err2 := json.Marshal(b.Candidates)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !bytes.Equal(x, y) {
		return fmt.Errorf("%s, and then %s", short(x), short(y))
	}
	return nil
}

func short(b []byte) string { return quote(string(b)) }

func quote(s string) string {
	const most = 120
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
