package channeltest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// hostileBodies are what no provider sends and somebody else does.
func hostileBodies() map[string][]byte {
	text := func(s string) []byte { return []byte(s) }
	return map[string][]byte{
		"empty":          {},
		"blank":          text(" \n\t"),
		"null":           text("null"),
		"number":         text("1e999999"),
		"string":         text(`"text"`),
		"empty object":   text("{}"),
		"empty list":     text("[]"),
		"list of nulls":  text("[null,null,[],{}]"),
		"wrong types":    text(`{"user":{},"text":[],"metadata":"x","id":{}}`),
		"cut":            text(`{"user":"u","te`),
		"two documents":  text(`{"user":"u","text":"t"}{"user":"u","text":"t"}`),
		"deep lists":     bytes.Repeat(text("["), 100_000),
		"deep objects":   bytes.Repeat(text(`{"a":`), 100_000),
		"deep metadata":  text(`{"user":"u","text":"t","metadata":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `}`),
		"many keys":      text("{" + strings.Repeat(`"k":1,`, 50_000) + `"k":1}`),
		"many messages":  text("[" + strings.Repeat(`{"user":"u","text":"t"},`, 20_000) + `{}]`),
		"invalid UTF-8":  text("{\"user\":\"u\",\"text\":\"\xff\xfe\xc3\x28\"}"),
		"half surrogate": text(`{"user":"u","text":"\ud800"}`),
		"control":        text("{\"user\":\"u\\u0000\\r\\n\",\"text\":\"\\u0000\"}"),
		"raw NUL":        text("{\"user\":\"u\x00\",\"text\":\"t\"}"),
		"entities":       text(`<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><xml>&b;</xml>`),
		"external":       text(`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Content>&a;</Content></xml>`),
		"deep XML":       bytes.Repeat(text("<a>"), 100_000),
		"100 KB text":    text(`{"user":"u","text":"` + strings.Repeat("x", 100_000) + `"}`),
		"random":         bytes.Repeat([]byte{0x00, 0xff, 0x7b, 0x22, 0x5b, 0x9d}, 10_000),
	}
}

func (s Suite) testHostile(t *testing.T) {
	for name, body := range hostileBodies() {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			d := Delivery{Header: http.Header{}, Body: body}
			if s.Sign != nil {
				d = s.Sign(t, body, now)
			}
			s.survives(t, d, now)
			if code := s.rig(t, &provider{}).post(t, d).Code; code >= 500 {
				t.Errorf("status %d, want no fault of ours", code)
			}
		})
	}
	t.Run("5 MB", s.testTooLarge)
	t.Run("compressed", s.testCompressed)
}

// survives checks what holds for every delivery: no panic, and either an error
// that blames the sender or events that name one.
func (s Suite) survives(t testing.TB, d Delivery, at time.Time) {
	t.Helper()
	events, _, err := s.New(t, &provider{}).Receive(t.Context(), s.request(d, at), d.Body)
	if err != nil {
		if len(events) != 0 {
			t.Errorf("Receive gave %d events and the error %v", len(events), err)
		}
		if errors.Is(err, conversation.ErrInternal) || conversation.CodeOf(err) == conversation.CodeInternal {
			t.Errorf("Receive error = %v, want one that blames the sender", err)
		}
		return
	}
	for i, e := range events {
		if e.Peer == "" && e.Unreadable == nil {
			t.Errorf("event %d names no sender", i)
		}
		if e.Channel != "" && !e.Channel.Known() {
			t.Errorf("event %d is of the unknown kind %q", i, e.Channel)
		}
		if len(e.Ref) > conversation.MaxRefBytes {
			t.Errorf("event %d has a ref of %d bytes", i, len(e.Ref))
		}
	}
}

// countingReader says how much of a body was read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (s Suite) testTooLarge(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 5_000_000)
	for _, stated := range []int64{int64(len(body)), -1} {
		r := s.rig(t, &provider{})
		counted := &countingReader{r: bytes.NewReader(body)}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", counted)
		req.ContentLength = stated
		rec := httptest.NewRecorder()
		r.channel.ServeHTTP(rec, req)
		if rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("length %d: status %d, want 413", stated, rec.Code)
		}
		// The reader is asked in growing pieces; what counts is that it is not
		// read to the end.
		if limit := r.channel.Limits().MaxBody + 1; counted.n > limit {
			t.Errorf("length %d: %d bytes were read, want at most %d", stated, counted.n, limit)
		}
	}
}

func (s Suite) testCompressed(t *testing.T) {
	r := s.rig(t, &provider{})
	rec := r.post(t, Delivery{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: []byte("\x1f\x8b")})
	if rec.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", rec.Code)
	}
}

// Fuzz feeds a driver with signed bodies of any content, and with headers and
// parameters of any content.
func Fuzz(f *testing.F, s Suite) {
	f.Helper()
	for _, body := range hostileBodies() {
		if len(body) < 4<<10 {
			f.Add(body, "", "")
		}
	}
	now := time.Now()
	if s.Deliver != nil {
		d := s.Deliver(f, []Message{s.message(0)}, now)
		f.Add(d.Body, "", "")
		for _, name := range s.SignatureHeaders {
			f.Add(d.Body, name, d.Header.Get(name))
		}
		for _, name := range s.SignatureQuery {
			f.Add(d.Body, name, d.Query.Get(name))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, name, value string) {
		d := Delivery{Header: http.Header{}, Body: body}
		if s.Sign != nil {
			d = s.Sign(t, body, now)
		}
		if d.Header == nil {
			d.Header = http.Header{}
		}
		if name != "" {
			d.Header.Set(name, value)
			d = d.withQuery(name, []string{value})
		}
		s.survives(t, d, now)
	})
}
