package channels_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// scripted is a driver that does what its functions say.
type scripted struct {
	kind    conversation.ChannelKind
	limits  channels.Limits
	receive func(channels.Request, []byte) ([]channels.Event, channels.Ack, error)
	send    func(context.Context, channels.Part) (string, error)

	mu struct {
		sync.Mutex

		sent []channels.Part
	}
}

func (s *scripted) Kind() conversation.ChannelKind {
	if s.kind == "" {
		return conversation.ChannelTelegram
	}
	return s.kind
}
func (s *scripted) Limits() channels.Limits { return s.limits }

func (s *scripted) Receive(_ context.Context, r channels.Request, b []byte) ([]channels.Event, channels.Ack, error) {
	return s.receive(r, b)
}

func (s *scripted) Send(ctx context.Context, p channels.Part) (string, error) {
	s.mu.Lock()
	s.mu.sent = append(s.mu.sent, p)
	s.mu.Unlock()
	if s.send == nil {
		return "id-" + p.Key, nil
	}
	return s.send(ctx, p)
}

func (s *scripted) parts() []channels.Part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]channels.Part(nil), s.mu.sent...)
}

// world is a registry around drivers.
type world struct {
	registry *channels.Registry
	metrics  *prometheus.Registry
	logs     *bytes.Buffer
	deliver  channels.Deliver
	inboxes  map[conversation.InboxID]conversation.Inbox
}

func newWorld(t *testing.T, bridge conversation.ChannelKind, drivers ...*scripted) *world {
	t.Helper()
	return newWorldWith(t, func(*channels.Options) {}, bridge, drivers...)
}

func newWorldWith(t *testing.T, change func(*channels.Options), bridge conversation.ChannelKind, drivers ...*scripted) *world {
	t.Helper()
	w := &world{
		metrics: prometheus.NewPedanticRegistry(), logs: &bytes.Buffer{},
		inboxes: map[conversation.InboxID]conversation.Inbox{"shop": {ID: "shop"}, "desk": {ID: "desk", Channels: []conversation.ChannelKind{"web"}}},
	}
	byKind := make(map[conversation.ChannelKind]channels.Driver)
	for _, d := range drivers {
		byKind[d.Kind()] = d
	}
	o := channels.Options{
		Drivers: byKind, Bridge: bridge,
		Inbox: func(id conversation.InboxID) (conversation.Inbox, error) {
			if box, ok := w.inboxes[id]; ok {
				return box, nil
			}
			return conversation.Inbox{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
		},
		Deliver: func(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			return w.deliver(ctx, in)
		},
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{9}
		},
		Logger:     slog.New(slog.NewJSONHandler(w.logs, nil)),
		Registerer: w.metrics,
	}
	change(&o)
	var err error
	if w.registry, err = channels.NewRegistry(o); err != nil {
		t.Fatalf("NewRegistry: %v", err)
	}
	return w
}

func (w *world) channel(t *testing.T, d *scripted) *channels.Channel {
	t.Helper()
	c, ok := w.registry.For(d.Kind(), "shop")
	if !ok {
		t.Fatal("For found nothing")
	}
	return c
}

func out(text string) conversation.Outbound {
	return conversation.Outbound{
		Conversation: conversation.ConversationID{1}, Message: 3, Inbox: "shop", Channel: conversation.ChannelTelegram,
		Peer: "p", Text: conversation.Text(text),
	}
}

func failing(class channels.Class) func(context.Context, channels.Part) (string, error) {
	return func(context.Context, channels.Part) (string, error) {
		return "", &channels.SendError{Class: class, Scope: channels.ScopeAccount, Code: "x"}
	}
}

func sendError(t *testing.T, err error) *channels.SendError {
	t.Helper()
	var e *channels.SendError
	if !errors.As(err, &e) {
		t.Fatalf("Send error = %v, want a *SendError", err)
	}
	return e
}

