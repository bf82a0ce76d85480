package channels_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// An account that an admin has stopped takes nothing and sends nothing, and goes
// on as if nothing had been.
func TestAStoppedAccount(t *testing.T) {
	t.Parallel()
	var stopped atomic.Bool
	d := &scripted{receive: func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
		return []channels.Event{{Peer: "anna", Ref: "1", Text: "hello"}}, channels.Ack{}, nil
	}}
	w := newWorldWith(t, func(o *channels.Options) {
		o.Paused = func(kind conversation.ChannelKind, inbox conversation.InboxID) bool {
			return stopped.Load() && kind == d.Kind() && inbox == "shop"
		}
	}, "", d)
	delivered := 0
	w.deliver = func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
		delivered++
		return conversation.Receipt{}, nil
	}
	sender := channels.NewSender(w.registry)
	deliver := func() *httptest.ResponseRecorder {
		h, _ := w.registry.Entrance(d.Kind(), "shop")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
		return rec
	}

	stopped.Store(true)
	if rec := deliver(); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || delivered != 0 {
		t.Errorf("a delivery is answered with %d, Retry-After %q, and %d came in", rec.Code, rec.Header().Get("Retry-After"), delivered)
	}
	_, err := sender.Send(t.Context(), out("hi"))
	if !channels.Held(err) || len(d.parts()) != 0 {
		t.Errorf("Send = %v, %d calls", err, len(d.parts()))
	}
	step, why := sender.Next(out("hi"), err, 1000, time.Now().Add(-48*time.Hour))
	if step.Result != conversation.DeliveryPending || why != "limited: paused_by_admin" {
		t.Errorf("Next = %+v, %q", step, why)
	}

	stopped.Store(false)
	if rec := deliver(); rec.Code != http.StatusOK || delivered != 1 {
		t.Errorf("after that a delivery is answered with %d, and %d came in", rec.Code, delivered)
	}
	if _, err := sender.Send(t.Context(), out("hi")); err != nil || len(d.parts()) != 1 {
		t.Errorf("after that Send = %v, %d calls", err, len(d.parts()))
	}
}
