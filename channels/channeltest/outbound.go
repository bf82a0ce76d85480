package channeltest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxAnswer bounds what may be read of a provider's answer.
const maxAnswer = 1 << 20

func (s Suite) runOutbound(t *testing.T) {
	t.Helper()
	t.Run("a message arrives", s.testArrives)
	t.Run("marks arrive in the provider's dialect", s.testMarkdown)
	t.Run("a long text arrives in parts", s.testLong)
	t.Run("a repeated send has the same key", s.testSameKey)
	t.Run("each status has its class", s.testStatuses)
	t.Run("the wait that the provider states is kept", s.testRetryAfter)
	t.Run("a refused connection is worth another try", s.testRefused)
	t.Run("no answer", s.testNoAnswer)
	t.Run("an answer that stops", s.testHalfAnswer)
	t.Run("an answer without end", s.testEndlessAnswer)
	t.Run("a send that is given up ends", s.testGivenUp)
	t.Run("errors hold no text", s.testSendSilence)
}

// outbound makes a message to be sent.
func (s Suite) outbound(kind conversation.ChannelKind, text string) conversation.Outbound {
	return conversation.Outbound{
		Conversation: conversation.ConversationID{1, 2, 3}, Message: 8, Inbox: s.Account, Channel: kind,
		Contact: conversation.ContactID{4}, Peer: s.peer(), From: conversation.PartyBot, InReplyTo: 7,
		Text: conversation.Text(text), At: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
	}
}

// send sends through the whole channel.
func (s Suite) send(t *testing.T, p http.RoundTripper, text string) (string, error) {
	t.Helper()
	r := s.rig(t, p)
	id, err := r.channel.Send(t.Context(), s.outbound(r.channel.Kind(), text))
	r.silent(t)
	return id, err
}

// classOf gives the class of a failed send.
func classOf(t *testing.T, err error) *channels.SendError {
	t.Helper()
	var e *channels.SendError
	if !errors.As(err, &e) {
		t.Fatalf("Send error = %v, want a *SendError", err)
	}
	return e
}

func (s Suite) testArrives(t *testing.T) {
	const text = "hello <b>&amp;</b> 你好 👍"
	p := answering(http.StatusOK, nil, s.taken())
	if _, err := s.send(t, p, text); err != nil {
		t.Fatalf("Send: %v", err)
	}
	calls := p.all()
	if len(calls) != 1 {
		t.Fatalf("%d calls, want 1", len(calls))
	}
	got := s.Decode(t, calls[0].request, calls[0].body)
	if got.Peer != s.peer() || got.Text != text {
		t.Errorf("the provider got %q for %q, want %q for %q", got.Text, got.Peer, text, s.peer())
	}
}

func (s Suite) testMarkdown(t *testing.T) {
	p := answering(http.StatusOK, nil, s.taken())
	if _, err := s.send(t, p, Markdown); err != nil {
		t.Fatalf("Send: %v", err)
	}
	want := s.Markdown
	if want == "" {
		want = Markdown
	}
	calls := p.all()
	if len(calls) != 1 {
		t.Fatalf("%d calls, want 1", len(calls))
	}
	if got := s.Decode(t, calls[0].request, calls[0].body).Text; got != want {
		t.Errorf("the provider got %q, want %q", got, want)
	}
}

func (s Suite) testLong(t *testing.T) {
	p := answering(http.StatusOK, nil, s.taken())
	limits := s.New(t, p).Limits()
	text := strings.Repeat("A sentence of the answer. 一句话。\n", conversation.MaxTextBytes/40)
	if _, err := s.send(t, p, text); err != nil {
		t.Fatalf("Send: %v", err)
	}
	var all strings.Builder
	for _, c := range p.all() {
		part := s.Decode(t, c.request, c.body).Text
		if n := limits.Unit.Measure(part); limits.MaxText > 0 && n > limits.MaxText {
			t.Errorf("a part of %d units, the limit is %d", n, limits.MaxText)
		}
		all.WriteString(part)
	}
	if got, want := squeeze(all.String()), squeeze(text); got != want {
		t.Errorf("%d characters arrived, want %d", len(got), len(want))
	}
}

// squeeze drops the white space, which parts may lose at their ends.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func (s Suite) testSameKey(t *testing.T) {
	p := answering(http.StatusServiceUnavailable, nil, "")
	r := s.rig(t, p)
	if !r.channel.Limits().Idempotent {
		t.Skip("this provider knows no idempotency key")
	}
	o := s.outbound(r.channel.Kind(), "hello")
	for range 2 {
		if _, err := r.channel.Send(t.Context(), o); err == nil {
			t.Fatal("Send succeeded, want an error")
		}
	}
	o.Message++
	if _, err := r.channel.Send(t.Context(), o); err == nil {
		t.Fatal("Send succeeded, want an error")
	}
	var keys []string
	for _, c := range p.all() {
		keys = append(keys, s.Decode(t, c.request, c.body).Key)
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] {
		t.Errorf("keys %q, want the same twice and then another", keys)
	}
}