func TestSendSplitsAndRenders(t *testing.T) {
	d := &scripted{limits: channels.Limits{
		MaxText: 20, Buttons: 1,
		Dialect: func(s conversation.Text) conversation.Text {
			return conversation.Text(strings.ReplaceAll(string(s), "**", "*"))
		},
	}}
	o := out("The **first** part. The **second** part.")
	o.Buttons = []conversation.Button{{Label: "Yes", Text: "yes"}}
	id, err := newWorld(t, "", d).channel(t, d).Send(t.Context(), o)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	key := conversation.MessageID(o.Conversation, o.Message)
	if id != "id-"+key {
		t.Errorf("Send = %q, want the name of the first part", id)
	}
	type row struct {
		Text, Key string
		Buttons   int
		Last      bool
	}
	var got []row
	for _, p := range d.parts() {
		got = append(got, row{string(p.Text), p.Key, len(p.Buttons), p.Last})
	}
	want := []row{{"The *first* part.", key, 0, false}, {"The *second* part.", key + "-2", 1, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts differ (-want +got):\n%s", diff)
	}
}

func TestSendWritesButtonsIntoTheText(t *testing.T) {
	d := &scripted{}
	o := out("Which?")
	o.Buttons = []conversation.Button{{Label: "A", Text: "a"}, {Label: "B", Text: "b"}}
	if _, err := newWorld(t, "", d).channel(t, d).Send(t.Context(), o); err != nil {
		t.Fatalf("Send: %v", err)
	}
	p := d.parts()[0]
	if want := "Which?\n\n• A\n• B"; string(p.Text) != want || len(p.Buttons) != 0 {
		t.Errorf("part %q with %d buttons, want %q", string(p.Text), len(p.Buttons), want)
	}
}

func TestSendGoesOnAtTheFailedPart(t *testing.T) {
	down := true
	d := &scripted{limits: channels.Limits{MaxText: 20}}
	d.send = func(_ context.Context, p channels.Part) (string, error) {
		if down && strings.HasSuffix(p.Key, "-2") {
			return "", &channels.SendError{Class: channels.Retry}
		}
		return "id-" + p.Key, nil
	}
	c := newWorld(t, "", d).channel(t, d)
	o := out("aaaaaaaaaaaaaaa bbbbbbbbbbbbbbb ccccccccccccccc")
	if _, err := c.Send(t.Context(), o); err == nil {
		t.Fatal("Send succeeded, want an error")
	}
	down = false
	id, err := c.Send(t.Context(), o)
	key := conversation.MessageID(o.Conversation, o.Message)
	if err != nil || id != "id-"+key {
		t.Errorf("Send = %q, %v, want the name of the first part", id, err)
	}
	var keys []string
	for _, p := range d.parts() {
		keys = append(keys, strings.TrimPrefix(p.Key, key))
	}
	if diff := cmp.Diff([]string{"", "-2", "-2", "-3"}, keys); diff != "" {
		t.Errorf("calls differ (-want +got):\n%s", diff)
	}
}

func TestSendIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		d := &scripted{send: func(ctx context.Context, _ channels.Part) (string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-ctx.Done()
			return "", &channels.SendError{Class: channels.Permanent}
		}}
		c := newWorld(t, "", d).channel(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var limited, canceled atomic.Int32
		for range 300 {
			wg.Go(func() {
				_, err := c.Send(ctx, out("x"))
				switch e := sendError(t, err); {
				case e.Class == channels.Limited && e.Code == "too_many_sends":
					limited.Add(1)
				case e.Class == channels.Retry && e.Code == "canceled":
					canceled.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := running.Load(); n != 8 {
			t.Errorf("%d calls run, want 8", n)
		}
		if n := limited.Load(); n != 300-8-256 {
			t.Errorf("%d sends were turned away, want %d", n, 300-8-256)
		}
		cancel()
		wg.Wait()
		if most.Load() > 8 || canceled.Load() == 0 {
			t.Errorf("at most %d calls ran, want 8; %d sends were given up while waiting, want some", most.Load(), canceled.Load())
		}
	})
}

func TestSendIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &scripted{limits: channels.Limits{Account: channels.Rate{PerSec: 2}, Peer: channels.Rate{PerSec: 0.1}}}
		c := newWorld(t, "", d).channel(t, d)
		started := time.Now()
		for i := range 3 {
			o := out("x")
			o.Peer = string(rune('a' + i))
			if _, err := c.Send(t.Context(), o); err != nil {
				t.Fatalf("Send: %v", err)
			}
		}
		if took := time.Since(started); took != time.Second {
			t.Errorf("three sends at 2 a second took %s, want 1s", took)
		}
		o := out("x")
		o.Peer = "a"
		_, err := c.Send(t.Context(), o)
		if e := sendError(t, err); e.Class != channels.Limited || e.Scope != channels.ScopePeer || e.After != 9*time.Second {
			t.Errorf("Send = %v after %s, want limited by the peer for 9s", e, e.After)
		}
		if n := len(d.parts()); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
}

func TestSendKeepsTheProvidersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := true
		d := &scripted{}
		d.send = func(context.Context, channels.Part) (string, error) {
			if limited {
				return "", &channels.SendError{Class: channels.Limited, Scope: channels.ScopeAccount, After: time.Minute}
			}
			return "", nil
		}
		c := newWorld(t, "", d).channel(t, d)
		_, err := c.Send(t.Context(), out("x"))
		if e := sendError(t, err); e.After != time.Minute {
			t.Errorf("After = %s, want 1m0s", e.After)
		}
		limited = false
		time.Sleep(30 * time.Second)
		_, err = c.Send(t.Context(), out("x"))
		if e := sendError(t, err); e.Class != channels.Limited || e.After != 30*time.Second || len(d.parts()) != 1 {
			t.Errorf("Send = %v after %s with %d calls, want limited for 30s and 1 call", e, e.After, len(d.parts()))
		}
		time.Sleep(30 * time.Second)
		if _, err = c.Send(t.Context(), out("x")); err != nil {
			t.Errorf("Send after the wait: %v", err)
		}
	})
}

func TestSendPausesABrokenAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &scripted{send: failing(channels.Auth)}
		w := newWorld(t, "", d)
		c := w.channel(t, d)
		for range 10 {
			if _, err := c.Send(t.Context(), out("x")); err == nil {
				t.Fatal("Send succeeded, want an error")
			}
		}
		if n := len(d.parts()); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		_, err := c.Send(t.Context(), out("x"))
		if e := sendError(t, err); e.Class != channels.Limited || e.Code != "account_paused" || e.After != 5*time.Second {
			t.Errorf("Send = %v after %s, want limited, account_paused, 5s", e, e.After)
		}
		if got := gauge(t, w, "colloquy_channel_accounts_paused"); got != 1 {
			t.Errorf("paused accounts = %v, want 1", got)
		}
		d.send = nil
		time.Sleep(5 * time.Second)
		if _, err := c.Send(t.Context(), out("x")); err != nil {
			t.Errorf("Send after the pause: %v", err)
		}
		if got := gauge(t, w, "colloquy_channel_accounts_paused"); got != 0 {
			t.Errorf("paused accounts = %v, want 0", got)
		}
	})
}

func gauge(t *testing.T, w *world, name string) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatalf("Gather: %v", err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

func TestSendErrorsOfDrivers(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(context.Context, channels.Part) (string, error)
		want string
	}{
		{"no class", func(context.Context, channels.Part) (string, error) { return "", errors.New("x") }, "unknown: unclassified"},
		{"panic", func(_ context.Context, p channels.Part) (string, error) { panic("canary " + string(p.Text)) }, "unknown: driver_panicked"},
		{"class", failing(channels.WindowClosed), "window_closed: x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &scripted{send: c.send}
			w := newWorld(t, "", d)
			_, err := w.channel(t, d).Send(t.Context(), out("secret words"))
			if got := sendError(t, err).Detail(); got != c.want {
				t.Errorf("Detail = %q, want %q", got, c.want)
			}
			if strings.Contains(w.logs.String(), "canary") {
				t.Error("the log holds message text")
			}
			if got := gauge(t, w, "colloquy_channel_send_errors_total"); got != 1 {
				t.Errorf("send errors = %v, want 1", got)
			}
		})
	}
}

