package channeltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

func (s Suite) runInbound(t *testing.T) {
	t.Helper()
	t.Run("a message is translated", s.testTranslate)
	t.Run("a batch keeps its order", s.testBatch)
	t.Run("unknown kinds are kept", s.testUnsupported)
	t.Run("a delivery without signature is refused", s.testUnsigned)
	t.Run("no bit of the signature may change", s.testSignatureFlips)
	t.Run("no bit of the body may change", s.testBodyFlips)
	t.Run("old and early deliveries are refused", s.testClock)
	t.Run("a repeated delivery stores one message", s.testRepeat)
	t.Run("a delivery repeated at the same time stores one message", s.testRepeatTogether)
	t.Run("the answer waits for the store", s.testDurable)
	t.Run("a stalled store is given up in time", s.testStalled)
	t.Run("a store that is down makes the provider repeat", s.testDown)
	t.Run("nothing overtakes an event that is not stored", s.testNoOvertaking)
	t.Run("errors and logs hold no text", s.testSilence)
}

// receive asks the driver alone.
func (s Suite) receive(t *testing.T, d Delivery, at time.Time) ([]channels.Event, channels.Ack, error) {
	t.Helper()
	return s.New(t, &provider{}).Receive(t.Context(), s.request(d, at), d.Body)
}

func (s Suite) testTranslate(t *testing.T) {
	now := time.Now()
	want := s.message(0)
	events, _, err := s.receive(t, s.Deliver(t, []Message{want}, now), now)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	if len(events) != 1 {
		t.Fatalf("Receive gave %d events, want 1", len(events))
	}
	e := events[0]
	if e.Peer != want.Peer || string(e.Ref) != want.Ref || string(e.Text) != want.Text || e.Unsupported != "" {
		t.Errorf("Receive = %+v (text %q), want %+v", e, string(e.Text), want)
	}
}

func (s Suite) testBatch(t *testing.T) {
	if !s.Features.Batch {
		t.Skip("this provider delivers one message at a time")
	}
	const n = 20
	sent := make([]Message, n)
	for i := range sent {
		sent[i] = s.message(i)
	}
	r := s.rig(t, &provider{})
	if rec := r.post(t, s.Deliver(t, sent, time.Now())); rec.Code/100 != 2 {
		t.Fatalf("status %d, want success: %s", rec.Code, rec.Body)
	}
	stored := r.journal.all()
	if len(stored) != n {
		t.Fatalf("%d messages stored, want %d", len(stored), n)
	}
	for i, in := range stored {
		if string(in.Text) != sent[i].Text || string(in.Ref) != sent[i].Ref {
			t.Errorf("message %d is %q (%s), want %q (%s)", i, string(in.Text), in.Ref, sent[i].Text, sent[i].Ref)
		}
	}
}

func (s Suite) testUnsupported(t *testing.T) {
	if !s.Features.Unsupported {
		t.Skip("this provider has texts only")
	}
	for _, kind := range []string{"image", "location", "kind_of_next_year"} {
		r := s.rig(t, &provider{})
		m := s.message(0)
		m.Kind, m.Text = kind, ""
		if rec := r.post(t, s.Deliver(t, []Message{m}, time.Now())); rec.Code/100 != 2 {
			t.Errorf("%s: status %d, want success: %s", kind, rec.Code, rec.Body)
			continue
		}
		stored := r.journal.all()
		if len(stored) != 1 {
			t.Errorf("%s: %d messages stored, want 1", kind, len(stored))
			continue
		}
		if len(stored[0].Attachments) > 0 {
			continue // this one comes as a file
		}
		if got := stored[0].Metadata[channels.MetadataUnsupported]; got != kind {
			t.Errorf("%s: metadata unsupported = %q, want %q", kind, got, kind)
		}
		if stored[0].Metadata[channels.MetadataRaw] == "" {
			t.Errorf("%s: what the provider said is not kept", kind)
		}
		if stored[0].Text == "" {
			t.Errorf("%s: the message has no text to show", kind)
		}
	}
}

// refused checks that a delivery is turned away for its signature.
func (s Suite) refused(t *testing.T, what string, d Delivery, at time.Time) {
	t.Helper()
	events, _, err := s.receive(t, d, at)
	if !errors.Is(err, conversation.ErrUnauthenticated) && !errors.Is(err, conversation.ErrForbidden) {
		t.Errorf("%s: Receive error = %v, want unauthenticated or forbidden", what, err)
	}
	if len(events) != 0 {
		t.Errorf("%s: Receive gave %d events, want none", what, len(events))
	}
}