func (s Suite) testStatuses(t *testing.T) {
	for status := http.StatusOK; status < 600; status++ {
		p := answering(status, http.Header{"Location": {"http://127.0.0.1/elsewhere"}}, s.taken())
		_, err := s.send(t, p, "hello")
		if n := len(p.all()); n != 1 {
			t.Errorf("status %d: %d calls, want 1", status, n)
		}
		want := s.ClassOf(status)
		if want == "" {
			if err != nil {
				t.Errorf("status %d: Send error = %v, want none", status, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("status %d: Send succeeded, want class %s", status, want)
		} else if got := classOf(t, err).Class; got != want {
			t.Errorf("status %d: class %s, want %s", status, got, want)
		}
	}
}

func (s Suite) testRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
		for value, want := range map[string]time.Duration{
			"17": 17 * time.Second, date: 90 * time.Second, "": 0, "soon": 0, "-5": 0, "99999999999": 24 * time.Hour,
		} {
			_, err := s.send(t, answering(http.StatusTooManyRequests, http.Header{"Retry-After": {value}}, ""), "hello")
			got := classOf(t, err)
			if got.Class != channels.Limited || got.After > want || got.After < want-time.Second {
				t.Errorf("Retry-After %q: class %s, after %s, want limited and %s", value, got.Class, got.After, want)
			}
		}
	})
}

func (s Suite) testRefused(t *testing.T) {
	_, err := s.send(t, &provider{}, "hello")
	if got := classOf(t, err).Class; got != channels.Retry {
		t.Errorf("class %s, want %s", got, channels.Retry)
	}
}

func (s Suite) testNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{answer: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		started := time.Now()
		_, err := s.send(t, p, "hello")
		if got := classOf(t, err).Class; got != s.Features.Timeout {
			t.Errorf("class %s, want %s", got, s.Features.Timeout)
		}
		if took := time.Since(started); took > 30*time.Second {
			t.Errorf("given up after %s, want at most 30s", took)
		}
	})
}

func (s Suite) testHalfAnswer(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusBadGateway} {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{answer: func(r *http.Request) (*http.Response, error) {
				return response(r, status, &stalledReader{ctx: r.Context(), head: []byte(`{"id":`)}), nil
			}}
			_, err := s.send(t, p, "hello")
			switch want := s.ClassOf(status); {
			case want != "" && classOf(t, err).Class != want:
				t.Errorf("status %d: class %s, want %s", status, classOf(t, err).Class, want)
			case want == "" && err != nil && !slices.Contains([]channels.Class{s.Features.Timeout, channels.Unknown}, classOf(t, err).Class):
				t.Errorf("status %d: class %s, want none, %s or unknown", status, classOf(t, err).Class, s.Features.Timeout)
			}
		})
	}
}

func (s Suite) testEndlessAnswer(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusInternalServerError} {
		endless := &endlessReader{}
		p := &provider{answer: func(r *http.Request) (*http.Response, error) { return response(r, status, endless), nil }}
		_, err := s.send(t, p, "hello")
		if status != http.StatusOK && err == nil {
			t.Errorf("status %d: Send succeeded, want an error", status)
		}
		if endless.n > maxAnswer {
			t.Errorf("status %d: %d bytes of the answer were read, want at most %d", status, endless.n, maxAnswer)
		}
	}
}

func (s Suite) testGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{answer: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		r := s.rig(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		if _, err := r.channel.Send(ctx, s.outbound(r.channel.Kind(), "hello")); err == nil {
			t.Error("Send succeeded, want an error")
		}
		if took := time.Since(started); took != time.Second {
			t.Errorf("Send ended after %s, want 1s", took)
		}
		// The bubble fails if anything of the send is still running.
	})
}

func (s Suite) testSendSilence(t *testing.T) {
	for name, p := range map[string]*provider{
		"refused connection": {},
		"400":                answering(http.StatusBadRequest, nil, canary),
		"500":                answering(http.StatusInternalServerError, nil, canary),
		"echo": {answer: func(r *http.Request) (*http.Response, error) {
			return response(r, http.StatusUnprocessableEntity, bytes.NewReader([]byte(canary))), nil
		}},
	} {
		_, err := s.send(t, p, canary)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error is missing or holds message text", name)
		}
	}
}

func (s Suite) testNoOutbound(t *testing.T) {
	p := &provider{}
	if _, err := s.send(t, p, canary); err != nil {
		t.Errorf("Send error = %v, want none", err)
	}
	if n := len(p.all()); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}