// delivery makes a POST to a channel.
func delivery(t *testing.T, c http.Handler, method string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, "/in", strings.NewReader("{}")))
	return rec
}

// receiving makes a driver that gives the same events for every delivery.
func receiving(ack channels.Ack, events ...channels.Event) *scripted {
	return &scripted{receive: func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) { return events, ack, nil }}
}

func TestReceiveHandsIn(t *testing.T) {
	d := receiving(channels.Ack{Answer: channels.Answer{Status: 200, Type: "text/plain", Body: []byte("success")}, Wait: time.Second},
		channels.Event{Peer: "p", Ref: "r", Text: "t", Metadata: map[string]string{"a": "b"}})
	w := newWorld(t, "", d)
	var got conversation.Inbound
	w.deliver = func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
		got = in
		return conversation.Receipt{}, nil
	}
	rec := delivery(t, w.channel(t, d), http.MethodPost)
	if rec.Code != 200 || rec.Body.String() != "success" || rec.Header().Get("Content-Type") != "text/plain" {
		t.Errorf("answer %d %q", rec.Code, rec.Body)
	}
	want := conversation.Inbound{
		Inbox: "shop", Channel: conversation.ChannelTelegram, Contact: conversation.ContactID{9}, Peer: "p", Ref: "r",
		Text: "t", Metadata: map[string]string{"a": "b"}, Wait: time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("handed in (-want +got):\n%s", diff)
	}
}

func TestReceiveCutsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := channels.Event{Peer: "p", Ref: "r", Text: "t"}
		for _, c := range []struct {
			name   string
			events []channels.Event
			want   time.Duration
		}{
			{"one", []channels.Event{event}, 4500 * time.Millisecond},
			{"two", []channels.Event{event, event}, 0},
		} {
			d := receiving(channels.Ack{Wait: time.Hour}, c.events...)
			w := newWorld(t, "", d)
			w.deliver = func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
				if in.Wait != c.want {
					t.Errorf("%s: Wait = %s, want %s", c.name, in.Wait, c.want)
				}
				return conversation.Receipt{}, nil
			}
			delivery(t, w.channel(t, d), http.MethodPost)
		}
	})
}