func (s Suite) testUnsigned(t *testing.T) {
	now := time.Now()
	good := s.Deliver(t, []Message{s.message(0)}, now)
	bare := good
	bare.Header, bare.Query = http.Header{}, nil
	s.refused(t, "no headers at all", bare, now)
	for _, name := range s.SignatureHeaders {
		d := good
		d.Header = good.Header.Clone()
		d.Header.Del(name)
		s.refused(t, name+" missing", d, now)
		d.Header.Set(name, "")
		s.refused(t, name+" empty", d, now)
		d.Header.Set(name, strings.Repeat("A", 64<<10))
		s.refused(t, name+" of 64 KiB", d, now)
	}
	for _, name := range s.SignatureQuery {
		s.refused(t, name+" missing", good.withQuery(name, nil), now)
		s.refused(t, name+" empty", good.withQuery(name, []string{""}), now)
		s.refused(t, name+" of 64 KiB", good.withQuery(name, []string{strings.Repeat("A", 64<<10)}), now)
	}
	r := s.rig(t, &provider{})
	if rec := r.post(t, bare); rec.Code != http.StatusUnauthorized && rec.Code != http.StatusForbidden {
		t.Errorf("status %d, want 401 or 403", rec.Code)
	}
	if n := len(r.journal.all()); n != 0 {
		t.Errorf("%d messages stored, want none", n)
	}
}

func (s Suite) testSignatureFlips(t *testing.T) {
	now := time.Now()
	good := s.Deliver(t, []Message{s.message(0)}, now)
	for _, name := range s.SignatureHeaders {
		value := good.Header.Get(name)
		for i := range len(value) * 8 {
			flipped := []byte(value)
			flipped[i/8] ^= 1 << (i % 8)
			d := good
			d.Header = good.Header.Clone()
			d.Header.Set(name, string(flipped))
			s.refused(t, fmt.Sprintf("%s with bit %d flipped", name, i), d, now)
		}
	}
	for _, name := range s.SignatureQuery {
		value := good.Query.Get(name)
		for i := range len(value) * 8 {
			flipped := []byte(value)
			flipped[i/8] ^= 1 << (i % 8)
			s.refused(t, fmt.Sprintf("%s with bit %d flipped", name, i), good.withQuery(name, []string{string(flipped)}), now)
		}
	}
}

// withQuery is the delivery with other values of a query parameter.
func (d Delivery) withQuery(name string, values []string) Delivery {
	query := maps.Clone(d.Query)
	if query == nil {
		query = url.Values{}
	}
	delete(query, name)
	if values != nil {
		query[name] = values
	}
	d.Query = query
	return d
}

func (s Suite) testBodyFlips(t *testing.T) {
	now := time.Now()
	good := s.Deliver(t, []Message{s.message(0)}, now)
	from, to := 0, len(good.Body)
	if s.Signed != nil {
		from, to = s.Signed(good.Body)
	}
	for i := from * 8; i < to*8; i++ {
		d := good
		d.Body = append([]byte(nil), good.Body...)
		d.Body[i/8] ^= 1 << (i % 8)
		s.refused(t, fmt.Sprintf("body with bit %d flipped", i), d, now)
	}
	if s.Signed != nil {
		return // what lies around it may change
	}
	longer, shorter := good, good
	longer.Body = append(append([]byte(nil), good.Body...), ' ')
	shorter.Body = good.Body[:len(good.Body)-1]
	s.refused(t, "body with a space added", longer, now)
	s.refused(t, "body cut by one byte", shorter, now)
}

func (s Suite) testClock(t *testing.T) {
	if !s.Features.Clock {
		t.Skip("deliveries of this provider carry no signed time")
	}
	now := time.Now()
	for _, off := range []time.Duration{-24 * time.Hour, -6 * time.Minute, 6 * time.Minute, 24 * time.Hour} {
		s.refused(t, "sent "+off.String()+" from now", s.Deliver(t, []Message{s.message(0)}, now.Add(off)), now)
	}
	for _, off := range []time.Duration{-4 * time.Minute, 0, 4 * time.Minute} {
		if _, _, err := s.receive(t, s.Deliver(t, []Message{s.message(0)}, now.Add(off)), now); err != nil {
			t.Errorf("sent %s from now: Receive error = %v, want none", off, err)
		}
	}
}

func (s Suite) testRepeat(t *testing.T) {
	r := s.rig(t, &provider{})
	d := s.Deliver(t, []Message{s.message(0)}, time.Now())
	for i := range 3 {
		if rec := r.post(t, d); rec.Code/100 != 2 {
			t.Errorf("delivery %d: status %d, want success: %s", i, rec.Code, rec.Body)
		}
	}
	if n := len(r.journal.all()); n != 1 {
		t.Errorf("%d messages stored, want 1", n)
	}
}

func (s Suite) testRepeatTogether(t *testing.T) {
	r := s.rig(t, &provider{})
	d := s.Deliver(t, []Message{s.message(0)}, time.Now())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if rec := r.post(t, d); rec.Code/100 != 2 {
				t.Errorf("status %d, want success: %s", rec.Code, rec.Body)
			}
		})
	}
	wg.Wait()
	if n := len(r.journal.all()); n != 1 {
		t.Errorf("%d messages stored, want 1", n)
	}
}