func TestReceiveAnswers(t *testing.T) {
	event := channels.Event{Peer: "p", Ref: "r", Text: "t"}
	stored := func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
		return conversation.Receipt{}, nil
	}
	gives := func(err error) channels.Deliver {
		return func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
			return conversation.Receipt{}, err
		}
	}
	refuses := func(err error) *scripted {
		return &scripted{receive: func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
			return nil, channels.Ack{}, err
		}}
	}
	composed := channels.Ack{Compose: func(all []channels.Outcome) channels.Answer {
		if all[0].Err != nil {
			return channels.Refusal(all[0].Err)
		}
		return channels.Answer{Status: 201}
	}}
	for _, c := range []struct {
		name    string
		driver  *scripted
		deliver channels.Deliver
		method  string
		status  int
		retry   bool
		events  string
	}{
		{"stored", receiving(channels.Ack{}, event), stored, "POST", 200, false, "stored"},
		{"composed", receiving(composed, event), stored, "POST", 201, false, "stored"},
		{"no event", receiving(channels.Ack{}), stored, "POST", 200, false, ""},
		{"method", receiving(channels.Ack{}), stored, "GET", 405, false, ""},
		{"signature", refuses(conversation.Refuse(conversation.CodeUnauthenticated, "x")), stored, "POST", 401, false, ""},
		{"content", refuses(conversation.Refuse(conversation.CodeBadJSON, "x")), stored, "POST", 400, false, ""},
		{"driver's error without class", refuses(errors.New("x")), stored, "POST", 500, true, ""},
		{"refused for good, and acknowledged", receiving(channels.Ack{}, event), gives(conversation.Refuse(conversation.CodeEmptyText, "x")), "POST", 200, false, "refused"},
		{"refused for good, and composed", receiving(composed, event), gives(conversation.Refuse(conversation.CodeEmptyText, "x")), "POST", 400, false, "refused"},
		{"overloaded", receiving(composed, event), gives(conversation.Refuse(conversation.CodeOverloaded, "x")), "POST", 429, true, ""},
		{"fenced", receiving(composed, event), gives(conversation.Refuse(conversation.CodeFenced, "x")), "POST", 503, true, ""},
		{"outcome unknown", receiving(composed, event), gives(conversation.Refuse(conversation.CodeUnknownOutcome, "x")), "POST", 503, true, ""},
		{"late", receiving(composed, event), gives(context.DeadlineExceeded), "POST", 503, true, ""},
		{"broken", receiving(composed, event), gives(errors.New("x")), "POST", 500, true, ""},
		{"no sender", receiving(composed, channels.Event{Text: "t"}), stored, "POST", 400, false, "refused"},
		{"long sender", receiving(composed, channels.Event{Peer: strings.Repeat("p", 257), Text: "t"}), stored, "POST", 413, false, "refused"},
		{"sender with line break", receiving(composed, channels.Event{Peer: "a\r\nb", Text: "t"}), stored, "POST", 400, false, "refused"},
		{"unsupported", receiving(composed, channels.Event{Peer: "p", Unsupported: "image"}), stored, "POST", 201, false, "unsupported"},
		{"too many events", receiving(channels.Ack{}, make([]channels.Event, 1001)...), stored, "POST", 413, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "", c.driver)
			w.deliver = c.deliver
			rec := delivery(t, w.channel(t, c.driver), c.method)
			if rec.Code != c.status {
				t.Errorf("status %d, want %d", rec.Code, c.status)
			}
			if got := rec.Header().Get("Retry-After") != ""; got != c.retry {
				t.Errorf("Retry-After stated = %v, want %v", got, c.retry)
			}
			if c.status == 405 && rec.Header().Get("Allow") != "POST" {
				t.Errorf("Allow = %q, want POST", rec.Header().Get("Allow"))
			}
			if n := gauge(t, w, "colloquy_channel_events_total"); (n == 1) != (c.events != "") {
				t.Errorf("%v events counted, want %q", n, c.events)
			}
			rejected := gauge(t, w, "colloquy_channel_deliveries_rejected_total")
			if acknowledged := c.status/100 == 2 || c.events != ""; (rejected == 0) != acknowledged {
				t.Errorf("rejected = %v with status %d", rejected, c.status)
			}
		})
	}
}

func TestReceiveMarksUnsupported(t *testing.T) {
	for _, c := range []struct {
		event channels.Event
		kind  string
		text  conversation.Text
	}{
		{channels.Event{Unsupported: "image"}, "image", "[image]"},
		{channels.Event{Unsupported: "image", Text: "my receipt"}, "image", "my receipt"},
		{channels.Event{Unsupported: "image", Text: " \n"}, "image", "[image]"},
		{channels.Event{Unsupported: "<script>"}, "unknown", "[unknown]"},
		{channels.Event{Unsupported: strings.Repeat("x", 41)}, "unknown", "[unknown]"},
	} {
		c.event.Peer, c.event.Metadata = "p", map[string]string{"url": "https://x"}
		d := receiving(channels.Ack{}, c.event)
		w := newWorld(t, "", d)
		w.deliver = func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			if in.Text != c.text || in.Metadata["unsupported"] != c.kind || in.Metadata["url"] != "https://x" {
				t.Errorf("%q: text %q, metadata %v, want %q and %q", c.event.Unsupported, string(in.Text), in.Metadata, string(c.text), c.kind)
			}
			return conversation.Receipt{}, nil
		}
		if rec := delivery(t, w.channel(t, d), http.MethodPost); rec.Code != 200 {
			t.Errorf("%q: status %d, want 200", c.event.Unsupported, rec.Code)
		}
		if len(c.event.Metadata) != 1 {
			t.Errorf("%q: the driver's metadata was changed", c.event.Unsupported)
		}
	}
}

func TestReceiveSurvivesADriverThatPanics(t *testing.T) {
	d := &scripted{receive: func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) { panic("canary") }}
	w := newWorld(t, "", d)
	if rec := delivery(t, w.channel(t, d), http.MethodPost); rec.Code != 500 || strings.Contains(rec.Body.String(), "panicked") {
		t.Errorf("answer %d %s, want 500 without detail", rec.Code, rec.Body)
	}
	if log := w.logs.String(); strings.Contains(log, "canary") || !strings.Contains(log, "driver panicked") {
		t.Errorf("log %q, want the stack without the value", log)
	}
}

func TestReceiveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := receiving(channels.Ack{}, channels.Event{Peer: "p", Text: "t"})
		w := newWorld(t, "", d)
		release := make(chan struct{})
		w.deliver = func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
			<-release
			return conversation.Receipt{}, nil
		}
		c := w.channel(t, d)
		var wg sync.WaitGroup
		var ok atomic.Int32
		for range 64 {
			wg.Go(func() {
				if delivery(t, c, http.MethodPost).Code == 200 {
					ok.Add(1)
				}
			})
		}
		synctest.Wait()
		if rec := delivery(t, c, http.MethodPost); rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" {
			t.Errorf("the 65th delivery: status %d, Retry-After %q, want 429 and a time", rec.Code, rec.Header().Get("Retry-After"))
		}
		close(release)
		wg.Wait()
		if n := ok.Load(); n != 64 {
			t.Errorf("%d deliveries succeeded, want 64", n)
		}
	})
}

// slowBody gives a megabyte and then waits.
type slowBody struct {
	left    int
	waiting func()
	release chan struct{}
}

func (s *slowBody) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.waiting()
		<-s.release
		return 0, io.EOF
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

func TestReceiveBoundsTheMemoryOfAllBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := receiving(channels.Ack{})
		c := newWorld(t, "", d).channel(t, d)
		release := make(chan struct{})
		var waiting, ok, full atomic.Int32
		var wg sync.WaitGroup
		// The last ones come one after the other: of many that find no room in the
		// same moment, each would be turned away for what the others hold.
		for i := range 70 {
			if i >= 32 {
				synctest.Wait()
			}
			wg.Go(func() {
				rec := httptest.NewRecorder()
				body := &slowBody{left: 1 << 20, release: release, waiting: func() { waiting.Add(1) }}
				c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", body))
				switch rec.Code {
				case http.StatusOK:
					ok.Add(1)
				case http.StatusTooManyRequests:
					full.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := waiting.Load(); n > 64 || n < 58 {
			t.Errorf("%d bodies of 1 MiB are held, want about 64", n)
		}
		close(release)
		wg.Wait()
		if ok.Load()+full.Load() != 70 || full.Load() == 0 {
			t.Errorf("%d deliveries succeeded and %d were turned away, want 70 in all", ok.Load(), full.Load())
		}
		// What was taken has been given back.
		if rec := delivery(t, c, http.MethodPost); rec.Code != http.StatusOK {
			t.Errorf("afterwards: status %d, want 200", rec.Code)
		}
	})
}

func TestReceiveRefusesAKindThatTheInboxDoesNotServe(t *testing.T) {
	d := receiving(channels.Ack{Compose: func(all []channels.Outcome) channels.Answer { return channels.Refusal(all[0].Err) }},
		channels.Event{Peer: "p", Text: "t", Channel: conversation.ChannelLine})
	w := newWorld(t, "", d)
	w.inboxes["shop"] = conversation.Inbox{ID: "shop", Channels: []conversation.ChannelKind{conversation.ChannelTelegram}}
	if rec := delivery(t, w.channel(t, d), http.MethodPost); rec.Code != 400 || !strings.Contains(rec.Body.String(), "unknown_channel") {
		t.Errorf("answer %d %s, want 400 unknown_channel", rec.Code, rec.Body)
	}
}

func TestRegistry(t *testing.T) {
	telegram, hook := &scripted{}, &scripted{kind: conversation.ChannelWebhook}
	w := newWorld(t, conversation.ChannelWebhook, telegram, hook)
	for _, c := range []struct {
		kind     conversation.ChannelKind
		inbox    conversation.InboxID
		carrier  conversation.ChannelKind // empty = none
		entrance bool
	}{
		{"telegram", "shop", "telegram", true},
		{"webhook", "shop", "webhook", true},
		{"wechat", "shop", "webhook", false}, // by the bridge, but nothing comes in there
		{"fax", "shop", "", false},
		{"", "shop", "", false},
		{"telegram", "nowhere", "", false},
		{"telegram", "desk", "telegram", false}, // replies may still go out
	} {
		got, ok := w.registry.For(c.kind, c.inbox)
		if ok != (c.carrier != "") || ok && (got.Kind() != c.carrier || got.Account() != c.inbox) {
			t.Errorf("For(%q, %q) = %v, want %q", c.kind, c.inbox, ok, c.carrier)
		}
		again, _ := w.registry.For(c.kind, c.inbox)
		if got != again {
			t.Errorf("For(%q, %q) gives another channel each time", c.kind, c.inbox)
		}
		if h, ok := w.registry.Entrance(c.kind, c.inbox); ok != c.entrance || ok == (h == nil) {
			t.Errorf("Entrance(%q, %q) = %v, want %v", c.kind, c.inbox, ok, c.entrance)
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	o := channels.Options{
		Bridge:  conversation.ChannelWebhook,
		Drivers: map[conversation.ChannelKind]channels.Driver{"line": &scripted{}, "slack": nil},
	}
	_, err := channels.NewRegistry(o)
	if err == nil {
		t.Fatal("NewRegistry succeeded")
	}
	for _, want := range []string{"Deliver", `bridge "webhook"`, `"line"`, `"slack"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestSender(t *testing.T) {
	d := &scripted{limits: channels.Limits{Idempotent: true}}
	w := newWorld(t, "", d)
	s := channels.NewSender(w.registry)
	if id, err := s.Send(t.Context(), out("x")); err != nil || id == "" {
		t.Errorf("Send = %q, %v, want a name", id, err)
	}
	for want, change := range map[string]func(*conversation.Outbound){
		"permanent: no_inbox":  func(o *conversation.Outbound) { o.Inbox = "nowhere" },
		"permanent: no_driver": func(o *conversation.Outbound) { o.Channel = conversation.ChannelLine },
	} {
		o := out("x")
		change(&o)
		_, err := s.Send(t.Context(), o)
		if got := sendError(t, err).Detail(); got != want {
			t.Errorf("Send error = %q, want %q", got, want)
		}
	}
	d.send = failing(channels.Unknown)
	_, err := s.Send(t.Context(), out("x"))
	before := time.Now()
	step, detail := s.Next(out("x"), err, 1, before)
	wait := step.At.Sub(before)
	if step.Result != conversation.DeliveryPending || wait < 800*time.Millisecond || detail != "unknown: x" {
		t.Errorf("Next = %s in %s, %q, want pending in about 1s", step.Result, wait, detail)
	}
	if step, detail := s.Next(out("x"), nil, 1, before); step.Result != conversation.DeliverySent || detail != "" {
		t.Errorf("Next without error = %s, %q, want sent", step.Result, detail)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	d := &scripted{}
	w := newWorld(t, "", d)
	problems, err := testutil.GatherAndLint(w.metrics)
	if err != nil || len(problems) > 0 {
		t.Errorf("GatherAndLint = %v, %v", problems, err)
	}
	// All series of a driver begin at zero before anything happens.
	if n, err := testutil.GatherAndCount(w.metrics); err != nil || n < 20 {
		t.Errorf("%d series, %v, want all of the driver's", n, err)
	}
}