func (s Suite) testDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := s.rig(t, &provider{})
		durable := make(chan struct{})
		r.journal.before = func(ctx context.Context, _ int, _ conversation.Inbound) error {
			select {
			case <-durable:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		answered := make(chan *httptest.ResponseRecorder, 1)
		d := s.Deliver(t, []Message{s.message(0)}, time.Now())
		go func() { answered <- r.post(t, d) }()
		synctest.Wait()
		select {
		case rec := <-answered:
			t.Fatalf("answered with %d before the message was durable", rec.Code)
		default:
		}
		close(durable)
		if rec := <-answered; rec.Code/100 != 2 {
			t.Errorf("status %d, want success: %s", rec.Code, rec.Body)
		}
	})
}

func (s Suite) testStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := s.rig(t, &provider{})
		r.journal.before = func(ctx context.Context, _ int, _ conversation.Inbound) error {
			<-ctx.Done()
			return ctx.Err()
		}
		started := time.Now()
		rec := r.post(t, s.Deliver(t, []Message{s.message(0)}, started))
		if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
			t.Errorf("status %d, Retry-After %q, want 503 and a time", rec.Code, rec.Header().Get("Retry-After"))
		}
		if took, limit := time.Since(started), r.channel.Limits().AckWithin; took > limit {
			t.Errorf("answered after %s, want within %s", took, limit)
		}
	})
}

func (s Suite) testDown(t *testing.T) {
	r := s.rig(t, &provider{})
	down := true
	r.journal.before = func(context.Context, int, conversation.Inbound) error {
		if down {
			return conversation.Refuse(conversation.CodeUnavailable, "no quorum")
		}
		return nil
	}
	d := s.Deliver(t, []Message{s.message(0)}, time.Now())
	if rec := r.post(t, d); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", rec.Code)
	}
	down = false
	if rec := r.post(t, d); rec.Code/100 != 2 {
		t.Errorf("repeated: status %d, want success: %s", rec.Code, rec.Body)
	}
	if n := len(r.journal.all()); n != 1 {
		t.Errorf("%d messages stored, want 1", n)
	}
}

func (s Suite) testNoOvertaking(t *testing.T) {
	if !s.Features.Batch {
		t.Skip("this provider delivers one message at a time")
	}
	r := s.rig(t, &provider{})
	failing := true
	r.journal.before = func(_ context.Context, _ int, in conversation.Inbound) error {
		if failing && string(in.Ref) == s.message(1).Ref {
			return conversation.Refuse(conversation.CodeUnavailable, "no quorum")
		}
		return nil
	}
	d := s.Deliver(t, []Message{s.message(0), s.message(1), s.message(2)}, time.Now())
	if rec := r.post(t, d); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", rec.Code)
	}
	if n := len(r.journal.all()); n != 1 {
		t.Errorf("%d messages stored, want only the first", n)
	}
	failing = false
	if rec := r.post(t, d); rec.Code/100 != 2 {
		t.Errorf("repeated: status %d, want success", rec.Code)
	}
	stored := r.journal.all()
	if len(stored) != 3 || string(stored[1].Ref) != s.message(1).Ref || string(stored[2].Ref) != s.message(2).Ref {
		t.Errorf("stored %d messages, want three in order", len(stored))
	}
}

func (s Suite) testSilence(t *testing.T) {
	now := time.Now()
	m := Message{Peer: s.peer(), Ref: s.message(1).Ref, Text: canary}
	good := s.Deliver(t, []Message{m}, now)
	for name, change := range map[string]func(*Delivery){
		"good":        func(*Delivery) {},
		"unsigned":    func(d *Delivery) { d.Header = http.Header{} },
		"cut":         func(d *Delivery) { *d = s.Sign(t, good.Body[:len(good.Body)-2], now) },
		"with rubble": func(d *Delivery) { *d = s.Sign(t, append(append([]byte(nil), good.Body...), canary...), now) },
	} {
		r := s.rig(t, &provider{})
		d := good
		change(&d)
		rec := r.post(t, d)
		if rec.Code/100 != 2 && strings.Contains(rec.Body.String(), canary) {
			t.Errorf("%s: the answer to a refused delivery holds message text", name)
		}
		if _, _, err := s.receive(t, d, now); err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error holds message text", name)
		}
		r.silent(t)
	}
}

func (s Suite) testNoInbound(t *testing.T) {
	r := s.rig(t, &provider{})
	for _, body := range []string{"", "{}", `{"user":"u","text":"t"}`} {
		rec := r.post(t, Delivery{Body: []byte(body)})
		if rec.Code/100 != 4 {
			t.Errorf("body %q: status %d, want a refusal", body, rec.Code)
		}
	}
	if n := len(r.journal.all()); n != 0 {
		t.Errorf("%d messages stored, want none", n)
	}
}
